//! Information elements: which field of a template means what to a flow.
//!
//! **Invariant:** an element that is not known here is skipped, whatever its length.
//!
//! Numbers are those of the IANA registry "IP Flow Information Export (IPFIX) Entities",
//! which NetFlow v9 shares up to 127 (RFC 7011, 4; RFC 3954, 8), and of enterprises that
//! export server names. Left out: what a flow here does not carry (interfaces, AS numbers,
//! MPLS, MAC). Addresses and ports after NAT (225-228, 281, 282) are skipped on purpose:
//! who contacted whom is what is seen before it.

use tidegauge_model::flow::NameOrigin;

/// Where a value of a record is kept while the record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u8);

macro_rules! slots {
    ($($name:ident = $number:literal,)*) => {
        impl Slot {
            $(pub(super) const $name: Self = Self($number);)*
        }
    };
}

slots! {
    SOURCE_PORT = 0,
    DESTINATION_PORT = 1,
    PROTOCOL = 2,
    BYTES = 3,
    PACKETS = 4,
    TOTAL_BYTES = 5,
    TOTAL_PACKETS = 6,
    OUT_BYTES = 7,
    OUT_PACKETS = 8,
    LAYER2_BYTES = 9,
    INITIATOR_BYTES = 10,
    INITIATOR_PACKETS = 11,
    RESPONDER_BYTES = 12,
    RESPONDER_PACKETS = 13,
    REVERSE_BYTES = 14,
    REVERSE_PACKETS = 15,
    START = 16,
    END = 17,
    START_SINCE_INIT = 18,
    END_SINCE_INIT = 19,
    INIT_MILLIS = 20,
    DURATION = 21,
    OBSERVED = 22,
    FLAGS = 23,
    ICMP = 24,
    SAMPLING = 25,
    SAMPLER_INTERVAL = 26,
    SAMPLER = 27,
    PACKET_INTERVAL = 28,
    PACKET_SPACE = 29,
    SIZE = 30,
    POPULATION = 31,
    BIFLOW = 32,
    FIREWALL_EVENT = 33,
    NAT_EVENT = 34,
    SOURCE_V4 = 35,
    DESTINATION_V4 = 36,
}

impl Slot {
    /// How many there are.
    pub(super) const COUNT: usize = 37;

    /// Counters of what the source sent, the one that is asked first before the others.
    pub(super) const FORWARD_BYTES: [Self; 5] = [
        Self::BYTES,
        Self::INITIATOR_BYTES,
        Self::TOTAL_BYTES,
        Self::OUT_BYTES,
        Self::LAYER2_BYTES,
    ];
    /// The same of packets.
    pub(super) const FORWARD_PACKETS: [Self; 4] = [
        Self::PACKETS,
        Self::INITIATOR_PACKETS,
        Self::TOTAL_PACKETS,
        Self::OUT_PACKETS,
    ];

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What to do with the bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Skip,
    /// An unsigned integer of up to eight bytes.
    Number(Slot),
    /// A time in seconds since 1970.
    Seconds(Slot),
    /// A time in milliseconds since 1970.
    Millis(Slot),
    /// A time in the format of NTP (RFC 7011, 6.1.9).
    Ntp(Slot),
    /// Microseconds before the time of export.
    MicrosBefore(Slot),
    /// Milliseconds of the exporter's uptime, as in the header of the message.
    Uptime(Slot),
    /// A duration in milliseconds.
    DurationMillis,
    /// TCP flags, united with those of other fields.
    Flags,
    /// ICMP type alone.
    IcmpType,
    /// An IPv6 address: of the source, or of the destination.
    SourceV6,
    DestinationV6,
    /// Both ports and the protocol that the element itself names.
    TcpPort(Slot),
    UdpPort(Slot),
    /// A server name.
    Name(NameOrigin),
    /// A server name behind six bytes of what it is (Cisco AVC).
    CiscoName,
    /// The method and the target of an HTTP request.
    HttpMethod,
    HttpTarget,
}

/// A protocol with templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    /// NetFlow v9, RFC 3954.
    V9,
    /// IPFIX, RFC 7011.
    Ipfix,
}

/// Reverse elements (RFC 5103, 6.1).
const REVERSE: u32 = 29_305;
const CISCO: u32 = 9;
const IXIA: u32 = 3_054;
const NETSCALER: u32 = 5_951;
const CERT: u32 = 6_871;
const CESNET: u32 = 8_057;
const NTOP: u32 = 35_632;
const FLOWMON: u32 = 39_499;
/// What is added to ntop's element numbers in NetFlow v9, which has no enterprise numbers.
const NTOP_V9: u16 = 57_472;
/// The bit that makes an element of CERT one of the reverse direction.
const CERT_REVERSE: u16 = 0x4000;

