//! Loaders: one registry table in, observations and losses out.
//!
//! ```text
//! rows ─► ip2asn, as_names, tags, holders, delegated, pfx2as, as2org, cloud (lists),
//!         asdb, domains (of governments), scanners
//! objects ─► rpsl
//! json ─► cloud (documents), peeringdb, domains (of universities)
//! tree ─► mmdb
//! records ─► mrt
//! ```
//!
//! **Invariant:** each row becomes one observation or more, or one loss, or is known to say
//! nothing (a comment, a heading, space that nobody holds), or was put together with
//! another for the same range. Nothing is interpreted: overlaps, repeats and
//! contradictions pass, and are settled when the atlas is built.

mod as2org;
mod as_names;
mod asdb;
mod cloud;
mod columns;
mod delegated;
mod domains;
mod holders;
mod ip2asn;
mod json;
mod mmdb;
mod mrt;
mod peeringdb;
mod pfx2as;
mod rpsl;
mod tags;

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::str::FromStr;

use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Asn, Day, Loss, Observation, Prefix, Reason, SourceId};

pub use cloud::Cloud;
use columns::Columns;
pub(super) use domains::domain;
pub use mmdb::Mapping;
pub(super) use peeringdb::REGISTRY as PEERINGDB;

use super::AtlasError;
use super::row::{Next, Row, Rows};

/// The shape of a table: `docs/reference/sources.md` tells what is read of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `first,last,asn,name`, no header: the tables of the ip-location-db project.
    Ip2Asn,
    /// The tables of iptoasn.com, with tabs.
    IpToAsn,
    /// `first,last,country`, no header.
    Ip2Country,
    /// A header with `asn` and `name`, and perhaps `class`, `cc` and `source`.
    AsNames,
    /// `AS64496,name`, no header.
    AsTags {
        /// What it means to be in the list: `gov`.
        tag: String,
    },
    /// A prefix a line, no header.
    RangeTags {
        /// What it means to be in the list: `vpn`.
        tag: String,
    },
    /// The user's own table of holders: `sectors/README.md` lists its columns.
    Holders,
    /// What the regional registries gave to whom: `delegated-*-extended`.
    Delegated,
    /// Prefixes with their origin AS, as CAIDA makes them.
    Pfx2As,
    /// AS and their organisations, as CAIDA makes them.
    As2Org,
    /// A dump of a registry's database.
    Rpsl,
    /// A route collector's dump of its table.
    Mrt,
    /// A dump of `PeeringDB`, where networks describe themselves.
    PeeringDb,
    /// What AS do, as `ASdb` classifies them.
    AsDb,
    /// All domains below `.gov`, as their registry lists them.
    GovDomains,
    /// Universities and their domains, as JSON.
    Universities,
    /// `example.org`, a domain a line.
    DomainTags {
        /// What it means to be in the list: `gov`.
        tag: String,
    },
    /// Ranges from which the internet is scanned for research, under a header.
    Scanners,
    /// An MMDB file.
    Mmdb(Mapping),
    /// The ranges that a large provider publishes.
    Cloud(Cloud),
    /// The ranges that any other provider publishes, a prefix a line.
    Provider {
        /// Who.
        name: String,
    },
}

impl SourceKind {
    /// The words of all kinds, for messages.
    pub const WORDS: &str = "ip2asn, iptoasn, ip2country, as-names, as-tag:TAG (such as \
        as-tag:gov), range-tag:TAG, domain-tag:TAG, holders, delegated, rpsl, pfx2as, \
        mrt, as2org, peeringdb, asdb, gov-domains, universities, scanners, cloud:aws, \
        cloud:google, cloud:azure, cloud:oracle, cloud:fastly, cloud:cloudflare, \
        provider:NAME, mmdb, mmdb:asn=PATH,name=PATH,country=PATH,TAG=PATH";
}

impl FromStr for SourceKind {
    type Err = AtlasError;

