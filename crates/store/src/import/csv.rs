//! Text with separated columns and a header line.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use csv::{ByteRecord, StringRecord};
use tidegauge_model::{Instant, Reason};

use super::table::{Place, Reader};
use super::{Mapping, Sink, unusable};
use crate::error::Result;

/// Rows gathered before they are read as columns.
const BATCH_ROWS: usize = 16_384;

pub(super) fn flows(
    text: impl Read,
    mapping: &Mapping,
    latest: Instant,
    sink: &mut impl Sink,
) -> Result<u64> {
    let delimiter =
        mapping.delimiter.and_then(|d| u8::try_from(d).ok()).unwrap_or(b',');
    let mut lines =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let header = lines.byte_headers().map_err(unusable)?.clone();
    let names: Vec<_> = header
        .iter()
        .map(|name| {
            String::from_utf8_lossy(name).trim_matches('\u{feff}').trim().to_owned()
        })
        .collect();
    let shown: Vec<_> = names.iter().map(String::as_str).collect();
    mapping.check(&shown)?;
    let mut gathered = Gathered::new(mapping, &shown);
    let mut reader = Reader::new(mapping, latest);
    let mut record = ByteRecord::new();
    let mut rows = 0;
    loop {
        let more = lines.read_byte_record(&mut record).map_err(unusable)?;
        if !more || gathered.places.len() == BATCH_ROWS {
            let (batch, places) = gathered.take();
            let place = |row: usize| *places.get(row).expect("one place per row");
            reader.batch(&batch, place, sink)?;
        }
        if !more {
            return Ok(rows);
        }
        rows += 1;
        let place =
            record.position().map_or(Place { offset: 0, line: rows + 1 }, |p| Place {
                offset: p.byte(),
                line: p.line(),
            });
        if record.len() != header.len() {
            sink.loss(reader.loss(place, Reason::ColumnCount));
            continue;
        }
        match StringRecord::from_byte_record(std::mem::take(&mut record)) {
            Ok(text) => {
                gathered.push(&text, place);
                record = text.into_byte_record();
            }
            Err(_) => sink.loss(reader.loss(place, Reason::Syntax)),
        }
    }
}

/// Rows as columns of text; an empty field is an absent value.
struct Gathered {
    /// Where each mapped column stands in a line.
    positions: Vec<usize>,
    schema: Arc<Schema>,
    columns: Vec<StringBuilder>,
    places: Vec<Place>,
}

impl Gathered {
    fn new(mapping: &Mapping, header: &[&str]) -> Self {
        let names = mapping.columns();
        let position = |name: &&str| header.iter().position(|h| h == name);
        let fields: Vec<_> =
            names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect();
        Self {
            positions: names.iter().filter_map(position).collect(),
            schema: Arc::new(Schema::new(fields)),
            columns: names.iter().map(|_| StringBuilder::new()).collect(),
            places: Vec::with_capacity(BATCH_ROWS),
        }
    }

    /// Adds a line.
    fn push(&mut self, record: &StringRecord, place: Place) {
        for (column, position) in self.columns.iter_mut().zip(&self.positions) {
            let text = record.get(*position).filter(|text| !text.is_empty());
            column.append_option(text);
        }
        self.places.push(place);
    }

    fn take(&mut self) -> (RecordBatch, Vec<Place>) {
        let columns: Vec<ArrayRef> =
            self.columns.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("every column got one value per line");
        (batch, std::mem::replace(&mut self.places, Vec::with_capacity(BATCH_ROWS)))
    }
}
