//! Who opened the flow of a record that has a source and a destination only.
//!
//! **Invariant:** both directions of one connection give the same originator, whichever is
//! read first, unless neither ports nor flags tell.
//!
//! Exporters and cloud logs write one record for each direction. The rules, first that
//! holds: a SYN without ACK comes from the originator and one with ACK from the responder,
//! if the record is of a single packet's flags; of two ports, one below 1024 is the
//! responder's (RFC 6335, 6: system ports); of two others, one that serves TLS, proxies or
//! names by habit is; else the source opened.

use tidegauge_model::Protocol;
use tidegauge_model::flow::tcp_flag::{ACK, SYN};

/// Ports below this are those of services (RFC 6335, 6: system ports).
pub(crate) const SYSTEM_PORTS: u16 = 1024;

/// Ports of services above the system ports: proxies and alternate HTTP and TLS (IANA
/// service names), and those that products of the catalog use.
const SERVICE_PORTS: [u16; 8] = [1443, 3128, 3389, 5353, 8080, 8443, 8888, 13000];

/// Whether the destination of a record opened the flow: the record is of the way back.
pub(crate) fn is_reply(
    protocol: Protocol,
    source_port: u16,
    destination_port: u16,
    tcp_flags: Option<u8>,
) -> bool {
    if protocol != Protocol::TCP && protocol != Protocol::UDP {
        return false;
    }
    // A union of flags over many packets has both bits on either way of a connection that
    // began in the record; only the very first packet has SYN alone.
    if let Some(flags) = tcp_flags.filter(|_| protocol == Protocol::TCP)
        && flags & SYN != 0
        && flags & ACK == 0
    {
        return false;
    }
    rank(source_port) > rank(destination_port)
}

/// How much a port looks like that of a service.
fn rank(port: u16) -> u8 {
    match port {
        0 => 0,
        1..SYSTEM_PORTS => 2,
        _ if SERVICE_PORTS.contains(&port) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_responds_whichever_way_is_read() {
        for (client, server) in [(50_000, 443), (50_000, 8080), (2000, 53)] {
            assert!(!is_reply(Protocol::TCP, client, server, None));
            assert!(is_reply(Protocol::TCP, server, client, None));
            assert!(is_reply(Protocol::UDP, server, client, Some(0)));
        }
        assert!(!is_reply(Protocol::TCP, 50_000, 50_001, None));
        assert!(!is_reply(Protocol(1), 443, 50_000, None));
    }

    #[test]
    fn a_bare_syn_opens_whatever_the_ports() {
        assert!(!is_reply(Protocol::TCP, 443, 50_000, Some(SYN)));
        assert!(is_reply(Protocol::TCP, 443, 50_000, Some(SYN | ACK)));
    }
}
