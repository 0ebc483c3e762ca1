//! VPC flow logs of Google: entries of Cloud Logging, one a line as sinks write them to
//! Cloud Storage, or in an array as `gcloud logging read --format=json` prints them.
//!
//! **Invariant:** every entry is a flow, tells again what another entry tells, is one loss,
//! or is of another log. The fields are those of "About VPC Flow Logs records" in the
//! documentation of Google Cloud.
//!
//! A record is of one direction, without TCP flags: who opened, the ports tell. What stays
//! inside the network is logged where it is sent and where it arrives (`reporter`), and at
//! gateways: [`BothEnds`] keeps the first of `SRC`, `DEST`, `SRC_GATEWAY`, `DEST_GATEWAY`.
//! Reports are of the same ends only without NAT between them.
//!
//! Google looks at a part of the packets and tells an estimate of all in their place: volumes
//! are those estimates. At which rate, no record tells ([`SAMPLING`]). What is left out:
//! machines, networks, places, and times of the way.

use std::io::{self, BufRead};
use std::num::NonZeroU32;

use serde::Deserialize;
use tidegauge_model::{Flow, Instant, Protocol, Reason, Volume};

use super::both_ends::BothEnds;
use crate::cell::Cell;
use crate::join::Ends;
use crate::stamp::believable;
use crate::way::is_reply;
use crate::{Sink, objects};

/// One packet in so many is looked at: "about one out of every 30", less under load ("Log
/// sampling and processing" in the documentation of VPC Flow Logs). It stands here so that no
/// flow counts as seen whole; a vantage can say better.
const SAMPLING: NonZeroU32 = NonZeroU32::new(30).expect("not zero");

/// What the name of a log ends in: those of subnets (`compute.googleapis.com%2F…`) and of
/// other configurations (`networkmanagement.googleapis.com%2F…`).
const LOG: &str = "vpc_flows";

/// An entry. Keys that are not here are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry<'a> {
    #[serde(rename = "logName", borrow)]
    log: Cell<'a>,
    #[serde(rename = "jsonPayload", borrow)]
    payload: Option<Record<'a>>,
}

/// A record. Numbers of 64 bits are written as texts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Record<'a> {
    #[serde(borrow)]
    connection: Option<Connection<'a>>,
    #[serde(borrow)]
    reporter: Cell<'a>,
    #[serde(borrow)]
    bytes_sent: Cell<'a>,
    #[serde(borrow)]
    packets_sent: Cell<'a>,
    #[serde(borrow)]
    start_time: Cell<'a>,
    #[serde(borrow)]
    end_time: Cell<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Connection<'a> {
    #[serde(borrow)]
    src_ip: Cell<'a>,
    #[serde(borrow)]
    src_port: Cell<'a>,
    #[serde(borrow)]
    dest_ip: Cell<'a>,
    #[serde(borrow)]
    dest_port: Cell<'a>,
    #[serde(borrow)]
    protocol: Cell<'a>,
}

/// One direction of a flow, as one end told it.
struct Report {
    /// Source and destination.
    ends: Ends,
    rank: u8,
    start: Instant,
    end: Instant,
    volume: Option<Volume>,
}

impl Entry<'_> {
    /// The record, if the entry is of such a log.
    fn report(&self, latest: Instant) -> Result<Option<Report>, Reason> {
        let log = self.log.text()?;
        if log.is_some_and(|name| !name.ends_with(LOG)) {
            return Ok(None);
        }
        let record = self.payload.as_ref().ok_or(Reason::ColumnMissing)?;
        record.report(latest).map(Some)
    }
}

impl Record<'_> {
    fn report(&self, latest: Instant) -> Result<Report, Reason> {
        let ends = self.connection.as_ref().ok_or(Reason::ColumnMissing)?.ends()?;
        let rank = match self.reporter.text()? {
            Some("SRC") | None => 0,
            Some("DEST") => 1,
            Some("SRC_GATEWAY") => 2,
            Some("DEST_GATEWAY") => 3,
            Some(_) => return Err(Reason::Value),
        };
        let start = self.start_time.instant()?;
        let end = match self.end_time {
            Cell::Absent | Cell::Unset => start,
            ref end => end.instant()?,
        };
        believable(start, latest)?;
        believable(end, latest)?;
        if end < start {
            return Err(Reason::Time);
        }
        let bytes = self.bytes_sent.count()?;
        let volume = bytes.zip(self.packets_sent.count()?);
        let volume = volume.map(|(bytes, packets)| Volume { bytes, packets });
        Ok(Report { ends, rank, start, end, volume })
    }
}

impl Connection<'_> {
    fn ends(&self) -> Result<Ends, Reason> {
        let port = |cell: &Cell<'_>| {
            // Protocols without ports tell none.
            u16::try_from(cell.count()?.unwrap_or(0)).map_err(|_| Reason::Value)
        };
        let protocol = self.protocol.count()?.ok_or(Reason::ColumnMissing)?;
        let protocol = u8::try_from(protocol).map_err(|_| Reason::Value)?;
        Ends::new(
            (self.src_ip.address()?, port(&self.src_port)?),
            (self.dest_ip.address()?, port(&self.dest_port)?),
            Protocol(protocol),
        )
    }
}

impl Report {
    fn flow(&self) -> Result<Flow, Reason> {
        let ends = self.ends;
        let (from, to) = (ends.originator_port, ends.responder_port);
        let back = is_reply(ends.protocol, from, to, None);
        let opened = if back { ends.turned()? } else { ends };
        Ok(Flow {
            end: self.end,
            sent: self.volume.filter(|_| !back),
            received: self.volume.filter(|_| back),
            sampling: SAMPLING,
            ..opened.flow(self.start)
        })
    }
}

/// Whether the first object of an input is such an entry.
pub(crate) fn recognise(head: &[u8]) -> bool {
    objects::begins(head, |object| {
        let entry = object.starts_with(b"{").then(|| serde_json::from_slice(object));
        let Some(Ok(entry)) = entry else { return false };
        let entry: Entry<'_> = entry;
        let record = entry.payload.as_ref();
        let told = record.is_some_and(|record| {
            record.connection.is_some() && record.start_time != Cell::Absent
        });
        entry.log.text().ok().flatten().map_or(told, |name| name.ends_with(LOG))
    })
}

/// The first pass: learns which end told of which flow.
pub(crate) fn names(
    both: &mut BothEnds,
    input: &mut dyn BufRead,
    latest: Instant,
) -> io::Result<()> {
    let mut objects = objects::Objects::new(input)?;
    while let Some(object) = objects.next()? {
        let entry = object.bytes.map(<[u8]>::trim_ascii).map(serde_json::from_slice);
        // What cannot be read is told by the second pass.
        let report =
            entry.map(|entry| entry.map(|entry: Entry<'_>| entry.report(latest)));
        if let Some(Ok(Ok(Some(report)))) = report
            && report.rank < 3
        {
            both.hear(&report.ends, report.start, report.rank);
        }
    }
    Ok(())
}

/// The second pass: emits flows and losses.
pub(crate) fn flows(
    both: &mut BothEnds,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let all = |_: &[u8]| Some(());
    objects::records_of(input, sink, all, |(), text, sink| {
        let entry: Entry<'_> = serde_json::from_str(text).map_err(|error| {
            if error.is_data() { Reason::Value } else { Reason::Syntax }
        })?;
        let Some(report) = entry.report(latest)? else { return Ok(None) };
        let flow = report.flow()?;
        if !both.repeats(&report.ends, report.start, report.rank) {
            sink.flow(flow);
        }
        Ok(Some(report.start))
    })
}
