//! The server name of a TLS `ClientHello` (RFC 6066, section 3).
//!
//! **Invariant:** reading the beginning of a message says "more", never a wrong name. Where
//! the hello is encrypted (ECH) this is the public name of its outer part.

use tidegauge_model::{NameOrigin, ServerName};
use tls_parser::{SNIType, TlsExtension};

use super::dialogue::Reading;

/// Record type of handshake messages (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// Handshake type of the hello (RFC 8446, 4).
const CLIENT_HELLO: u8 = 1;
/// Extension type of the server name.
const SERVER_NAME: u16 = 0;

/// Whether a stream may be at a `ClientHello` here.
pub(super) fn begins(bytes: &[u8]) -> bool {
    match bytes {
        [HANDSHAKE, 3, _, _, _, kind, ..] => *kind == CLIENT_HELLO,
        [HANDSHAKE, 3, ..] | [HANDSHAKE] => true,
        _ => false,
    }
}

/// Reads the server name from the start of a stream that [`begins`] with a hello.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let mut rest = bytes;
    let mut message = Vec::new();
    loop {
        // A message may be spread over several records.
        let &[kind, major, _, l0, l1, ref body @ ..] = rest else {
            return if rest.len() < 5 { Reading::More } else { Reading::Nothing };
        };
        if kind != HANDSHAKE || major != 3 {
            return Reading::Nothing;
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        message.extend_from_slice(body.get(..length).unwrap_or(body));
        match handshake(&message) {
            Reading::More => {}
            reading => return reading,
        }
        match body.get(length..) {
            Some(behind) if length > 0 => rest = behind,
            Some(_) => return Reading::Nothing,
            None => return Reading::More,
        }
    }
}

/// Reads the start of a handshake message (RFC 8446, 4), as QUIC carries it without records.
pub(super) fn handshake(message: &[u8]) -> Reading {
    let &[kind, l0, l1, l2, ref body @ ..] = message else { return Reading::More };
    if kind != CLIENT_HELLO {
        return Reading::Nothing;
    }
    let length = u32::from_be_bytes([0, l0, l1, l2]);
    let Some(body) = body.get(..usize::try_from(length).unwrap_or(usize::MAX)) else {
        return Reading::More;
    };
    let name = tls_parser::parse_tls_handshake_client_hello(body)
        .ok()
        .and_then(|(_, hello)| server_name(hello.ext.unwrap_or_default()));
    name.map_or(Reading::Nothing, Reading::Name)
}

/// Finds the host in the extensions of a hello: others may be of a kind nobody knows.
fn server_name(mut extensions: &[u8]) -> Option<ServerName> {
    while let &[t0, t1, l0, l1, ref rest @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let (content, behind) = rest.split_at_checked(length)?;
        if u16::from_be_bytes([t0, t1]) == SERVER_NAME {
            let parsed = tls_parser::parse_tls_extension_sni_content(content).ok()?;
            let TlsExtension::SNI(names) = parsed.1 else { return None };
            let host =
                names.into_iter().find(|(kind, _)| *kind == SNIType::HostName)?;
            let host = std::str::from_utf8(host.1).ok()?;
            return ServerName::new(host, NameOrigin::TlsSni);
        }
        extensions = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A handshake message: a hello for `a.test` without any other extension.
    fn message() -> Vec<u8> {
        let mut message = vec![CLIENT_HELLO, 0, 0, 58, 3, 3];
        message.extend(*b"0123456789abcdef0123456789abcdef");
        // No session, one cipher suite, no compression, extensions.
        message.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 15]);
        message.extend([0, 0, 0, 11, 0, 9, 0, 0, 6]);
        message.extend(*b"a.test");
        message
    }

    /// The message in records of at most `size` bytes.
    fn records(size: usize) -> Vec<u8> {
        let record = |part: &[u8]| {
            let length = u8::try_from(part.len()).expect("short");
            [&[HANDSHAKE, 3, 1, 0, length], part].concat()
        };
        message().chunks(size).flat_map(record).collect()
    }

    fn host(bytes: &[u8]) -> Option<String> {
        match read(bytes) {
            Reading::Name(name) => Some(name.host.to_string()),
            Reading::More | Reading::Nothing => None,
        }
    }

    #[test]
    fn every_beginning_of_a_hello_wants_more() {
        for size in [3, 20, 100] {
            let whole = records(size);
            for end in 0..whole.len() {
                let part = whole.get(..end).unwrap();
                assert!(end == 0 || begins(part), "{end}");
                assert!(matches!(read(part), Reading::More), "{end}");
            }
            assert_eq!(host(&whole).as_deref(), Some("a.test"));
        }
    }

    #[test]
    fn other_records_are_no_hello() {
        assert!(!begins(b"\x17\x03\x03\x00\x05hello"));
        assert!(matches!(read(b"\x16\x03\x03\x00\x04\x02\0\0\0"), Reading::Nothing));
        assert!(matches!(read(b"\x16\x03\x03\x00\x00"), Reading::Nothing));
    }

    proptest! {
        #[test]
        fn damage_does_no_harm(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        ) {
            let mut bytes = records(50);
            for (at, value) in damage {
                *at.get_mut(&mut bytes) = value;
            }
            read(&bytes);
        }
    }
}
