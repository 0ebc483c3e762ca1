//! Zeek logs: `conn`, `open_conn`, `dns`, `ssl` and `http`, as tables or as JSON lines,
//! joined by `uid` ([`crate::join`]).
//!
//! ```text
//! line ─► row ◄── table (by its header) or JSON (by its keys)
//!          ├─ conn, open_conn ─► conn: a flow with its volumes ──┐
//!          └─ dns, ssl, http ──► named: a name, a DNS answer ────┴─► join, by uid
//! ```
//!
//! **Invariant:** every line that is neither blank nor a header gives a record or exactly
//! one [`Loss`].

mod conn;
mod named;
mod row;
mod table;

use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tidegauge_model::{Day, Instant, Loss, Reason};

use crate::Sink;
use crate::join::{Join, key};
use crate::lines::{Line, Lines, behind_remarks};
use crate::object::early_text;
use crate::stamp::believable;
use row::{Column, Row, Values};
use table::{Header, TableRow};

/// Which log of Zeek an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Log {
    /// Connections that ended.
    Conn,
    /// Connections reported while they are open; `conn_long` is the same.
    OpenConn,
    /// DNS transactions.
    Dns,
    /// TLS handshakes.
    Ssl,
    /// HTTP requests.
    Http,
    /// Several logs in one stream, each line telling its own by `_path`, as they are shipped
    /// over a network.
    Mixed,
    /// Any other log: recognised, holds nothing that is read here.
    Other,
    /// Rows of a table whose header is cut off: nobody can tell what they say.
    Headless,
}

impl Log {
    /// The word used in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conn => "zeek_conn",
            Self::OpenConn => "zeek_open_conn",
            Self::Dns => "zeek_dns",
            Self::Ssl => "zeek_ssl",
            Self::Http => "zeek_http",
            Self::Mixed => "zeek_mixed",
            Self::Other => "zeek_other",
            Self::Headless => "zeek_headless",
        }
    }

    /// The log that Zeek calls `path`.
    fn named(path: &str) -> Self {
        match path {
            "conn" => Self::Conn,
            "open_conn" | "conn_long" => Self::OpenConn,
            "dns" => Self::Dns,
            "ssl" | "open_ssl" => Self::Ssl,
            "http" | "open_http" => Self::Http,
            _ => Self::Other,
        }
    }

    /// The pass that reads its rows.
    fn pass(self) -> Pass {
        match self {
            Self::OpenConn | Self::Dns | Self::Ssl | Self::Http => Pass::Names,
            Self::Conn | Self::Mixed | Self::Other | Self::Headless => Pass::Flows,
        }
    }

    /// The log that has these columns, where nothing says its path; `None` if they are
    /// not those of a log of Zeek.
    fn by_columns(has: impl Fn(&str) -> bool) -> Option<Self> {
        let sip = has("call_id") || has("request_from") || has("request_path");
        if has("conn_state") || has("missed_bytes") && has("orig_pkts") {
            Some(Self::Conn)
        } else if has("trans_id") && (has("query") || has("qtype") || has("rejected")) {
            Some(Self::Dns)
        } else if has("request_body_len") && !sip {
            Some(Self::Http)
        } else if has("resumed") && has("established")
            || has("server_name") && (has("cipher") || has("version"))
        {
            Some(Self::Ssl)
        } else {
            let marks = [
                "uid",
                "uids",
                "fuid",
                "id.orig_h",
                "id_orig_h",
                "id",
                "node",
                "peer",
                "host",
                "level",
                "note",
                "operation",
                "mac",
            ];
            // `suricata` and others write such lines too, but with another time.
            let zeek = has("ts") && marks.into_iter().any(&has) && !has("event_type");
            zeek.then_some(Self::Other)
        }
    }
}

/// Recognises a log by the head of its text.
pub(crate) fn recognise(head: &[u8]) -> Option<Log> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut by the end of the head, or a line be damaged.
        Err(error) => std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
    };
    // The text report that ZeekControl files beside the logs.
    if text.trim_start().starts_with(">== Total ===") {
        return Some(Log::Other);
    }
    let mut header = Header::absent();
    let mut headed = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with('#') {
            header.read(line);
            headed |= line.starts_with("#separator ") || line.starts_with("#fields");
            if let Some(log) = header.log() {
                return headed.then_some(log);
            }
        } else if line.starts_with('{')
            && let Some((log, by_path)) = recognise_object(line)
        {
            // Other lines may tell another path, further down than can be looked here.
            return Some(if by_path { Log::Mixed } else { log });
        }
    }
    if headed {
        return Some(Log::Other);
    }
    let text = std::str::from_utf8(behind_remarks(text.as_bytes())).ok()?;
    text.lines().next().filter(|line| looks_like_row(line)).map(|_| Log::Headless)
}

