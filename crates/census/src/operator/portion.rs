//! How a question is cut into portions that are counted apart.
//!
//! **Invariant:** portions are disjoint, and together they are the whole: parts of the days
//! that have no cell in common, times ranges of the address space. An IPv6 /64 lies in one
//! range, since it counts as one.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, UInt32Array,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, Int64Type, Schema, SchemaRef, UInt32Type,
};
use datafusion::error::DataFusionError;
use tidegauge_model::{Address, Day, DayRange};
use tidegauge_store::by_address::{self, Span};
use tidegauge_store::{DataFile, Snapshot};

use crate::{Error, Result};

/// Rows that a portion has at most, where its files can be cut so small: about half a second
/// of counting.
const ROWS_MAX: u64 = 1 << 20;
/// Rows of each file in a portion at least: those of a row group, below which there is nothing
/// to skip and every range of a file would read all of it.
const FILE_ROWS_MIN: u64 = 1 << 17;
/// Ranges of addresses at most, so that a plan stays small.
const RANGES_MAX: u64 = 256;
/// Places that are guessed between the first and the last address of a row group.
const PLACES: u64 = 16;
/// The upper half of every IPv4 address, as stored.
const V4_HI: i64 = i64::MIN;

/// A part of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portion {
    /// Its number.
    pub(crate) number: u32,
    /// The number of its part of the days: those of one part have cells in common.
    pub(crate) part: u32,
    pub(crate) days: DayRange,
    pub(crate) addresses: Span,
}

/// Cuts the days into `parts` and each of them by address: into `portions`, or more if these
/// would be large, or fewer if they would be small.
pub(crate) async fn cut(
    snapshot: &Snapshot,
    parts: &[DayRange],
    portions: usize,
) -> Result<Vec<Portion>> {
    let wanted = portions.div_ceil(parts.len().max(1));
    let mut all = Vec::new();
    for (part, days) in (0..).zip(parts) {
        let months: Vec<_> = days.months().map(|m| m.to_string()).collect();
        let of_days = |file: &&DataFile| {
            file.partition_month.as_ref().is_none_or(|month| months.contains(month))
        };
        let files: Vec<&DataFile> = snapshot.files.iter().filter(of_days).collect();
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        let wanted = u64::try_from(wanted).unwrap_or(1).max(rows.div_ceil(ROWS_MAX));
        let of_file = rows / u64::try_from(files.len().max(1)).unwrap_or(1);
        let ranges = wanted.min(of_file / FILE_ROWS_MIN).clamp(1, RANGES_MAX);
        for addresses in ranges_of(snapshot, &files, ranges).await? {
            let number = u32::try_from(all.len()).unwrap_or(u32::MAX);
            all.push(Portion { number, part, days: *days, addresses });
        }
    }
    Ok(all)
}

/// Ranges of about as many rows each.
async fn ranges_of(
    snapshot: &Snapshot,
    files: &[&DataFile],
    count: u64,
) -> Result<Vec<Span>> {
    let mut places = Vec::new();
    if count > 1 {
        for file in files {
            for (span, rows) in by_address::spans(snapshot, file).await? {
                places.extend(guess(span, rows));
            }
        }
    }
    Ok(between(places, count))
}

/// Where the rows of a row group may lie: evenly between its ends, as far as these say it.
fn guess(span: Span, rows: u64) -> Vec<((i64, i64), u64)> {
    let bits = |(hi, lo)| Address::from_halves(hi, lo).bits();
    let evenly = |first: u128, last: u128, rows: u64| {
        let step = last.saturating_sub(first) / u128::from(PLACES);
        (0..PLACES).map(move |at| {
            let address = Address::from_bits(first + step * u128::from(at));
            (address.halves(), (rows / PLACES).max(1))
        })
    };
    if span.first.0 == span.last.0 || span.first.0 != V4_HI {
        return evenly(bits(span.first), bits(span.last), rows).collect();
    }
    // Both kinds of address: statistics of the lower half say nothing of either.
    let v4 = |text: [u8; 4]| Address::from(std::net::Ipv4Addr::from(text)).bits();
    let v4 = evenly(v4([1, 0, 0, 0]), v4([223, 255, 255, 255]), rows / 2);
    let v6 = bits((i64::MIN + (1 << 61), i64::MIN));
    v4.chain(evenly(v6, bits(span.last), rows / 2)).collect()
}

/// Ranges that cut the sorted `places` into `count` of about equal weight.
fn between(mut places: Vec<((i64, i64), u64)>, count: u64) -> Vec<Span> {
    places.sort_unstable();
    let all: u64 = places.iter().map(|(_, rows)| rows).sum();
    let mut ranges = Vec::new();
    let (mut first, mut seen, mut next) = (Span::ALL.first, 0, 1);
    // Where the next range should begin: after its share of all rows.
    let due = |seen: u64, next: u64| {
        u128::from(seen) * u128::from(count) >= u128::from(all) * u128::from(next)
    };
    for ((hi, lo), rows) in places {
        let at = if hi == V4_HI { (hi, lo) } else { (hi, i64::MIN) };
        if due(seen, next) && at > first {
            ranges.push(Span { first, last: before(at) });
            first = at;
            while due(seen, next) {
                next += 1;
            }
        }
        seen += rows;
    }
    ranges.push(Span { first, last: Span::ALL.last });
    ranges
}