/// What the element means.
pub(super) fn action(dialect: Dialect, enterprise: u32, id: u16) -> Action {
    match (dialect, enterprise) {
        (_, u32::MAX) => Action::Skip,
        (Dialect::V9, _) if id > NTOP_V9 => ntop(id - NTOP_V9),
        (Dialect::V9, _) => v9(id),
        (Dialect::Ipfix, 0) => iana(id),
        (Dialect::Ipfix, REVERSE) => reverse(id),
        (Dialect::Ipfix, CISCO) => cisco(id),
        (Dialect::Ipfix, IXIA) if id == 176 => Action::Number(Slot::REVERSE_BYTES),
        (Dialect::Ipfix, IXIA) if id == 177 => Action::Number(Slot::REVERSE_PACKETS),
        (Dialect::Ipfix, NETSCALER) if id == 142 => Action::Name(NameOrigin::HttpHost),
        (Dialect::Ipfix, CERT) => cert(id),
        (Dialect::Ipfix, CESNET) => cesnet(id),
        (Dialect::Ipfix, NTOP) => ntop(id),
        (Dialect::Ipfix, FLOWMON) => match id {
            1 => Action::Name(NameOrigin::HttpHost),
            2 => Action::HttpTarget,
            _ => Action::Skip,
        },
        (Dialect::Ipfix, _) => Action::Skip,
    }
}

/// NetFlow v9 (RFC 3954, 8): uptimes are those of the header, and a few numbers of Cisco
/// lie above those of IANA.
fn v9(id: u16) -> Action {
    match id {
        21 => Action::Uptime(Slot::END),
        22 => Action::Uptime(Slot::START),
        40_005 => Action::Number(Slot::FIREWALL_EVENT),
        45_003 => Action::CiscoName,
        _ => iana(id),
    }
}

fn iana(id: u16) -> Action {
    use Action::{Millis, Ntp, Number, Seconds};
    match id {
        1 => Number(Slot::BYTES),
        2 => Number(Slot::PACKETS),
        4 => Number(Slot::PROTOCOL),
        6 => Action::Flags,
        7 => Number(Slot::SOURCE_PORT),
        8 => Number(Slot::SOURCE_V4),
        11 => Number(Slot::DESTINATION_PORT),
        12 => Number(Slot::DESTINATION_V4),
        21 => Number(Slot::END_SINCE_INIT),
        22 => Number(Slot::START_SINCE_INIT),
        23 => Number(Slot::OUT_BYTES),
        24 => Number(Slot::OUT_PACKETS),
        27 => Action::SourceV6,
        28 => Action::DestinationV6,
        32 | 139 => Number(Slot::ICMP),
        34 => Number(Slot::SAMPLING),
        48 | 302 => Number(Slot::SAMPLER),
        50 => Number(Slot::SAMPLER_INTERVAL),
        85 => Number(Slot::TOTAL_BYTES),
        86 => Number(Slot::TOTAL_PACKETS),
        150 => Seconds(Slot::START),
        151 => Seconds(Slot::END),
        152 => Millis(Slot::START),
        153 => Millis(Slot::END),
        154 | 156 => Ntp(Slot::START),
        155 | 157 => Ntp(Slot::END),
        158 => Action::MicrosBefore(Slot::START),
        159 => Action::MicrosBefore(Slot::END),
        160 => Number(Slot::INIT_MILLIS),
        161 => Action::DurationMillis,
        162 => Number(Slot::DURATION),
        176 | 178 => Action::IcmpType,
        180 => Action::UdpPort(Slot::SOURCE_PORT),
        181 => Action::UdpPort(Slot::DESTINATION_PORT),
        182 => Action::TcpPort(Slot::SOURCE_PORT),
        183 => Action::TcpPort(Slot::DESTINATION_PORT),
        230 => Number(Slot::NAT_EVENT),
        231 => Number(Slot::INITIATOR_BYTES),
        232 => Number(Slot::RESPONDER_BYTES),
        233 => Number(Slot::FIREWALL_EVENT),
        239 => Number(Slot::BIFLOW),
        298 => Number(Slot::INITIATOR_PACKETS),
        299 => Number(Slot::RESPONDER_PACKETS),
        305 => Number(Slot::PACKET_INTERVAL),
        306 => Number(Slot::PACKET_SPACE),
        309 => Number(Slot::SIZE),
        310 => Number(Slot::POPULATION),
        322 => Seconds(Slot::OBSERVED),
        323 => Millis(Slot::OBSERVED),
        324 | 325 => Ntp(Slot::OBSERVED),
        352 => Number(Slot::LAYER2_BYTES),
        459 => Action::HttpMethod,
        460 => Action::Name(NameOrigin::HttpHost),
        461 => Action::HttpTarget,
        _ => Action::Skip,
    }
}

