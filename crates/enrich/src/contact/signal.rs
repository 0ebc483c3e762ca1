//! What one flow to an endpoint proves.
//!
//! **Invariant:** a sampled or one-way flow is never an attempt: what was not seen may have
//! happened.

use std::num::NonZeroU32;

use tidegauge_model::flow::tcp_flag;
use tidegauge_model::{Flow, NameOrigin, Protocol, Role, Signal, Volume};

/// From this many bytes towards the client on, an update can have been served: a TLS
/// handshake with its certificates is about that long. Picked by hand, revisit.
pub const RECEIVED_BYTES_SERVED: u64 = 1_500;
/// A connectivity probe is answered by a few hundred bytes of HTTP (204 and headers).
const RECEIVED_BYTES_SERVED_REACHABILITY: u64 = 300;
/// A server's answer is 48 bytes of NTP (RFC 5905, 7.3).
const RECEIVED_BYTES_SERVED_TIME: u64 = 48;
/// With fewer packets, both ways together, no TCP connection has carried anything: three
/// open it.
const PACKETS_SERVED: u64 = 4;

/// What the flow proves, where `sampling` is what the vantage believes (one packet in so
/// many) and `role` is that of the endpoint it matched.
pub fn signal(flow: &Flow, role: Role, sampling: NonZeroU32) -> Signal {
    let origin = flow.name.as_ref().map(|name| name.origin);
    if origin == Some(NameOrigin::DnsQuestion) {
        return Signal::Resolved;
    }
    let sampled = sampling.get() > 1;
    let Some(received) = flow.received else { return Signal::Indeterminate };
    let enough = received.bytes >= received_bytes_served(role);
    if enough && is_established(flow, received, sampled) {
        Signal::Served
    } else if sampled {
        Signal::Indeterminate
    } else {
        Signal::Attempted
    }
}

fn received_bytes_served(role: Role) -> u64 {
    match role {
        Role::Time => RECEIVED_BYTES_SERVED_TIME,
        Role::Reachability => RECEIVED_BYTES_SERVED_REACHABILITY,
        Role::Update
        | Role::Reputation
        | Role::Activation
        | Role::Telemetry
        | Role::Website
        | Role::Installer
        | Role::Other => RECEIVED_BYTES_SERVED,
    }
}

/// Whether a connection stood, as far as the flow tells. Of a sampled flow, opening flags
/// and most packets are unseen: that bytes came back is all there is.
fn is_established(flow: &Flow, received: Volume, sampled: bool) -> bool {
    if flow.protocol != Protocol::TCP || sampled {
        return true;
    }
    let packets = received.packets + flow.sent.map_or(0, |sent| sent.packets);
    let told = received.packets > 0;
    if told && packets < PACKETS_SERVED {
        return false;
    }
    flow.tcp_flags.is_none_or(|flags| {
        let refused =
            flags & tcp_flag::RST != 0 && flags & (tcp_flag::PSH | tcp_flag::FIN) == 0;
        flags & tcp_flag::ACK != 0 && !refused
    })
}

#[cfg(test)]
mod tests {
    use tidegauge_model::{Instant, ServerName};

    use super::*;

    const SYN: u8 = tcp_flag::SYN;
    const DATA: u8 = tcp_flag::SYN | tcp_flag::ACK | tcp_flag::PSH | tcp_flag::FIN;

    fn flow(received: Option<(u64, u64)>, tcp_flags: Option<u8>) -> Flow {
        Flow {
            originator: "10.0.0.1".parse().unwrap(),
            responder: "192.0.2.1".parse().unwrap(),
            originator_port: 50_000,
            responder_port: 443,
            protocol: Protocol::TCP,
            start: Instant(0),
            end: Instant(1),
            sent: Some(Volume { bytes: 400, packets: 3 }),
            received: received.map(|(bytes, packets)| Volume { bytes, packets }),
            tcp_flags,
            sampling: NonZeroU32::MIN,
            name: None,
            exporter: None,
        }
    }

    fn of(flow: &Flow, sampling: u32) -> Signal {
        signal(flow, Role::Update, NonZeroU32::new(sampling).unwrap())
    }

    #[test]
    fn a_full_flow_is_served_or_attempted() {
        assert_eq!(of(&flow(Some((1_500, 3)), Some(DATA)), 1), Signal::Served);
        assert_eq!(of(&flow(Some((1_500, 3)), None), 1), Signal::Served);
        assert_eq!(of(&flow(Some((1_499, 3)), Some(DATA)), 1), Signal::Attempted);
        assert_eq!(of(&flow(Some((0, 0)), Some(SYN)), 1), Signal::Attempted);
        // Refused, and too few packets to have been opened.
        let refused = SYN | tcp_flag::ACK | tcp_flag::RST;
        assert_eq!(of(&flow(Some((9_000, 9)), Some(refused)), 1), Signal::Attempted);
        let mut short = flow(Some((1_600, 1)), Some(DATA));
        short.sent = Some(Volume { bytes: 60, packets: 1 });
        assert_eq!(of(&short, 1), Signal::Attempted);
    }

    #[test]
    fn what_was_not_seen_is_no_attempt() {
        assert_eq!(of(&flow(None, Some(SYN)), 1), Signal::Indeterminate);
        assert_eq!(of(&flow(Some((60, 1)), Some(SYN)), 1_000), Signal::Indeterminate);
        assert_eq!(of(&flow(Some((1_500, 1)), Some(0x10)), 1_000), Signal::Served);
    }

    #[test]
    fn a_question_is_a_look_up_whatever_came_back() {
        let mut question = flow(Some((4_000, 9)), None);
        question.name = ServerName::new("update.eset.com", NameOrigin::DnsQuestion);
        assert_eq!(of(&question, 1), Signal::Resolved);
        assert_eq!(of(&question, 100), Signal::Resolved);
    }

    #[test]
    fn the_time_is_served_by_one_small_packet() {
        let mut time = flow(Some((76, 1)), None);
        time.protocol = Protocol::UDP;
        let signal = signal(&time, Role::Time, NonZeroU32::MIN);
        assert_eq!(signal, Signal::Served);
    }
}
