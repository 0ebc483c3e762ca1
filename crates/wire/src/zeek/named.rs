//! Rows of `dns`, `ssl` and `http`: the name by which the originator asked for the
//! server, and what DNS answered.
//!
//! **Invariant:** a name that cannot be a host name is no name; the row still shows that
//! two ends spoke.

use tidegauge_model::{Address, Instant, NameOrigin, Protocol, Reason};

use super::Log;
use super::conn::Ends;
use super::row::Row;

/// The longest method and target kept of a request, in bytes: patterns of URLs look at
/// host and path, and trackers put kilobytes behind them. Picked by hand, revisit.
pub const REQUEST_BYTES_MAX: usize = 1024;

/// One row that names a server.
#[derive(Debug, PartialEq)]
pub(super) struct Named<'a> {
    pub(super) uid: &'a str,
    pub(super) ends: Ends,
    pub(super) at: Instant,
    /// As written in the row: not yet in its one form.
    pub(super) host: Option<&'a str>,
    pub(super) origin: NameOrigin,
    /// Method and target of a request.
    pub(super) request: Option<(&'a str, &'a str)>,
}

/// Reads a row of `log`, which is one of `dns`, `ssl` and `http`.
pub(super) fn named<'a>(log: Log, row: &'a Row<'_>) -> Result<Named<'a>, Reason> {
    let uid = row.uid.needed_text()?;
    let at = row.ts.instant()?;
    let (protocol, host, origin, request) = match log {
        Log::Dns => (None, row.query.text()?, NameOrigin::DnsQuestion, None),
        Log::Ssl => {
            let datagrams = row.version.text()?.is_some_and(|v| v.starts_with("DTLS"));
            let protocol = if datagrams { Protocol::UDP } else { Protocol::TCP };
            (Some(protocol), row.server_name.text()?, NameOrigin::TlsSni, None)
        }
        _ => {
            let (host, origin, request) = http(row)?;
            (Some(Protocol::TCP), host, origin, request)
        }
    };
    let ends = Ends::read(row, protocol)?;
    Ok(Named { uid, ends, at, host, origin, request })
}

type HttpName<'a> = (Option<&'a str>, NameOrigin, Option<(&'a str, &'a str)>);

/// The host asked for: the target of CONNECT, else `Host`, else that of an absolute
/// target, as proxies are asked (RFC 9112, 3.2).
fn http<'a>(row: &'a Row<'_>) -> Result<HttpName<'a>, Reason> {
    let (method, uri) = (row.method.text()?, row.uri.text()?);
    let host = row.host.text()?;
    let request = method.zip(uri);
    if method == Some("CONNECT") {
        return Ok((uri.or(host), NameOrigin::ConnectTarget, request));
    }
    let authority = uri.and_then(|uri| uri.strip_prefix("http://"));
    let authority = authority.and_then(|rest| rest.split(['/', '?']).next());
    Ok((host.or(authority), NameOrigin::HttpHost, request))
}

/// Method and target as one text, cut at [`REQUEST_BYTES_MAX`].
pub(super) fn request_text((method, target): (&str, &str)) -> String {
    let mut text = String::with_capacity(
        (method.len() + 1 + target.len()).min(2 * REQUEST_BYTES_MAX),
    );
    for part in [method, " ", target] {
        let left = REQUEST_BYTES_MAX - text.len();
        text.push_str(part.get(..part.floor_char_boundary(left)).unwrap_or(part));
    }
    text
}

/// The addresses that a row of `dns` says were answered, and for how long they hold.
/// `None` if no address is among the answers (names in between, `CNAME`, are passed over)
/// or the row tells no time to live.
pub(super) fn answered(row: &Row<'_>) -> Result<Option<Answered>, Reason> {
    let mut addresses = Vec::new();
    for answer in row.answers.list()? {
        if let Ok(Some(text)) = answer.text()
            && let Ok(address) = text.parse()
        {
            addresses.push(address);
        }
    }
    let mut ttl_seconds: Option<u32> = None;
    for ttl in row.ttls.list()? {
        if let Some(micros) = ttl.micros()? {
            let seconds = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
            ttl_seconds = Some(ttl_seconds.map_or(seconds, |least| least.min(seconds)));
        }
    }
    let after =
        i64::try_from(row.rtt.micros()?.unwrap_or(0)).map_err(|_| Reason::Value)?;
    let at = Instant(row.ts.instant()?.0.saturating_add(after));
    Ok(ttl_seconds.filter(|_| !addresses.is_empty()).map(|ttl_seconds| Answered {
        addresses,
        ttl_seconds,
        at,
    }))
}

/// What DNS answered.
#[derive(Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) addresses: Vec<Address>,
    pub(super) ttl_seconds: u32,
    /// When the answer was seen: the question's time and the round trip.
    pub(super) at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: &str = r#""ts":1517336042.5,"uid":"C1","id.orig_h":"10.0.0.1",
        "id.orig_p":8080,"id.resp_h":"192.0.2.1","id.resp_p":3128"#;

    fn http_name(rest: &str) -> (Option<String>, NameOrigin) {
        let line = format!("{{{ENDS},{rest}}}");
        let row: Row<'_> = serde_json::from_str(&line).unwrap();
        let named = named(Log::Http, &row).unwrap();
        (named.host.map(str::to_owned), named.origin)
    }

    #[test]
    fn a_proxy_is_asked_for_the_target() {
        let connect = r#""method":"CONNECT","host":"p","uri":"www.example.com:443""#;
        assert_eq!(
            http_name(connect),
            (Some("www.example.com:443".into()), NameOrigin::ConnectTarget)
        );
        let absolute = r#""method":"GET","uri":"http://example.com/a?b=http://c""#;
        assert_eq!(
            http_name(absolute),
            (Some("example.com".into()), NameOrigin::HttpHost)
        );
        assert_eq!(http_name(r#""status_code":200"#), (None, NameOrigin::HttpHost));
    }

    #[test]
    fn long_requests_are_cut_between_characters() {
        assert_eq!(request_text(("GET", "/a")), "GET /a");
        let text = request_text(("GET", &"ä".repeat(REQUEST_BYTES_MAX)));
        assert_eq!(text.len(), REQUEST_BYTES_MAX);
        let text = request_text(("GETS", &"ä".repeat(REQUEST_BYTES_MAX)));
        assert_eq!(text.len(), REQUEST_BYTES_MAX - 1);
    }

    fn answer(rest: &str) -> Result<Option<Answered>, Reason> {
        let line = format!("{{{ENDS},{rest}}}");
        answered(&serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn aliases_are_passed_over_but_shorten_the_time_to_live() {
        let row = r#""answers":["a.example","192.0.2.7","2001:db8::7"],"rtt":0.25,
            "TTLs":[20.0,300.0,300.0]"#;
        let answered = answer(row).unwrap().unwrap();
        assert_eq!(answered.ttl_seconds, 20);
        assert_eq!(answered.addresses.len(), 2);
        assert_eq!(answered.at, Instant(1_517_336_042_750_000));
    }

    #[test]
    fn no_address_or_no_time_to_live_is_no_answer() {
        assert_eq!(answer(r#""answers":["a.example"],"TTLs":[20.0]"#), Ok(None));
        assert_eq!(answer(r#""answers":["192.0.2.7"]"#), Ok(None));
        assert_eq!(
            answer(r#""answers":["192.0.2.7"],"TTLs":[-1]"#),
            Err(Reason::Value)
        );
    }
}
