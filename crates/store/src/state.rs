//! State: what counting needs of a file of sightings, folded by client and endpoint.
//!
//! ```text
//! sightings/month=2024-04/part-X.parquet ─ fold ─► state/1/month=2024-04/part-X.parquet
//! ```
//!
//! A row says on which days of the month a client was in contact with an endpoint, and how
//! often on each: [`schema`].
//!
//! **Invariant:** state is made of one file of sightings and of nothing else. Neither the
//! catalog nor the map is in it, so that no other of them makes it wrong; files of sightings
//! never change, so nor does it. It decides nothing: where it is missing, sightings are read,
//! and say the same. It goes when its sightings go.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, Int32Array,
    Int64Array, Int64Builder, PrimitiveArray, RecordBatch, StringArray,
    StringDictionaryBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Field, Int32Type, Int64Type, Schema, SchemaRef,
};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tidegauge_model::{Day, Month};

use crate::error::{Result, access};
use crate::log::Log;
use crate::schema::column as c;
use crate::{DataFile, Snapshot, Table, by_address, files};

/// The folder beside those of the tables, and in it that of this layout: another layout is
/// another folder, and what is in the old one is not read.
const FOLDER: [&str; 2] = ["state", "1"];
/// What to do about a damaged file.
pub(crate) const HINT: &str = "delete the file and run `tidegauge lake compact`: it is made \
     of sightings anew";

