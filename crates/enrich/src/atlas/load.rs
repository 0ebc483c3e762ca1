//! Loaders: one registry table in, observations and losses out.
//!
//! **Invariant:** each row becomes one observation or one loss. Nothing is interpreted:
//! overlaps, repeats and contradictions pass, and are settled when the atlas is built.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::str::FromStr;

use tidegauge_model::observation::Field;
use tidegauge_model::{
    Address, Asn, Country, Day, Loss, NetworkKind, Observation, Prefix, Reason, Shared,
    SourceId,
};

use super::AtlasError;
use super::row::{Next, Row, Rows};

/// The shape of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `first,last,asn,name`, no header: the tables of the ip-location-db project.
    /// AS 0 means that nobody announces the range (RFC 7607).
    Ip2Asn,
    /// `first,last,country`, no header.
    Ip2Country,
    /// A header with `asn` and `name`, and perhaps `class`, `cc` and `source`.
    AsNames,
    /// `AS64496,name`, no header; what follows the first comma is not read, since the
    /// quoting of these lists is broken.
    AsTags {
        /// What it means to be in the list: `gov`.
        tag: String,
    },
    /// The user's own table of holders: `sectors/README.md` lists its columns.
    Holders,
}

impl FromStr for SourceKind {
    type Err = AtlasError;

    fn from_str(text: &str) -> Result<Self, AtlasError> {
        match text {
            "ip2asn" => Ok(Self::Ip2Asn),
            "ip2country" => Ok(Self::Ip2Country),
            "as-names" => Ok(Self::AsNames),
            "holders" => Ok(Self::Holders),
            _ => match text.strip_prefix("as-tag:") {
                Some(tag) if !tag.is_empty() => {
                    Ok(Self::AsTags { tag: tag.to_owned() })
                }
                _ => Err(AtlasError::Kind { word: text.to_owned() }),
            },
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip2Asn => f.pad("ip2asn"),
            Self::Ip2Country => f.pad("ip2country"),
            Self::AsNames => f.pad("as-names"),
            Self::AsTags { tag } => f.pad(&format!("as-tag:{tag}")),
            Self::Holders => f.pad("holders"),
        }
    }
}

/// Rows of a table, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Observations given to `each`.
    pub observations: u64,
    /// Losses given to `loss`.
    pub lost: u64,
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
    let mut rows = Rows::new(input);
    let mut columns = None;
    let mut loaded = Loaded::default();
    loop {
        let next = rows.next().map_err(|error| AtlasError::Read {
            table: source.clone(),
            line: rows.line() + 1,
            error,
        })?;
        let (row, said) = match next {
            Next::End => return Ok(loaded),
            Next::Blank => continue,
            Next::Lost(row, reason) => (row, Err(reason)),
            Next::Row(row) => {
                if columns.is_none() && kind.has_header() {
                    columns = Some(Columns::read(kind, source, &row)?);
                    continue;
                }
                let said = said(kind, columns.as_ref(), &row);
                (row, said)
            }
        };
        match said {
            Ok(said) => {
                loaded.observations += 1;
                each(said.at(source.clone(), snapshot));
            }
            Err(reason) => {
                loaded.lost += 1;
                loss(row.loss(reason, snapshot));
            }
        }
    }
}

impl SourceKind {
    fn has_header(&self) -> bool {
        matches!(self, Self::AsNames | Self::Holders)
    }

    /// Columns without which a row means nothing; any one name of each group will do.
    fn needed(&self) -> &'static [&'static [&'static str]] {
        match self {
            Self::AsNames => &[&["asn"], &["name"]],
            Self::Holders => &[RANGE_COLUMNS, &["organisation"]],
            Self::Ip2Asn | Self::Ip2Country | Self::AsTags { .. } => &[],
        }
    }
}

/// Names of the column that holds the addresses.
const RANGE_COLUMNS: &[&str] = &["range", "prefix", "prefix_or_range"];

/// Where each named column stands.
struct Columns {
    names: Vec<String>,
}

impl Columns {
    fn read(
        kind: &SourceKind,
        table: &SourceId,
        row: &Row,
    ) -> Result<Self, AtlasError> {
        let names: Vec<_> =
            row.fields().iter().map(|n| n.trim().to_ascii_lowercase()).collect();
        for group in kind.needed() {
            if !group.iter().any(|name| names.iter().any(|n| n == name)) {
                let (table, missing) = (table.clone(), group.join("` or `"));
                return Err(AtlasError::Header { table, line: row.line, missing });
            }
        }
        Ok(Self { names })
    }