/// The log that a line is of, and whether it says so itself.
fn recognise_object(line: &str) -> Option<(Log, bool)> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).ok()?;
    if let Some(path) = object.get("_path").and_then(serde_json::Value::as_str) {
        return Some((Log::named(path), true));
    }
    // `loaded_scripts` has nothing but the names of scripts.
    let script = object.get("name").and_then(serde_json::Value::as_str);
    let script = script.is_some_and(|name| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        object.len() == 1 && matches!(ending, "zeek" | "bro")
    });
    if script {
        return Some((Log::Other, false));
    }
    Log::by_columns(|name| object.contains_key(name)).map(|log| (log, false))
}

/// Whether a line begins as nearly every row of every log does: a time with microseconds
/// and a connection's identifier, between tabs.
fn looks_like_row(line: &str) -> bool {
    let mut values = line.split('\t');
    let time = values.next().and_then(|value| value.split_once('.'));
    let time = time.is_some_and(|(seconds, micros)| {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        seconds.len() >= 9 && micros.len() == 6 && digits(seconds) && digits(micros)
    });
    let uid = values.next().is_some_and(|uid| {
        uid.len() > 10 && uid.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    time && uid && values.next().is_some()
}

/// Which pass of a [`crate::Decoder`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Names,
    Flows,
}

/// The first pass: holds names and connections that are open, and emits the answers of DNS.
pub(crate) fn names(
    log: Log,
    join: &mut Join,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    read((log, Pass::Names), join, input, latest, sink)
}

/// The second pass: emits the flows of connections.
pub(crate) fn flows(
    log: Log,
    join: &mut Join,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    read((log, Pass::Flows), join, input, latest, sink)
}

/// Reads the rows of a log, those of this pass. What cannot be used goes to `sink` as a
/// loss.
fn read(
    (log, pass): (Log, Pass),
    join: &mut Join,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut header = Header::absent();
    let mut day: Option<Day> = None;
    while let Some(line) = lines.next()? {
        let mut rows = Rows { join: &mut *join, latest, sink: &mut *sink };
        let record = match log {
            Log::Mixed => read_mixed(pass, &mut header, &line, &mut rows),
            log => read_line(log, &mut header, &line, &mut rows),
        };
        match record {
            Ok(None) => {}
            Ok(Some(at)) => day = Some(at.day()),
            Err(reason) => sink.loss(Loss {
                line: Some(line.number),
                day,
                ..Loss::at(line.offset, reason)
            }),
        }
    }
    if let Err(reason) = join.settle(sink) {
        // Of the batch, not of a line.
        sink.loss(Loss::at(0, reason));
    }
    Ok(())
}

/// Where rows go.
struct Rows<'r> {
    join: &'r mut Join,
    latest: Instant,
    sink: &'r mut dyn Sink,
}

impl Rows<'_> {
    /// Hands a row to the join; returns the time of the record.
    fn take(&mut self, log: Log, row: &impl Values) -> Result<Instant, Reason> {
        let at = row.value(Column::ts).instant()?;
        believable(at, self.latest)?;
        match log {
            Log::Conn | Log::OpenConn => {
                let uid = key(row.value(Column::uid).needed_text()?);
                let flow = conn::flow(row, at)?;
                match log {
                    Log::Conn => self.join.closed(uid, flow, self.sink)?,
                    _ => self.join.open(uid, flow)?,
                }
                Ok(at)
            }
            Log::Dns | Log::Ssl | Log::Http => {
                let named = named::named(log, row)?;
                let answered =
                    if log == Log::Dns { named::answered(row)? } else { None };
                self.join.hear(&named, answered, self.sink)?;
                Ok(named.at)
            }
            Log::Other | Log::Headless | Log::Mixed => Err(Reason::ColumnMissing),
        }
    }
}

/// Reads a line; `None` if it is blank, a header, or of a log that is not read.
fn read_line(
    log: Log,
    header: &mut Header,
    line: &Line<'_>,
    rows: &mut Rows<'_>,
) -> Result<Option<Instant>, Reason> {
    let is_read = |of: Option<Log>| match of {
        None => Ok(true),
        Some(of) if of == log => Ok(true),
        Some(Log::Other) => Ok(false),
        // A log that is read in another pass, in the middle of this one.
        Some(_) => Err(Reason::Format),
    };
    let text = text(line)?;
    match text.trim_ascii_start().bytes().next() {
        None => Ok(None),
        Some(b'#') => {
            header.read(text.trim_ascii_start());
            Ok(None)
        }
        Some(b'{') => {
            let row: Row<'_> = object(text, line)?;
            let path = row.value(Column::path).text()?.map(Log::named);
            if is_read(path)? { rows.take(log, &row).map(Some) } else { Ok(None) }
        }
        Some(_) => {
            let of = header.log();
            let row = table_row(header, text, line)?;
            if is_read(of)? { rows.take(log, &row).map(Some) } else { Ok(None) }
        }
    }
}

