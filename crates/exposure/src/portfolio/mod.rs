//! The list of assets and suppliers: a CSV file with a header, or JSON.
//!
//! CSV columns, in any order; several values in one field are separated by spaces or
//! semicolons: `name` (required), `id`, `kind`, `domains`, `prefixes`, `except`, `asn`,
//! `organisations`, `sites`, `cloud_accounts`, `tags`, `tier`, `parent`, `contact`.
//! `domain` is read as `domains`. JSON is an array of objects with the same keys, where
//! several values are an array.
//!
//! * [`subject`]: a row, checked;
//! * [`row`]: a row as it was typed.
//!
//! **Invariant:** a bad row is reported with its line and what is wrong, and loses
//! nothing else. Columns that nothing reads are reported too.

pub mod row;
pub mod subject;

use std::collections::BTreeMap;

pub use row::Problem;
pub use subject::{Kind, Subject};

use row::Row;

/// Longest file that is read: a million rows. Picked by hand, revisit.
pub const FILE_BYTES_MAX: usize = 256 << 20;

/// Longest chain of parents that is followed.
pub const PARENTS_MAX: usize = 8;

/// All rows of a file that could be read, and what was wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Portfolio {
    /// The readable rows, in file order.
    pub subjects: Vec<Subject>,
    /// The others.
    pub bad_rows: Vec<BadRow>,
    /// What was wrong with rows that were kept without it, and with the header.
    pub doubts: Vec<String>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {at}: {problem}")]
pub struct BadRow {
    /// `line` of a CSV file, `item` of JSON.
    pub place: &'static str,
    /// Which, from 1.
    pub at: u64,
    /// What is wrong.
    pub problem: Problem,
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
    /// The file is too long.
    #[error("the file is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Not CSV.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// Not an array of objects.
    #[error("not a JSON array of rows: {0}")]
    Json(#[from] serde_json::Error),
}

impl Portfolio {
    /// Reads a file: JSON if it begins like an array, else CSV.
    pub fn read(bytes: &[u8]) -> Result<Self, PortfolioError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(PortfolioError::TooLong);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
        let mut portfolio = Self::default();
        let rows =
            if first == Some(&b'[') { json(bytes)? } else { portfolio.csv(bytes)? };
        let mut firsts = BTreeMap::new();
        for (place, at, row) in rows {
            match row.and_then(Row::subject).and_then(|s| fresh(s, at, &mut firsts)) {
                Ok(subject) => portfolio.subjects.push(subject),
                Err(problem) => {
                    portfolio.bad_rows.push(BadRow { place, at, problem });
                }
            }
        }
        portfolio.settle_parents();
        Ok(portfolio)
    }

    /// The row of a key.
    pub fn subject(&self, key: &str) -> Option<&Subject> {
        self.subjects.iter().find(|s| s.key == key)
    }

    /// The names of those through whom a row is ours, nearest first.
    pub fn parents(&self, subject: &Subject) -> Vec<String> {
        let mut names = Vec::new();
        let mut at = subject;
        while names.len() < PARENTS_MAX
            && let Some(parent) = at.parent.as_deref().and_then(|key| self.subject(key))
        {
            names.push(parent.name.clone());
            at = parent;
        }
        names
    }

    fn csv(&mut self, bytes: &[u8]) -> Result<Vec<Placed>, PortfolioError> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let headers = reader.headers()?.clone();
        if !headers.iter().any(|h| h == "name") {
            let found = headers.iter().collect::<Vec<_>>().join(", ");
            return Err(PortfolioError::NoNameColumn { found });
        }
        for header in headers.iter().filter(|h| !row::COLUMNS.contains(h)) {
            self.doubts.push(format!("nothing reads the column `{header}`"));
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let line = |p: Option<&csv::Position>| p.map_or(0, csv::Position::line);
            rows.push(match record {
                Ok(record) => {
                    ("line", line(record.position()), Ok(Row::of(&headers, &record)))
                }
                Err(error) => {
                    let problem = Problem::Shape(error.to_string());
                    ("line", line(error.position()), Err(problem))
                }
            });
        }
        Ok(rows)
    }

    /// A parent is another row; where it is not, the row stays without one.
    fn settle_parents(&mut self) {
        let parent_of: BTreeMap<String, Option<String>> =
            self.subjects.iter().map(|s| (s.key.clone(), s.parent.clone())).collect();
        for subject in &mut self.subjects {
            let Some(parent) = &subject.parent else { continue };
            let mut at = Some(parent);
            let mut steps = 0;
            while let Some(key) = at
                && steps <= PARENTS_MAX
            {
                steps += 1;
                at = parent_of.get(key).and_then(Option::as_ref);
            }
            let doubt = if !parent_of.contains_key(parent) {
                "which is no row"
            } else if at.is_some() {
                "which goes round in a circle or deeper than eight"
            } else {
                continue;
            };
            self.doubts.push(format!(
                "`{}` names the parent `{parent}`, {doubt}; it is kept without one",
                subject.name
            ));
            subject.parent = None;
        }
    }
}

