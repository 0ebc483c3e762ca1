//! The values of one column of a foreign table, whatever type it has.
//!
//! **Invariant:** a value that cannot be read is `None`, never a default. A column that
//! lists its distinct values is read once for each of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use arrow::array::ArrayData;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use tidegauge_model::{Address, Instant, Protocol};

use super::mapping::Unit;

/// Reads columns; remembers what it made of the distinct values of the last one.
#[derive(Debug)]
pub(super) struct Distinct<T> {
    values: Option<ArrayData>,
    read: Vec<T>,
}

impl<T: Clone> Distinct<T> {
    pub(super) fn new() -> Self {
        Self { values: None, read: Vec::new() }
    }

    /// What `read` makes of each row; `null` for rows without a value.
    pub(super) fn rows(
        &mut self,
        column: &ArrayRef,
        null: T,
        read: impl Fn(&ArrayRef) -> Vec<T>,
    ) -> Vec<T> {
        let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else {
            let mut rows = read(column);
            if let Some(nulls) = column.nulls() {
                rows.iter_mut().zip(nulls).for_each(|(row, valid)| {
                    if !valid {
                        *row = null.clone();
                    }
                });
            }
            return rows;
        };
        let values = dictionary.values().to_data();
        if !self.values.as_ref().is_some_and(|known| known.ptr_eq(&values)) {
            self.read = read(dictionary.values());
            self.values = Some(values);
        }
        let value =
            |key| usize::try_from(key).ok().and_then(|k| self.read.get(k)).cloned();
        let keys = dictionary.keys().iter();
        keys.map(|key| key.and_then(value).unwrap_or_else(|| null.clone())).collect()
    }
}

/// Addresses: text, unsigned or wider integers (IPv4), or 4 or 16 bytes in network order.
pub(super) fn addresses(column: &ArrayRef) -> Vec<Option<Address>> {
    let v4 = |number: i64| {
        let bits = u32::try_from(number).ok()?;
        Some(Address::from(Ipv4Addr::from_bits(bits)))
    };
    match column.data_type() {
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => {
            ints(column).iter().map(|n| n.and_then(v4)).collect()
        }
        // Java and Spark have no unsigned type: the same 32 bits.
        DataType::Int32 => {
            let column = column.as_primitive::<Int32Type>();
            let bits = |n: i32| Address::from(Ipv4Addr::from_bits(n.cast_unsigned()));
            column.iter().map(|n| n.map(bits)).collect()
        }
        DataType::FixedSizeBinary(_) => column
            .as_fixed_size_binary()
            .iter()
            .map(|b| b.and_then(from_bytes))
            .collect(),
        DataType::Binary => {
            column.as_binary::<i32>().iter().map(|b| b.and_then(from_bytes)).collect()
        }
        DataType::LargeBinary => {
            column.as_binary::<i64>().iter().map(|b| b.and_then(from_bytes)).collect()
        }
        DataType::BinaryView => {
            column.as_binary_view().iter().map(|b| b.and_then(from_bytes)).collect()
        }
        _ => {
            let column = texts(column);
            column.iter().map(|text| text.and_then(|t| t.trim().parse().ok())).collect()
        }
    }
}

fn from_bytes(bytes: &[u8]) -> Option<Address> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Address::from(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| Address::from(Ipv6Addr::from(bytes)))
}

/// Points in time: timestamps of any unit, numbers of `unit`, text of either kind.
pub(super) fn instants(column: &ArrayRef, unit: Option<Unit>) -> Vec<Option<Instant>> {
    let micros = match column.data_type() {
        DataType::Timestamp(stored, _) => {
            let unit = match stored {
                TimeUnit::Second => Unit::S,
                TimeUnit::Millisecond => Unit::Ms,
                TimeUnit::Microsecond => Unit::Us,
                TimeUnit::Nanosecond => Unit::Ns,
            };
            scaled(&ints(column), unit)
        }
        _ => spans(column, unit),
    };
    micros.into_iter().map(|micros| micros.map(Instant)).collect()
}

/// Numbers of time in microseconds: numbers of `unit` in any form; RFC 3339 text where
/// there is no unit.
pub(super) fn spans(column: &ArrayRef, unit: Option<Unit>) -> Vec<Option<i64>> {
    match (column.data_type(), unit) {
        (DataType::Float32 | DataType::Float64, Some(unit)) => {
            let column = cast(column, &DataType::Float64).ok();
            let column = column.as_ref().and_then(|c| c.as_any().downcast_ref());
            column.map_or_else(Vec::new, |c: &Float64Array| {
                c.iter().map(|n| n.and_then(|n| float_micros(n, unit))).collect()
            })
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, unit) => {
            let column = texts(column);
            let read = |text: &str| match unit {
                Some(unit) => decimal_micros(text.trim(), unit),
                None => {
                    Some(string_to_timestamp_nanos(text.trim()).ok()?.div_euclid(1_000))
                }
            };
            column.iter().map(|text| text.and_then(read)).collect()
        }
        (_, Some(unit)) => scaled(&ints(column), unit),
        (_, None) => vec![None; column.len()],
    }
}

fn scaled(column: &Int64Array, unit: Unit) -> Vec<Option<i64>> {
    column.iter().map(|n| n.and_then(|n| whole_micros(n, unit))).collect()
}

