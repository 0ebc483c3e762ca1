//! The host of an HTTP/1 request (RFC 9112).
//!
//! **Invariant:** reading the beginning of a request says "more", never a wrong name. An
//! absolute target (a request to a proxy) beats the `Host` field, as RFC 9112, 3.2.2 wants.

use std::sync::Arc;

use tidegauge_model::{NameOrigin, ServerName};

use super::dialogue::Reading;

/// Methods that a request is known by: RFC 9110, RFC 5789, and `WebDAV` (RFC 4918, RFC 3253),
/// which updates over intranets use.
const METHODS: [&[u8]; 16] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"CONNECT ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
    b"TRACE ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"REPORT ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
];

/// Whether a stream may be at a request here.
pub(super) fn begins(bytes: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        let common = method.len().min(bytes.len());
        common > 0 && method.get(..common) == bytes.get(..common)
    })
}

/// Reads the host from the start of a stream that [`begins`] with a request.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let Some((line, mut rest)) = line(bytes) else { return Reading::More };
    let Some((method, target)) = request(line) else { return Reading::Nothing };
    if method == b"CONNECT" {
        return named(target, NameOrigin::ConnectTarget, method, target);
    }
    if let Some(authority) = authority(target) {
        return named(authority, NameOrigin::HttpHost, method, target);
    }
    loop {
        let Some((field, behind)) = self::line(rest) else { return Reading::More };
        if field.is_empty() {
            return Reading::Nothing;
        }
        if let Some(host) = host_field(field) {
            return named(host, NameOrigin::HttpHost, method, target);
        }
        rest = behind;
    }
}

/// The first line, without its end, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// Method and target of a request line that ends in a version. A target may hold spaces
/// where clients are careless.
fn request(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = line.iter().position(|&b| b == b' ')?;
    let last = line.iter().rposition(|&b| b == b' ')?;
    let version = line.get(last + 1..)?;
    let target = line.get(first + 1..last)?.trim_ascii();
    (version.starts_with(b"HTTP/") && !target.is_empty())
        .then_some((line.get(..first)?, target))
}

/// The authority of an absolute target, without user information.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let start = target.windows(3).position(|w| w == b"://")?;
    // Only a scheme may stand before it, not a path that quotes an address.
    if !target.get(..start)?.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let rest = target.get(start + 3..)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#'));
    let authority = rest.get(..end.unwrap_or(rest.len()))?;
    let user = authority.iter().rposition(|&b| b == b'@');
    authority.get(user.map_or(0, |at| at + 1)..)
}

fn host_field(field: &[u8]) -> Option<&[u8]> {
    let colon = field.iter().position(|&b| b == b':')?;
    let (name, value) = field.split_at_checked(colon)?;
    name.trim_ascii().eq_ignore_ascii_case(b"host").then_some(value.get(1..)?)
}

fn named(host: &[u8], origin: NameOrigin, method: &[u8], target: &[u8]) -> Reading {
    let name = std::str::from_utf8(host).ok().and_then(|h| ServerName::new(h, origin));
    let Some(mut name) = name else { return Reading::Nothing };
    let (method, target) =
        (String::from_utf8_lossy(method), String::from_utf8_lossy(target));
    name.request = Some(Arc::from(format!("{method} {target}")));
    Reading::Name(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Option<(String, NameOrigin, String)> {
        match read(text.as_bytes()) {
            Reading::Name(name) => {
                let request = name.request.as_deref().unwrap_or_default().to_owned();
                Some((name.host.to_string(), name.origin, request))
            }
            Reading::More | Reading::Nothing => None,
        }
    }

    #[test]
    fn the_host_field_names_the_server() {
        let text = "GET /index/u1.xml HTTP/1.1\r\nAccept: */*\r\nHOST : Dnl.Example.COM:80\r\n";
        let (host, origin, request) = told(text).unwrap();
        assert_eq!(
            (host.as_str(), request.as_str()),
            ("dnl.example.com", "GET /index/u1.xml")
        );
        assert_eq!(origin, NameOrigin::HttpHost);
    }

    #[test]
    fn a_proxy_is_asked_for_another_server() {
        let text =
            "GET http://u@a.example:8080/x?u=http://b/ HTTP/1.1\r\nHost: proxy\r\n";
        assert_eq!(told(text).unwrap().0, "a.example");
        let (host, origin, request) =
            told("CONNECT a.example:443 HTTP/1.1\r\n").unwrap();
        assert_eq!(
            (host.as_str(), request.as_str()),
            ("a.example", "CONNECT a.example:443")
        );
        assert_eq!(origin, NameOrigin::ConnectTarget);
        let text = "GET /r?u=http://b.example/ HTTP/1.1\r\nHost: a.example\r\n";
        assert_eq!(told(text).unwrap().0, "a.example");
    }

    #[test]
    fn every_beginning_of_a_request_wants_more() {
        let text = b"GET /x HTTP/1.1\r\nAccept: */*\r\nHost: a.example\r\n";
        for end in 1..text.len() {
            let part = text.get(..end).unwrap();
            assert!(begins(part), "{end}");
            assert!(matches!(read(part), Reading::More), "{end}");
        }
        assert!(matches!(read(text), Reading::Name(_)));
    }

    #[test]
    fn other_protocols_are_not_requests() {
        assert!(!begins(b"HELO mail.example\r\n"));
        assert!(matches!(read(b"GET mailbox\r\nHost: x\r\n"), Reading::Nothing));
        assert!(matches!(read(b"GET / HTTP/1.0\r\n\r\nHost: x\r\n"), Reading::Nothing));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in "(GET |CONNECT )?[ -~\\r\\n]{0,80}") {
            read(bytes.as_bytes());
        }
    }
}
