//! Passive DNS in the common output format (draft-dulaunoy-dnsop-passive-dns-cof): JSON, one
//! record set a line.
//!
//! **Invariant:** every line is a resolution, or one loss, or is known to tell of no look-up.
//! Passive DNS has no client: sensors see what resolvers are answered.
//!
//! Known to tell of no look-up are records that were imported from zone files (only
//! `zone_time_first` and `zone_time_last`), those of types that come with referrals without
//! anybody having asked for them, and names that cannot be a host's. `sensor_id`,
//! `bailiwick` and `origin` are not used: the vantage is the user's word.

use std::borrow::Cow;
use std::io::{self, BufRead};
use std::sync::Arc;

use serde::Deserialize;
use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Address, Instant, Reason, Resolution};

use crate::lines;
use crate::{Sink, stamp};

/// Types about zones, sent along with referrals (RFC 1034, 4.3.2) and proofs (RFC 4035, 3.1).
const OF_ZONES: [&str; 9] =
    ["NS", "SOA", "DS", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS"];

/// One record set. Keys that are not here are passed over.
#[derive(Deserialize)]
struct Record<'a> {
    /// The name asked for.
    #[serde(borrow)]
    rrname: Cow<'a, str>,
    /// Its type, by name or number.
    #[serde(borrow)]
    rrtype: Value<'a>,
    /// One value or several; `rrdata` in early drafts and in PDNS-QOF-server.
    #[serde(borrow, alias = "rrdata")]
    rdata: Values<'a>,
    #[serde(borrow, default)]
    time_first: Option<Value<'a>>,
    #[serde(borrow, default)]
    time_last: Option<Value<'a>>,
    #[serde(borrow, default)]
    time_first_ms: Option<Value<'a>>,
    #[serde(borrow, default)]
    time_last_ms: Option<Value<'a>>,
    #[serde(borrow, default)]
    zone_time_first: Option<Value<'a>>,
    #[serde(borrow, default)]
    zone_time_last: Option<Value<'a>>,
    #[serde(borrow, default)]
    count: Option<Value<'a>>,
}

/// A number, or a text that some write in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value<'a> {
    Whole(u64),
    Broken(f64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values<'a> {
    One(#[serde(borrow)] Cow<'a, str>),
    Several(#[serde(borrow)] Vec<Cow<'a, str>>),
}

impl Value<'_> {
    fn whole(&self) -> Result<u64, Reason> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Broken(_) => Err(Reason::Value),
            Self::Text(text) => text.parse().map_err(|_| Reason::Value),
        }
    }

    /// Seconds since 1970, in any of the ways in which they are written.
    fn instant(&self) -> Result<Instant, Reason> {
        let micros = match self {
            Self::Whole(seconds) => seconds.checked_mul(1_000_000),
            Self::Broken(seconds) => Some(stamp::micros_of(*seconds)?),
            Self::Text(text) => match stamp::iso_8601_or_utc(text) {
                Some(at) => return Ok(at),
                None => stamp::decimal_micros(text),
            },
        };
        let micros = micros.ok_or(Reason::Value)?;
        i64::try_from(micros).map(Instant).map_err(|_| Reason::Time)
    }

    /// Milliseconds since 1970.
    fn instant_ms(&self) -> Result<Instant, Reason> {
        let micros = self.whole()?.checked_mul(1_000).ok_or(Reason::Time)?;
        i64::try_from(micros).map(Instant).map_err(|_| Reason::Time)
    }
}

/// Whether one of the first lines is such a record.
pub(crate) fn recognise(head: &[u8]) -> bool {
    let mut lines = head.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.any(|line| serde_json::from_slice::<Record<'_>>(line).is_ok())
}

/// Reads the record sets of a file.
pub(crate) fn read(
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    lines::records(input, sink, &mut |line, sink| {
        let record: Record<'_> = serde_json::from_str(line).map_err(|error| {
            if error.is_data() { Reason::Value } else { Reason::Syntax }
        })?;
        let Some(resolution) = resolution(&record, latest)? else { return Ok(None) };
        let at = resolution.last;
        sink.resolution(resolution);
        Ok(Some(at))
    })
}

fn resolution(
    record: &Record<'_>,
    latest: Instant,
) -> Result<Option<Resolution>, Reason> {
    let Some((first, last)) = times(record)? else { return Ok(None) };
    stamp::believable(first, latest)?;
    stamp::believable(last, latest)?;
    if last < first {
        return Err(Reason::Value);
    }
    let count = record.count.as_ref().map_or(Ok(1), Value::whole)?;
    if count == 0 {
        return Err(Reason::Value);
    }
    let of_zone = match &record.rrtype {
        Value::Text(name) => OF_ZONES.iter().any(|t| t.eq_ignore_ascii_case(name)),
        // The numbers of the same types (IANA, DNS parameters).
        number => matches!(number.whole()?, 2 | 6 | 43 | 46 | 47 | 48 | 50 | 51 | 59),
    };
    let host = canonical_host(&record.rrname).filter(|_| !of_zone);
    let Some(host) = host else { return Ok(None) };
    let addresses = match &record.rdata {
        Values::One(value) => value.parse().into_iter().collect(),
        Values::Several(values) => {
            values.iter().filter_map(|v| v.parse::<Address>().ok()).collect()
        }
    };
    let host = Arc::from(host);
    Ok(Some(Resolution { host, client: None, addresses, first, last, count }))
}

/// When it was seen first and last; nothing if only zone files had it.
fn times(record: &Record<'_>) -> Result<Option<(Instant, Instant)>, Reason> {
    let told = |seconds: &Option<Value<'_>>, millis: &Option<Value<'_>>| {
        let seconds = seconds.as_ref().map(Value::instant);
        seconds.or_else(|| millis.as_ref().map(Value::instant_ms)).transpose()
    };
    let first = told(&record.time_first, &record.time_first_ms)?;
    let last = told(&record.time_last, &record.time_last_ms)?;
    match (first, last) {
        (Some(first), Some(last)) => Ok(Some((first, last))),
        (None, None) => {
            let of_zone =
                record.zone_time_first.is_some() || record.zone_time_last.is_some();
            if of_zone { Ok(None) } else { Err(Reason::Time) }
        }
        _ => Err(Reason::Time),
    }
}