    fn from_str(text: &str) -> Result<Self, AtlasError> {
        let (word, rest) = match text.split_once(':') {
            Some((word, rest)) => {
                (word, Some(rest.to_owned()).filter(|r| !r.is_empty()))
            }
            None => (text, Some(String::new())),
        };
        let plain = word == text;
        let unknown = || AtlasError::Kind { word: text.to_owned() };
        let rest = rest.ok_or_else(unknown)?;
        Ok(match word {
            "ip2asn" if plain => Self::Ip2Asn,
            "iptoasn" if plain => Self::IpToAsn,
            "ip2country" if plain => Self::Ip2Country,
            "as-names" if plain => Self::AsNames,
            "holders" if plain => Self::Holders,
            "delegated" if plain => Self::Delegated,
            "pfx2as" if plain => Self::Pfx2As,
            "as2org" if plain => Self::As2Org,
            "rpsl" if plain => Self::Rpsl,
            "mrt" if plain => Self::Mrt,
            "peeringdb" if plain => Self::PeeringDb,
            "asdb" if plain => Self::AsDb,
            "gov-domains" if plain => Self::GovDomains,
            "universities" if plain => Self::Universities,
            "scanners" if plain => Self::Scanners,
            "domain-tag" if !plain => Self::DomainTags { tag: rest },
            "mmdb" => Self::Mmdb(rest.parse().map_err(|()| unknown())?),
            "as-tag" if !plain => Self::AsTags { tag: rest },
            "range-tag" if !plain => Self::RangeTags { tag: rest },
            "provider" if !plain => Self::Provider { name: rest },
            "cloud" if !plain => Self::Cloud(rest.parse().map_err(|()| unknown())?),
            _ => return Err(unknown()),
        })
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |word: &str, rest: &dyn fmt::Display| format!("{word}:{rest}");
        f.pad(&match self {
            Self::Ip2Asn => "ip2asn".to_owned(),
            Self::IpToAsn => "iptoasn".to_owned(),
            Self::Ip2Country => "ip2country".to_owned(),
            Self::AsNames => "as-names".to_owned(),
            Self::Holders => "holders".to_owned(),
            Self::Delegated => "delegated".to_owned(),
            Self::Pfx2As => "pfx2as".to_owned(),
            Self::As2Org => "as2org".to_owned(),
            Self::Rpsl => "rpsl".to_owned(),
            Self::Mrt => "mrt".to_owned(),
            Self::PeeringDb => "peeringdb".to_owned(),
            Self::AsDb => "asdb".to_owned(),
            Self::GovDomains => "gov-domains".to_owned(),
            Self::Universities => "universities".to_owned(),
            Self::Scanners => "scanners".to_owned(),
            Self::DomainTags { tag } => of("domain-tag", tag),
            Self::AsTags { tag } => of("as-tag", tag),
            Self::RangeTags { tag } => of("range-tag", tag),
            Self::Provider { name } => of("provider", name),
            Self::Cloud(cloud) => of("cloud", cloud),
            Self::Mmdb(mapping) => of("mmdb", mapping).trim_end_matches(':').to_owned(),
        })
    }
}

/// Rows of a table, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Observations given to `each`.
    pub observations: u64,
    /// Rows given to `loss`.
    pub lost: u64,
    /// Rows that say nothing: comments, headings, space that nobody holds.
    pub passed: u64,
    /// Rows put together with another for the same range.
    pub merged: u64,
    /// Objects of a registry that stand for what another gave away.
    pub placeholders: u64,
}