/// A row with its place.
type Placed = (&'static str, u64, Result<Row, Problem>);

fn json(bytes: &[u8]) -> Result<Vec<Placed>, PortfolioError> {
    let items: Vec<serde_json::Value> = serde_json::from_slice(bytes)?;
    let rows = items.into_iter().zip(1..).map(|(item, at)| {
        let row = serde_json::from_value(item);
        ("item", at, row.map_err(|e| Problem::Shape(e.to_string())))
    });
    Ok(rows.collect())
}

/// The row, if its key is new.
fn fresh(
    subject: Subject,
    at: u64,
    firsts: &mut BTreeMap<String, u64>,
) -> Result<Subject, Problem> {
    if let Some(first) = firsts.get(&subject.key) {
        return Err(Problem::SameKey { key: subject.key, first: *first });
    }
    firsts.insert(subject.key.clone(), at);
    Ok(subject)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::Asn;

    use super::*;

    #[test]
    fn rows_are_read_by_header_and_bad_ones_named() {
        let text = "\
domain,name,asn,prefixes,colour
a.example,Alpha,AS64496 64497,192.0.2.0/24; 2001:db8::/32,red
b.example,Beta,,,
,,,,
c.example,Gamma,,192.0.2.1/24,
d.example,Alpha,,,
e.example,Delta,ASX,,
short,row
f.example,Zeta,,10.0.0.0/8,
";
        let portfolio = Portfolio::read(text.as_bytes()).unwrap();
        let names: Vec<_> =
            portfolio.subjects.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["Alpha", "Beta"]);
        assert_eq!(portfolio.subjects[0].prefixes.len(), 2);
        assert_eq!(portfolio.subjects[0].asns, [Asn(64496), Asn(64497)]);
        assert_eq!(portfolio.subjects[0].kind, Kind::Supplier, "masked unless told");
        assert!(!portfolio.subjects[1].is_checkable());
        let bad: Vec<_> = portfolio.bad_rows.iter().map(ToString::to_string).collect();
        assert_eq!(bad[0], "line 4: the name is empty");
        assert!(bad[1].starts_with("line 5: `192.0.2.1/24`"), "{}", bad[1]);
        assert!(bad[2].contains("`Alpha` is the key of 2 already"), "{}", bad[2]);
        assert!(bad[3].contains("`ASX` is not an AS number"), "{}", bad[3]);
        assert!(bad[4].starts_with("line 8: "), "{}", bad[4]);
        assert!(bad[5].contains("needs a site"), "{}", bad[5]);
        assert_eq!(portfolio.doubts, ["nothing reads the column `colour`"]);
    }

    #[test]
    fn every_column_is_read_and_json_says_the_same() {
        let csv = "\
id,name,kind,domains,prefixes,except,asn,organisations,sites,cloud_accounts,tags,tier,parent,contact
hq,Head office,asset,hq.example,192.0.2.0/24 10.0.0.0/8,192.0.2.128/25,,,hq,123456789012,dmz;pci,1,,soc@hq.example
s1,Supplier,supplier,s.example,,,64496,as:64496,,,,2,,
s2,Theirs,supplier,,203.0.113.0/24,,,,,,,3,s1,
";
        let json = r#"[
{"id":"hq","name":"Head office","kind":"asset","domains":["hq.example"],
 "prefixes":["192.0.2.0/24","10.0.0.0/8"],"except":["192.0.2.128/25"],"sites":["hq"],
 "cloud_accounts":["123456789012"],"tags":["dmz","pci"],"tier":1,"contact":"soc@hq.example"},
{"id":"s1","name":"Supplier","domains":["s.example"],"asn":["64496"],
 "organisations":["as:64496"],"tier":2},
{"id":"s2","name":"Theirs","prefixes":["203.0.113.0/24"],"tier":3,"parent":"s1"}]"#;
        let read = Portfolio::read(csv.as_bytes()).unwrap();
        assert_eq!(read.bad_rows, []);
        assert_eq!(read, Portfolio::read(json.as_bytes()).unwrap());
        let fourth = &read.subjects[2];
        assert_eq!(read.parents(fourth), ["Supplier"]);
        assert_eq!(read.subjects[0].tags, ["dmz", "pci"]);
    }

    #[test]
    fn parents_that_are_none_are_told_and_the_row_stays() {
        let text = "id,name,parent\na,A,b\nb,B,a\nc,C,nobody\nd,D,d\n";
        let portfolio = Portfolio::read(text.as_bytes()).unwrap();
        assert_eq!(portfolio.subjects.len(), 4);
        assert_eq!(portfolio.doubts.len(), 4, "{:?}", portfolio.doubts);
        assert!(portfolio.subjects.iter().all(|s| s.parent.is_none()));
    }

    #[test]
    fn what_is_no_portfolio_is_refused() {
        for text in ["company,prefixes\n", "", "[1", "[{]", "{}"] {
            assert!(Portfolio::read(text.as_bytes()).is_err(), "{text}");
        }
        let odd = Portfolio::read(br#"[1,{"name":"A","colour":"red"},{"name":"B"}]"#);
        let odd = odd.unwrap();
        assert_eq!((odd.subjects.len(), odd.bad_rows.len()), (1, 2));
        assert_eq!(odd.bad_rows[1].place, "item");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_portfolio_or_an_error(bytes: Vec<u8>) {
            _ = Portfolio::read(&bytes);
            _ = Portfolio::read(&[b"name,prefixes\n".as_slice(), &bytes].concat());
        }

        #[test]
        fn every_row_is_read_or_told(fields in proptest::collection::vec("[ -~]{0,12}", 0..40)) {
            let mut text = "name,prefixes,asn,tier\n".to_owned();
            for row in fields.chunks_exact(4) {
                let quoted: Vec<String> =
                    row.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
                text += &(quoted.join(",") + "\n");
            }
            let read = Portfolio::read(text.as_bytes()).unwrap();
            prop_assert_eq!(read.subjects.len() + read.bad_rows.len(), fields.len() / 4);
        }
    }
}
