//! Rows of `dns`, `ssl` and `http`: the name by which the originator asked for the
//! server, and what DNS answered.
//!
//! **Invariant:** a name that cannot be a host name is no name; the row still shows that
//! two ends spoke.

use tidegauge_model::{Instant, NameOrigin, Protocol, Reason};

use super::Log;
use super::conn;
use super::row::{Column, Values};
use crate::join::{Answered, Named, key, requested};

/// Reads a row of `log`, which is one of `dns`, `ssl` and `http`.
pub(super) fn named(log: Log, row: &impl Values) -> Result<Named<'_>, Reason> {
    let key = key(row.value(Column::uid).needed_text()?);
    let at = row.value(Column::ts).instant()?;
    let (protocol, host, origin, request) = match log {
        Log::Dns => {
            (None, row.value(Column::query).text()?, NameOrigin::DnsQuestion, None)
        }
        Log::Ssl => {
            let datagrams = row
                .value(Column::version)
                .text()?
                .is_some_and(|v| v.starts_with("DTLS"));
            let protocol = if datagrams { Protocol::UDP } else { Protocol::TCP };
            (
                Some(protocol),
                row.value(Column::server_name).text()?,
                NameOrigin::TlsSni,
                None,
            )
        }
        _ => {
            let (host, origin, request) = http(row)?;
            (Some(Protocol::TCP), host, origin, request)
        }
    };
    let ends = conn::ends(row, protocol)?;
    Ok(Named { key, ends, at, host, origin, request })
}

type HttpName<'a> = (Option<&'a str>, NameOrigin, Option<(&'a str, &'a str)>);

fn http(row: &impl Values) -> Result<HttpName<'_>, Reason> {
    let (method, uri) =
        (row.value(Column::method).text()?, row.value(Column::uri).text()?);
    let (host, origin) = requested(method, uri, row.value(Column::host).text()?);
    Ok((host, origin, method.zip(uri)))
}

/// The addresses that a row of `dns` says were answered, and for how long they hold.
/// `None` if no address is among the answers (names in between, `CNAME`, are passed over)
/// or the row tells no time to live.
pub(super) fn answered(row: &impl Values) -> Result<Option<Answered>, Reason> {
    let mut addresses = Vec::new();
    for answer in row.value(Column::answers).list()? {
        if let Ok(Some(text)) = answer.text()
            && let Ok(address) = text.parse()
        {
            addresses.push(address);
        }
    }
    let mut ttl_seconds: Option<u32> = None;
    for ttl in row.value(Column::ttls).list()? {
        if let Some(micros) = ttl.micros()? {
            let seconds = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
            ttl_seconds = Some(ttl_seconds.map_or(seconds, |least| least.min(seconds)));
        }
    }
    let after = i64::try_from(row.value(Column::rtt).micros()?.unwrap_or(0))
        .map_err(|_| Reason::Value)?;
    // The question's time and the round trip.
    let at = Instant(row.value(Column::ts).instant()?.0.saturating_add(after));
    Ok(ttl_seconds.filter(|_| !addresses.is_empty()).map(|ttl_seconds| Answered {
        addresses,
        ttl_seconds,
        at,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::row::Row;
    use super::*;

    const ENDS: &str = r#""ts":1517336042.5,"uid":"C1","id.orig_h":"10.0.0.1",
        "id.orig_p":8080,"id.resp_h":"192.0.2.1","id.resp_p":3128"#;

    fn answer(rest: &str) -> Result<Option<Answered>, Reason> {
        let line = format!("{{{ENDS},{rest}}}");
        answered(&serde_json::from_str::<Row<'_>>(&line).unwrap())
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
