//! Counts of some clients as rows of the engine, and back.
//!
//! **Invariant:** what is read is what was written, to the bit. A portion is whole only with
//! its `total`, which comes once: what was lost or came twice on the way is seen.
//!
//! | kind | what of the columns it has |
//! |---|---|
//! | `cell` | `cell`, its key, the counts |
//! | `held` | `cell`, `word` (an organisation), `block` (64 days), `number` (those days as bits), `address_days` |
//! | `standing` | `word`, `number` (address-days) |
//! | `total` | `address_days` (before filters), `number` (those of nobody known) |

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Builder, RecordBatch, StringArray, StringBuilder,
    UInt32Array, UInt32Builder, UInt64Array, UInt64Builder,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Int32Type, Schema, SchemaRef, UInt32Type, UInt64Type,
};
use datafusion::common::HashMap;
use datafusion::error::DataFusionError;
use tidegauge_model::count::{Counts, Dimension};
use tidegauge_model::{OrgId, Standing};

use crate::partial::{Partial, Use, at};
use crate::{Error, Result};

/// Rows of a batch at most: the engine's own size.
const BATCH_ROWS: usize = 8_192;
/// The columns of counts.
const COUNTS: [&str; 5] = [
    "addresses_v4",
    "networks_v6",
    "address_days",
    "contacts",
    "addresses_v4_consumer",
];

const CELL: &str = "cell";
const HELD: &str = "held";
const STANDING: &str = "standing";
const TOTAL: &str = "total";

/// The columns, of a question by these dimensions.
pub(crate) fn schema(by: &[Dimension]) -> SchemaRef {
    let field = |name: &str, of: DataType| Field::new(name, of, true);
    let mut fields = vec![
        Field::new("portion", DataType::UInt32, false),
        Field::new("part", DataType::UInt32, false),
        Field::new("kind", DataType::Utf8, false),
        field("cell", DataType::UInt32),
        field("word", DataType::Utf8),
        field("block", DataType::Int32),
        field("number", DataType::UInt64),
    ];
    fields.extend(COUNTS.map(|name| field(name, DataType::UInt64)));
    fields.extend(by.iter().map(|d| field(&format!("by_{d}"), DataType::Utf8)));
    Arc::new(Schema::new(fields))
}

/// A row, before it is one.
#[derive(Default)]
struct Row<'a> {
    kind: &'static str,
    cell: Option<u32>,
    word: Option<&'a str>,
    block: Option<i32>,
    number: Option<u64>,
    counts: [Option<u64>; COUNTS.len()],
    key: &'a [Option<String>],
}

/// The rows of what was counted of a portion.
pub(crate) fn write(
    partial: &Partial,
    (portion, part): (u32, u32),
    schema: &SchemaRef,
) -> std::result::Result<Vec<RecordBatch>, DataFusionError> {
    let cells = (0..).zip(&partial.cells).map(|(number, (key, c))| Row {
        kind: CELL,
        cell: Some(number),
        counts: [
            c.addresses_v4,
            c.networks_v6,
            c.address_days,
            c.contacts,
            c.addresses_v4_consumer,
        ]
        .map(Some),
        key,
        ..Row::default()
    });
    let held = partial.held.iter().map(|((cell, organisation, block), of)| Row {
        kind: HELD,
        cell: Some(*cell),
        word: partial.organisations.get(at(*organisation)).map(OrgId::as_str),
        block: Some(*block),
        number: Some(of.bits),
        counts: only_address_days(of.address_days),
        ..Row::default()
    });
    let standings = partial.standings.iter().map(|(standing, days)| Row {
        kind: STANDING,
        word: Some(standing.as_str()),
        number: Some(*days),
        ..Row::default()
    });
    let total = Row {
        kind: TOTAL,
        number: Some(partial.unattributed),
        counts: only_address_days(partial.all_days),
        ..Row::default()
    };
    let mut rows = cells.chain(held).chain(standings).chain([total]).peekable();
    let mut batches = Vec::new();
    while rows.peek().is_some() {
        let rows = rows.by_ref().take(BATCH_ROWS);
        batches.push(batch(rows, (portion, part), schema)?);
    }
    Ok(batches)
}

/// Of the columns of counts, in their order.
fn only_address_days(address_days: u64) -> [Option<u64>; COUNTS.len()] {
    [None, None, Some(address_days), None, None]
}

fn batch<'a>(
    rows: impl Iterator<Item = Row<'a>>,
    (portion, part): (u32, u32),
    schema: &SchemaRef,
) -> std::result::Result<RecordBatch, DataFusionError> {
    let (mut kind, mut word) = (StringBuilder::new(), StringBuilder::new());
    let (mut cell, mut block) = (UInt32Builder::new(), Int32Builder::new());
    let mut number = UInt64Builder::new();
    let mut counts = COUNTS.map(|_| UInt64Builder::new());
    let dimensions = schema.fields().len().saturating_sub(7 + COUNTS.len());
    let mut key: Vec<_> = (0..dimensions).map(|_| StringBuilder::new()).collect();
    let mut count = 0;
    for row in rows {
        count += 1;
        kind.append_value(row.kind);
        cell.append_option(row.cell);
        word.append_option(row.word);
        block.append_option(row.block);
        number.append_option(row.number);
        for (column, value) in counts.iter_mut().zip(row.counts) {
            column.append_option(value);
        }
        for (dimension, column) in key.iter_mut().enumerate() {
            column.append_option(row.key.get(dimension).and_then(Option::as_ref));
        }
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(vec![portion; count])),
        Arc::new(UInt32Array::from(vec![part; count])),
        Arc::new(kind.finish()),
        Arc::new(cell.finish()),
        Arc::new(word.finish()),
        Arc::new(block.finish()),
        Arc::new(number.finish()),
    ];
    columns.extend(counts.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef));
    columns.extend(key.iter_mut().map(|k| Arc::new(k.finish()) as ArrayRef));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Puts rows of any order together, portion by portion.
