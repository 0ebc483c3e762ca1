//! How fast the atlas loads, builds and answers: `cargo bench -p tidegauge-enrich --bench
//! atlas`. Made-up tables of the size of the real ones, the same every run; or, after
//! `--`, real ones as `DATE FILE.csv.gz` pairs in the form of `ip2asn`.
//!
//! **Invariant:** figures are printed with what was found, so that a wrong answer cannot
//! look like a fast one.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Read};
use std::time::Instant;

use flate2::read::GzDecoder;
use tidegauge_enrich::atlas::{Atlas, Rules, SourceKind, load};
use tidegauge_model::{Address, Client, Day, DayRange, Holders, Observation};

/// Ranges of a made-up table: as many as a full IPv4 routing table, flattened.
const RANGES: u32 = 400_000;
/// Look-ups in one measurement.
const LOOKUPS: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> =
        std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let mut tables = Vec::new();
    for pair in arguments.chunks(2) {
        if let [date, file] = pair {
            tables.push((date.parse()?, unpacked(file)?));
        }
    }
    if tables.is_empty() {
        tables = vec![(Day(20_189), made_up(0)?), (Day(20_621), made_up(1)?)];
    }

    let mut observations = Vec::new();
    let begun = Instant::now();
    for (snapshot, text) in &tables {
        let input = text.as_bytes();
        let each = |o: Observation| observations.push(o);
        load(&SourceKind::Ip2Asn, &"ip2asn".into(), *snapshot, input, each, |_| ())?;
    }
    report("load", observations.len(), begun, "rows");

    let rows = observations.len();
    let ranges: Vec<_> = observations.iter().filter_map(|o| o.range).collect();
    let begun = Instant::now();
    let atlas = Atlas::build(observations, &Rules::built_in());
    report("build", rows, begun, "rows");
    let bytes: u64 = atlas.notes().tables.iter().map(|t| t.bytes).sum();
    let held: u64 = atlas.notes().tables.iter().map(|t| t.ranges).sum();
    println!("index: {held} ranges, {bytes} bytes, {} a range", bytes / held.max(1));

    let clients: Vec<_> = (0..LOOKUPS)
        .filter_map(|n| {
            let at = usize::try_from(spread(n)).ok()? % ranges.len();
            ranges.get(at).map(|(first, last)| inside(*first, *last, n))
        })
        .map(|address| Client { address, site: None })
        .collect();
    let day = Day(20_300);
    let begun = Instant::now();
    let found = clients
        .iter()
        .filter(|c| black_box(atlas.map().attribute(c, day)).organisation.is_some())
        .count();
    report("one day", clients.len(), begun, &format!("look-ups, {found} found"));
    let year = DayRange::new(Day(20_454), Day(20_818)).ok_or("a year has days")?;
    let begun = Instant::now();
    let tenures: usize =
        clients.iter().map(|c| atlas.map().tenures(c, year).len()).sum();
    report("one year", clients.len(), begun, &format!("clients, {tenures} tenures"));
    Ok(())
}

fn report(what: &str, count: usize, begun: Instant, unit: &str) {
    let micros = begun.elapsed().as_micros().max(1);
    let rate = u128::try_from(count).unwrap_or(0) * 1_000_000 / micros;
    println!("{what}: {count} {unit} in {} ms, {rate} a second", micros / 1_000);
}

fn unpacked(file: &str) -> io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(file)?).read_to_string(&mut text)?;
    Ok(text)
}

/// One range in 2,048 addresses; one in eight has another AS in the other edition.
fn made_up(edition: u32) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for n in 0..RANGES {
        let first = Address::from(std::net::Ipv4Addr::from_bits((1 << 24) + n * 2_048));
        let last = Address::from_bits(first.bits() + 1_023);
        let changed = if spread(n).is_multiple_of(8) { edition } else { 0 };
        let asn = 1 + spread(n) % 70_000 + changed;
        writeln!(text, "{first},{last},{asn},\"Network {asn}, Inc.\"")?;
    }
    Ok(text)
}

fn inside(first: Address, last: Address, n: u32) -> Address {
    let size = last.bits() - first.bits() + 1;
    Address::from_bits(first.bits() + u128::from(spread(n)) % size)
}

/// Scatters numbers, the same way every run (Knuth's multiplicative hash).
fn spread(n: u32) -> u32 {
    n.wrapping_mul(2_654_435_761).rotate_left(16)
}
