//! Attribution beside other look-up tables, in one run, on the same ranges and addresses:
//! `cargo bench -p tidegauge-enrich --bench index`. The ranges are those of the real
//! tables beside the source tree, or, where these are absent, made-up ones, said so.
//!
//! **Invariant:** every table must answer as ours does, address by address, before it is
//! measured; and ours as a search of the sorted ranges, at all their ends and beside them,
//! and at five times as many random addresses as are measured (ten million unless told).

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

mod input;
mod mmdb;
mod peers;
mod python;

use std::hint::black_box;
use std::time::{Duration, Instant};

use input::{Addresses, Table};
use tidegauge_enrich::atlas::{Atlas, Rules};
use tidegauge_enrich::index::RangeIndex;
use tidegauge_model::{Address, Day, Observation};

/// Rounds over the addresses; the fastest counts.
const ROUNDS: usize = 3;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    for v6 in [false, true] {
        let tables = input::tables(v6)?;
        let table = tables.last().ok_or("there is a table")?;
        println!(
            "\n== {}: {} ranges, {} prefixes, {} addresses a pattern",
            if v6 { "IPv6" } else { "IPv4" },
            table.ranges.len(),
            table.prefixes().len(),
            input::addresses(),
        );
        let index = built(table)?;
        check(&index, table)?;
        let [uniform, zipf, sorted] = input::patterns(table, v6);
        random_access(&index);
        println!(
            "{:<46} {:>9} {:>9} {:>9}  M a second",
            "", "uniform", "Zipf", "sorted"
        );
        print(&ours(&index, [&uniform, &zipf, &sorted]));
        let ask = |addresses: &Addresses| values(&index, &addresses.list);
        for peer in peers::all(table, v6)? {
            let row = [&uniform, &zipf, &sorted].map(|addresses| {
                assert_eq!(peer.values(addresses), ask(addresses), "{}", peer.name);
                rate(addresses.list.len(), || peer.sum(addresses))
            });
            print(&[(peer.name.to_owned(), row)]);
        }
        print(&attributed(&tables, [&uniform, &zipf, &sorted]));
        python::measure(table, &uniform.list, v6)?;
    }
    Ok(())
}

/// The index of one table, built while the clock runs.
fn built(table: &Table) -> Outcome<RangeIndex> {
    let begun = Instant::now();
    let index = RangeIndex::build(table.ranges.iter().copied())?;
    println!(
        "index: built in {} ms from sorted ranges, {} KiB",
        begun.elapsed().as_millis(),
        index.bytes() / 1024
    );
    Ok(index)
}

/// Holds the index against a binary search, at the ends of every range, beside them, and
/// at random addresses.
fn check(index: &RangeIndex, table: &Table) -> Outcome<()> {
    let edges = table.ranges.iter().flat_map(|(first, last, _)| {
        let (first, last) = (first.bits(), last.bits());
        [first.saturating_sub(1), first, last, last.saturating_add(1)]
    });
    let edges: Vec<_> = edges.map(Address::from_bits).collect();
    let random = input::uniform(
        5 * input::addresses(),
        table.ranges.last().is_some_and(|r| !r.0.is_v4()),
    );
    let mut asked = 0;
    for addresses in [&edges, &random] {
        let expected: Vec<_> = addresses.iter().map(|a| table.find(*a)).collect();
        if values(index, addresses) != expected {
            return Err("the index answers wrongly".into());
        }
        let mut each = Vec::new();
        index.find_each(addresses, &mut each);
        let joined = index.join(addresses).flat_map(|(run, v)| run.map(move |_| v));
        if each != expected || joined.ne(expected.iter().copied()) {
            return Err("ways of asking differ".into());
        }
        asked += addresses.len();
    }
    println!("check: {asked} addresses answered as by a search of the sorted ranges");
    Ok(())
}

fn values(index: &RangeIndex, addresses: &[Address]) -> Vec<Option<u32>> {
    addresses.iter().map(|a| index.find(*a)).collect()
}

/// Rates by pattern: uniform, Zipf, sorted.
type Row = (String, [f64; 3]);

