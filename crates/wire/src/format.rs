//! What an input is, told by its content: names and endings of files are not looked at.
//!
//! **Invariant:** recognising never fails on bytes; what is not known is `None`.

use crate::cloud::{aws, azure, google};
use crate::dns::{dnstap, passive, querylog};
use crate::lines::BOM;
use crate::{argus, eve, export, nfcapd, pcap, zeek};

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
    /// A file of nfcapd or nfdump.
    Nfcapd,
    /// A frame stream of dnstap.
    Dnstap,
    /// Passive DNS in the common output format, JSON lines.
    PassiveDns,
    /// The query log of a DNS server.
    QueryLog,
    /// A flow log of AWS as text.
    AwsFlow,
    /// A flow log of Azure: of a network security group or a virtual network.
    AzureFlow,
    /// A VPC flow log of Google.
    GoogleFlow,
}

impl Format {
    /// Whether the first pass of a decoder reads such an input.
    pub fn has_names(self) -> bool {
        !matches!(
            self,
            Self::Zeek(zeek::Log::Conn | zeek::Log::Other)
                | Self::Argus
                | Self::Export
                | Self::Nfcapd
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
                | Self::Nfcapd
                | Self::Dnstap
                | Self::PassiveDns
                | Self::QueryLog
                | Self::AwsFlow
                | Self::AzureFlow
                | Self::GoogleFlow
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
            Self::Nfcapd => "nfcapd",
            Self::Dnstap => "dnstap",
            Self::PassiveDns => "passive_dns",
            Self::QueryLog => "query_log",
            Self::AwsFlow => "aws_flow",
            Self::AzureFlow => "azure_flow",
            Self::GoogleFlow => "google_flow",
        }
    }
}

/// The first bytes of the section header block of pcapng.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Recognises an input by up to 64 KiB of its decompressed head.
pub fn recognise(head: &[u8]) -> Option<Format> {
    let head = head.strip_prefix(BOM).unwrap_or(head);
    match () {
        () if pcap::is_pcap(head) => Some(Format::Pcap),
        () if head.starts_with(&PCAPNG) => Some(Format::Pcapng),
        () if nfcapd::recognise(head) => Some(Format::Nfcapd),
        () if export::recognise(head) => Some(Format::Export),
        () if dnstap::recognise(head) => Some(Format::Dnstap),
        () if azure::recognise(head) => Some(Format::AzureFlow),
        () if google::recognise(head) => Some(Format::GoogleFlow),
        () if aws::recognise(head) => Some(Format::AwsFlow),
        () if argus::recognise(head) => Some(Format::Argus),
        () if eve::recognise(head) => Some(Format::Eve),
        () => zeek::recognise(head).map(Format::Zeek).or_else(|| {
            // Last, for these look at every line of the head.
            let dns = passive::recognise(head).then_some(Format::PassiveDns);
            dns.or_else(|| querylog::recognise(head).then_some(Format::QueryLog))
        }),
    }
}