#[derive(Default)]
pub(crate) struct Reader {
    portions: BTreeMap<u32, Read>,
}

/// A portion as it comes in.
#[derive(Default)]
struct Read {
    part: u32,
    partial: Partial,
    cells: BTreeMap<u32, (Vec<Option<String>>, Counts)>,
    organisations: HashMap<OrgId, u32>,
    totals: usize,
}

impl Reader {
    /// Adds rows.
    pub(crate) fn add(&mut self, rows: &RecordBatch, by: &[Dimension]) -> Result<()> {
        let columns = Columns::of(rows, by).ok_or_else(|| Error::Plan {
            reason: "its rows have other columns than expected".to_owned(),
        })?;
        for row in 0..rows.num_rows() {
            let portion = self.portions.entry(columns.portion.value(row)).or_default();
            portion.part = columns.part.value(row);
            portion.add(&columns, row).ok_or_else(|| Error::Plan {
                reason: "its rows lack values".to_owned(),
            })?;
        }
        Ok(())
    }

    /// What was counted, by part of the days. Fails unless each of the `portions` is there,
    /// once.
    pub(crate) fn parts(self, portions: usize) -> Result<BTreeMap<u32, Vec<Partial>>> {
        let once = self.portions.values().filter(|read| read.totals == 1).count();
        let missing = portions.abs_diff(once).max(self.portions.len() - once);
        if missing > 0 {
            return Err(Error::Portions { portions, missing });
        }
        let mut parts = BTreeMap::<u32, Vec<Partial>>::new();
        for read in self.portions.into_values() {
            let partial =
                Partial { cells: read.cells.into_values().collect(), ..read.partial };
            parts.entry(read.part).or_default().push(partial);
        }
        Ok(parts)
    }
}

impl Read {
    fn add(&mut self, columns: &Columns, row: usize) -> Option<()> {
        let number = || columns.number.is_valid(row).then(|| columns.number.value(row));
        let word = || columns.word.is_valid(row).then(|| columns.word.value(row));
        let cell = || columns.cell.is_valid(row).then(|| columns.cell.value(row));
        match columns.kind.value(row) {
            CELL => {
                let key = columns.key.iter();
                let key = key.map(|k| k.is_valid(row).then(|| k.value(row).to_owned()));
                let [addresses_v4, networks_v6, address_days, contacts, consumer] =
                    columns.counts(row);
                let counts = Counts {
                    addresses_v4: addresses_v4?,
                    networks_v6: networks_v6?,
                    address_days: address_days?,
                    contacts: contacts?,
                    addresses_v4_consumer: consumer?,
                    ..Counts::default()
                };
                self.cells.insert(cell()?, (key.collect(), counts));
            }
            HELD => {
                let id = OrgId::new(word().filter(|id| !id.is_empty())?);
                let known = &mut self.partial.organisations;
                let next = u32::try_from(known.len()).ok()?;
                let organisation =
                    *self.organisations.entry(id).or_insert_with_key(|id| {
                        known.push(id.clone());
                        next
                    });
                let block =
                    columns.block.is_valid(row).then(|| columns.block.value(row));
                let held = (cell()?, organisation, block?);
                let [.., address_days, _, _] = columns.counts(row);
                let of = Use { bits: number()?, address_days: address_days? };
                self.partial.held.push((held, of));
            }
            STANDING => {
                let standing: Standing = word()?.parse().ok()?;
                *self.partial.standings.entry(standing).or_default() += number()?;
            }
            TOTAL => {
                self.totals += 1;
                let [.., all_days, _, _] = columns.counts(row);
                self.partial.all_days += all_days?;
                self.partial.unattributed += number()?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// The columns of a batch.
struct Columns {
    portion: UInt32Array,
    part: UInt32Array,
    kind: StringArray,
    cell: UInt32Array,
    word: StringArray,
    block: datafusion::arrow::array::Int32Array,
    number: UInt64Array,
    counts: Vec<UInt64Array>,
    key: Vec<StringArray>,
}

impl Columns {
    fn of(rows: &RecordBatch, by: &[Dimension]) -> Option<Self> {
        let column = |name: &str| rows.column_by_name(name);
        let numbers =
            |name: &str| column(name)?.as_primitive_opt::<UInt64Type>().cloned();
        let codes =
            |name: &str| column(name)?.as_primitive_opt::<UInt32Type>().cloned();
        let words = |name: &str| column(name)?.as_string_opt::<i32>().cloned();
        Some(Self {
            portion: codes("portion")?,
            part: codes("part")?,
            kind: words("kind")?,
            cell: codes("cell")?,
            word: words("word")?,
            block: column("block")?.as_primitive_opt::<Int32Type>()?.clone(),
            number: numbers("number")?,
            counts: COUNTS.iter().map(|name| numbers(name)).collect::<Option<_>>()?,
            key: by.iter().map(|d| words(&format!("by_{d}"))).collect::<Option<_>>()?,
        })
    }

    /// In the order of [`COUNTS`].
    fn counts(&self, row: usize) -> [Option<u64>; COUNTS.len()] {
        let mut counts = [None; COUNTS.len()];
        for (count, column) in counts.iter_mut().zip(&self.counts) {
            *count = column.is_valid(row).then(|| column.value(row));
        }
        counts
    }
}
