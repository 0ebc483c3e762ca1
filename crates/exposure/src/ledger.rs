//! The ledger: an append-only file of facts, one JSON object a line.
//!
//! ```text
//! {"schema_version":1,"id":"…","finding":"…","subject":"…","name":"…","product":"…",
//!  "recorded":…,"fact":{"seen":{…}}}
//! ```
//!
//! **Invariant:** reading takes any bytes. A line is a fact whose ids follow from its
//! content, or it is told as a [`BadLine`]; none is skipped in silence and none is ever
//! removed. A fact that is there already is not added again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegauge_model::{Day, Instant, ProductId};

use crate::fact::{Fact, Said, Verdict};
use crate::id::Id;

/// Version of a line's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// Longest line that is read. The longest written are a few hundred bytes; a dispute is as
/// long as its author made it.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Version of the shape.
    pub schema_version: u32,
    /// Id of the fact.
    pub id: Id,
    /// Id of the finding.
    pub finding: Id,
    /// Key of the portfolio row.
    pub subject: String,
    /// Name of the row when this was written.
    pub name: String,
    /// The product.
    pub product: ProductId,
    /// When this was written.
    pub recorded: Instant,
    /// What is known.
    pub fact: Fact,
}

/// Everything known of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Key of the portfolio row.
    pub subject: String,
    /// The product.
    pub product: ProductId,
    /// The lines, by id of the fact.
    pub entries: BTreeMap<Id, Entry>,
}

impl Record {
    /// The facts, in the order of their ids.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.entries.values().map(|entry| &entry.fact)
    }

    /// Name of the row as last written.
    pub fn name(&self) -> &str {
        let latest = self.entries.values().max_by_key(|e| (e.recorded, &e.name));
        latest.map_or(self.subject.as_str(), |e| e.name.as_str())
    }

    /// When the first and the last line were written.
    pub fn recorded(&self) -> Option<(Instant, Instant)> {
        let times = || self.entries.values().map(|entry| entry.recorded);
        Some((times().min()?, times().max()?))
    }
}

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// Line in the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Too long to be one of ours.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a line of this shape; the place is that of the JSON reader.
    #[error("not a line of a ledger: {0}")]
    Shape(String),
    /// Written by a later version.
    #[error("schema version {0}; this program reads {SCHEMA_VERSION}")]
    Version(u32),
    /// The ids do not follow from the content: it was edited.
    #[error("the ids do not follow from the content: was the line edited?")]
    Edited,
    /// It says what cannot be.
    #[error("{0}")]
    Impossible(&'static str),
}

/// Findings with all that is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ledger {
    records: BTreeMap<Id, Record>,
    /// The lines that could not be used.
    pub bad_lines: Vec<BadLine>,
    /// Whether the file ends inside a line, so that a newline must come first.
    cut: bool,
}