/// Reads a whole table (decompressed) and hands over its observations and losses.
///
/// Fails where the input cannot be read to its end or its header lacks a column: half a
/// table would say of the other half that nobody holds it, so the caller must then
/// discard what it was given.
pub fn load(
    kind: &SourceKind,
    source: &SourceId,
    snapshot: Day,
    input: impl BufRead,
    mut each: impl FnMut(Observation),
    mut loss: impl FnMut(Loss),
) -> Result<Loaded, AtlasError> {
    let mut out = Out {
        source,
        snapshot,
        each: &mut each,
        loss: &mut loss,
        loaded: Loaded::default(),
        here: (0, None),
    };
    let out = &mut out;
    match kind {
        SourceKind::Ip2Asn => one_each(input, out, ip2asn::origin)?,
        SourceKind::IpToAsn => one_each(input, out, ip2asn::iptoasn)?,
        SourceKind::Ip2Country => one_each(input, out, ip2asn::country)?,
        SourceKind::AsNames => named(input, out, as_names::NEEDED, |columns, row| {
            as_names::name(columns, row).map(|said| [said])
        })?,
        SourceKind::Holders => named(input, out, holders::NEEDED, |columns, row| {
            holders::holder(columns, row).map(|said| [said])
        })?,
        SourceKind::AsDb => named(input, out, asdb::NEEDED, asdb::categories)?,
        SourceKind::GovDomains => named(input, out, domains::NEEDED, domains::gov)?,
        SourceKind::Universities => domains::universities(input, out)?,
        SourceKind::DomainTags { tag } => {
            at_most_one(input, out, |row| tags::of_domain(tag, row))?;
        }
        SourceKind::Scanners => {
            named(input, out, tags::SCANNERS_NEEDED, tags::scanner)?;
        }
        SourceKind::Rpsl => rpsl::file(input, out)?,
        SourceKind::Mrt => mrt::file(input, out)?,
        SourceKind::PeeringDb => peeringdb::document(input, out)?,
        SourceKind::AsTags { tag } => {
            at_most_one(input, out, |row| tags::of_as(tag, row))?;
        }
        SourceKind::RangeTags { tag } => {
            at_most_one(input, out, |row| tags::of_range(tag, row))?;
        }
        SourceKind::Delegated => {
            let mut delegated = delegated::Delegated::default();
            rows(Rows::new(input), out, &mut |row, out| Ok(delegated.row(row, out)))?;
            delegated.end(out);
        }
        SourceKind::Pfx2As => at_most_one(input, out, pfx2as::origin)?,
        SourceKind::As2Org => {
            let mut as2org = as2org::As2Org::default();
            at_most_one(input, out, |row| as2org.row(row))?;
        }
        SourceKind::Cloud(Cloud::Cloudflare) => at_most_one(input, out, |row| {
            cloud::line("cloudflare", Some(Cloud::Cloudflare), row)
        })?,
        SourceKind::Cloud(cloud) => cloud::document(*cloud, input, out)?,
        SourceKind::Mmdb(mapping) => mmdb::file(mapping, input, out)?,
        SourceKind::Provider { name } => {
            at_most_one(input, out, |row| cloud::line(name, None, row))?;
        }
    }
    Ok(out.loaded)
}

/// Where observations and losses go, and how many there were.
struct Out<'a> {
    source: &'a SourceId,
    snapshot: Day,
    each: &'a mut dyn FnMut(Observation),
    loss: &'a mut dyn FnMut(Loss),
    loaded: Loaded,
    /// Byte offset and line of the row that is being read.
    here: (u64, Option<u64>),
}

impl Out<'_> {
    /// Hands over what a row says.
    fn say(&mut self, said: Said) {
        self.loaded.observations += 1;
        (self.each)(said.at(self.source.clone(), self.snapshot));
    }

    /// Hands over a loss.
    fn lose(&mut self, mut loss: Loss) {
        self.loaded.lost = self.loaded.lost.saturating_add(loss.count);
        loss.day = Some(self.snapshot);
        (self.loss)(loss);
    }

    /// The row that is being read is lost, or `count` parts of it are.
    fn lose_here(&mut self, reason: Reason, count: u64) {
        let (offset, line) = self.here;
        self.lose(Loss { line, count, ..Loss::at(offset, reason) });
    }

    /// Runs `read` on the row at `here`: it says something, nothing, or is lost.
    fn take(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Reason>) {
        let before = self.loaded;
        match read(self) {
            Ok(()) if self.loaded == before => self.loaded.passed += 1,
            Ok(()) => {}
            Err(reason) => self.lose_here(reason, 1),
        }
    }
}