    /// The value under `name`, if the column is there and not empty.
    fn get<'a>(&self, fields: &'a [Cow<'_, str>], name: &str) -> Option<&'a str> {
        let at = self.names.iter().position(|n| n == name)?;
        fields.get(at).map(|f| f.trim()).filter(|f| !f.is_empty())
    }
}

/// An observation without its source and date.
struct Said {
    range: Option<(Address, Address)>,
    asn: Option<Asn>,
    field: Field,
    value: String,
    detail: BTreeMap<String, String>,
}

impl Said {
    fn at(self, source: SourceId, snapshot: Day) -> Observation {
        let Self { range, asn, field, value, detail } = self;
        Observation { source, snapshot, range, asn, field, value, detail }
    }
}

fn said(
    kind: &SourceKind,
    columns: Option<&Columns>,
    row: &Row,
) -> Result<Said, Reason> {
    match (kind, columns) {
        (SourceKind::Ip2Asn, _) => origin(&row.fields()),
        (SourceKind::Ip2Country, _) => address_country(&row.fields()),
        (SourceKind::AsTags { tag }, _) => as_tag(tag, row),
        (SourceKind::AsNames, Some(columns)) => as_name(columns, &row.fields()),
        (SourceKind::Holders, Some(columns)) => holder(columns, &row.fields()),
        (SourceKind::AsNames | SourceKind::Holders, None) => Err(Reason::ColumnMissing),
    }
}

fn origin(fields: &[Cow<'_, str>]) -> Result<Said, Reason> {
    let (first, last, asn, name) = match fields {
        [first, last, asn] => (first, last, asn, ""),
        [first, last, asn, name] => (first, last, asn, name.trim()),
        _ => return Err(Reason::ColumnCount),
    };
    let asn: Asn = value(asn)?;
    Ok(Said {
        range: Some(range(first, last)?),
        asn: (asn.0 != 0).then_some(asn),
        field: Field::Origin,
        value: name.to_owned(),
        detail: BTreeMap::new(),
    })
}

fn address_country(fields: &[Cow<'_, str>]) -> Result<Said, Reason> {
    let [first, last, country] = fields else { return Err(Reason::ColumnCount) };
    let country: Country = value(country)?;
    Ok(Said {
        range: Some(range(first, last)?),
        asn: None,
        field: Field::AddressCountry,
        value: country.to_string(),
        detail: BTreeMap::new(),
    })
}

fn as_tag(tag: &str, row: &Row) -> Result<Said, Reason> {
    Ok(Said {
        range: None,
        asn: Some(value(row.first_field())?),
        field: Field::AsTag,
        value: tag.to_owned(),
        detail: BTreeMap::new(),
    })
}

fn as_name(columns: &Columns, fields: &[Cow<'_, str>]) -> Result<Said, Reason> {
    if fields.len() != columns.names.len() {
        return Err(Reason::ColumnCount);
    }
    let asn = columns.get(fields, "asn").ok_or(Reason::Value)?;
    let mut detail = BTreeMap::new();
    if let Some(country) = columns.get(fields, "cc").or(columns.get(fields, "country"))
    {
        let country: Country = value(country)?;
        detail.insert("country".to_owned(), country.to_string());
    }
    for (column, key) in [("class", "class"), ("source", "basis")] {
        if let Some(text) = columns.get(fields, column) {
            detail.insert(key.to_owned(), text.to_owned());
        }
    }
    Ok(Said {
        range: None,
        asn: Some(value(asn)?),
        field: Field::AsName,
        value: columns.get(fields, "name").unwrap_or_default().to_owned(),
        detail,
    })
}

/// Whether a value is of its column's type.
type Check = fn(&str) -> Result<(), Reason>;

/// Columns of a holder row that become its detail, each with what it must be.
const HOLDER_DETAILS: [(&str, Check); 10] = [
    ("name", |_| Ok(())),
    ("country", |text| value::<Country>(text).map(drop)),
    ("addr_country", |text| value::<Country>(text).map(drop)),
    ("parent", |_| Ok(())),
    ("sector", |_| Ok(())),
    ("kind", |text| value::<NetworkKind>(text).map(drop)),
    ("shared", |text| value::<Shared>(text).map(drop)),
    ("from", |text| value::<Day>(text).map(drop)),
    ("to", |text| value::<Day>(text).map(drop)),
    ("confidence", |text| confidence(text).map(drop)),
];

fn holder(columns: &Columns, fields: &[Cow<'_, str>]) -> Result<Said, Reason> {
    if fields.len() != columns.names.len() {
        return Err(Reason::ColumnCount);
    }
    let addresses = RANGE_COLUMNS.iter().find_map(|name| columns.get(fields, name));
    let organisation = columns.get(fields, "organisation").ok_or(Reason::Value)?;
    let mut detail = BTreeMap::new();
    for (name, check) in HOLDER_DETAILS {
        if let Some(text) = columns.get(fields, name) {
            check(text)?;
            detail.insert(name.to_owned(), text.to_owned());
        }
    }
    if let (Some(from), Some(to)) = (detail.get("from"), detail.get("to"))
        && value::<Day>(from)? > value::<Day>(to)?
    {
        return Err(Reason::Value);
    }
    Ok(Said {
        range: Some(block(addresses.ok_or(Reason::Value)?)?),
        asn: columns.get(fields, "asn").map(value).transpose()?,
        field: Field::Holder,
        value: organisation.to_owned(),
        detail,
    })
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
        let counted = (loaded.observations, loaded.lost);
        let given = (observations.len(), losses.len());
        assert_eq!(counted, (given.0.try_into().unwrap(), given.1.try_into().unwrap()));
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
        for word in ["ip2asn", "ip2country", "as-names", "as-tag:gov", "holders"] {
            assert_eq!(word.parse::<SourceKind>().unwrap().to_string(), word);
        }
        let error = "as-tag:".parse::<SourceKind>().unwrap_err().to_string();
        assert!(error.contains("as-tag:TAG"), "{error}");
    }
}
