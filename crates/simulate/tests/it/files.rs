//! What is written can be read by anybody, and counts to the tally.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Int32Type, TimestampMicrosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidegauge_model::{Address, Instant, Prefix};
use tidegauge_simulate::{Params, Written, write};

/// The world that most tests look at, written once.
pub(crate) static WORLD: LazyLock<(tempfile::TempDir, Written)> =
    LazyLock::new(|| world(&Params { organisations: 0.02, ..Params::default() }));

pub(crate) fn world(params: &Params) -> (tempfile::TempDir, Written) {
    let dir = tempfile::tempdir().unwrap();
    let mut months = 0;
    let written = write(params, dir.path(), &mut |p| months = p.months_done).unwrap();
    assert_eq!(months, 12);
    (dir, written)
}

/// A flow as read back.
pub(crate) struct Read {
    pub(crate) start: Instant,
    pub(crate) originator: Address,
    pub(crate) name: Option<String>,
    pub(crate) packets_sent: Option<u64>,
    pub(crate) bytes_sent: Option<u64>,
    pub(crate) bytes_received: Option<u64>,
    pub(crate) flags: u8,
    pub(crate) sampling: u32,
}

pub(crate) fn read(path: &Path) -> Vec<Read> {
    let file = File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().flat_map(|batch| rows(&batch.unwrap())).collect()
}

fn rows(batch: &RecordBatch) -> Vec<Read> {
    let column = |name: &str| batch.column_by_name(name).expect(name);
    let start = column("start").as_primitive::<TimestampMicrosecondType>();
    let originator = column("originator").as_fixed_size_binary();
    let names = column("server_name").as_dictionary::<Int32Type>();
    let texts = names.values().as_string::<i32>();
    let sent = column("packets_sent").as_primitive::<UInt64Type>();
    let bytes_sent = column("bytes_sent").as_primitive::<UInt64Type>();
    let received = column("bytes_received").as_primitive::<UInt64Type>();
    let flags = column("tcp_flags").as_primitive::<UInt8Type>();
    let sampling = column("sampling").as_primitive::<UInt32Type>();
    let row = |i: usize| Read {
        start: Instant(start.value(i)),
        originator: Address::from_bits(u128::from_be_bytes(
            originator.value(i).try_into().unwrap(),
        )),
        name: names.key(i).map(|key| texts.value(key).to_owned()),
        packets_sent: sent.is_valid(i).then(|| sent.value(i)),
        bytes_sent: bytes_sent.is_valid(i).then(|| bytes_sent.value(i)),
        bytes_received: received.is_valid(i).then(|| received.value(i)),
        flags: flags.value(i),
        sampling: sampling.value(i),
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The registry: first address → last address, organisation, country, kind.
pub(crate) type Registry = BTreeMap<Address, (Address, String, String, String)>;

pub(crate) fn registry(path: &Path) -> Registry {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names = reader.headers().unwrap().clone();
    let place = |name: &str| names.iter().position(|n| n == name).expect(name);
    let (prefix, id) = (place("prefix"), place("organisation"));
    let (country, kind) = (place("country"), place("kind"));
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let block: Prefix = row[prefix].parse().unwrap();
        let said = (row[id].to_owned(), row[country].to_owned(), row[kind].to_owned());
        (block.first(), (block.last(), said.0, said.1, said.2))
    });
    rows.collect()
}

pub(crate) fn holder(
    registry: &Registry,
    address: Address,
) -> Option<(&str, &str, &str)> {
    let (_, (last, id, country, kind)) = registry.range(..=address).next_back()?;
    (address <= *last).then_some((id, country, kind))
}

pub(crate) fn is_update(name: &str) -> bool {
    name.ends_with(".upd.kaspersky.com") || name.ends_with(".geo.kaspersky.com")
}

#[test]
fn counting_the_files_gives_the_tally() {
    let (dir, written) = &*WORLD;
    let registry = registry(&dir.path().join("registry/holders-2024-01-01.csv"));
    let mut days: BTreeMap<(String, i8), BTreeSet<i32>> = BTreeMap::new();
    let mut addresses: BTreeMap<i8, BTreeSet<Address>> = BTreeMap::new();
    let mut flows = 0;
    for table in &written.tables {
        for flow in read(table) {
            flows += 1;
            // A SYN alone is a scanner's; the tally leaves them out, as a score would.
            let scan = flow.packets_sent == Some(1) && flow.bytes_received == Some(0);
            if scan || !flow.name.as_deref().is_some_and(is_update) {
                continue;
            }
            let held = holder(&registry, flow.originator);
            if held.is_some_and(|(_, _, kind)| kind == "hosting") {
                // A sandbox or an exit of a VPN: the tally leaves them out as well.
                continue;
            }
            let day = flow.start.day();
            let month = day.month().number();
            addresses.entry(month).or_default().insert(if flow.originator.is_v4() {
                flow.originator
            } else {
                Prefix::containing(flow.originator, 64).first()
            });
            if let Some((id, _, "own")) = held {
                days.entry((id.to_owned(), month)).or_default().insert(day.0);
            }
        }
    }
    assert_eq!(flows, written.flows);
    for month in 1..=12i8 {
        let of_month = days.iter().filter(|((_, m), _)| *m == month);
        let active = of_month.filter(|(_, days)| days.len() >= 2).count();
        let index = usize::try_from(month).unwrap() - 1;
        let told = &written.tally.addresses[index];
        assert_eq!(active, written.tally.world.observed[index] as usize, "{month}");
        let all = told.own_v4 + told.own_v6 + told.consumer_v4 + told.consumer_v6;
        assert_eq!(addresses[&month].len(), all as usize, "{month}");
    }
}