fn ours(index: &RangeIndex, patterns: [&Addresses; 3]) -> Vec<Row> {
    let lists = patterns.map(|p| p.list.as_slice());
    let find = lists.map(|list| {
        rate(list.len(), || list.iter().map(|a| value(index.find(*a))).sum())
    });
    let mut found = Vec::new();
    let each = lists.map(|list| {
        rate(list.len(), || {
            found.clear();
            index.find_each(list, &mut found);
            found.iter().copied().map(value).sum()
        })
    });
    let join = lists.map(|list| {
        rate(list.len(), || {
            let runs = index.join(list);
            runs.map(|(run, v)| value(v) * u64::try_from(run.len()).unwrap_or(0)).sum()
        })
    });
    vec![
        ("ours, find".to_owned(), find),
        ("ours, find_each".to_owned(), each),
        ("ours, join (meant for sorted)".to_owned(), join),
    ]
}

fn value(found: Option<u32>) -> u64 {
    found.map_or(0, u64::from)
}

/// The whole atlas: of one date, and dated, of all dates.
fn attributed(tables: &[Table], patterns: [&Addresses; 3]) -> Vec<Row> {
    let lists = patterns.map(|p| p.list.as_slice());
    let last = tables.len().saturating_sub(1);
    let mut rows = Vec::new();
    for (what, some) in [("one date", &tables[last..]), ("all dates", tables)] {
        let observations: Vec<Observation> =
            some.iter().flat_map(Table::observations).collect();
        let begun = Instant::now();
        let atlas = Atlas::build(observations, &Rules::built_in());
        let tables = begun.elapsed();
        let (bytes, ranges) = atlas.map().index_size();
        println!(
            "atlas, {what}: tables in {} ms, index in {} ms; {ranges} ranges, {} KiB",
            tables.as_millis(),
            begun.elapsed().saturating_sub(tables).as_millis(),
            bytes / 1024
        );
        // Between the snapshots, where what is dated has to be looked at.
        let day = Day(20_300);
        let one = |a: &Address| {
            let held = atlas.map().held(*a, day);
            held.unaged().asn.map_or(0, |asn| u64::from(asn.0))
        };
        let rates = lists.map(|list| rate(list.len(), || list.iter().map(one).sum()));
        rows.push((format!("ours, attribution, {what}"), rates));
        let mut found = Vec::new();
        let rates = lists.map(|list| {
            rate(list.len(), || {
                let sums = list.chunks(4_096).map(|some| {
                    found.clear();
                    atlas.map().held_each(some, day, &mut found);
                    found
                        .iter()
                        .map(|h| h.unaged().asn.map_or(0, |a| u64::from(a.0)))
                        .sum::<u64>()
                });
                sums.sum()
            })
        });
        rows.push((format!("ours, attribution, {what}, many at once"), rates));
        let rates = lists.map(|list| {
            rate(list.len(), || {
                let runs = atlas.map().join(list, day);
                let sum = |(run, held): (
                    std::ops::Range<usize>,
                    tidegauge_enrich::atlas::Held<'_>,
                )| {
                    let asn = held.unaged().asn.map_or(0, |asn| u64::from(asn.0));
                    asn * u64::try_from(run.len()).unwrap_or(0)
                };
                runs.map(sum).sum()
            })
        });
        rows.push((format!("ours, attribution, {what}, join"), rates));
    }
    rows
}

/// How fast this machine reads independent random places of as many bytes as the index
/// has, and of the 64 MiB that a table of all /24 has: the limit of one step a look-up.
fn random_access(index: &RangeIndex) {
    for bytes in [index.bytes(), 64 << 20] {
        let cells: Vec<u32> =
            (0..u32::try_from(bytes / 4).unwrap_or(u32::MAX)).collect();
        let places: Vec<u32> = input::numbers(input::addresses())
            .map(|n| {
                u32::try_from((n >> 33) % u64::try_from(cells.len()).unwrap_or(1))
                    .unwrap_or(0)
            })
            .collect();
        let read = |place: &u32| {
            let place = usize::try_from(*place).unwrap_or(0);
            u64::from(cells.get(place).copied().unwrap_or(0))
        };
        let rate = rate(places.len(), || places.iter().map(read).sum());
        println!("random reads of {} KiB: {rate:.1} M a second", bytes / 1024);
    }
}

/// Millions a second, of the fastest round.
fn rate(count: usize, mut round: impl FnMut() -> u64) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(round());
        best = best.min(begun.elapsed());
    }
    let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
    count / best.as_secs_f64() / 1e6
}

fn print(rows: &[Row]) {
    for (name, [uniform, zipf, sorted]) in rows {
        println!("{name:<46} {uniform:>9.1} {zipf:>9.1} {sorted:>9.1}");
    }
}