fn reverse(id: u16) -> Action {
    match id {
        1 | 85 => Action::Number(Slot::REVERSE_BYTES),
        2 | 86 => Action::Number(Slot::REVERSE_PACKETS),
        6 => Action::Flags,
        _ => Action::Skip,
    }
}

/// Application Visibility and Control.
fn cisco(id: u16) -> Action {
    match id {
        8_337 => Action::Number(Slot::RESPONDER_BYTES),
        8_338 => Action::Number(Slot::INITIATOR_BYTES),
        12_235 => Action::CiscoName,
        12_236 => Action::Number(Slot::SOURCE_V4),
        12_237 => Action::Number(Slot::DESTINATION_V4),
        12_240 => Action::Number(Slot::SOURCE_PORT),
        12_241 => Action::Number(Slot::DESTINATION_PORT),
        _ => Action::Skip,
    }
}

/// CERT/NetSA, the elements of YAF.
fn cert(id: u16) -> Action {
    match id & !CERT_REVERSE {
        // The flags of the first packet, and of the others.
        14 | 15 => Action::Flags,
        117 if id & CERT_REVERSE == 0 => Action::Name(NameOrigin::HttpHost),
        179 => Action::Name(NameOrigin::DnsQuestion),
        294 => Action::Name(NameOrigin::TlsSni),
        _ => Action::Skip,
    }
}

/// The elements of ipfixprobe.
fn cesnet(id: u16) -> Action {
    match id {
        2 => Action::Name(NameOrigin::DnsQuestion),
        200 => Action::HttpMethod,
        808 | 890 => Action::Name(NameOrigin::TlsSni),
        _ => Action::Skip,
    }
}

/// The elements of nProbe.
fn ntop(id: u16) -> Action {
    match id {
        187 => Action::Name(NameOrigin::HttpHost),
        188 => Action::Name(NameOrigin::TlsSni),
        205 => Action::Name(NameOrigin::DnsQuestion),
        _ => Action::Skip,
    }
}

impl Action {
    /// The slot that the action fills, if no other action of a record may fill it too.
    pub(super) fn slot(self) -> Option<Slot> {
        match self {
            Self::Number(slot)
            | Self::Seconds(slot)
            | Self::Millis(slot)
            | Self::Ntp(slot)
            | Self::MicrosBefore(slot)
            | Self::Uptime(slot) => Some(slot),
            // Ports of one transport stand beside those of any (Cisco NBAR), and count only
            // where they are not zero.
            Self::DurationMillis => Some(Slot::DURATION),
            Self::IcmpType => Some(Slot::ICMP),
            _ => None,
        }
    }

    /// Of two actions that fill the same slot, whether the later one is kept. Exact times go
    /// before coarse ones. Of headers the innermost is kept, for a template names them as
    /// they lie in the packet (RFC 7011, 8): outside is a tunnel.
    pub(super) fn better_than(self, before: Self) -> bool {
        let header = matches!(
            self.slot(),
            Some(
                Slot::SOURCE_PORT
                    | Slot::DESTINATION_PORT
                    | Slot::PROTOCOL
                    | Slot::SOURCE_V4
                    | Slot::DESTINATION_V4
            )
        );
        self.rank() > before.rank() || header && self.rank() == before.rank()
    }

    fn rank(self) -> u8 {
        match self {
            Self::Ntp(_) => 5,
            Self::Millis(_) => 4,
            Self::Uptime(_) => 3,
            Self::MicrosBefore(_) => 2,
            Self::Seconds(_) => 1,
            _ => 0,
        }
    }

    /// Whether a value of this many bytes can be read.
    pub(super) fn takes(self, width: u16) -> bool {
        match self {
            Self::Skip => false,
            Self::SourceV6 | Self::DestinationV6 => width == 16,
            Self::Number(Slot::SOURCE_V4 | Slot::DESTINATION_V4) => width == 4,
            Self::Ntp(_) => width == 8,
            Self::Name(_) | Self::CiscoName | Self::HttpMethod | Self::HttpTarget => {
                width > 0
            }
            _ => (1..=8).contains(&width),
        }
    }
}
