//! What a line of a query log says, behind its time.
//!
//! **Invariant:** a line that is not wholly in its server's form is an error, if it can be
//! seen to be about a query, or says nothing that is read here.

use tidegauge_model::resolution::client_network;
use tidegauge_model::{Address, Prefix, Protocol, Reason};

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// A client asked.
    Question(Question<'a>),
    /// Anything else.
    Other,
}

/// Who asked what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) client: Address,
    /// 0 if the server does not log it.
    pub(super) client_port: u16,
    pub(super) server: Option<Address>,
    pub(super) host: &'a str,
    pub(super) record_type: &'a str,
    /// Whether the class is IN.
    pub(super) is_internet: bool,
    pub(super) protocol: Protocol,
    pub(super) network: Option<Prefix>,
    pub(super) half: Half,
}

/// Which lines a server writes about a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// This one alone.
    Both,
    /// This one, and maybe one with the answer.
    Question,
    /// This one, and maybe one before it with the question.
    Answer,
}

impl<'a> Question<'a> {
    fn new(client: Address, host: &'a str, record_type: &'a str, class: &str) -> Self {
        Self {
            client,
            client_port: 0,
            server: None,
            host,
            record_type,
            is_internet: class == "IN",
            protocol: Protocol::UDP,
            network: None,
            half: Half::Both,
        }
    }
}

/// Whether a line is of a server whose logs are read here, by its tag.
pub(super) fn is_of_server(rest: &str) -> bool {
    let tags = ["named[", "unbound[", "unbound: [", "dnsmasq["];
    // The tag comes first, or behind the name of the machine.
    let behind_host = rest.split_once(' ').map_or("", |(_, behind)| behind);
    tags.iter().any(|tag| rest.starts_with(tag) || behind_host.starts_with(tag))
}

/// Reads a line without its time.
pub(super) fn read(rest: &str) -> Result<Said<'_>, Reason> {
    let servers = [bind, unbound, dnsmasq, coredns];
    for server in servers {
        if let Some(question) = server(rest)? {
            return Ok(Said::Question(question));
        }
    }
    Ok(Said::Other)
}

type Read<'a> = Result<Option<Question<'a>>, Reason>;

/// BIND (`log_query` of `bin/named/query.c`, `ns_client_log` of `client.c`):
///
/// ```text
/// [category: severity: ]client [@0x…] ADDR#PORT[/key NAME] (NAME)[: view V]:
///     query: NAME CLASS TYPE ±flags (SERVER)[ [ECS ADDR/SOURCE/SCOPE]]
/// ```
///
/// Names are escaped, so that none has a blank (RFC 1035, 5.1).
fn bind(rest: &str) -> Read<'_> {
    let Some((head, tail)) = rest.split_once(": query: ") else { return Ok(None) };
    let mut clients = head.match_indices("client ");
    let client = clients.find_map(|(at, word)| {
        let (before, behind) = head.split_at_checked(at)?;
        is_preamble(before).then_some(())?;
        bind_client(behind.strip_prefix(word)?)
    });
    let Some((client, client_port)) = client else {
        let bind = head.contains("client ");
        return if bind { Err(Reason::Value) } else { Ok(None) };
    };
    let mut words = tail.split(' ');
    let mut word = || words.next().filter(|word| !word.is_empty()).ok_or(Reason::Value);
    let (host, class, record_type, flags) = (word()?, word()?, word()?, word()?);
    let mut question = Question::new(client, host, record_type, class);
    question.client_port = client_port;
    // `T`: over TCP. The others are +-, S, E(version), D, C, V, K.
    if flags.contains('T') {
        question.protocol = Protocol::TCP;
    }
    if let Some(server) = words.next() {
        let server = server.strip_prefix('(').and_then(|s| s.strip_suffix(')'));
        question.server = Some(parsed(server)?);
    }
    question.network = match (words.next(), words.next()) {
        (Some("[ECS"), subnet) => {
            let subnet =
                subnet.and_then(|s| s.strip_suffix(']')).ok_or(Reason::Value)?;
            let mut parts = subnet.split('/');
            let (address, bits) = (parsed(parts.next())?, parsed(parts.next())?);
            client_network(address, bits)
        }
        _ => None,
    };
    Ok(Some(question))
}