#[test]
fn tables_are_sorted_within_their_month_and_dark_in_outages() {
    let (_, written) = &*WORLD;
    for table in &written.tables {
        let month = table.file_stem().unwrap().to_str().unwrap().to_owned();
        let flows = read(table);
        assert!(flows.is_sorted_by_key(|f| f.start));
        let exchange = table.to_str().unwrap().contains("exchange");
        for flow in &flows {
            let day = flow.start.day().to_string();
            assert!(day.starts_with(&month), "{day} in {month}");
            let dark: &[&str] =
                if exchange { &["2024-05-14", "2024-05-15"] } else { &["2024-10-08"] };
            assert!(!dark.contains(&day.as_str()), "{day}");
            let sampling = match (exchange, day.as_str() < "2024-08-01") {
                (false, _) => 1,
                (true, true) => 1000,
                (true, false) => 1200,
            };
            assert_eq!(flow.sampling, sampling, "{day}");
        }
    }
}

#[test]
fn after_the_cut_off_clients_of_the_united_states_ask_in_vain() {
    let (dir, written) = &*WORLD;
    let registry = registry(&dir.path().join("registry/holders-2024-01-01.csv"));
    let mut counts: BTreeMap<(bool, bool), [u32; 2]> = BTreeMap::new();
    for table in
        written.tables.iter().filter(|t| t.to_str().unwrap().contains("carrier"))
    {
        for flow in read(table) {
            let Some((_, country, kind)) = holder(&registry, flow.originator) else {
                continue;
            };
            if !flow.name.as_deref().is_some_and(is_update) || kind == "hosting" {
                continue;
            }
            let late = flow.start.day().to_string().as_str() >= "2024-09-29";
            let served = flow.bytes_received.is_some_and(|b| b >= 1_500);
            let refused = flow.flags & 0x04 != 0;
            assert_ne!(served, refused, "served or reset, never both");
            counts.entry((country == "US", late)).or_default()[usize::from(served)] +=
                1;
        }
    }
    let share = |key| {
        let [vain, served] = counts[&key];
        f64::from(served) / f64::from(vain + served)
    };
    assert!(share((true, false)) > 0.999 && share((false, true)) > 0.98, "{counts:?}");
    // A prefix that the registry puts elsewhere keeps this from being exact.
    assert!((0.05..0.25).contains(&share((true, true))), "{counts:?}");
}

#[test]
fn visibility_does_not_depend_on_the_product() {
    let (dir, written) = &*WORLD;
    let registry = registry(&dir.path().join("registry/holders-2024-01-01.csv"));
    let mut seen: BTreeMap<i8, BTreeSet<String>> = BTreeMap::new();
    let mut controls: BTreeMap<i8, u32> = BTreeMap::new();
    for table in &written.tables {
        for flow in read(table) {
            let month = flow.start.day().month().number();
            if let Some((id, _, "own")) = holder(&registry, flow.originator) {
                seen.entry(month).or_default().insert(id.to_owned());
                let name = flow.name.as_deref().unwrap_or("");
                if name.ends_with("windowsupdate.com") {
                    *controls.entry(month).or_default() += 1;
                }
            }
        }
    }
    let of = |month: i8| f64::from(u32::try_from(seen[&month].len()).unwrap());
    assert!((of(11) / of(4) - 1.0).abs() < 0.02, "{} {}", of(4), of(11));
    let control = f64::from(controls[&11]) / f64::from(controls[&4]);
    assert!((0.8..1.2).contains(&control), "{control}");
}

fn all_bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn equal_parameters_give_equal_bytes() {
    let params = Params { organisations: 0.004, ..Params::default() };
    let (first, second) = (world(&params), world(&params));
    let (first, second) = (all_bytes(first.0.path()), all_bytes(second.0.path()));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect();
    let (one, two): (Vec<_>, Vec<_>) = (names(&first), names(&second));
    assert_eq!(one, two);
    assert!(first.iter().all(|(name, bytes)| second[name] == *bytes));
    // Two vantages, twelve months.
    assert_eq!(one.iter().filter(|n| n.extension().unwrap() == "parquet").count(), 24);
}

#[test]
fn a_smaller_world_has_some_of_the_members_of_a_larger_one() {
    let members = |organisations: f64| {
        let (dir, _) = world(&Params { organisations, ..Params::default() });
        let path = dir.path().join("truth/organisations.csv");
        let text = fs::read_to_string(path).unwrap();
        text.lines().skip(1).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (small, large) = (members(0.005), members(0.01));
    assert!(small.is_subset(&large));
    assert!(small.len() > 100 && large.len() > small.len() * 3 / 2);
}

#[test]
fn the_registry_errs_at_the_stated_rates_and_the_truth_says_where() {
    let (dir, _) = world(&Params { organisations: 0.05, ..Params::default() });
    let count = |name: &str| {
        let mut rows = csv::Reader::from_path(dir.path().join(name)).unwrap();
        rows.records().count()
    };
    let first = registry(&dir.path().join("registry/holders-2024-01-01.csv"));
    let second = registry(&dir.path().join("registry/holders-2024-10-01.csv"));
    let own = |r: &Registry| r.values().filter(|row| row.3 == "own").count();
    assert!(own(&second) > own(&first), "half of what is missing appears");
    let errors = count("truth/registry_errors.csv");
    let rows = own(&first);
    // 4 % of the rows, with three standard errors.
    let expected = rows / 25;
    assert!(errors.abs_diff(expected) < expected / 2, "{errors} of {rows}");
    assert!(first.values().any(|row| row.3 == "mobile"));
    assert!(first.values().any(|row| row.3 == "hosting"));
}
