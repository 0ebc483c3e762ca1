//! Rows with the mapped columns to flows.
//!
//! **Invariant:** only originator, responder, start, sampling and server name are read of
//! every row; the rest only of rows that could be a contact.

use std::num::NonZeroU32;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use tidegauge_model::{
    Address, Day, Flow, Instant, Loss, Protocol, Reason, ServerName, Volume,
};

use super::column::{self, Distinct};
use super::mapping::{ColumnOr, Mapping};
use super::{Other, Sink};
use crate::error::Result;

/// The first instant of 1990: see `Reason::Time`.
const EARLIEST: Instant = Instant(631_152_000_000_000);
/// How far a clock may run ahead of ours.
const AHEAD_SECONDS_MAX: i64 = 86_400;

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Byte offset, as far as known.
    pub(super) offset: u64,
    /// Line, or row number from 1.
    pub(super) line: u64,
}

/// Turns batch after batch of one table into flows.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    mapping: &'a Mapping,
    latest: Instant,
    originators: Distinct<Option<Address>>,
    responders: Distinct<Option<Responder>>,
    hosts: Distinct<bool>,
    names: Distinct<Option<ServerName>>,
    /// Day of the last good row, for losses.
    day: Option<Day>,
}

#[derive(Clone, Copy, Debug)]
struct Responder {
    address: Address,
    wanted: bool,
}

/// What is read of every row.
struct Heads {
    originators: Vec<Option<Address>>,
    responders: Vec<Option<Responder>>,
    starts: Vec<Option<Instant>>,
    samplings: Vec<Option<NonZeroU32>>,
    hosts: Vec<bool>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(mapping: &'a Mapping, latest: Instant) -> Self {
        Self {
            mapping,
            latest: latest.plus_seconds(AHEAD_SECONDS_MAX),
            originators: Distinct::new(),
            responders: Distinct::new(),
            hosts: Distinct::new(),
            names: Distinct::new(),
            day: None,
        }
    }

