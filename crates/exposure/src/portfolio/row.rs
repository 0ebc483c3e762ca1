//! A row of a portfolio as it was typed, and what can be wrong with it.
//!
//! **Invariant:** a row is a [`Subject`] as a whole or not at all.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use tidegauge_model::{Asn, OrgId, Prefix, SiteId};

use super::subject::{Kind, Subject, is_private};

/// Every column that is read.
pub(super) const COLUMNS: [&str; 15] = [
    "id",
    "name",
    "kind",
    "domain",
    "domains",
    "prefixes",
    "except",
    "asn",
    "organisations",
    "sites",
    "cloud_accounts",
    "tags",
    "tier",
    "parent",
    "contact",
];

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The row is not of the file's shape.
    #[error("{0}")]
    Shape(String),
    /// No name.
    #[error("the name is empty")]
    NoName,
    /// Control characters in a name or key.
    #[error("the name or id has control characters")]
    Control,
    /// The key stands earlier too.
    #[error("`{key}` is the key of {first} already; findings are kept by it")]
    SameKey {
        /// The key.
        key: String,
        /// Where it stands first.
        first: u64,
    },
    /// A prefix is wrong.
    #[error("{0}")]
    Prefix(tidegauge_model::address::BadPrefix),
    /// A private prefix without a site.
    #[error("`{0}` is private, so it needs a site in the column `sites`")]
    Private(Prefix),
    /// An AS number is wrong.
    #[error("`{0}` is not an AS number (AS64496 or 64496)")]
    Asn(String),
    /// A tier is wrong.
    #[error("`{0}` is not a tier (1 to 255; 1 matters most)")]
    Tier(String),
    /// A kind is wrong.
    #[error("`{0}` is not a kind (asset or supplier)")]
    Kind(String),
}

/// A row as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Row {
    id: String,
    name: String,
    kind: String,
    #[serde(alias = "domain")]
    domains: Vec<String>,
    prefixes: Vec<String>,
    except: Vec<String>,
    #[serde(deserialize_with = "words")]
    asn: Vec<String>,
    organisations: Vec<String>,
    sites: Vec<String>,
    cloud_accounts: Vec<String>,
    tags: Vec<String>,
    #[serde(deserialize_with = "word")]
    tier: String,
    parent: String,
    contact: String,
}

impl Row {
    /// From the fields of a CSV record.
    pub(super) fn of(headers: &csv::StringRecord, record: &csv::StringRecord) -> Self {
        let mut row = Self::default();
        for (header, field) in headers.iter().zip(record) {
            let one = || field.to_owned();
            match header {
                "id" => row.id = one(),
                "name" => row.name = one(),
                "kind" => row.kind = one(),
                "domain" | "domains" => row.domains.extend(items(field)),
                "prefixes" => row.prefixes = items(field),
                "except" => row.except = items(field),
                "asn" => row.asn = items(field),
                "organisations" => row.organisations = items(field),
                "sites" => row.sites = items(field),
                "cloud_accounts" => row.cloud_accounts = items(field),
                "tags" => row.tags = items(field),
                "tier" => row.tier = one(),
                "parent" => row.parent = one(),
                "contact" => row.contact = one(),
                _ => {}
            }
        }
        row
    }

    /// The row, checked.
    pub(super) fn subject(self) -> Result<Subject, Problem> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(Problem::NoName);
        }
        let key = if self.id.trim().is_empty() { &name } else { self.id.trim() };
        if name.chars().chain(key.chars()).any(char::is_control) {
            return Err(Problem::Control);
        }
        let prefixes = each(&self.prefixes, |p| p.parse().map_err(Problem::Prefix))?;
        let sites = named(&self.sites, SiteId::new);
        let private = |p: &&Prefix| is_private(**p);
        if let (Some(private), true) = (prefixes.iter().find(private), sites.is_empty())
        {
            return Err(Problem::Private(*private));
        }
        let some = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        Ok(Subject {
            key: key.to_owned(),
            kind: kind(&self.kind)?,
            prefixes,
            except: each(&self.except, |p| p.parse().map_err(Problem::Prefix))?,
            asns: each(&self.asn, |a| {
                Asn::from_str(a).map_err(|_| Problem::Asn(a.to_owned()))
            })?,
            organisations: named(&self.organisations, OrgId::new),
            sites,
            tier: tier(&self.tier)?,
            parent: some(&self.parent),
            contact: some(&self.contact),
            domains: self.domains,
            cloud_accounts: self.cloud_accounts,
            tags: self.tags,
            name,
        })
    }
}

fn kind(text: &str) -> Result<Kind, Problem> {
    match text.trim() {
        "" | "supplier" => Ok(Kind::Supplier),
        "asset" => Ok(Kind::Asset),
        other => Err(Problem::Kind(other.to_owned())),
    }
}

fn tier(text: &str) -> Result<Option<u8>, Problem> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(tier) if tier > 0 => Ok(Some(tier)),
            _ => Err(Problem::Tier(text.to_owned())),
        },
    }
}

/// What stands in one field: values between spaces or semicolons.
fn items(text: &str) -> Vec<String> {
    let separated = text.split(|c: char| c == ';' || c.is_whitespace());
    separated.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn each<T>(
    items: &[String],
    read: impl Fn(&str) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    items.iter().map(|item| read(item.trim())).collect()
}

fn named<T>(items: &[String], new: fn(String) -> T) -> Vec<T> {
    let items = items.iter().map(|i| i.trim()).filter(|i| !i.is_empty());
    items.map(|i| new(i.to_owned())).collect()
}

/// A number or text, as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u64),
    Text(String),
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        match word {
            Word::Number(number) => number.to_string(),
            Word::Text(text) => text,
        }
    }
}

fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Word::deserialize(from).map(String::from)
}

fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Vec::<Word>::deserialize(from).map(|w| w.into_iter().map(String::from).collect())
}