/// The address before another that is not the first.
pub(crate) fn before((hi, lo): (i64, i64)) -> (i64, i64) {
    if lo == i64::MIN { (hi.wrapping_sub(1), i64::MAX) } else { (hi, lo - 1) }
}

/// The columns of [`rows`].
pub(crate) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |name: &str, of| Field::new(name, of, false);
        Arc::new(Schema::new(vec![
            field("portion", DataType::UInt32),
            field("part", DataType::UInt32),
            field("first_day", DataType::Date32),
            field("last_day", DataType::Date32),
            field("first_hi", DataType::Int64),
            field("first_lo", DataType::Int64),
            field("last_hi", DataType::Int64),
            field("last_lo", DataType::Int64),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// A portion as a row of the engine.
pub(crate) fn row(
    portion: &Portion,
) -> std::result::Result<RecordBatch, DataFusionError> {
    let Portion { part, days, addresses, .. } = portion;
    let number = |n: u32| Arc::new(UInt32Array::from(vec![n])) as ArrayRef;
    let day = |day: Day| Arc::new(Date32Array::from(vec![day.0])) as ArrayRef;
    let half = |half: i64| Arc::new(Int64Array::from(vec![half])) as ArrayRef;
    let columns = vec![
        number(portion.number),
        number(*part),
        day(days.first()),
        day(days.last()),
        half(addresses.first.0),
        half(addresses.first.1),
        half(addresses.last.0),
        half(addresses.last.1),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The portions in rows.
pub(crate) fn portions(rows: &RecordBatch) -> Result<Vec<Portion>> {
    let bad = || Error::Plan { reason: "its portions are not readable".to_owned() };
    let [number, part, from, to, first_hi, first_lo, last_hi, last_lo] = rows.columns()
    else {
        return Err(bad());
    };
    let numbers = |column: &ArrayRef| column.as_primitive_opt::<UInt32Type>().cloned();
    let days = |column: &ArrayRef| column.as_primitive_opt::<Date32Type>().cloned();
    let halves = |column: &ArrayRef| column.as_primitive_opt::<Int64Type>().cloned();
    let read = || -> Option<Vec<Portion>> {
        let (number, part) = (numbers(number)?, numbers(part)?);
        let (from, to) = (days(from)?, days(to)?);
        let (first_hi, first_lo) = (halves(first_hi)?, halves(first_lo)?);
        let (last_hi, last_lo) = (halves(last_hi)?, halves(last_lo)?);
        let portion = |at: usize| {
            let days = DayRange::new(Day(from.value(at)), Day(to.value(at)))?;
            let addresses = Span {
                first: (first_hi.value(at), first_lo.value(at)),
                last: (last_hi.value(at), last_lo.value(at)),
            };
            let (number, part) = (number.value(at), part.value(at));
            Some(Portion { number, part, days, addresses })
        };
        (0..rows.num_rows()).map(portion).collect()
    };
    read().ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_disjoint_and_whole_and_split_no_network(
            places in prop::collection::vec((any::<(i64, i64)>(), 1u64..50), 0..40),
            v4 in prop::collection::vec((any::<u32>(), 1u64..50), 0..40),
            count in 1u64..20,
        ) {
            let v4 = v4.into_iter().map(|(bits, rows)| {
                (Address::from(std::net::Ipv4Addr::from_bits(bits)).halves(), rows)
            });
            let ranges = between(places.into_iter().chain(v4).collect(), count);
            prop_assert!(ranges.len() <= usize::try_from(count).unwrap());
            prop_assert_eq!(ranges[0].first, Span::ALL.first);
            prop_assert_eq!(ranges[ranges.len() - 1].last, Span::ALL.last);
            for pair in ranges.windows(2) {
                prop_assert_eq!(before(pair[1].first), pair[0].last);
                prop_assert!(pair[0].first <= pair[0].last);
                let (hi, lo) = pair[1].first;
                prop_assert!(hi == V4_HI || lo == i64::MIN);
            }
        }
    }

    #[test]
    fn ranges_are_of_about_equal_weight() {
        let v4 = |n: u32| Address::from(std::net::Ipv4Addr::from_bits(n)).halves();
        let places: Vec<_> = (1..=100).map(|n| (v4(n << 20), 10)).collect();
        let ranges = between(places.clone(), 4);
        let rows = ranges.iter().map(|range| {
            let of = places.iter().filter(|(at, _)| range.contains(*at));
            of.map(|(_, rows)| rows).sum::<u64>()
        });
        assert_eq!(rows.collect::<Vec<_>>(), [250; 4]);
    }
}
