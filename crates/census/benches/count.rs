//! How fast a year is counted: five million sightings of a million clients, by month and
//! country, and the panel over them.
//!
//! `cargo bench -p tidegauge-census` prints seconds, rows per second and the largest size
//! of the process; `-- 256` gives the engine a pool of 256 MiB. Holders are made up by arithmetic, so that the engine is what is
//! measured.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use tidegauge_census::{Counter, Settings};
use tidegauge_model::count::{Dating, Dimension, Query};
use tidegauge_model::{
    Address, Attribution, Client, Confidence, Country, Coverage, Day, DayRange,
    Endpoint, Grade, Holders, NetworkKind, OrgId, Organisation, Pattern, ProductId,
    Role, Shared, Sighting, Signal, Standing, Tenure, Weight,
};
use tidegauge_store::{Batch, Fingerprint, Lake, RunRecord};

const SIGHTINGS: u32 = 5_000_000;
const CLIENTS: u32 = 1_000_000;
const COUNTRIES: u32 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let lake = Lake::open(&folder.path().to_string_lossy()).await?;
    let year = DayRange::new("2024-01-01".parse()?, "2024-12-31".parse()?)
        .ok_or("a year has days")?;
    let start = Instant::now();
    fill(&lake, year).await?;
    println!("stored {SIGHTINGS} sightings in {:.1} s", start.elapsed().as_secs_f64());

    let mebibytes: Option<usize> = std::env::args().find_map(|word| word.parse().ok());
    let memory_bytes = mebibytes.map_or(tidegauge_census::MEMORY_BYTES, |n| n << 20);
    let settings = Settings { memory_bytes, ..Settings::default() };
    let endpoints = [endpoint(year)];
    let counter = Counter::open(&lake, &endpoints, &[], Arc::new(Sums), settings)?;
    let by = |by: &[Dimension], on| Query {
        by: by.to_vec(),
        on,
        organisation_kinds: vec![NetworkKind::Own],
        ..Query::new(year)
    };
    let frozen = Dating::Frozen(year.first());
    for (by, on) in [
        (vec![Dimension::Month, Dimension::Country], frozen),
        (vec![Dimension::Month, Dimension::Country], Dating::EachDay),
        (vec![Dimension::Week], frozen),
    ]
    .map(|(axes, on)| (by(&axes, on), on))
    {
        let start = Instant::now();
        let census = counter.census(&by).await?;
        let seconds = start.elapsed().as_secs_f64();
        let words: Vec<_> = by.by.iter().map(ToString::to_string).collect();
        println!(
            "census by {} on {on}: {} cells, {seconds:.1} s, {:.2} M rows/s, {}",
            words.join(" and "),
            census.cells.len(),
            f64::from(SIGHTINGS) / seconds / 1e6,
            largest()
        );
    }
    let start = Instant::now();
    let panel = counter.panel(&ProductId::new("red"), &by(&[], frozen)).await?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "panel: {} histories, {seconds:.1} s, {}",
        panel.histories.len(),
        largest()
    );
    Ok(())
}

/// One batch a month, as an operator would bring it in.
async fn fill(lake: &Lake, year: DayRange) -> Result<(), Box<dyn Error>> {
    let months: Vec<_> = year.months().collect();
    let each = SIGHTINGS / u32::try_from(months.len())?;
    let mut state = 1u64;
    for month in months {
        let days = DayRange::month(month);
        let mut next = |below: u32| {
            // Knuth's MMIX generator; its upper bits are good enough to spread load.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((state >> 33) % u64::from(below)).unwrap_or(0)
        };
        let sightings = (0..each)
            .map(|_| {
                let address = 0x0100_0000 + next(CLIENTS) * 37;
                let day = next(days.length_days());
                sighting(address, days.first().plus(i32::try_from(day).unwrap_or(0)))
            })
            .collect();
        let coverage: Vec<_> =
            days.days().map(|day| Coverage::empty("probe".into(), day)).collect();
        let at = days.first().start();
        let run = RunRecord {
            id: month.to_string(),
            started: at,
            finished: at,
            verb: "bench".to_owned(),
            arguments: serde_json::Value::Null,
            versions: serde_json::Value::Null,
            inputs: serde_json::Value::Null,
            outcome: "done".to_owned(),
        };
        let inputs = vec![Fingerprint::of(month.to_string().as_bytes())];
        let vantage = "probe".into();
        let resolutions = Vec::new();
        lake.append(Batch { vantage, inputs, sightings, coverage, resolutions, run })
            .await?;
    }
    Ok(())
}

fn sighting(address: u32, day: Day) -> Sighting {
    let address = Address::from(std::net::Ipv4Addr::from_bits(address));
    Sighting {
        vantage: "probe".into(),
        client: Client { address, site: None },
        endpoint: "red/update".into(),
        grade: Grade::Name,
        signal: Signal::Served,
        day,
        contacts: 3,
        bytes_sent: Some(1_000),
        packets_sent: Some(10),
        bytes_received: Some(100_000),
        packets_received: Some(80),
        tcp_flags: 0x1b,
        sampling: 1,
        first: day.start(),
        last: day.start(),
        hours: 1,
    }
}

fn endpoint(valid: DayRange) -> Endpoint {
    Endpoint {
        id: "red/update".into(),
        product: "red".into(),
        role: Role::Update,
        pattern: Pattern::Exact("update.red.example".to_owned()),
        ports: Vec::new(),
        valid,
        exclusive: true,
        weight: Weight::Strong,
        source: "made up".to_owned(),
        confidence: Confidence::Low,
        note: String::new(),
    }
}

/// Holders by arithmetic: a /20 is an organisation, one in eight its own network.
#[derive(Debug)]
struct Sums;

impl Holders for Sums {
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure> {
        let block = client.address.v4().map_or(0, |v4| v4.to_bits() >> 12);
        let kind = if block.is_multiple_of(8) {
            NetworkKind::Own
        } else {
            NetworkKind::Eyeball
        };
        let attribution = Attribution {
            organisation: Some(OrgId::new(format!("block:{block}"))),
            asn: None,
            kind,
            shared: Shared::No,
            org_country: country(block % COUNTRIES),
            addr_country: None,
            confidence: 1.0,
        };
        vec![Tenure { days, attribution }]
    }

    fn standing(&self, _: &Client, _: Day) -> Standing {
        Standing::Dated
    }

    fn organisation(&self, id: &OrgId) -> Option<Cow<'_, Organisation>> {
        Some(Cow::Owned(Organisation {
            id: id.clone(),
            name: id.to_string(),
            country: None,
            parent: None,
            sector: None,
            other_sectors: Vec::new(),
        }))
    }
}

fn country(number: u32) -> Option<Country> {
    let letter = |n: u32| char::from_u32(u32::from('A') + n % 26);
    let code: String = [letter(number / 26)?, letter(number)?].iter().collect();
    code.parse().ok()
}

/// The largest size the process had, where the system tells.
fn largest() -> String {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
            Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .unwrap_or_else(|| "size unknown".to_owned())
}