/// The columns, in this order. Names are dictionaries: a reader looks at each once.
///
/// | column | content |
/// |---|---|
/// | `ip_hi`, `ip_lo`, `site` | the client; rows come in the order of addresses |
/// | `endpoint`, `vantage`, `signal` | with what it was in contact, and how that was seen |
/// | `days_seen` | bit `d` for the day `d` after the first of the month |
/// | `contacts` | of all these days |
/// | `contacts_each` | of each of them in order, as LEB128; null where it is one day |
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(of_contacts([
            Field::new(c::DAYS_SEEN, DataType::Int32, false),
            Field::new(c::CONTACTS, DataType::Int64, false),
            Field::new(c::CONTACTS_EACH, DataType::Binary, true),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The columns of who was in contact with what, and `more` after them.
pub(crate) fn of_contacts(more: impl IntoIterator<Item = Field>) -> Schema {
    let name =
        || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let whose = [
        Field::new(c::IP_HI, DataType::Int64, false),
        Field::new(c::IP_LO, DataType::Int64, false),
        Field::new(c::SITE, name(), true),
        Field::new(c::ENDPOINT, name(), false),
        Field::new(c::VANTAGE, name(), false),
        Field::new(c::SIGNAL, name(), false),
    ];
    Schema::new(whose.into_iter().chain(more).collect::<Vec<_>>())
}

/// The month that days of a file of sightings are counted from.
pub fn month_of(file: &DataFile) -> Option<Month> {
    file.partition_month.as_ref()?.parse().ok()
}

/// Appends to `out` the contacts of each day of a row, in order; false if the row is not of
/// this form, which then adds nothing.
pub fn contacts_of_each_day(
    days: u32,
    all: i64,
    each: Option<&[u8]>,
    out: &mut Vec<u64>,
) -> bool {
    let from = out.len();
    let Some(mut rest) = each else {
        out.push(u64::try_from(all).unwrap_or(0));
        return days.is_power_of_two();
    };
    while let Some((value, after)) = leb128(rest) {
        out.push(value);
        rest = after;
    }
    let whole = rest.is_empty() && out.len() - from == at(days.count_ones());
    if !whole {
        out.truncate(from);
    }
    whole
}

/// Where the state of a file of sightings is, by its path in the store; `None` of any other.
pub(crate) fn path_of(sightings: &Path) -> Option<Path> {
    let parts: Vec<_> = sightings.parts().collect();
    let (lake, [table, month, name]) = parts.split_last_chunk()?;
    (table.as_ref() == Table::Sightings.name()).then(|| {
        let folder = FOLDER.map(Into::into);
        let names = [month.clone(), name.clone()];
        lake.iter().cloned().chain(folder).chain(names).collect()
    })
}

/// The state of a file of sightings, if there is one.
pub(crate) async fn find(
    snapshot: &Snapshot,
    file: &DataFile,
) -> Result<Option<DataFile>> {
    let Some(path) = path_of(&file.path) else { return Ok(None) };
    match snapshot.store.head(&path).await {
        Ok(found) => Ok(Some(DataFile { path, size: found.size, ..file.clone() })),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(access(path, source)),
    }
}

/// Whether there is a state file at a path in the lake's store.
pub(crate) async fn is_there(log: &Log, path: &Path) -> Result<bool> {
    match log.all_files().head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(source) => Err(access(path, source)),
    }
}

/// Writes the state of rows that are about to be the file `sightings`. Rows that are not in
/// the order of their addresses get none.
pub(crate) async fn write(
    log: &Log,
    sightings: &Path,
    rows: RecordBatch,
    month: Month,
) -> Result<()> {
    let Some(path) = path_of(sightings) else { return Ok(()) };
    let encoded = tokio::task::spawn_blocking(move || {
        let folded =
            fold(&rows, month).filter(|_| by_address::order_of(&rows).is_some());
        folded.map(|folded| files::encode(&folded)).transpose()
    });
    let encoded = encoded.await.map_err(|source| access(&path, source))?;
    let Some(bytes) = encoded.map_err(|source| access(&path, source))? else {
        return Ok(());
    };
    log.all_files().put(&path, bytes.into()).await.map_err(|e| access(&path, e))?;
    log.sync_file(&path)
}

/// Deletes the state of a file of sightings, if it has any.
pub(crate) async fn delete(log: &Log, sightings: &Path) -> Result<()> {
    let Some(path) = path_of(sightings) else { return Ok(()) };
    match log.all_files().delete(&path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(source) => Err(access(path, source)),
    }
}

/// The state files of the lake of `log`, each with the path of the sightings that it is of.
pub(crate) async fn all(log: &Log) -> Result<Vec<(Path, object_store::ObjectMeta)>> {
    let lake = log.lake();
    let folder: Path = lake.parts().chain(FOLDER.map(Into::into)).collect();
    let failed = |source| access(&folder, source);
    let files = log.all_files();
    let mut found = Vec::new();
    let mut list = files.list(Some(&folder));
    while let Some(file) = list.try_next().await.map_err(failed)? {
        let parts: Vec<_> = file.location.parts().collect();
        let Some((_, [month, name])) = parts.split_last_chunk() else { continue };
        let of = [Table::Sightings.name().into(), month.clone(), name.clone()];
        found.push((lake.parts().chain(of).collect(), file));
    }
    Ok(found)
}

/// Rows of sightings as rows of state, each of its one day, with columns as of [`schema`].
pub(crate) fn unfolded(
    sightings: &RecordBatch,
    month: Month,
    schema: &SchemaRef,
) -> std::result::Result<RecordBatch, String> {
    let column = |name: &str| {
        sightings.column_by_name(name).cloned().ok_or(format!("no column `{name}`"))
    };
    let days = column(c::DAY)?;
    let days = primitive::<Date32Type>(&days)?;
    let bit = |day: &i32| bit(Day(*day), month).ok_or(format!("a day outside {month}"));
    let days: Vec<i32> =
        days.values().iter().map(bit).collect::<std::result::Result<_, _>>()?;
    let columns = vec![
        column(c::IP_HI)?,
        column(c::IP_LO)?,
        column(c::SITE)?,
        column(c::ENDPOINT)?,
        column(c::VANTAGE)?,
        column(c::SIGNAL)?,
        Arc::new(Int32Array::from(days)),
        column(c::CONTACTS)?,
        arrow::array::new_null_array(&DataType::Binary, sightings.num_rows()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| error.to_string())
}

/// The state of sightings in the order of their addresses; `None` if they are not of `month`,
/// or lack a column.
pub(crate) fn fold(sightings: &RecordBatch, month: Month) -> Option<RecordBatch> {
    let rows = Sightings::of(sightings)?;
    let mut out = Folded::default();
    let mut seen = Vec::new();
    let mut from = 0;
    while let Some(address) = rows.address(from) {
        let rest = from..sightings.num_rows();
        let of = rest.take_while(|row| rows.address(*row) == Some(address)).count();
        rows.client(from..from + of, month, &mut seen)?;
        for contact in seen.chunk_by(|a, b| a.0 == b.0) {
            out.push(address, contact);
        }
        from += of;
    }
    out.finish()
}

/// What a row of state is of, beside its address.
type Contact<'a> = (Option<&'a str>, &'a str, &'a str, &'a str);
/// A contact, the bit of a day, and how many there were.
type Seen<'a> = (Contact<'a>, i32, i64);

/// The columns of sightings that are folded.
struct Sightings<'a> {
    hi: &'a Int64Array,
    lo: &'a Int64Array,
    site: &'a StringArray,
    endpoint: &'a StringArray,
    vantage: &'a StringArray,
    signal: &'a StringArray,
    day: &'a arrow::array::Date32Array,
    contacts: &'a Int64Array,
}

impl<'a> Sightings<'a> {
    fn of(rows: &'a RecordBatch) -> Option<Self> {
        let column = |name| rows.column_by_name(name);
        let text = |name| column(name)?.as_string_opt::<i32>();
        let number = |name| column(name)?.as_primitive_opt::<Int64Type>();
        Some(Self {
            hi: number(c::IP_HI)?,
            lo: number(c::IP_LO)?,
            site: text(c::SITE)?,
            endpoint: text(c::ENDPOINT)?,
            vantage: text(c::VANTAGE)?,
            signal: text(c::SIGNAL)?,
            day: column(c::DAY)?.as_primitive_opt::<Date32Type>()?,
            contacts: number(c::CONTACTS)?,
        })
    }

    fn address(&self, row: usize) -> Option<(i64, i64)> {
        let (hi, lo) = (self.hi.values().get(row)?, self.lo.values().get(row)?);
        Some((*hi, *lo))
    }

    /// The rows of one address, each contact's days in order.
    fn client(
        &self,
        rows: Range<usize>,
        month: Month,
        seen: &mut Vec<Seen<'a>>,
    ) -> Option<()> {
        seen.clear();
        for row in rows {
            let site = self.site.is_valid(row).then(|| self.site.value(row));
            let name = |names: &'a StringArray| names.value(row);
            let of = (site, name(self.endpoint), name(self.vantage), name(self.signal));
            let day = bit(Day(self.day.value(row)), month)?;
            seen.push((of, day, self.contacts.value(row).max(0)));
        }
        seen.sort_unstable();
        Some(())
    }
}

/// Rows of state as they are made.
#[derive(Default)]
struct Folded {
    hi: Int64Builder,
    lo: Int64Builder,
    site: StringDictionaryBuilder<Int32Type>,
    endpoint: StringDictionaryBuilder<Int32Type>,
    vantage: StringDictionaryBuilder<Int32Type>,
    signal: StringDictionaryBuilder<Int32Type>,
    days: Vec<i32>,
    contacts: Vec<i64>,
    each: BinaryBuilder,
}

impl Folded {
    /// Adds the days of a contact, which are in order.
    fn push(&mut self, (hi, lo): (i64, i64), seen: &[Seen<'_>]) {
        let Some(((site, endpoint, vantage, signal), ..)) = seen.first() else {
            return;
        };
        self.hi.append_value(hi);
        self.lo.append_value(lo);
        self.site.append_option(*site);
        self.endpoint.append_value(endpoint);
        self.vantage.append_value(vantage);
        self.signal.append_value(signal);
        self.days.push(seen.iter().fold(0, |all, (_, bit, _)| all | bit));
        let sum = |seen: &[Seen<'_>]| {
            seen.iter().fold(0i64, |all, (.., contacts)| all.saturating_add(*contacts))
        };
        self.contacts.push(sum(seen));
        let mut each = Vec::new();
        for day in seen.chunk_by(|a, b| a.1 == b.1) {
            push_leb128(sum(day).unsigned_abs(), &mut each);
        }
        let one = seen.first().map(|day| day.1) == seen.last().map(|day| day.1);
        self.each.append_option(Some(each).filter(|_| !one));
    }

    fn finish(mut self) -> Option<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.hi.finish()),
            Arc::new(self.lo.finish()),
            Arc::new(self.site.finish()),
            Arc::new(self.endpoint.finish()),
            Arc::new(self.vantage.finish()),
            Arc::new(self.signal.finish()),
            Arc::new(Int32Array::from(self.days)),
            Arc::new(Int64Array::from(self.contacts)),
            Arc::new(self.each.finish()),
        ];
        RecordBatch::try_new(schema(), columns).ok()
    }
}