impl Ledger {
    /// Reads a file. Empty lines say nothing and are no loss.
    pub fn read(bytes: &[u8]) -> Self {
        let mut ledger = Self::default();
        for (line, number) in bytes.split(|b| *b == b'\n').zip(1..) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            match entry(line) {
                Ok(entry) => _ = ledger.insert(entry),
                Err(problem) => {
                    ledger.bad_lines.push(BadLine { line: number, problem });
                }
            }
        }
        ledger.cut = bytes.last().is_some_and(|last| *last != b'\n');
        ledger
    }

    /// The findings, in the order of their ids.
    pub fn records(&self) -> impl Iterator<Item = (Id, &Record)> {
        self.records.iter().map(|(id, record)| (*id, record))
    }

    /// One finding.
    pub fn record(&self, finding: Id) -> Option<&Record> {
        self.records.get(&finding)
    }

    /// The last day that readers were told of.
    pub fn as_of(&self) -> Option<Day> {
        let facts = self.records.values().flat_map(Record::facts);
        let day = |fact: &Fact| match fact {
            Fact::Told(told) => Some(told.as_of),
            _ => None,
        };
        facts.filter_map(day).max()
    }

    /// Adds a fact about the row `(key, name)` and a product; the line to be written, or
    /// `None` if it was there already.
    pub fn add(
        &mut self,
        (subject, name): (&str, &str),
        product: &ProductId,
        recorded: Instant,
        fact: Fact,
    ) -> Option<Entry> {
        let finding = Id::of_finding(subject, product.as_str());
        let entry = Entry {
            schema_version: SCHEMA_VERSION,
            id: fact.id(finding),
            finding,
            subject: subject.to_owned(),
            name: name.to_owned(),
            product: product.clone(),
            recorded,
            fact,
        };
        self.insert(entry.clone()).then_some(entry)
    }

    /// Notes what somebody says of a finding, as of `on`; the line to be written, or `None`
    /// if there is no such finding. Of two things said of one day the later holds.
    pub fn say(
        &mut self,
        finding: Id,
        (who, verdict, why): (&str, Verdict, &str),
        on: Day,
        recorded: Instant,
    ) -> Option<Entry> {
        let record = self.records.get(&finding)?;
        let said = record.facts().filter_map(|fact| match fact {
            Fact::Said(said) if said.at.day() == on => Some(said.at.0 + 1),
            _ => None,
        });
        let at = Instant(said.max().unwrap_or(on.start().0));
        let (subject, name) = (record.subject.clone(), record.name().to_owned());
        let product = record.product.clone();
        let (who, why) = (who.to_owned(), why.to_owned());
        let fact = Fact::Said(Said { at, who, verdict, why });
        self.add((&subject, &name), &product, recorded, fact)
    }

    /// The text that must be appended to the file to keep `entries`.
    pub fn lines(&self, entries: &[Entry]) -> String {
        let mut text = String::new();
        if self.cut && !entries.is_empty() {
            text.push('\n');
        }
        for entry in entries {
            let line = serde_json::to_string(entry);
            text.push_str(&line.expect("words, numbers and text are always written"));
            text.push('\n');
        }
        text
    }

    /// Whether the entry was new. Of two lines about one fact the earlier counts, so that
    /// the order of lines says nothing.
    fn insert(&mut self, entry: Entry) -> bool {
        let record = self.records.entry(entry.finding).or_insert_with(|| Record {
            subject: entry.subject.clone(),
            product: entry.product.clone(),
            entries: BTreeMap::new(),
        });
        match record.entries.get_mut(&entry.id) {
            None => {
                record.entries.insert(entry.id, entry);
                true
            }
            Some(there) => {
                if (entry.recorded, &entry.name) < (there.recorded, &there.name) {
                    *there = entry;
                }
                false
            }
        }
    }
}

fn entry(line: &[u8]) -> Result<Entry, LineProblem> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineProblem::TooLong);
    }
    let entry: Entry = serde_json::from_slice(line).map_err(|error| {
        // A later version may have other keys; it is told as what it is.
        match serde_json::from_slice(line) {
            Ok(Version { schema_version }) if schema_version != SCHEMA_VERSION => {
                LineProblem::Version(schema_version)
            }
            _ => LineProblem::Shape(error.to_string()),
        }
    })?;
    if entry.schema_version != SCHEMA_VERSION {
        return Err(LineProblem::Version(entry.schema_version));
    }
    if entry.subject.is_empty() || entry.product.as_str().is_empty() {
        return Err(LineProblem::Impossible("a finding has a subject and a product"));
    }
    if let Some(flaw) = entry.fact.flaw() {
        return Err(LineProblem::Impossible(flaw));
    }
    let finding = Id::of_finding(&entry.subject, entry.product.as_str());
    if entry.finding != finding || entry.id != entry.fact.id(finding) {
        return Err(LineProblem::Edited);
    }
    Ok(entry)
}

