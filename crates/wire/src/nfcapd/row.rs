//! What a record of any layout says, and the flow that it makes.
//!
//! **Invariant:** volumes are as seen. nfcapd scales them up where sampling is announced and
//! flags the record; they are scaled down again, or unknown if the file does not tell by
//! how much.
//!
//! * **Ways**: "out" counters beside "in" counters are of the way back, whether the exporter
//!   called them so (RFC 5103, initiator and responder) or counted them at its way out: the
//!   file does not tell which. Alone they are of the way there.
//! * **Events** (Cisco NSEL, NAT logging) are as in `export::record`.

use std::num::NonZeroU32;

use tidegauge_model::{Address, Flow, Instant, Protocol, Reason, Volume};

use super::exporters::{Exporters, Rate};
use crate::export::OneWay;
use crate::stamp::believable;

/// How far the end of a flow may be before its start: as in `export::record`.
const SKEW_MILLIS_MAX: u64 = 1_000;

/// By how much first and last may stand the wrong way round: nfcapd up to 1.7.1 mixed up
/// those of IPFIX that count from the exporter's start (nfdump, issue 408). Longer than any
/// exporter waits before it reports a flow that goes on; picked by hand.
const SWAPPED_MILLIS_MAX: u64 = 3_600_000;

/// One record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    pub(super) source: Option<Address>,
    pub(super) destination: Option<Address>,
    pub(super) source_port: u16,
    /// Or type and code of ICMP.
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
    pub(super) tcp_flags: u8,
    /// Milliseconds since 1970, as the following; 0 if not told.
    pub(super) first: u64,
    pub(super) last: u64,
    /// When an event was observed.
    pub(super) observed: u64,
    /// When the collector received it.
    pub(super) received: u64,
    pub(super) sent: Volume,
    pub(super) out: Volume,
    /// Whether it came by IPFIX.
    pub(super) ipfix: bool,
    /// `FLAG_SAMPLED`: volumes are scaled up.
    pub(super) sampled: bool,
    /// `FLAG_EVENT`.
    pub(super) event: bool,
    /// IANA 233.
    pub(super) firewall_event: u8,
    /// IANA 230.
    pub(super) nat_event: u8,
    /// IANA 239.
    pub(super) biflow: u8,
    pub(super) exporter_id: u16,
    /// Where the record itself tells.
    pub(super) exporter: Option<Address>,
    /// IANA 302.
    pub(super) sampler: Option<u64>,
}

/// What a record is.
pub(super) enum Outcome {
    Flow(Flow),
    /// An event of a connection that another record tells.
    Event,
    Lost(Reason),
}

impl Row {
    /// Whether all that it refers to is known. An event without volumes needs no rate.
    pub(super) fn is_settled(&self, exporters: &Exporters) -> bool {
        let rated =
            !self.sampled || exporters.rate(self.exporter_id, self.sampler).is_some();
        let from_known = self.exporter.is_some()
            || self.exporter_id == 0
            || exporters.address(self.exporter_id).is_some();
        rated && from_known
    }

    pub(super) fn flow(&self, exporters: &Exporters, latest: Instant) -> Outcome {
        if self.repeats() {
            return Outcome::Event;
        }
        let (Some(source), Some(destination)) = (self.source, self.destination) else {
            return Outcome::Lost(Reason::ColumnMissing);
        };
        let (start, end) = match self.times(latest) {
            Ok(times) => times,
            Err(reason) => return Outcome::Lost(reason),
        };
        let rate = exporters.rate(self.exporter_id, self.sampler);
        let rate = rate.filter(|_| self.sampled);
        let one_way = OneWay {
            source,
            destination,
            source_port: self.source_port,
            destination_port: self.destination_port,
            protocol: Protocol(self.protocol),
            start,
            end,
            tcp_flags: (self.protocol == Protocol::TCP.0).then_some(self.tcp_flags),
            icmp: Some(u64::from(self.destination_port)),
            sampling: rate.and_then(Rate::one_in).unwrap_or(NonZeroU32::MIN),
            exporter: self.exporter.or_else(|| exporters.address(self.exporter_id)),
        };
        let (sent, out) = self.volumes(rate);
        Outcome::Flow(match out {
            Some(out) => one_way.both(sent, out, Some(u64::from(self.biflow))),
            None => one_way.flow(sent),
        })
    }

    /// Whether another record tells the same with volumes: see `export::record`.
    fn repeats(&self) -> bool {
        if !self.event || self.sent.bytes > 0 || self.out.bytes > 0 {
            return false;
        }
        match self.firewall_event {
            1 | 4 => true,
            0 => matches!(self.nat_event, 2 | 5..=17),
            _ => false,
        }
    }

    /// Volumes there and, if told, back.
    fn volumes(&self, rate: Option<Rate>) -> (Option<Volume>, Option<Volume>) {
        let nothing = Volume::default();
        if self.sampled && rate.is_none() {
            return (None, None);
        }
        let seen = |volume: Volume| {
            let seen = rate.map_or(volume, |rate| rate.seen(volume));
            // Exporters that do not count packets: at least one bore the bytes.
            let packets = seen.packets.max(u64::from(seen.bytes > 0));
            Volume { packets, ..seen }
        };
        match (self.sent == nothing, self.out == nothing) {
            // The denial of a connection: nfcapd does not tell "none" from "not told".
            (true, true) if self.event => (None, None),
            (true, false) if !self.event => (Some(seen(self.out)), None),
            (_, false) => (Some(seen(self.sent)), Some(seen(self.out))),
            (_, true) => (Some(seen(self.sent)), None),
        }
    }

    fn times(&self, latest: Instant) -> Result<(Instant, Instant), Reason> {
        let told = [self.first, self.last, self.observed, self.received];
        let first = told.into_iter().find(|millis| *millis != 0).ok_or(Reason::Time)?;
        let last = if self.last == 0 { self.observed.max(first) } else { self.last };
        let early = first.saturating_sub(last);
        let swapped = self.ipfix && early > 0 && early <= SWAPPED_MILLIS_MAX;
        let (first, last) = if swapped { (last, first) } else { (first, last) };
        if first.saturating_sub(last) > SKEW_MILLIS_MAX {
            return Err(Reason::Time);
        }
        let at = |millis: u64| {
            let micros = millis.checked_mul(1_000).ok_or(Reason::Time)?;
            let at = i64::try_from(micros).map(Instant).map_err(|_| Reason::Time)?;
            believable(at, latest).map(|()| at)
        };
        Ok((at(first)?, at(last.max(first))?))
    }
}
