//! What a decoder returns: flows, and names that DNS answers teach.
//!
//! **Invariant:** what the telemetry did not say is `None`, never zero.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::{Address, Instant};

/// One record of telemetry (RFC 7011, section 2: Flow).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who opened the flow.
    pub originator: Address,
    /// Who answered, or should have.
    pub responder: Address,
    /// Port of the originator; 0 for protocols without ports.
    pub originator_port: u16,
    /// Port of the responder; 0 for protocols without ports.
    pub responder_port: u16,
    /// IP protocol number.
    pub protocol: Protocol,
    /// First packet.
    pub start: Instant,
    /// Last packet; never before `start`.
    pub end: Instant,
    /// From originator to responder, if known.
    pub sent: Option<Volume>,
    /// From responder to originator, if known. `None` for one-way telemetry.
    pub received: Option<Volume>,
    /// The union of TCP flags seen, both ways, as in the header (RFC 9293, 3.1).
    pub tcp_flags: Option<u8>,
    /// One packet in so many was looked at: 1 means all of them.
    pub sampling: NonZeroU32,
    /// The name of the server, if the telemetry told.
    pub name: Option<ServerName>,
    /// The device that sent the record (RFC 7011, section 2: Exporter), for telemetry that
    /// is exported; `None` for logs and captures.
    pub exporter: Option<Address>,
}

/// Bytes and packets of one direction, at the IP layer where the source tells it, as
/// seen (not scaled by the sampling rate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Volume {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

/// An IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
}

/// TCP flag bits of [`Flow::tcp_flags`].
pub mod tcp_flag {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// PSH.
    pub const PSH: u8 = 0x08;
    /// ACK.
    pub const ACK: u8 = 0x10;
}

/// The name by which the originator asked for the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    /// Host name, lower case, without a final dot: see [`ServerName::new`].
    pub host: Arc<str>,
    /// Where the name was read.
    pub origin: NameOrigin,
    /// Method and target of the first HTTP request, `GET /index/u1.xml`, if one was seen.
    pub request: Option<Arc<str>>,
}

impl ServerName {
    /// A name in its one form, or `None` if `host` cannot be a host name: empty, over
    /// 253 bytes (RFC 1035, 2.3.4), or with bytes outside letters, digits, `.`, `-`, `_`.
    pub fn new(host: &str, origin: NameOrigin) -> Option<Self> {
        let host = canonical_host(host)?;
        Some(Self { host: Arc::from(host), origin, request: None })
    }
}

/// The one form of a host name: lower case, no final dot, no port. `None` if it is none.
pub fn canonical_host(text: &str) -> Option<String> {
    let text = text.trim();
    let host = match text.rsplit_once(':') {
        Some((host, port))
            if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) =>
        {
            host
        }
        _ => text,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // One final dot is the root (RFC 1035, 3.1); two are no name.
    let rooted = host.is_empty() || host.ends_with('.');
    if rooted || host.len() > 253 || !host.bytes().all(plain) {
        return None;
    }
    Some(host.to_ascii_lowercase())
}

/// Where a server name was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameOrigin {
    /// TLS server name indication (RFC 6066, section 3).
    TlsSni,
    /// HTTP `Host` (RFC 9110, 7.2).
    HttpHost,
    /// Target of an HTTP CONNECT (RFC 9110, 9.3.6); the responder is the proxy.
    ConnectTarget,
    /// DNS question (RFC 1035, 4.1.2); the responder is the resolver.
    DnsQuestion,
}

/// A DNS answer that a client received: for `ttl_seconds` after `at`, this client means
/// `host` when it contacts one of `addresses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who asked.
    pub client: Address,
    /// The name asked for, in the form of [`canonical_host`].
    pub host: Arc<str>,
    /// The addresses answered, with any CNAME chain already followed.
    pub addresses: Vec<Address>,
    /// The shortest time to live of the chain.
    pub ttl_seconds: u32,
    /// When the answer was seen.
    pub at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form() {
        let host = |text| ServerName::new(text, NameOrigin::HttpHost).map(|n| n.host);
        assert_eq!(
            host("Downloads.UPD.kaspersky.com.").as_deref(),
            Some("downloads.upd.kaspersky.com")
        );
        assert_eq!(host("example.com:8080").as_deref(), Some("example.com"));
        assert_eq!(host("exa mple.com"), None);
        assert_eq!(host("[::1]:80"), None);
        assert_eq!(host(""), None);
        assert_eq!(host("example.com.."), None, "its form would have another form");
        assert_eq!(host(&"a".repeat(254)), None);
    }
}