/// Makes something of a row: the inner error is its loss, the outer ends the table.
type ReadRow<'r> =
    dyn FnMut(&Row, &mut Out<'_>) -> Result<Result<(), Reason>, AtlasError> + 'r;

/// Makes something of each row. What is wrong with a row is its loss, what is wrong with
/// the table ends it.
fn rows(
    mut rows: Rows<impl BufRead>,
    out: &mut Out<'_>,
    read: &mut ReadRow<'_>,
) -> Result<(), AtlasError> {
    loop {
        let next = rows.next().map_err(|error| AtlasError::Read {
            table: out.source.clone(),
            line: rows.line() + 1,
            error,
        })?;
        match next {
            Next::End => return Ok(()),
            Next::Blank => {}
            Next::Lost(row, reason) => {
                out.here = (row.offset, Some(row.line));
                out.lose_here(reason, 1);
            }
            Next::Row(row) => {
                out.here = (row.offset, Some(row.line));
                let mut trouble = None;
                out.take(|out| match read(&row, out) {
                    Ok(done) => done,
                    Err(error) => {
                        trouble = Some(error);
                        Ok(())
                    }
                });
                if let Some(error) = trouble {
                    return Err(error);
                }
            }
        }
    }
}

/// Rows that say one thing each.
fn one_each(
    input: impl BufRead,
    out: &mut Out<'_>,
    mut read: impl FnMut(&Row) -> Result<Said, Reason>,
) -> Result<(), AtlasError> {
    at_most_one(input, out, |row| read(row).map(Some))
}

/// Rows that say one thing each, or nothing.
fn at_most_one(
    input: impl BufRead,
    out: &mut Out<'_>,
    mut read: impl FnMut(&Row) -> Result<Option<Said>, Reason>,
) -> Result<(), AtlasError> {
    rows(Rows::new(input), out, &mut |row, out| {
        Ok(read(row).map(|said| said.into_iter().for_each(|said| out.say(said))))
    })
}

/// Rows under a header; the first row is the header.
fn named<S: IntoIterator<Item = Said>>(
    input: impl BufRead,
    out: &mut Out<'_>,
    needed: &[&[&str]],
    mut read: impl FnMut(&Columns, &Row) -> Result<S, Reason>,
) -> Result<(), AtlasError> {
    let mut columns = None;
    rows(Rows::new(input), out, &mut |row, out| {
        let Some(columns) = &columns else {
            columns = Some(Columns::read(needed, out.source, row)?);
            return Ok(Ok(()));
        };
        let said = read(columns, row);
        Ok(said.map(|said| said.into_iter().for_each(|said| out.say(said))))
    })
}

/// An observation without its source and date.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    range: Option<(Address, Address)>,
    asn: Option<Asn>,
    field: Field,
    value: String,
    detail: BTreeMap<String, String>,
}

impl Said {
    /// Says nothing yet, of nothing.
    fn of_nothing(field: Field) -> Self {
        let (value, detail) = (String::new(), BTreeMap::new());
        Self { range: None, asn: None, field, value, detail }
    }

    fn of_range(field: Field, first: Address, last: Address) -> Self {
        Self::of_nothing(field).over(first, last)
    }

    fn of_as(field: Field, asn: Asn) -> Self {
        Self::of_nothing(field).by_as(asn)
    }

    fn over(self, first: Address, last: Address) -> Self {
        Self { range: Some((first, last)), ..self }
    }

    fn by_as(self, asn: Asn) -> Self {
        Self { asn: Some(asn), ..self }
    }

    fn value(self, value: &str) -> Self {
        Self { value: value.to_owned(), ..self }
    }

    /// Adds a detail, unless there is nothing to add.
    fn with(mut self, key: &str, text: &str) -> Self {
        if !text.is_empty() {
            self.detail.insert(key.to_owned(), text.to_owned());
        }
        self
    }

    fn at(self, source: SourceId, snapshot: Day) -> Observation {
        let Self { range, asn, field, value, detail } = self;
        Observation { source, snapshot, range, asn, field, value, detail }
    }
}