/// What every version has.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(why: &str) -> Fact {
        let who = "analyst".to_owned();
        let (at, verdict) = (Instant(1_700_000_000_000_000), Verdict::Note);
        Fact::Said(Said { at, who, verdict, why: why.to_owned() })
    }

    fn written(reasons: &[&str]) -> (Ledger, String) {
        let mut ledger = Ledger::default();
        let product = ProductId::new("kaspersky");
        let entries: Vec<Entry> = reasons
            .iter()
            .zip(1..)
            .filter_map(|(why, at)| {
                ledger.add(("alpha", "Alpha"), &product, Instant(at), said(why))
            })
            .collect();
        let text = ledger.lines(&entries);
        (ledger, text)
    }

    #[test]
    fn what_is_written_reads_back_and_is_added_once() {
        let (ledger, text) = written(&["a", "b", "a"]);
        assert_eq!(text.lines().count(), 2);
        assert_eq!(Ledger::read(text.as_bytes()), ledger);
        let twice = Ledger::read(format!("{text}{text}").as_bytes());
        assert_eq!(twice, ledger);
    }

    #[test]
    fn each_bad_line_is_told_and_loses_nothing_else() {
        let (ledger, text) = written(&["a", "b"]);
        let good: Vec<&str> = text.lines().collect();
        let later = good[0].replace("\"schema_version\":1", "\"schema_version\":2");
        let later = later.replace("\"why\"", "\"cause\"");
        let edited = good[1].replace("\"why\":\"b\"", "\"why\":\"c\"");
        let other = good[1].replace("\"subject\":\"alpha\"", "\"subject\":\"beta\"");
        let finding = good[1].replace(
            &Id::of_finding("alpha", "kaspersky").to_string(),
            &Id::of_finding("beta", "kaspersky").to_string(),
        );
        let more = good[1].replace("\"why\"", "\"more\":1,\"why\"");
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        let file = [
            good[0], "{", &later, "\u{fffd}", &edited, &other, &finding, &more, &long,
            "", good[1],
        ]
        .join("\n");
        let read = Ledger::read(file.as_bytes());
        assert_eq!(read.records, ledger.records);
        let bad: Vec<String> = read.bad_lines.iter().map(ToString::to_string).collect();
        assert_eq!(bad.len(), 8, "{bad:#?}");
        assert!(bad[0].starts_with("line 2: not a line of a ledger"), "{}", bad[0]);
        assert!(bad[1].starts_with("line 3: schema version 2"), "{}", bad[1]);
        assert!(bad[3].starts_with("line 5: the ids do not follow"), "{}", bad[3]);
        assert!(bad[4].starts_with("line 6: the ids do not follow"), "{}", bad[4]);
        assert!(bad[5].starts_with("line 7: the ids do not follow"), "{}", bad[5]);
        assert!(bad[7].starts_with("line 9: longer than"), "{}", bad[7]);
    }

    #[test]
    fn of_two_lines_about_one_fact_the_earlier_counts() {
        let (_, early) = written(&["a"]);
        let late = early.replace("\"recorded\":1,", "\"recorded\":9,");
        let late = late.replace("\"name\":\"Alpha\"", "\"name\":\"Omega\"");
        assert_ne!(early, late);
        for file in [format!("{early}{late}"), format!("{late}{early}")] {
            let read = Ledger::read(file.as_bytes());
            let (_, record) = read.records().next().unwrap();
            assert_eq!(record.recorded(), Some((Instant(1), Instant(1))));
            assert_eq!(record.name(), "Alpha");
        }
    }

    #[test]
    fn a_line_cut_by_a_crash_does_not_eat_the_next() {
        let (_, text) = written(&["a", "b"]);
        let cut = text.get(..text.len() - 9).unwrap();
        let mut ledger = Ledger::read(cut.as_bytes());
        assert_eq!(ledger.bad_lines.len(), 1);
        let product = ProductId::new("kaspersky");
        let entry = ledger.add(("alpha", "Alpha"), &product, Instant(9), said("b"));
        let mended = format!("{cut}{}", ledger.lines(&[entry.unwrap()]));
        let again = Ledger::read(mended.as_bytes());
        assert_eq!(again.bad_lines.len(), 1, "the cut line stays and is told");
        assert_eq!(again.records.values().next().unwrap().entries.len(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_books_close(
            lines in proptest::collection::vec(
                proptest::collection::vec(any::<u8>().prop_filter("no newline", |b| ![b'\n', b'\r'].contains(b)), 0..40),
                0..20,
            )
        ) {
            let full = lines.iter().filter(|line| !line.is_empty()).count();
            let ledger = Ledger::read(&lines.join(&b'\n'));
            prop_assert_eq!(ledger.bad_lines.len(), full);
        }

        #[test]
        fn a_damaged_line_is_a_bad_line_or_the_same_fact(at in 0usize..300, to: u8) {
            let (ledger, text) = written(&["why it is so"]);
            let mut bytes = text.clone().into_bytes();
            let at = at % (bytes.len() - 1);
            bytes[at] = to;
            let read = Ledger::read(&bytes);
            let facts = |l: &Ledger| -> Vec<Fact> {
                l.records().flat_map(|(_, r)| r.facts().cloned()).collect()
            };
            if read.bad_lines.is_empty() {
                prop_assert_eq!(facts(&read), facts(&ledger));
            }
        }

        #[test]
        fn the_order_of_lines_says_nothing(seed in any::<prop::sample::Index>()) {
            let (ledger, text) = written(&["a", "b", "c", "d"]);
            let mut lines: Vec<&str> = text.lines().collect();
            let turn = seed.index(lines.len());
            lines.rotate_left(turn);
            let read = Ledger::read((lines.join("\n") + "\n").as_bytes());
            prop_assert_eq!(read.records, ledger.records);
        }
    }
}
