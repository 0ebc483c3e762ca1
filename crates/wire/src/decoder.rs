//! One batch of inputs of one vantage, in two passes.
//!
//! **Invariant:** the order of the inputs within a pass changes neither the flows nor the
//! answers, as sets with repetition, as long as no limit is reached. A loss is emitted
//! once: that of a record in the pass that reads the record, others in the last pass that
//! reads the input.

use std::io::{self, BufRead};

use tidegauge_model::Instant;
use tidegauge_model::vantage::Clients;

use crate::cloud::both_ends::BothEnds;
use crate::cloud::{aws, azure, google};
use crate::dns::{dnstap, passive, querylog};
use crate::export::{self, Exports};
use crate::format::Format;
use crate::join::Join;
use crate::zeek::{self, Log};
use crate::{Sink, argus, eve, nfcapd, pcap};

/// Decodes a batch: [`Self::names`] over all inputs, then [`Self::flows`] over all, then
/// [`Self::finish`].
pub struct Decoder {
    latest: Instant,
    clients: Clients,
    join: Join,
    exports: Exports,
    both_ends: BothEnds,
    eve: eve::Split,
    repeated: u64,
}

impl Decoder {
    /// A decoder of a new batch. Records later than a day after `latest`, or before 1990,
    /// are losses.
    pub fn new(latest: Instant) -> Self {
        Self {
            latest,
            clients: Clients::default(),
            join: Join::default(),
            exports: Exports::new(),
            both_ends: BothEnds::default(),
            eve: eve::Split::default(),
            repeated: 0,
        }
    }

    /// The same, for the logs of a DNS server that is asked by `clients`.
    #[must_use]
    pub fn asked_by(mut self, clients: Clients) -> Self {
        self.clients = clients;
        self
    }

    /// The first pass: reads names and emits the answers of DNS. The losses of what the
    /// second pass will not read are emitted here. An input that this pass has
    /// no use for ([`Format::has_names`]) is left unread.
    pub fn names(
        &mut self,
        format: Format,
        input: &mut dyn BufRead,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        match format {
            Format::Zeek(_) if !format.has_names() => Ok(()),
            Format::Zeek(log) => {
                zeek::names(log, &mut self.join, input, self.latest, sink)
            }
            Format::Eve => {
                eve::names(&mut self.join, &mut self.eve, input, self.latest, sink)
            }
            Format::Pcap | Format::Pcapng => pcap::names(input, self.latest, sink),
            Format::Dnstap => dnstap::names(input, self.clients, self.latest, sink),
            Format::AzureFlow => azure::names(&mut self.both_ends, input, self.latest),
            Format::GoogleFlow => {
                google::names(&mut self.both_ends, input, self.latest)
            }
            Format::Argus
            | Format::Export
            | Format::Nfcapd
            | Format::PassiveDns
            | Format::QueryLog
            | Format::AwsFlow => Ok(()),
        }
    }

    /// The second pass: emits flows. An input that this pass has no use for
    /// ([`Format::has_flows`]) is left unread.
    pub fn flows(
        &mut self,
        format: Format,
        input: &mut dyn BufRead,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        match format {
            Format::Zeek(log @ (Log::Conn | Log::Mixed)) => {
                zeek::flows(log, &mut self.join, input, self.latest, sink)
            }
            Format::Argus => argus::read(input, self.latest, sink),
            Format::Eve => {
                eve::flows(&mut self.join, &mut self.eve, input, self.latest, sink)
            }
            Format::Zeek(_) => Ok(()),
            Format::Pcap | Format::Pcapng => {
                pcap::flows_and_exports(input, self.latest, &mut self.exports, sink)
            }
            Format::Export => export::read(&mut self.exports, input, self.latest, sink),
            Format::Nfcapd => nfcapd::read(input, self.latest, sink).map(|_| ()),
            Format::Dnstap => dnstap::flows(input, self.clients, self.latest, sink),
            Format::AwsFlow => aws::read(input, self.latest, sink),
            Format::AzureFlow => {
                azure::flows(&mut self.both_ends, input, self.latest, sink)
            }
            Format::GoogleFlow => {
                google::flows(&mut self.both_ends, input, self.latest, sink)
            }
            Format::PassiveDns => passive::read(input, self.latest, sink),
            Format::QueryLog => querylog::read(input, self.clients, self.latest, sink),
        }
    }

    /// After the last input: emits the flows of connections that were never closed, of
    /// names without a connection (their volumes are unknown), and one more flow for each
    /// further name of a connection that had several.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        self.repeated += self.eve.finish(&mut self.join, sink);
        self.join.finish(sink);
        self.exports.finish(sink);
        self.both_ends.finish(sink);
    }

    /// How many datagrams of exporters were read: in a capture, packets that are not of the
    /// network watched, but reports about it.
    pub fn reports(&self) -> u64 {
        self.exports.datagrams()
    }

    /// How many rows told again what another tells, to the letter or from the other end:
    /// they made no flow and are no loss.
    pub fn repeated(&self) -> u64 {
        self.repeated + self.join.repeated() + self.both_ends.repeated()
    }
}