/// Reads a line of a stream of several logs; `None` if it is blank, a header, of the other
/// pass, or of a log that is not read.
fn read_mixed(
    pass: Pass,
    header: &mut Header,
    line: &Line<'_>,
    rows: &mut Rows<'_>,
) -> Result<Option<Instant>, Reason> {
    let text = match text(line) {
        Ok(text) => text,
        // What is of no log is lost once, in the second pass.
        Err(_) if pass == Pass::Names => return Ok(None),
        Err(reason) => return Err(reason),
    };
    let first = text.trim_ascii_start().bytes().next();
    let of = match first {
        None => return Ok(None),
        Some(b'#') => {
            header.read(text.trim_ascii_start());
            return Ok(None);
        }
        Some(b'{') => {
            match early_text(text.as_bytes(), "_path").map(std::str::from_utf8) {
                Some(Ok(path)) => Some(Log::named(path)),
                _ => recognise_object(text).map(|(log, _)| log),
            }
        }
        Some(_) => header.log(),
    };
    if of.map_or(Pass::Flows, Log::pass) != pass {
        return Ok(None);
    }
    match (of, first) {
        (None | Some(Log::Other), Some(b'{')) => {
            object::<IgnoredAny>(text, line)?;
            of.map(|_| None).ok_or(Reason::Format)
        }
        (Some(log), Some(b'{')) => {
            rows.take(log, &object::<Row<'_>>(text, line)?).map(Some)
        }
        (of, _) => {
            let row = table_row(header, text, line)?;
            match of.ok_or(Reason::Format)? {
                Log::Other => Ok(None),
                log => rows.take(log, &row).map(Some),
            }
        }
    }
}

fn text<'a>(line: &Line<'a>) -> Result<&'a str, Reason> {
    let bytes = line.bytes.ok_or(Reason::Limit)?;
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::Syntax)?;
    Ok(text.strip_suffix('\r').unwrap_or(text))
}

fn table_row<'a>(
    header: &'a mut Header,
    text: &'a str,
    line: &Line<'_>,
) -> Result<TableRow<'a>, Reason> {
    header.row(text).map_err(|reason| match reason {
        Reason::ColumnCount if !line.ended => Reason::Truncated,
        reason => reason,
    })
}

fn object<'a, T: Deserialize<'a>>(text: &'a str, line: &Line<'_>) -> Result<T, Reason> {
    serde_json::from_str(text).map_err(|error| syntax(&error, line))
}

fn syntax(error: &serde_json::Error, line: &Line<'_>) -> Reason {
    if error.is_eof() && !line.ended { Reason::Truncated } else { Reason::Syntax }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Option<Log> {
        recognise(text.as_bytes())
    }

    #[test]
    fn tables_are_recognised_by_their_path() {
        let table = |path: &str| {
            log(&format!("#separator \\x09\n#path\t{path}\n#fields\tts\tuid\n"))
        };
        assert_eq!(table("conn"), Some(Log::Conn));
        assert_eq!(table("open_conn"), Some(Log::OpenConn));
        assert_eq!(table("x509"), Some(Log::Other));
        assert_eq!(log("\t#separator \\x09\n#path\tdns\n"), Some(Log::Dns));
        let pathless = "#separator \\x09\n#fields\tts\tuid\tserver_name\tversion\n";
        assert_eq!(log(pathless), Some(Log::Ssl));
    }

    #[test]
    fn objects_are_recognised_by_path_or_keys() {
        assert_eq!(log(r#"{"_path":"http","ts":1}"#), Some(Log::Mixed));
        assert_eq!(log(r#"{"ts":1,"uid":"C","conn_state":"SF"}"#), Some(Log::Conn));
        assert_eq!(
            log(r#"{"ts":1,"uid":"C","resumed":false,"established":false}"#),
            Some(Log::Ssl)
        );
        let sip = r#"{"ts":1,"uid":"C","call_id":"x","uri":"u","request_body_len":0}"#;
        assert_eq!(log(sip), Some(Log::Other));
        assert_eq!(log(r#"{"name":"/usr/share/zeek/a.zeek"}"#), Some(Log::Other));
        // The first line may have lost its beginning or end.
        assert_eq!(log("{\"ts\":1,\n{\"ts\":1,\"uid\":\"C\"}\n"), Some(Log::Other));
    }

    #[test]
    fn what_zeek_does_not_write_is_not_recognised() {
        for text in [
            "",
            "\n",
            "# a comment\n",
            "a,b,c\n1,2,3\n",
            r#"{"timestamp":"2024-01-01T00:00:00Z","event_type":"flow"}"#,
            r#"{"name":"Jane"}"#,
            "[1,2]",
        ] {
            assert_eq!(log(text), None, "{text}");
        }
        assert_eq!(recognise(&[0xff; 64]), None);
    }

    #[test]
    fn rows_without_their_header_are_recognised_as_such() {
        let row = "1517336042.090842\tCi85EB2YjUI9a2eql6\t192.0.2.1\t80\n";
        assert_eq!(log(row), Some(Log::Headless));
        assert_eq!(
            log(&format!("{row}#separator \\x09\n#path\tconn\n")),
            Some(Log::Conn)
        );
    }
}