/// The bit of a day of a month.
fn bit(day: Day, month: Month) -> Option<i32> {
    let at = day.0.checked_sub(month.first().0)?;
    (day.month() == month).then(|| 1 << at)
}

fn primitive<T: ArrowPrimitiveType>(
    column: &ArrayRef,
) -> std::result::Result<&PrimitiveArray<T>, String> {
    column.as_primitive_opt::<T>().ok_or("a column of another type".to_owned())
}

/// Appends a number, seven bits a byte, the lowest first (DWARF 5, section 7.6).
fn push_leb128(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The first number, and what comes after it; `None` if it does not end, or is too large.
fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        let low = u64::from(byte & 0x7f);
        let shift = u32::try_from(7 * at).ok()?;
        value |= low.checked_mul(1u64.checked_shl(shift)?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in prop::collection::vec(any::<u64>(), 2..31)) {
            let mut bytes = Vec::new();
            for value in &values {
                push_leb128(*value, &mut bytes);
            }
            let days = (1u32 << values.len()) - 1;
            let mut out = vec![7];
            prop_assert!(contacts_of_each_day(days, 0, Some(&bytes), &mut out));
            prop_assert_eq!(&out[1..], &values[..]);
            bytes.pop();
            prop_assert!(!contacts_of_each_day(days, 0, Some(&bytes), &mut out));
            prop_assert_eq!(out.len(), 1 + values.len(), "what is cut off adds nothing");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            contacts_of_each_day(0b101, 3, Some(&bytes), &mut out);
            prop_assert!(out.is_empty() || out.len() == 2);
        }
    }

    #[test]
    fn only_sightings_have_state() {
        let path = |text: &str| path_of(&Path::from(text)).map(|p| p.to_string());
        let of = path("a/lake/sightings/month=2024-04/part-1.parquet");
        assert_eq!(of.unwrap(), "a/lake/state/1/month=2024-04/part-1.parquet");
        assert_eq!(path("a/lake/coverage/month=2024-04/part-1.parquet"), None);
        assert_eq!(path("sightings/part-1.parquet"), None);
    }
}