/// `@0x7fba2d61b098 127.0.0.1#59877…`
fn bind_client(text: &str) -> Option<(Address, u16)> {
    let mut words = text.split(' ');
    let mut word = words.next()?;
    if word.starts_with('@') {
        word = words.next()?;
    }
    let (address, behind) = word.split_once('#')?;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((address.parse().ok()?, digits.parse().ok()?))
}

/// Unbound (`log_query_in` of `services/listen_dnsport.c`, `log_reply_info` of `util/net_help.c`):
///
/// ```text
/// unbound[PID:THREAD] info: ADDR NAME TYPE CLASS
/// unbound[PID:THREAD] info: ADDR NAME TYPE CLASS RCODE SECONDS CACHED SIZE …
/// ```
///
/// With `log-tag-queryreply`, `query` and `reply` stand in the place of `info`. Bytes that
/// are no letters, digits, `-`, `_` or `*` are written as `?`.
fn unbound(rest: &str) -> Read<'_> {
    let Some((kind, body)) = unbound_body(rest) else { return Ok(None) };
    let mut words = body.split(' ');
    let client = words.next().and_then(|word| word.parse::<Address>().ok());
    let client = match (kind, client) {
        ("info", None) => return Ok(None),
        (_, client) => client.ok_or(Reason::Value)?,
    };
    let mut word = || words.next().ok_or(Reason::Value);
    let (host, record_type, class) = (word()?, word()?, word()?);
    if !host.ends_with('.') {
        return Err(Reason::Value);
    }
    let mut question = Question::new(client, host, record_type, class);
    let answered = words.next().is_some();
    if answered && words.next().is_none() {
        return Err(Reason::Value);
    }
    question.half = if answered { Half::Answer } else { Half::Question };
    Ok(Some(question))
}

/// The kind of a line that has the mark of a thread, and what it says.
fn unbound_body(rest: &str) -> Option<(&str, &str)> {
    let mark_at = rest.find("] ")?;
    let (head, body) = rest.split_at_checked(mark_at)?;
    // Through syslog: `unbound: [123:0] info: …`, `unbound[123]: [123:0] info: …`.
    let (before, mark) = head.rsplit_once('[')?;
    let body = body.strip_prefix("] ")?;
    let (process, thread) = mark.split_once(':')?;
    let hex =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (kind, body) = body.split_once(": ")?;
    let read = matches!(kind, "info" | "query" | "reply");
    (is_preamble(before) && hex(process) && hex(thread) && read).then_some((kind, body))
}

/// dnsmasq (`log_query` of `src/cache.c`); with `log-queries=extra`, the number of the query
/// and its client stand first:
///
/// ```text
/// dnsmasq[PID]: [SERIAL ADDR/PORT ]query[TYPE] NAME from ADDR
/// ```
///
/// `auth` stands in the place of `query` where dnsmasq is authoritative. Names are written
/// as they come: they may have blanks, but no line but a query's begins as one.
fn dnsmasq(rest: &str) -> Read<'_> {
    let Some((before, behind)) = rest.split_once("dnsmasq[") else { return Ok(None) };
    if !is_preamble(before) {
        return Ok(None);
    }
    let Some((_, body)) = behind.split_once("]: ") else { return Ok(None) };
    let (body, port) =
        dnsmasq_extra(body).map_or((body, 0), |(port, rest)| (rest, port));
    let asked = body.strip_prefix("query[").or_else(|| body.strip_prefix("auth["));
    let Some(asked) = asked else { return Ok(None) };
    let (record_type, asked) = asked.split_once("] ").ok_or(Reason::Value)?;
    let (host, client) = asked.rsplit_once(" from ").ok_or(Reason::Value)?;
    let mut question = Question::new(parsed(Some(client))?, host, record_type, "IN");
    question.client_port = port;
    Ok(Some(question))
}