fn whole_micros(number: i64, unit: Unit) -> Option<i64> {
    match unit {
        Unit::S => number.checked_mul(1_000_000),
        Unit::Ms => number.checked_mul(1_000),
        Unit::Us => Some(number),
        Unit::Ns => Some(number.div_euclid(1_000)),
    }
}

/// Exact: `1712000000.123456` is read digit by digit, what is below a microsecond is cut.
fn decimal_micros(text: &str, unit: Unit) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: usize = match unit {
        Unit::S => 6,
        Unit::Ms => 3,
        Unit::Us | Unit::Ns => 0,
    };
    let micros = whole_micros(whole.parse().ok()?, unit)?;
    if fraction.is_empty() {
        return Some(micros);
    }
    let kept: String = fraction.chars().chain("000000".chars()).take(digits).collect();
    let below: i64 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    micros.checked_add(if whole.starts_with('-') { -below } else { below })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "within the range of i64, checked; below a microsecond nothing is kept"
)]
fn float_micros(number: f64, unit: Unit) -> Option<i64> {
    let micros = match unit {
        Unit::S => number * 1e6,
        Unit::Ms => number * 1e3,
        Unit::Us => number,
        Unit::Ns => number / 1e3,
    };
    // 2^63 as f64: the least value that does not fit.
    (micros.abs() < 9_223_372_036_854_775_808.0).then(|| micros.round() as i64)
}

/// Whole numbers of any type, also as text; `None` where there is none.
pub(super) fn ints(column: &ArrayRef) -> Int64Array {
    let column = cast(column, &DataType::Int64).ok();
    let column = column.as_ref().and_then(|c| c.as_any().downcast_ref().cloned());
    column.unwrap_or_else(|| Int64Array::from(Vec::<i64>::new()))
}

/// Text of any type.
pub(super) fn texts(column: &ArrayRef) -> StringArray {
    let text = cast(column, &DataType::Utf8).ok();
    let text = text.as_ref().and_then(|c| c.as_any().downcast_ref().cloned());
    text.unwrap_or_else(|| StringArray::new_null(column.len()))
}

/// IP protocols: numbers, or the names that flow tables use.
pub(super) fn protocols(column: &ArrayRef) -> Vec<Option<Protocol>> {
    let read = |text: &str| {
        let text = text.trim();
        let named = match text.to_ascii_lowercase().as_str() {
            "icmp" => Some(1),
            "tcp" => Some(6),
            "udp" => Some(17),
            "ipv6-icmp" | "icmp6" | "icmpv6" => Some(58),
            "sctp" => Some(132),
            _ => None,
        };
        named.or_else(|| text.parse().ok()).map(Protocol)
    };
    if column.data_type().is_integer() {
        let number = |n: i64| u8::try_from(n).ok().map(Protocol);
        return ints(column).iter().map(|n| n.and_then(number)).collect();
    }
    texts(column).iter().map(|text| text.and_then(read)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        FixedSizeBinaryArray, Int32Array, StringViewArray, TimestampMillisecondArray,
        UInt32Array,
    };

    use super::*;

    fn address(column: impl Array + 'static) -> Vec<Option<String>> {
        let column: ArrayRef = Arc::new(column);
        addresses(&column).into_iter().map(|a| a.map(|a| a.to_string())).collect()
    }

    #[test]
    fn an_address_has_many_forms() {
        let expected = [Some("192.0.2.1".to_owned()), None];
        assert_eq!(address(UInt32Array::from(vec![Some(0xc000_0201), None])), expected);
        let signed = 0xc000_0201_u32.cast_signed();
        assert_eq!(address(Int32Array::from(vec![Some(signed), None])), expected);
        assert_eq!(address(Int64Array::from(vec![0xc000_0201, -1])), expected);
        assert_eq!(address(StringViewArray::from(vec!["192.0.2.1", "x"])), expected);
        let bytes: [&[u8]; 1] = [&[192, 0, 2, 1]];
        let four = FixedSizeBinaryArray::try_from_iter(bytes.into_iter()).unwrap();
        assert_eq!(address(four), expected[..1]);
    }

    #[test]
    fn times_are_exact_to_the_microsecond() {
        let read = |column: ArrayRef, unit| instants(&column, unit);
        let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let expected = [Some(Instant(1_712_000_000_123_456))];
        assert_eq!(read(text("1712000000.1234567"), Some(Unit::S)), expected);
        assert_eq!(read(text("1712000000123.456"), Some(Unit::Ms)), expected);
        assert_eq!(read(text("2024-04-01T19:33:20.123456Z"), None), expected);
        assert_eq!(read(text("2024-04-01T21:33:20.123456+02:00"), None), expected);
        assert_eq!(read(text("1712000000.12x"), Some(Unit::S)), [None]);
        assert_eq!(read(text("-0.5"), Some(Unit::S)), [Some(Instant(-500_000))]);
        let float = Arc::new(Float64Array::from(vec![1_712_000_000.123_456, f64::NAN]));
        assert_eq!(read(float, Some(Unit::S)), [expected[0], None]);
        let ns = Arc::new(Int64Array::from(vec![1_712_000_000_123_456_789]));
        assert_eq!(read(ns, Some(Unit::Ns)), expected);
        let stamp = Arc::new(TimestampMillisecondArray::from(vec![1_712_000_000_123]));
        assert_eq!(read(stamp, None), [Some(Instant(1_712_000_000_123_000))]);
        let far = Arc::new(Int64Array::from(vec![i64::MAX]));
        assert_eq!(read(far, Some(Unit::S)), [None]);
    }
}
