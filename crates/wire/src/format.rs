//! What an input is, told by its content: names and endings of files are not looked at.
//!
//! **Invariant:** recognising never fails on bytes; what is not known is `None`.

use crate::cloud::aws;
use crate::dns::{dnstap, passive, querylog};
use crate::{argus, eve, export, zeek};

/// A format that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A Zeek log, as tab-separated values or as JSON lines.
    Zeek(zeek::Log),
    /// The EVE log of Suricata, JSON lines.
    Eve,
    /// Flows of Argus, as `ra` prints them with a delimiter.
    Argus,
    /// A capture in the classic format of libpcap.
    Pcap,
    /// A capture in the pcapng format.
    Pcapng,
    /// Messages of NetFlow or IPFIX, one after another.
    Export,
    /// A frame stream of dnstap.
    Dnstap,
    /// Passive DNS in the common output format, JSON lines.
    PassiveDns,
    /// The query log of a DNS server.
    QueryLog,
    /// A flow log of AWS as text.
    AwsFlow,
}

impl Format {
    /// Whether the first pass of a decoder reads such an input.
    pub fn has_names(self) -> bool {
        !matches!(
            self,
            Self::Zeek(zeek::Log::Conn | zeek::Log::Other)
                | Self::Argus
                | Self::Export
                | Self::PassiveDns
                | Self::QueryLog
                | Self::AwsFlow
        )
    }

    /// Whether the second pass of a decoder reads such an input.
    pub fn has_flows(self) -> bool {
        matches!(
            self,
            Self::Zeek(zeek::Log::Conn | zeek::Log::Mixed)
                | Self::Eve
                | Self::Argus
                | Self::Pcap
                | Self::Pcapng
                | Self::Export
                | Self::Dnstap
                | Self::PassiveDns
                | Self::QueryLog
                | Self::AwsFlow
        )
    }

    /// The word used in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zeek(log) => log.as_str(),
            Self::Eve => "eve",
            Self::Argus => "argus",
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
            Self::Export => "export",
            Self::Dnstap => "dnstap",
            Self::PassiveDns => "passive_dns",
            Self::QueryLog => "query_log",
            Self::AwsFlow => "aws_flow",
        }
    }
}

/// The first bytes of a capture: pcap with micro- or nanoseconds, either byte order, and
/// the section header block of pcapng.
const MAGICS: [([u8; 4], Format); 5] = [
    ([0xa1, 0xb2, 0xc3, 0xd4], Format::Pcap),
    ([0xd4, 0xc3, 0xb2, 0xa1], Format::Pcap),
    ([0xa1, 0xb2, 0x3c, 0x4d], Format::Pcap),
    ([0x4d, 0x3c, 0xb2, 0xa1], Format::Pcap),
    ([0x0a, 0x0d, 0x0d, 0x0a], Format::Pcapng),
];

/// Recognises an input by up to 64 KiB of its decompressed head.
pub fn recognise(head: &[u8]) -> Option<Format> {
    let capture = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
    match capture {
        Some(&(_, format)) => Some(format),
        None if export::recognise(head) => Some(Format::Export),
        None if dnstap::recognise(head) => Some(Format::Dnstap),
        None if aws::recognise(head) => Some(Format::AwsFlow),
        None if argus::recognise(head) => Some(Format::Argus),
        None if eve::recognise(head) => Some(Format::Eve),
        None => zeek::recognise(head).map(Format::Zeek).or_else(|| {
            // Last, for these look at every line of the head.
            let dns = passive::recognise(head).then_some(Format::PassiveDns);
            dns.or_else(|| querylog::recognise(head).then_some(Format::QueryLog))
        }),
    }
}
