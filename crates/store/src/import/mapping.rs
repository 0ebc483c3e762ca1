//! Which column of a foreign table is which field of a flow.
//!
//! **Invariant:** what the mapping does not name is unknown, never zero or guessed.

use std::num::NonZeroU32;

use serde::Deserialize;
use tidegauge_model::NameOrigin;

use crate::error::{Error, Result};

/// A mapping, as read from its file:
///
/// ```toml
/// originator = "src_ip"          # text, u32, or 4 or 16 bytes
/// responder = "dst_ip"
/// originator_port = "src_port"   # ports, volumes and flags may be left out
/// responder_port = "dst_port"
/// protocol = "proto"             # a column of numbers or names, or one number for all
/// start = { column = "first", unit = "ms" }  # s, ms, us or ns since 1970; no unit for
/// end = { column = "last", unit = "ms" }     # timestamps and RFC 3339 text
/// # or: duration = { column = "duration", unit = "s" }
/// bytes_sent = "bytes"
/// packets_sent = "packets"
/// bytes_received = "bytes_back"
/// packets_received = "packets_back"
/// tcp_flags = "flags"
/// sampling = 100                 # a column, or one number for all; 1 if left out
/// server_name = { column = "sni", origin = "tls" }  # tls, http, connect or dns
/// delimiter = ";"                # of CSV; a comma if left out
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    pub(super) originator: String,
    pub(super) responder: String,
    pub(super) originator_port: Option<String>,
    pub(super) responder_port: Option<String>,
    pub(super) protocol: ColumnOr<u8>,
    pub(super) start: Time,
    pub(super) end: Option<Time>,
    pub(super) duration: Option<Time>,
    pub(super) bytes_sent: Option<String>,
    pub(super) packets_sent: Option<String>,
    pub(super) bytes_received: Option<String>,
    pub(super) packets_received: Option<String>,
    pub(super) tcp_flags: Option<String>,
    pub(super) sampling: Option<ColumnOr<NonZeroU32>>,
    pub(super) server_name: Option<Name>,
    pub(super) delimiter: Option<char>,
}

/// A column, or one value for all rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum ColumnOr<T> {
    Value(T),
    Column(String),
}

/// A column of times or durations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    pub(super) column: String,
    pub(super) unit: Option<Unit>,
}

/// What a number of time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    S,
    Ms,
    Us,
    Ns,
}

/// A column of server names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Name {
    pub(super) column: String,
    pub(super) origin: Origin,
}

/// Where the table's maker read the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Origin {
    Tls,
    Http,
    Connect,
    Dns,
}

impl From<Origin> for NameOrigin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Tls => Self::TlsSni,
            Origin::Http => Self::HttpHost,
            Origin::Connect => Self::ConnectTarget,
            Origin::Dns => Self::DnsQuestion,
        }
    }
}

impl Mapping {
    /// Reads a mapping file.
    pub fn read(text: &str) -> Result<Self> {
        let wrong = |reason: String, hint| Error::Mapping { reason, hint };
        let mapping: Self = toml::from_str(text).map_err(|error| {
            wrong(error.to_string(), "see the how-to on importing flows for every key")
        })?;
        if mapping.end.is_some() && mapping.duration.is_some() {
            return Err(wrong(
                "it names both `end` and `duration`".to_owned(),
                "leave out one of them",
            ));
        }
        if mapping.duration.as_ref().is_some_and(|d| d.unit.is_none()) {
            return Err(wrong(
                "`duration` has no unit".to_owned(),
                "add unit = \"s\", \"ms\", \"us\" or \"ns\"",
            ));
        }
        for (bytes, packets, which) in [
            (&mapping.bytes_sent, &mapping.packets_sent, "sent"),
            (&mapping.bytes_received, &mapping.packets_received, "received"),
        ] {
            if bytes.is_some() != packets.is_some() {
                return Err(wrong(
                    format!(
                        "only one of `bytes_{which}` and `packets_{which}` is named"
                    ),
                    "name both or neither: a volume is bytes and packets",
                ));
            }
        }
        if mapping.delimiter.is_some_and(|d| !d.is_ascii()) {
            return Err(wrong("`delimiter` is not ASCII".to_owned(), "use one byte"));
        }
        Ok(mapping)
    }

    /// Every column it names, each once.
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            vec![&self.originator, &self.responder, &self.start.column];
        if let ColumnOr::Column(name) = &self.protocol {
            names.push(name);
        }
        if let Some(ColumnOr::Column(name)) = &self.sampling {
            names.push(name);
        }
        names.extend(
            [&self.end, &self.duration].into_iter().flatten().map(|t| &*t.column),
        );
        names.extend(self.server_name.as_ref().map(|n| &*n.column));
        let plain = [
            &self.originator_port,
            &self.responder_port,
            &self.bytes_sent,
            &self.packets_sent,
            &self.bytes_received,
            &self.packets_received,
            &self.tcp_flags,
        ];
        names.extend(plain.into_iter().flatten().map(String::as_str));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Fails if a column that the mapping names is not among `there`.
    pub(super) fn check(&self, there: &[&str]) -> Result<()> {
        let missing = self.columns().into_iter().find(|name| !there.contains(name));
        missing.map_or(Ok(()), |name| {
            Err(Error::Mapping {
                reason: format!(
                    "the table has no column `{name}`; it has {}",
                    there.join(", ")
                ),
                hint: "name the columns as the table's header spells them",
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "originator = 'a'\nresponder = 'b'\nprotocol = 6\n\
                         start = { column = 't' }\n";

    #[test]
    fn the_least_mapping_names_three_columns() {
        let mapping = Mapping::read(LEAST).unwrap();
        assert_eq!(mapping.columns(), ["a", "b", "t"]);
        assert!(mapping.check(&["a", "b", "t", "u"]).is_ok());
        let error = mapping.check(&["a", "t"]).unwrap_err().to_string();
        assert!(error.contains("no column `b`"), "{error}");
    }

    #[test]
    fn contradictions_are_refused_with_a_hint() {
        for (more, named) in [
            ("end = { column = 'e' }\nduration = { column = 'd', unit = 's' }", "both"),
            ("duration = { column = 'd' }", "no unit"),
            ("bytes_sent = 'x'", "packets_sent"),
            ("delimiter = 'ß'", "ASCII"),
            ("bites_sent = 'x'", "bites_sent"),
        ] {
            let error =
                Mapping::read(&format!("{LEAST}{more}\n")).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("hint:"), "{error}");
        }
    }
}
