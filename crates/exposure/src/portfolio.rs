//! The list of assets or suppliers: a CSV file with a header.
//!
//! Columns, in any order: `name` (required), `domain`, `prefixes`, `asn`. Several
//! prefixes or AS numbers in one field are separated by spaces or semicolons.
//!
//! **Invariant:** a bad row is reported with its line and what is wrong, and loses
//! nothing else.

use std::io::Read;

use serde::Deserialize;
use tidegauge_model::{Asn, Prefix};

/// One row: somebody whose contacts are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Name for people; also the stable key of its findings.
    pub name: String,
    /// Domain; never enough to match addresses by.
    pub domain: Option<String>,
    /// Networks that are theirs alone.
    pub prefixes: Vec<Prefix>,
    /// Autonomous systems that are theirs alone.
    pub asns: Vec<Asn>,
}

impl Subject {
    /// Whether the row gives anything that addresses can be matched by.
    pub fn is_checkable(&self) -> bool {
        !(self.prefixes.is_empty() && self.asns.is_empty())
    }
}

/// All rows of a file that could be read, and what was wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Portfolio {
    /// The readable rows, in file order.
    pub subjects: Vec<Subject>,
    /// The others.
    pub bad_rows: Vec<BadRow>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadRow {
    /// Line in the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The row is not CSV of the header's shape.
    #[error("{0}")]
    Shape(String),
    /// No name.
    #[error("the name is empty")]
    NoName,
    /// The name stands on an earlier line too.
    #[error("`{name}` is on line {first_line} already; findings are kept by name")]
    SameName {
        /// The name.
        name: String,
        /// The line that has it first.
        first_line: u64,
    },
    /// A prefix is wrong.
    #[error("{0}")]
    Prefix(tidegauge_model::address::BadPrefix),
    /// An AS number is wrong.
    #[error("`{0}` is not an AS number (AS64496 or 64496)")]
    Asn(String),
}

/// A portfolio that could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum PortfolioError {
    /// The header has no column `name`.
    #[error("the header has no column `name` (found: {found})")]
    NoNameColumn {
        /// The columns there are.
        found: String,
    },
    /// The file could not be read.
    #[error("{0}")]
    Csv(#[from] csv::Error),
}

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    domain: String,
    #[serde(default)]
    prefixes: String,
    #[serde(default)]
    asn: String,
}

impl Portfolio {
    /// Reads a CSV file.
    pub fn read(input: impl Read) -> Result<Self, PortfolioError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
        let headers = reader.headers()?.clone();
        if !headers.iter().any(|h| h == "name") {
            let found = headers.iter().collect::<Vec<_>>().join(", ");
            return Err(PortfolioError::NoNameColumn { found });
        }
        let mut portfolio = Self::default();
        let mut first_lines = std::collections::BTreeMap::new();
        for record in reader.records() {
            let line = |p: Option<&csv::Position>| p.map_or(0, csv::Position::line);
            let (line, subject) = match &record {
                Ok(record) => (line(record.position()), subject(record, &headers)),
                Err(error) => {
                    (line(error.position()), Err(Problem::Shape(error.to_string())))
                }
            };
            let fresh =
                subject.and_then(|s| match first_lines.insert(s.name.clone(), line) {
                    Some(first_line) => {
                        Err(Problem::SameName { name: s.name, first_line })
                    }
                    None => Ok(s),
                });
            match fresh {
                Ok(subject) => portfolio.subjects.push(subject),
                Err(problem) => portfolio.bad_rows.push(BadRow { line, problem }),
            }
        }
        Ok(portfolio)
    }
}

fn subject(
    record: &csv::StringRecord,
    headers: &csv::StringRecord,
) -> Result<Subject, Problem> {
    let row: Row =
        record.deserialize(Some(headers)).map_err(|e| Problem::Shape(e.to_string()))?;
    if row.name.is_empty() {
        return Err(Problem::NoName);
    }
    let items = |text: &str| -> Vec<String> {
        let separated = text.split(|c: char| c == ';' || c.is_whitespace());
        separated.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let prefixes = items(&row.prefixes)
        .iter()
        .map(|p| p.parse().map_err(Problem::Prefix))
        .collect::<Result<_, _>>()?;
    let asns = items(&row.asn)
        .into_iter()
        .map(|a| a.parse().map_err(|_| Problem::Asn(a)))
        .collect::<Result<_, _>>()?;
    let domain = Some(row.domain).filter(|d| !d.is_empty());
    Ok(Subject { name: row.name, domain, prefixes, asns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_header_and_bad_ones_named() {
        let text = "\
domain,name,asn,prefixes
a.example,Alpha,AS64496 64497,192.0.2.0/24; 2001:db8::/32
b.example,Beta,,
,,,
c.example,Gamma,,192.0.2.1/24
d.example,Alpha,,
e.example,Delta,ASX,
";
        let portfolio = Portfolio::read(text.as_bytes()).unwrap();
        let names: Vec<_> =
            portfolio.subjects.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["Alpha", "Beta"]);
        assert_eq!(portfolio.subjects[0].prefixes.len(), 2);
        assert_eq!(portfolio.subjects[0].asns, [Asn(64496), Asn(64497)]);
        assert!(!portfolio.subjects[1].is_checkable());
        let bad: Vec<_> = portfolio.bad_rows.iter().map(ToString::to_string).collect();
        assert_eq!(bad[0], "line 4: the name is empty");
        assert!(bad[1].starts_with("line 5: `192.0.2.1/24`"), "{}", bad[1]);
        assert!(bad[2].contains("on line 2 already"), "{}", bad[2]);
        assert!(bad[3].contains("`ASX` is not an AS number"), "{}", bad[3]);
    }

    #[test]
    fn a_header_without_names_is_refused() {
        assert!(Portfolio::read("company,prefixes\n".as_bytes()).is_err());
    }
}
