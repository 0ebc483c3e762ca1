//! IP protocols by the names that logs write.
//!
//! **Invariant:** a name that is not known is `None`; nothing is guessed.

use tidegauge_model::Protocol;

/// What a flow has whose protocol the record does not tell: reserved by IANA.
pub(crate) const UNKNOWN: Protocol = Protocol(255);
pub(crate) const ICMP: Protocol = Protocol(1);
pub(crate) const ICMP_V6: Protocol = Protocol(58);
pub(crate) const SCTP: Protocol = Protocol(132);

/// Keywords of the registry "Assigned Internet Protocol Numbers" (IANA) and the spellings
/// of `/etc/protocols`, in lower case: those that captures and logs here were seen with,
/// and those of tunnels, routing and multicast.
const NAMES: [(&str, Protocol); 30] = [
    ("tcp", Protocol::TCP),
    ("udp", Protocol::UDP),
    ("icmp", ICMP),
    ("ipv6-icmp", ICMP_V6),
    ("icmpv6", ICMP_V6),
    ("icmp6", ICMP_V6),
    ("sctp", SCTP),
    ("igmp", Protocol(2)),
    ("ggp", Protocol(3)),
    ("ipencap", Protocol(4)),
    ("ipip", Protocol(94)),
    ("st2", Protocol(5)),
    ("egp", Protocol(8)),
    ("igp", Protocol(9)),
    ("dccp", Protocol(33)),
    ("ipv6", Protocol(41)),
    ("ipv6-route", Protocol(43)),
    ("ipv6-frag", Protocol(44)),
    ("rsvp", Protocol(46)),
    ("gre", Protocol(47)),
    ("esp", Protocol(50)),
    ("ah", Protocol(51)),
    ("eigrp", Protocol(88)),
    ("ospf", Protocol(89)),
    ("ospfigp", Protocol(89)),
    ("pim", Protocol(103)),
    ("vrrp", Protocol(112)),
    ("l2tp", Protocol(115)),
    ("udplite", Protocol(136)),
    ("mpls-in-ip", Protocol(137)),
];

/// The protocol of a name or number, whichever case it is written in.
pub(crate) fn named(text: &str) -> Option<Protocol> {
    let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, number)| *number).or_else(|| text.parse().ok().map(Protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_in_any_case() {
        let told = [
            ("TCP", Some(6)),
            ("udp", Some(17)),
            ("IPv6-ICMP", Some(58)),
            ("047", Some(47)),
            ("255", Some(255)),
            ("256", None),
            ("arp", None),
            ("", None),
        ];
        for (text, number) in told {
            assert_eq!(named(text), number.map(Protocol), "{text}");
        }
    }
}