    /// Reads the rows of `batch`, which has every column of the mapping; `places` has one
    /// entry per row.
    pub(super) fn batch(
        &mut self,
        batch: &RecordBatch,
        place: impl Fn(usize) -> Place,
        sink: &mut impl Sink,
    ) -> Result<()> {
        let heads = self.heads(batch, sink);
        let mut wanted = vec![false; batch.num_rows()];
        let mut kept = Vec::new();
        for (row, wanted) in wanted.iter_mut().enumerate() {
            match self.head(&heads, row) {
                Ok((other, to)) if to.wanted || heads.hosts.get(row) == Some(&true) => {
                    *wanted = true;
                    kept.push((place(row), other, to.address));
                }
                Ok((other, _)) => {
                    self.day = Some(other.start.day());
                    sink.other(other);
                }
                Err(reason) => sink.loss(self.loss(place(row), reason)),
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        let rows = filter_record_batch(batch, &BooleanArray::from(wanted))
            .map_err(super::unusable)?;
        let bodies = Bodies::new(self.mapping, &rows, self.names(&rows));
        for (row, (place, other, responder)) in kept.into_iter().enumerate() {
            match bodies.flow(row, other, responder) {
                Ok(flow) => {
                    self.day = Some(flow.start.day());
                    sink.flow(flow);
                }
                Err(reason) => sink.loss(self.loss(place, reason)),
            }
        }
        Ok(())
    }

    fn heads(&mut self, batch: &RecordBatch, sink: &impl Sink) -> Heads {
        let mapping = self.mapping;
        let column = |name: &str| batch.column_by_name(name).expect(CHECKED);
        let to = |values: &ArrayRef| {
            let responder =
                |address| Responder { address, wanted: sink.wants_responder(address) };
            column::addresses(values).into_iter().map(|a| a.map(responder)).collect()
        };
        let host = |values: &ArrayRef| {
            let hosts = column::texts(values);
            let wanted = hosts
                .iter()
                .map(|h| h.is_some_and(|host| is_told(host) && sink.wants_host(host)));
            wanted.collect()
        };
        let samplings = match &mapping.sampling {
            Some(ColumnOr::Column(name)) => {
                let rates = column::ints(&plain(column(name)));
                let rate = |n: i64| u32::try_from(n).ok().and_then(NonZeroU32::new);
                rates.iter().map(|n| n.and_then(rate)).collect()
            }
            Some(ColumnOr::Value(rate)) => vec![Some(*rate); batch.num_rows()],
            None => vec![Some(NonZeroU32::MIN); batch.num_rows()],
        };
        let name = mapping.server_name.as_ref();
        Heads {
            originators: self.originators.rows(
                column(&mapping.originator),
                None,
                column::addresses,
            ),
            responders: self.responders.rows(column(&mapping.responder), None, to),
            starts: column::instants(
                &plain(column(&mapping.start.column)),
                mapping.start.unit,
            ),
            samplings,
            hosts: name.map_or_else(Vec::new, |name| {
                self.hosts.rows(column(&name.column), false, host)
            }),
        }
    }

    /// The server name of each row.
    fn names(&mut self, rows: &RecordBatch) -> Vec<Option<ServerName>> {
        let Some(mapped) = &self.mapping.server_name else { return Vec::new() };
        let origin = mapped.origin;
        let read = |values: &ArrayRef| {
            let names = column::texts(values);
            let told = names.iter().map(|host| host.filter(|host| is_told(host)));
            told.map(|host| ServerName::new(host?, origin.into())).collect()
        };
        let column = rows.column_by_name(&mapped.column).expect(CHECKED);
        self.names.rows(column, None, read)
    }

    /// What a row says about coverage, or why it says nothing.
    fn head(
        &self,
        heads: &Heads,
        row: usize,
    ) -> std::result::Result<(Other, Responder), Reason> {
        let originator = heads.originators.get(row).copied().flatten();
        let responder = heads.responders.get(row).copied().flatten();
        let start = heads.starts.get(row).copied().flatten();
        let sampling = heads.samplings.get(row).copied().flatten();
        let ((Some(originator), Some(responder)), (Some(start), Some(sampling))) =
            ((originator, responder), (start, sampling))
        else {
            return Err(Reason::Value);
        };
        if start < EARLIEST || start > self.latest {
            return Err(Reason::Time);
        }
        if !originator.is_unicast() {
            return Err(Reason::Address);
        }
        Ok((Other { originator, start, sampling }, responder))
    }

    pub(super) fn loss(&self, place: Place, reason: Reason) -> Loss {
        Loss {
            offset: place.offset,
            line: Some(place.line),
            reason,
            day: self.day,
            count: 1,
            exporter: None,
        }
    }
}

const CHECKED: &str = "the mapping was checked against the table's columns";

/// Tables write an absent name in many ways.
fn is_told(host: &str) -> bool {
    !matches!(host.trim(), "" | "-" | "(empty)")
}

/// A column without a list of distinct values.
fn plain(column: &ArrayRef) -> ArrayRef {
    let arrow::datatypes::DataType::Dictionary(_, values) = column.data_type() else {
        return column.clone();
    };
    arrow::compute::cast(column, values).unwrap_or_else(|_| column.clone())
}

/// What is read of rows that could be a contact.
struct Bodies {
    ports: [Option<arrow::array::Int64Array>; 2],
    protocols: Vec<Option<Protocol>>,
    ends: Option<Vec<Option<Instant>>>,
    durations: Option<Vec<Option<i64>>>,
    /// Bytes and packets sent, bytes and packets received.
    volumes: [Option<arrow::array::Int64Array>; 4],
    flags: Option<arrow::array::Int64Array>,
    names: Vec<Option<ServerName>>,
}

impl Bodies {
    fn new(
        mapping: &Mapping,
        rows: &RecordBatch,
        names: Vec<Option<ServerName>>,
    ) -> Self {
        let column = |name: &str| plain(rows.column_by_name(name).expect(CHECKED));
        let ints = |name: &Option<String>| {
            name.as_ref().map(|name| column::ints(&column(name)))
        };
        let volumes = [
            &mapping.bytes_sent,
            &mapping.packets_sent,
            &mapping.bytes_received,
            &mapping.packets_received,
        ];
        Self {
            ports: [ints(&mapping.originator_port), ints(&mapping.responder_port)],
            protocols: match &mapping.protocol {
                ColumnOr::Column(name) => column::protocols(&column(name)),
                ColumnOr::Value(number) => {
                    vec![Some(Protocol(*number)); rows.num_rows()]
                }
            },
            ends: mapping
                .end
                .as_ref()
                .map(|time| column::instants(&column(&time.column), time.unit)),
            durations: mapping
                .duration
                .as_ref()
                .map(|time| column::spans(&column(&time.column), time.unit)),
            volumes: volumes.map(ints),
            flags: ints(&mapping.tcp_flags),
            names,
        }
    }

    fn flow(
        &self,
        row: usize,
        head: Other,
        responder: Address,
    ) -> std::result::Result<Flow, Reason> {
        let [bytes_sent, packets_sent, bytes_received, packets_received] =
            &self.volumes;
        let [originator_port, responder_port] = &self.ports;
        let flags = value(self.flags.as_ref(), row);
        Ok(Flow {
            originator: head.originator,
            responder,
            originator_port: port(originator_port.as_ref(), row)?,
            responder_port: port(responder_port.as_ref(), row)?,
            protocol: self
                .protocols
                .get(row)
                .copied()
                .flatten()
                .ok_or(Reason::Value)?,
            start: head.start,
            end: self.end(row, head.start)?,
            sent: volume(bytes_sent.as_ref(), packets_sent.as_ref(), row)?,
            received: volume(bytes_received.as_ref(), packets_received.as_ref(), row)?,
            tcp_flags: flags.map(narrow).transpose()?,
            sampling: head.sampling,
            name: self.names.get(row).cloned().flatten(),
            exporter: None,
        })
    }

    fn end(&self, row: usize, start: Instant) -> std::result::Result<Instant, Reason> {
        let end = match (&self.ends, &self.durations) {
            (Some(ends), _) => ends.get(row).copied().flatten(),
            (None, Some(durations)) => durations
                .get(row)
                .copied()
                .flatten()
                .and_then(|micros| start.0.checked_add(micros))
                .map(Instant),
            (None, None) => Some(start),
        };
        end.filter(|end| *end >= start).ok_or(Reason::Time)
    }
}

fn value(column: Option<&arrow::array::Int64Array>, row: usize) -> Option<i64> {
    column.filter(|c| row < c.len() && c.is_valid(row)).map(|c| c.value(row))
}

fn narrow<T: TryFrom<i64>>(number: i64) -> std::result::Result<T, Reason> {
    T::try_from(number).map_err(|_| Reason::Value)
}

/// 0 where the table does not tell.
fn port(
    column: Option<&arrow::array::Int64Array>,
    row: usize,
) -> std::result::Result<u16, Reason> {
    value(column, row).map_or(Ok(0), narrow)
}

fn volume(
    bytes: Option<&arrow::array::Int64Array>,
    packets: Option<&arrow::array::Int64Array>,
    row: usize,
) -> std::result::Result<Option<Volume>, Reason> {
    let (Some(bytes), Some(packets)) = (value(bytes, row), value(packets, row)) else {
        return Ok(None);
    };
    Ok(Some(Volume { bytes: narrow(bytes)?, packets: narrow(packets)? }))
}
