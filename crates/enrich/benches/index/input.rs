//! Tables and addresses, the same every run.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::read::GzDecoder;
use tidegauge_enrich::atlas::{SourceKind, load};
use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Asn, Day, Observation};

use super::Outcome;

/// Addresses of one pattern: a number after `--`, else two million.
pub(crate) fn addresses() -> usize {
    std::env::args().find_map(|word| word.parse().ok()).unwrap_or(2_000_000)
}

/// Disjoint ranges with their AS, sorted.
pub(crate) struct Table {
    day: Day,
    pub(crate) ranges: Vec<(Address, Address, u32)>,
}

/// Addresses, and the same as plain numbers, so that nobody is slowed by converting.
pub(crate) struct Addresses {
    pub(crate) list: Vec<Address>,
    pub(crate) v4: Vec<u32>,
    pub(crate) v6: Vec<u128>,
}

impl Table {
    fn new(day: Day, mut rows: Vec<(Address, Address, u32)>) -> Self {
        rows.sort_unstable();
        let mut ranges: Vec<(Address, Address, u32)> = Vec::with_capacity(rows.len());
        for (first, last, asn) in rows {
            // Of rows that overlap the first stands: what is measured is looking up.
            let free = ranges.last().map_or(0, |(_, last, _)| last.bits() + 1);
            if first.bits() >= free {
                ranges.push((first, last, asn));
            }
        }
        // Numbered from 1, since an index takes small numbers only.
        let numbers: BTreeSet<u32> = ranges.iter().map(|r| r.2).collect();
        let numbers: HashMap<u32, u32> = numbers.into_iter().zip(1..).collect();
        for (_, _, asn) in &mut ranges {
            *asn = numbers.get(asn).copied().unwrap_or(0);
        }
        Self { day, ranges }
    }

    pub(crate) fn find(&self, address: Address) -> Option<u32> {
        let at = self.ranges.partition_point(|(first, ..)| *first <= address);
        let (_, last, asn) = self.ranges.get(at.checked_sub(1)?)?;
        (address <= *last).then_some(*asn)
    }

    /// The ranges as prefixes: bits, length in 128 bits, AS.
    pub(crate) fn prefixes(&self) -> Vec<(u128, u32, u32)> {
        let mut prefixes = Vec::new();
        for (first, last, asn) in &self.ranges {
            let (mut at, last) = (first.bits(), last.bits());
            loop {
                let aligned = at.trailing_zeros().min(127);
                let fits = (last - at + 1).ilog2();
                let zeros = aligned.min(fits);
                prefixes.push((at, 128 - zeros, *asn));
                let Some(next) = at.checked_add(1 << zeros).filter(|n| *n <= last)
                else {
                    break;
                };
                at = next;
            }
        }
        prefixes
    }

    pub(crate) fn observations(&self) -> impl Iterator<Item = Observation> {
        self.ranges.iter().map(|(first, last, asn)| Observation {
            source: "ip2asn".into(),
            snapshot: self.day,
            range: Some((*first, *last)),
            asn: Some(Asn(*asn)),
            field: Field::Origin,
            value: String::new(),
            detail: std::collections::BTreeMap::new(),
        })
    }
}

impl From<Vec<Address>> for Addresses {
    fn from(list: Vec<Address>) -> Self {
        let v4 = list.iter().filter_map(|a| a.v4()).map(u32::from).collect();
        let v6 = list.iter().map(|a| a.bits()).collect();
        Self { list, v4, v6 }
    }
}

/// The tables of all dates, oldest first.
pub(crate) fn tables(v6: bool) -> Outcome<Vec<Table>> {
    let folder =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ip2asn"));
    let file = if v6 { "asn-ipv6.csv.gz" } else { "asn-ipv4.csv.gz" };
    let mut tables = Vec::new();
    for date in ["2025-04-11", "2026-06-17"] {
        let path = folder.join(date).join(file);
        let day = date.parse()?;
        tables.push(if path.is_file() {
            Table::new(day, read(&path, day)?)
        } else {
            println!("the real table of {date} is absent: a made-up one is used");
            Table::new(day, made_up(v6, day))
        });
    }
    Ok(tables)
}

fn read(path: &Path, day: Day) -> Outcome<Vec<(Address, Address, u32)>> {
    let input = BufReader::new(GzDecoder::new(File::open(path)?));
    let mut rows = Vec::new();
    let each = |o: Observation| {
        if let (Some((first, last)), Some(asn)) = (o.range, o.asn) {
            rows.push((first, last, asn.0));
        }
    };
    load(&SourceKind::Ip2Asn, &"ip2asn".into(), day, input, each, |_| ())?;
    Ok(rows)
}

/// As many ranges as a full table has; one in eight has another AS on another day.
fn made_up(v6: bool, day: Day) -> Vec<(Address, Address, u32)> {
    let (count, base, step) = if v6 {
        (100_000, 0x2001u128 << 112, 1u128 << 84)
    } else {
        (400_000, 0xffff_0100_0000, 2_048)
    };
    let row = |(n, scattered): (u32, u64)| {
        let first = base + u128::from(n) * step;
        let other = if scattered % 8 == 0 { day.0.unsigned_abs() } else { 0 };
        let asn = 1 + u32::try_from(scattered % 70_000).unwrap_or(0) + other;
        let last = first + step / 2 - 1;
        (Address::from_bits(first), Address::from_bits(last), asn)
    };
    (0..count).zip(numbers(usize::MAX)).map(row).collect()
}

/// Uniform over all addresses (of IPv6: over the sixteenth that is given out), like
/// traffic (few ranges have most addresses), and the former sorted.
pub(crate) fn patterns(table: &Table, v6: bool) -> [Addresses; 3] {
    let random = uniform(addresses(), v6);
    let mut sorted = random.clone();
    sorted.sort_unstable();
    let zipf = numbers(2 * addresses()).collect::<Vec<_>>();
    let zipf = zipf.chunks(2).filter_map(|pair| {
        let [rank, inside] = pair else { return None };
        let (first, last, _) = table.ranges.get(popular(*rank, table.ranges.len()))?;
        let size = last.bits() - first.bits() + 1;
        Some(Address::from_bits(first.bits() + u128::from(*inside) % size))
    });
    let zipf: Vec<_> = zipf.collect();
    [random.into(), zipf.into(), sorted.into()]
}

/// Addresses spread over the whole family.
pub(crate) fn uniform(count: usize, v6: bool) -> Vec<Address> {
    let numbers = numbers(count);
    if v6 {
        let of = |n: u64| u128::from(n) << 60 & !(7 << 125) | 1 << 125 | u128::from(n);
        numbers.map(|n| Address::from_bits(of(n))).collect()
    } else {
        let of = |n: u64| 0xffff_0000_0000 | u128::from(n >> 32);
        numbers.map(|n| Address::from_bits(of(n))).collect()
    }
}

/// A place by Zipf's law with exponent 1: the logarithm of the rank is uniform. Ranks are
/// scattered over the places.
fn popular(number: u64, places: usize) -> usize {
    let places_wide = u64::try_from(places).unwrap_or(u64::MAX);
    // The upper bits choose a power of two, the lower a rank within it.
    let powers = u64::from(places_wide.ilog2());
    let power = (number >> 40) % powers;
    let rank = (1 << power) + number % (1 << power);
    let scattered = rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    usize::try_from(scattered % places_wide).unwrap_or(0)
}

/// Numbers without a pattern, the same every run (splitmix64, Steele et al. 2014).
pub(crate) fn numbers(count: usize) -> impl Iterator<Item = u64> {
    let mut state = 7u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
    .take(count)
}
