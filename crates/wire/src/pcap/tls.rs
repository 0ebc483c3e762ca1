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
        match hello(&message) {
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

/// Reads a handshake message.
fn hello(message: &[u8]) -> Reading {
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
