//! The query logs of DNS servers: BIND, Unbound, dnsmasq and `CoreDNS`, alone or with what else
//! a syslog holds.
//!
//! ```text
//! line ─► when (the time it begins with) ─► line (whose it is, and what it says)
//!                                              └─► pairs ─► look_up ─► Flow or Resolution
//! ```
//!
//! **Invariant:** every line is a look-up, or one [`Loss`](tidegauge_model::Loss), or is known
//! to tell of none. A name is believed only where the server writes it: clients choose names,
//! and some servers write them as they come, with blanks and all.
//!
//! What is left out: the answers of dnsmasq, which tell no time to live, so that no name can
//! be learnt from them; a zone for times without one, which are taken for UTC.

mod line;
mod when;

use std::io::{self, BufRead};
use std::sync::Arc;

use tidegauge_model::vantage::Clients;
use tidegauge_model::{Address, Instant, NameOrigin, Reason, ServerName};

use self::line::{Half, Said};
use super::look_up::LookUp;
use super::pairs::Pairs;
use crate::{Sink, lines, stamp};

/// What the two lines of one look-up have in common, where a server writes two.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    client: Address,
    host: Arc<str>,
    record_type: String,
}

/// Whether one of the first lines is of a server whose logs are read here.
pub(crate) fn recognise(head: &[u8]) -> bool {
    head.split(|b| *b == b'\n').any(|line| {
        let Ok(line) = std::str::from_utf8(line) else { return false };
        // When it is read does not matter here: any time will do.
        let (when, rest) = when::split(line.trim_ascii(), Instant(i64::MAX));
        let question = matches!(line::read(rest), Ok(Said::Question(_)));
        question || (when.is_some() && line::is_of_server(rest))
    })
}

/// Reads the look-ups of a log.
pub(crate) fn read(
    input: &mut dyn BufRead,
    clients: Clients,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut pairs = Pairs::new();
    lines::records(input, sink, &mut |line, sink| {
        let (when, rest) = when::split(line, latest);
        let Said::Question(question) = line::read(rest)? else { return Ok(None) };
        let at = when.ok_or(Reason::Time)?;
        stamp::believable(at, latest)?;
        let name = ServerName::new(question.host, NameOrigin::DnsQuestion);
        let Some(name) = name.filter(|_| question.is_internet) else {
            return Ok(Some(at));
        };
        let is_first = question.half == Half::Both || {
            let key = Key {
                client: question.client,
                host: Arc::clone(&name.host),
                record_type: question.record_type.to_owned(),
            };
            pairs.is_first(key, question.half == Half::Answer, at)
        };
        if is_first {
            let look_up = LookUp {
                client: (clients == Clients::Hosts).then_some(question.client),
                client_port: question.client_port,
                server: question.server,
                server_port: None,
                protocol: question.protocol,
                at,
                network: question.network,
                addresses: Vec::new(),
                exporter: None,
            };
            look_up.tell([name], sink);
        }
        Ok(Some(at))
    })
}