/// `7 192.0.2.1/44812 `: the port, and what comes behind.
fn dnsmasq_extra(body: &str) -> Option<(u16, &str)> {
    let (serial, rest) = body.split_once(' ')?;
    let (client, rest) = rest.split_once(' ')?;
    let (_, port) = client.rsplit_once('/')?;
    serial.bytes().all(|b| b.is_ascii_digit()).then_some((port.parse().ok()?, rest))
}

/// `CoreDNS` (plugin `log`, the common format):
///
/// ```text
/// [INFO] ADDR:PORT - ID "TYPE CLASS NAME PROTO SIZE DO BUFSIZE" RCODE FLAGS SIZE DURATION
/// ```
fn coredns(rest: &str) -> Read<'_> {
    let Some((before, body)) = rest.split_once("[INFO] ") else { return Ok(None) };
    if !is_preamble(before) {
        return Ok(None);
    }
    let Some((head, asked)) = body.split_once(" \"") else { return Ok(None) };
    let Some((client, _id)) = head.split_once(" - ") else { return Ok(None) };
    let Ok(client) = client.parse::<std::net::SocketAddr>() else { return Ok(None) };
    let mut words = asked.split(' ');
    let mut word = || words.next().ok_or(Reason::Value);
    let (record_type, class, host) = (word()?, word()?, word()?);
    let mut question = Question::new(client.ip().into(), host, record_type, class);
    question.client_port = client.port();
    question.protocol = match word()? {
        "udp" => Protocol::UDP,
        "tcp" => Protocol::TCP,
        _ => return Err(Reason::Value),
    };
    Ok(Some(question))
}

/// Whether nothing stands before a server's own words but what loggers put there: a machine
/// and a program, numbers, dashes, and tags that end in a colon. Other programs log what
/// strangers say to them, which can look like a query.
fn is_preamble(text: &str) -> bool {
    text.split_ascii_whitespace().skip(2).all(|word| {
        word == "-" || word.ends_with(':') || word.bytes().all(|b| b.is_ascii_digit())
    })
}

fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Result<T, Reason> {
    text.and_then(|text| text.parse().ok()).ok_or(Reason::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(line: &str) -> Question<'_> {
        match read(line) {
            Ok(Said::Question(question)) => question,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// Forms of BIND from 9.7 to 9.20, from the reference manual of each and from what it
    /// wrote here.
    #[test]
    fn bind_has_changed_its_form() {
        for line in [
            "client 192.0.2.1#53: query: upd.example.com IN A + (192.0.2.53)",
            "client 192.0.2.1#53 (upd.example.com): query: upd.example.com IN A +",
            "queries: info: client @0x7f 192.0.2.1#53 (upd.example.com): query: \
             upd.example.com IN A -E(0)DC (192.0.2.53)",
            "client named[12]: client @0x7f 192.0.2.1#53/key k (upd.example.com): \
             view v: query: upd.example.com IN A +SE(0)V (192.0.2.53)",
            "host named 12 - - client @0x7f 192.0.2.1#53 (upd.example.com): query: \
             upd.example.com IN A + (192.0.2.53)",
        ] {
            let question = question(line);
            assert_eq!(question.client.to_string(), "192.0.2.1", "{line}");
            assert_eq!((question.client_port, question.host), (53, "upd.example.com"));
            assert_eq!((question.record_type, question.protocol), ("A", Protocol::UDP));
            assert!(question.is_internet && question.half == Half::Both);
        }
        let line = "client @0x7f 2001:db8::1#40000 (a.example): query: a.example IN AAAA \
                    +E(0)TK (2001:db8::53) [ECS 2001:db8:1:2::/64/0]";
        let full = question(line);
        assert_eq!(full.client.to_string(), "2001:db8::1");
        assert_eq!(full.server.unwrap().to_string(), "2001:db8::53");
        assert_eq!(full.network.unwrap().to_string(), "2001:db8:1::/56");
        assert_eq!(full.protocol, Protocol::TCP);
    }

    #[test]
    fn lines_about_other_things_are_no_queries() {
        for line in [
            "client @0x7f 192.0.2.1#53 (a): query (cache) 'a/A/IN' denied",
            "queries: info: client @0x7f 192.0.2.1#53 (a): response: a IN A NOERROR",
            "unbound[1:0] info: start of service (unbound 1.17.1).",
            "unbound[1:0] notice: init module 0: subnetcache",
            "unbound[1:0] info: 192.0.2.1-is-no-address a. A IN",
            "dnsmasq[1]: forwarded a to 192.0.2.1#53",
            "dnsmasq[1]: dnssec-query[DS] a to 192.0.2.1",
            "dnsmasq-dhcp[1]: DHCPACK(eth0) 192.0.2.1",
            "[INFO] plugin/reload: Running configuration MD5 = 1",
            "",
        ] {
            assert_eq!(read(line), Ok(Said::Other), "{line}");
        }
    }

    /// dnsmasq writes names as clients choose them, and so do other programs.
    #[test]
    fn a_name_cannot_pass_for_a_line() {
        let forged = "dnsmasq[1]: query[A] x query[A] upd.example.com from 10.0.0.9 \
                      from 192.0.2.1";
        let question = question(forged);
        assert_eq!(question.client.to_string(), "192.0.2.1");
        assert_eq!(question.host, "x query[A] upd.example.com from 10.0.0.9");
        for line in [
            "dnsmasq[1]: reply x query[A] upd.example.com from 10.0.0.9 is NXDOMAIN",
            "dnsmasq[1]: config dnsmasq[1]: query[A] a from 10.0.0.9 is <CNAME>",
            "host sshd[1]: Invalid user dnsmasq[1]: query[A] a.example from 10.0.0.9",
            "host sshd[1]: Invalid user unbound[1:0] info: 10.0.0.9 a.example. A IN",
        ] {
            assert_eq!(read(line), Ok(Said::Other), "{line}");
        }
        let bind =
            "host sshd[1]: Invalid user client 10.0.0.9#1: query: a.example IN A +";
        assert_eq!(read(bind), Err(Reason::Value));
    }

    #[test]
    fn half_a_line_is_an_error() {
        for line in [
            "client @0x7f 192.0.2.1#53 (a): query: a IN",
            "client @0x7f 192.0.2.1#53 (a): query: a IN A + (",
            "client @0x7f 192.0.2.1#53 (a): query: a IN A + (192.0.2.53) [ECS 1",
            "client @0x7f 192.0.2 (a): query: a IN A +",
            "unbound[1:0] info: 192.0.2.1 upd.exam",
            "unbound[1:0] info: 192.0.2.1 upd.example. A IN NOERROR",
            "unbound[1:0] query: 192.0.2",
            "dnsmasq[1]: query[A] upd.exam",
            "dnsmasq[1]: query[A] upd.example from 192.0",
            "dnsmasq[1]: query[",
            "[INFO] 192.0.2.1:53 - 1 \"A IN",
        ] {
            assert_eq!(read(line), Err(Reason::Value), "{line}");
        }
    }

    /// The example of the documentation of the plugin `log`.
    #[test]
    fn coredns_writes_one_line_a_query() {
        let line = "[INFO] [::1]:50759 - 29008 \"A IN example.org. udp 41 false 4096\" \
                    NOERROR qr,rd,ra,ad 68 0.037990251s";
        let question = question(line);
        assert_eq!(
            (question.client.to_string().as_str(), question.client_port),
            ("::1", 50759)
        );
        assert_eq!((question.host, question.record_type), ("example.org.", "A"));
        let pod =
            "stdout F [INFO] 10.244.0.4:1 - 2 \"AAAA IN a. tcp 1 false 1\" NOERROR";
        assert!(
            matches!(read(pod), Ok(Said::Question(q)) if q.protocol == Protocol::TCP)
        );
    }
}