/// A prefix, a lone address, or `first-last`.
fn block(text: &str) -> Result<(Address, Address), Reason> {
    if let Some((first, last)) = text.split_once('-') {
        return range(first, last);
    }
    let prefix: Prefix = value(text)?;
    Ok((prefix.first(), prefix.last()))
}

fn range(first: &str, last: &str) -> Result<(Address, Address), Reason> {
    let (first, last): (Address, Address) = (value(first)?, value(last)?);
    let well_formed = first <= last && first.is_v4() == last.is_v4();
    well_formed.then_some((first, last)).ok_or(Reason::Value)
}

pub(super) fn confidence(text: &str) -> Result<f32, Reason> {
    let confidence: f32 = value(text)?;
    (0.0..=1.0).contains(&confidence).then_some(confidence).ok_or(Reason::Value)
}

fn value<T: FromStr>(text: &str) -> Result<T, Reason> {
    text.trim().parse().map_err(|_| Reason::Value)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    fn load_text(kind: &str, text: &str) -> (Vec<Observation>, Vec<Loss>) {
        let (mut observations, mut losses) = (Vec::new(), Vec::new());
        let loaded = load(
            &kind.parse().unwrap(),
            &"t".into(),
            Day(20_000),
            text.as_bytes(),
            |o| observations.push(o),
            |l| losses.push(l),
        )
        .unwrap();
        let lost: u64 = losses.iter().map(|l: &Loss| l.count).sum();
        let given: u64 = observations.len().try_into().unwrap();
        assert_eq!((loaded.observations, loaded.lost), (given, lost));
        (observations, losses)
    }

    #[test]
    fn bad_rows_are_losses_with_their_line() {
        let text = "192.0.2.0,192.0.2.255,64496,\"Example, Inc.\"\n\
            192.0.2.255,192.0.2.0,64496,backwards\n\
            192.0.2.0,2001:db8::,64496,two families\n\
            192.0.2.0,192.0.2.9\n\
            \n\
            192.0.2.0,192.0.2.9,AS-X,name\n\
            2001:db8::,2001:db8::ffff,0,\n";
        let (observations, losses) = load_text("ip2asn", text);
        let lines: Vec<_> =
            losses.iter().map(|l| (l.line.unwrap(), l.reason)).collect();
        assert_eq!(
            lines,
            [
                (2, Reason::Value),
                (3, Reason::Value),
                (4, Reason::ColumnCount),
                (6, Reason::Value)
            ]
        );
        assert_eq!(losses.first().unwrap().offset, 44);
        let [v4, v6] = observations.as_slice() else { panic!("two rows are good") };
        assert_eq!((v4.asn, v4.value.as_str()), (Some(Asn(64496)), "Example, Inc."));
        assert_eq!(v6.asn, None, "AS 0 announces nothing");
    }

    #[test]
    fn broken_quoting_in_a_tag_list_costs_nothing() {
        let text = "AS42,\"\"\"WoodyNet\", Inc.\"\nAS49,National Institute\nhello\n";
        let (observations, losses) = load_text("as-tag:gov", text);
        let ases: Vec<_> = observations.iter().filter_map(|o| o.asn).collect();
        assert_eq!(ases, [Asn(42), Asn(49)]);
        assert!(observations.iter().all(|o| o.value == "gov"));
        assert_eq!(losses.first().unwrap().line, Some(3));
    }

    #[test]
    fn holder_columns_are_found_by_name_and_checked() {
        let text = "Organisation,prefix,from,to,kind,confidence\n\
            acme,192.0.2.0/24,2024-01-01,2024-12-31,own,0.9\n\
            acme,192.0.2.5-192.0.2.9,,,,\n\
            acme,192.0.2.1/24,,,,\n\
            acme,192.0.2.0/24,2024-12-31,2024-01-01,,\n\
            acme,192.0.2.0/24,,,owned,\n\
            acme,192.0.2.0/24,,,own,2\n\
            ,192.0.2.0/24,,,own,1\n\
            acme,192.0.2.0/24\n";
        let (observations, losses) = load_text("holders", text);
        assert_eq!(observations.len(), 2);
        let dated = observations.first().unwrap();
        assert_eq!((dated.value.as_str(), dated.detail.len()), ("acme", 4));
        let lines: Vec<_> = losses.iter().filter_map(|l| l.line).collect();
        assert_eq!(lines, [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn half_open_dates_join_without_overlap_or_gap() {
        let text = "organisation,prefix,from,until,to\n\
            acme,192.0.2.0/24,2024-01-01,2024-07-01,\n\
            zeta,192.0.2.0/24,2024-07-01,,\n\
            acme,192.0.2.0/24,2024-07-01,2024-07-01,\n\
            acme,192.0.2.0/24,,2024-07-01,2024-06-30\n";
        let (observations, losses) = load_text("holders", text);
        let [before, after] = observations.as_slice() else { panic!("two rows") };
        assert_eq!(before.detail["to"], "2024-06-30");
        assert_eq!(after.detail["from"], "2024-07-01");
        let lines: Vec<_> = losses.iter().filter_map(|l| l.line).collect();
        assert_eq!(lines, [4, 5], "no day at all, and two ends");
    }

    #[test]
    fn delegations_are_counted_in_addresses_and_against_their_summary() {
        // 4 of ipv4 are promised, 3 came; 768 addresses are no prefix.
        let text = "2|ripencc|1790805599|9|19830705|20260930|+0200\n\
            # a comment\n\
            ripencc|*|ipv4|*|4|summary\nripencc|*|ipv6|*|1|summary\n\
            ripencc|*|asn|*|2|summary\n\
            ripencc|FR|ipv4|192.0.2.0|768|20100712|allocated|aaa\n\
            ripencc||ipv4|198.51.100.0|256||available|\n\
            ripencc|FR|ipv4|255.255.255.0|257|20100712|allocated|aaa\n\
            ripencc|ZZ|ipv6|2001:db8::|32|00000000|assigned|aaa|e-stats\n\
            ripencc|EU|asn|64496|2|19930901|allocated|bbb\n\
            ripencc|EU|asn|4294967295|2|19930901|allocated|bbb\n\
            ripencc|EU|asn\n";
        let (observations, losses) = load_text("delegated", text);
        let said: Vec<_> = observations
            .iter()
            .map(|o| (o.range.map(|(_, last)| last.to_string()), o.asn, &*o.value))
            .collect();
        assert_eq!(
            said,
            [
                (Some("192.0.4.255".to_owned()), None, "ripencc:aaa"),
                (
                    Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".to_owned()),
                    None,
                    "ripencc:aaa"
                ),
                (None, Some(Asn(64496)), "ripencc:bbb"),
                (None, Some(Asn(64497)), "ripencc:bbb"),
            ]
        );
        assert_eq!(observations[0].detail["given"], "2010-07-12");
        assert_eq!(observations[1].detail.get("country"), None, "ZZ is no country");
        let lost: Vec<_> = losses.iter().map(|l| (l.line, l.reason, l.count)).collect();
        assert_eq!(
            lost,
            [
                (Some(8), Reason::Value, 1),
                (Some(11), Reason::Value, 1),
                (Some(12), Reason::ColumnCount, 1),
                (None, Reason::Truncated, 1),
            ]
        );
    }

    #[test]
    fn several_origins_are_all_kept_and_the_first_is_the_as() {
        let text = "1.0.0.0\t24\t13335\n1.0.4.0\t22\t38803_56203\n\
            2001:db8::\t32\t64496,64497_64498\n1.0.4.1\t22\t38803\n\
            1.0.4.0\t33\t1\n1.0.4.0\t22\t1_x\n1.0.4.0\t22\n1.0.8.0\t24\t7_7\n";
        let (observations, losses) = load_text("pfx2as", text);
        let said: Vec<_> = observations
            .iter()
            .map(|o| (o.asn.unwrap().0, o.detail.get("origins").map(String::as_str)))
            .collect();
        assert_eq!(
            said,
            [
                (13335, None),
                (38803, Some("38803_56203")),
                (64496, Some("64496,64497_64498")),
                (7, None)
            ]
        );
        let lines: Vec<_> = losses.iter().filter_map(|l| l.line).collect();
        assert_eq!(lines, [4, 5, 6, 7]);
    }

    #[test]
    fn both_forms_of_as2org_say_the_same() {
        let old = "# name: AS Org\n# format:org_id|changed|org_name|country|source\n\
            EX-1-ARIN|20120130|Example, Inc.|US|ARIN\n\
            # format:aut|changed|aut_name|org_id|opaque_id|source\n\
            64496|20120224|EXAMPLE|EX-1-ARIN|abc_ARIN|ARIN\n64497|2012\n64498||X||o|ARIN\n";
        let new = r#"{"changed":"20120130","country":"US","name":"Example, Inc.","organizationId":"EX-1-ARIN","source":"ARIN","type":"Organization"}
{"asn":"64496","changed":"20120224","name":"EXAMPLE","opaqueId":"abc_ARIN","organizationId":"EX-1-ARIN","source":"ARIN","type":"ASN"}
{"asn":"64496","type":"ASN"}
{"type":"ASN"
"#;
        let (of_old, lost_old) = load_text("as2org", old);
        let (of_new, lost_new) = load_text("as2org", new);
        assert_eq!(of_old, of_new);
        assert_eq!(of_old[0].value, "EX-1-ARIN");
        assert_eq!((of_old[1].asn, &*of_old[1].value), (Some(Asn(64496)), "EX-1-ARIN"));
        let lines = |l: &[Loss]| l.iter().filter_map(|l| l.line).collect::<Vec<_>>();
        assert_eq!((lines(&lost_old), lines(&lost_new)), (vec![6, 7], vec![3, 4]));
    }

    #[test]
    fn services_of_one_cloud_prefix_are_one_observation() {
        let text = r#"{"syncToken": "1", "prefixes": [
            {"ip_prefix": "192.0.2.0/24", "region": "eu-west-1", "service": "AMAZON"},
            {"ip_prefix": "192.0.2.0/24", "region": "GLOBAL", "service": "CLOUDFRONT"},
            {"ip_prefix": "192.0.2.1/24", "region": "GLOBAL", "service": "AMAZON"},
            {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "EC2"}
        ], "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "service": "EC2"}, 7]}"#;
        let (observations, losses) = load_text("cloud:aws", text);
        let said: Vec<_> = observations
            .iter()
            .map(|o| (o.detail["service"].as_str(), o.detail["shared"].as_str()))
            .collect();
        assert_eq!(said, [("AMAZON;CLOUDFRONT", "cdn"), ("EC2", "no"), ("EC2", "no")]);
        let lines: Vec<_> = losses.iter().filter_map(|l| l.line).collect();
        assert_eq!(lines, [4, 6]);
    }

    #[test]
    fn each_provider_is_read_in_its_own_form() {
        let azure = r#"{"values": [{"name": "AzureFrontDoor.Frontend", "properties":
            {"region": "", "systemService": "AzureFrontDoor",
             "addressPrefixes": ["192.0.2.0/24", "x", "2001:db8::/40"]}}, {"name": "y"}]}"#;
        let (observations, losses) = load_text("cloud:azure", azure);
        assert!(observations.iter().all(|o| o.detail["shared"] == "cdn"));
        assert_eq!((observations.len(), losses.len()), (2, 2));
        let oracle = r#"{"regions": [{"region": "us-phoenix-1", "cidrs":
            [{"cidr": "192.0.2.0/24", "tags": ["OCI"]}]}]}"#;
        let (observations, losses) = load_text("cloud:oracle", oracle);
        assert_eq!(observations[0].detail["region"], "us-phoenix-1");
        assert!(losses.is_empty());
        let google = r#"{"prefixes": [{"ipv4Prefix": "192.0.2.0/24"},
            {"ipv6Prefix": "2001:db8::/32", "service": "Google Cloud", "scope": "eu"}]}"#;
        let (observations, _) = load_text("cloud:google", google);
        let shared: Vec<_> =
            observations.iter().map(|o| &*o.detail["shared"]).collect();
        assert_eq!(shared, ["cdn", "no"], "what it does not rent out are front ends");
        let fastly =
            r#"{"addresses":["192.0.2.0/24"],"ipv6_addresses":["2001:db8::/32"]}"#;
        assert_eq!(load_text("cloud:fastly", fastly).0.len(), 2);
        let (observations, losses) = load_text(
            "cloud:cloudflare",
            "192.0.2.0/24
# x
2001:db8::/32
192.0.2/24",
        );
        assert_eq!((observations.len(), losses.len()), (2, 1));
        assert_eq!(observations[0].detail["shared"], "cdn");
        let (observations, _) = load_text(
            "provider:ocean",
            "192.0.2.0/24,NL,NL-NH,Amsterdam,1098 XH
",
        );
        assert_eq!(observations[0].value, "provider:ocean");
        assert_eq!(observations[0].detail["addr_country"], "NL");
    }

    #[test]
    fn a_document_cut_short_or_of_another_form_is_refused() {
        let refused = |kind: &str, text: &str| {
            let kind = kind.parse().unwrap();
            let read = text.as_bytes();
            load(&kind, &"t".into(), Day(0), read, |_| (), |_| ())
                .unwrap_err()
                .to_string()
        };
        let text =
            refused("cloud:aws", r#"{"prefixes": [{"ip_prefix": "192.0.2.0/24"}"#);
        assert!(text.contains("nothing of it is used"), "{text}");
        let text = refused("cloud:aws", r#"{"values": []}"#);
        assert!(text.contains("holds no list"), "{text}");
        assert!(refused("cloud:aws", "[]").contains("holds no list"));
    }

    #[test]
    fn tags_of_ranges_are_read_to_the_first_blank_or_comma() {
        let text = "# list
192.0.2.0/24 # exit
192.0.2.7,x

2001:db8::/32;y
            192.0.2.0-192.0.2.9
example.org
";
        let (observations, losses) = load_text("range-tag:vpn", text);
        assert_eq!(observations.len(), 4);
        assert!(observations.iter().all(|o| o.value == "vpn" && o.range.is_some()));
        assert_eq!(losses.first().unwrap().line, Some(7));
    }

    #[test]
    fn iptoasn_com_separates_by_tabs() {
        let text = "1.0.0.0	1.0.0.255	13335	US	CLOUDFLARENET
            1.0.1.0	1.0.3.255	0	None	Not routed
1.0.4.0	1.0.4.255	1
";
        let (observations, losses) = load_text("iptoasn", text);
        let said: Vec<_> = observations.iter().map(|o| (o.asn, &*o.value)).collect();
        assert_eq!(said, [(Some(Asn(13335)), "CLOUDFLARENET"), (None, "")]);
        assert_eq!(losses.len(), 1);
    }

    #[test]
    fn a_header_without_a_needed_column_is_refused_with_its_name() {
        let error = load(
            &SourceKind::Holders,
            &"mine".into(),
            Day(0),
            "organisation,name\nacme,Acme\n".as_bytes(),
            |_| (),
            |_| (),
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("mine") && error.contains("`range`"), "{error}");
    }

    #[test]
    fn kinds_are_read_from_their_words_and_others_are_explained() {
        let words = SourceKind::WORDS.replace(" (such as as-tag:gov)", "");
        for word in words.split(", ") {
            assert_eq!(word.parse::<SourceKind>().unwrap().to_string(), word);
        }
        for word in
            ["cloud:x", "cloud", "holders:x", "as-tag", "provider:", "mrt:x", ""]
        {
            assert!(word.parse::<SourceKind>().is_err(), "{word}");
        }
        let error = "as-tag:".parse::<SourceKind>().unwrap_err().to_string();
        assert!(error.contains("as-tag:TAG"), "{error}");
    }
}
