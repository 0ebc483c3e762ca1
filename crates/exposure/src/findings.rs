//! From evidence to findings: one for each row of the portfolio and product.
//!
//! **Invariant:** the id of a finding depends on the row's name and the product alone, so
//! that the same exposure keeps its id from run to run. Rows appear in file order.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::finding::{Finding, FindingState};
use tidegauge_model::{Address, Asn, Day, Grade, Prefix, ProductId, Signal};

use crate::Subject;
use crate::matching::Index;

/// An exposure not seen for this many days is no longer "in contact": four weeks, so
/// that a monthly rhythm does not flap. Picked by hand, revisit.
pub const CONTACT_DAYS: i32 = 28;

/// Contacts of one client with one product on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The client.
    pub address: Address,
    /// Origin AS of the client's address on that day, if known.
    pub asn: Option<Asn>,
    /// The product.
    pub product: ProductId,
    /// The day.
    pub day: Day,
    /// How the endpoint was recognised.
    pub grade: Grade,
    /// What the contacts prove.
    pub signal: Signal,
    /// Probability that they mean use, 0 to 1.
    pub probability: f64,
}

/// What findings are made with.
pub struct Settings<'a> {
    /// The products asked about.
    pub products: &'a [ProductId],
    /// The last day looked at.
    pub as_of: Day,
    /// Whether any network of the row was in a footprint.
    pub visible: &'a dyn Fn(&Subject) -> bool,
    /// Combines the probabilities of independent networks into one.
    pub combine: &'a dyn Fn(&mut dyn Iterator<Item = f64>) -> f64,
}

/// One finding for each subject and product.
pub fn findings(
    subjects: &[Subject],
    evidence: impl IntoIterator<Item = Evidence>,
    settings: &Settings<'_>,
) -> Vec<Finding> {
    let index = Index::new(subjects);
    let mut trails: BTreeMap<(usize, ProductId), Trail> = BTreeMap::new();
    for evidence in evidence {
        for row in index.rows(evidence.address, evidence.asn) {
            let trail = trails.entry((row, evidence.product.clone())).or_default();
            trail.add(&evidence);
        }
    }
    let nothing = Trail::default();
    let mut findings = Vec::new();
    for (row, subject) in subjects.iter().enumerate() {
        for product in settings.products {
            let trail = trails.get(&(row, product.clone())).unwrap_or(&nothing);
            findings.push(trail.finding(subject, product, settings));
        }
    }
    findings
}

/// Everything seen of one subject and product.
#[derive(Debug, Default)]
struct Trail {
    days: BTreeSet<Day>,
    addresses: BTreeSet<Address>,
    /// Highest probability by /24 or /48: addresses of one network are one observation.
    clusters: BTreeMap<Prefix, f64>,
    /// Days by signal and grade.
    kinds: BTreeMap<(Signal, Grade), BTreeSet<Day>>,
}

impl Trail {
    fn add(&mut self, evidence: &Evidence) {
        self.days.insert(evidence.day);
        self.addresses.insert(evidence.address);
        let length = if evidence.address.is_v4() { 96 + 24 } else { 48 };
        let cluster = Prefix::containing(evidence.address, length);
        let best = self.clusters.entry(cluster).or_default();
        *best = best.max(evidence.probability);
        self.kinds
            .entry((evidence.signal, evidence.grade))
            .or_default()
            .insert(evidence.day);
    }

    fn finding(
        &self,
        subject: &Subject,
        product: &ProductId,
        settings: &Settings<'_>,
    ) -> Finding {
        let confidence = (settings.combine)(&mut self.clusters.values().copied());
        #[expect(clippy::cast_possible_truncation, reason = "a share needs few digits")]
        let confidence = if self.days.is_empty() { 0.0 } else { confidence as f32 };
        Finding {
            id: format!("{product}:{}", slug(&subject.name)),
            subject: subject.name.clone(),
            product: product.clone(),
            state: self.state(subject, settings),
            first_seen: self.days.first().copied(),
            last_seen: self.days.last().copied(),
            days: u32::try_from(self.days.len()).unwrap_or(u32::MAX),
            addresses: self.addresses.len() as u64,
            evidence: self.evidence(),
            confidence,
        }
    }

    fn state(&self, subject: &Subject, settings: &Settings<'_>) -> FindingState {
        match self.days.last() {
            Some(last) if settings.as_of.0 - last.0 < CONTACT_DAYS => {
                FindingState::InContact
            }
            Some(_) => FindingState::NoLongerSeen,
            None if !subject.is_checkable() => FindingState::NotCheckable,
            None if (settings.visible)(subject) => FindingState::NotSeen,
            None => FindingState::NotVisible,
        }
    }

    /// What was seen, strongest signal first.
    fn evidence(&self) -> Vec<String> {
        let strongest_first = self.kinds.iter().rev();
        let line = |((signal, grade), days): (&(Signal, Grade), &BTreeSet<Day>)| {
            let (first, last) = (days.first()?, days.last()?);
            let plural = if days.len() == 1 { "day" } else { "days" };
            Some(format!(
                "{signal}, recognised by {grade}: {} {plural}, {first} to {last}",
                days.len()
            ))
        };
        strongest_first.filter_map(line).collect()
    }
}

/// The name in lower case, every run of other characters a hyphen.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(address: &str, day: &str, signal: Signal) -> Evidence {
        Evidence {
            address: address.parse().unwrap(),
            asn: None,
            product: "kaspersky".into(),
            day: day.parse().unwrap(),
            grade: Grade::Name,
            signal,
            probability: 0.6,
        }
    }

    fn subject(name: &str, prefixes: &[&str]) -> Subject {
        Subject {
            name: name.to_owned(),
            domain: Some("example.com".to_owned()),
            prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
            asns: vec![],
        }
    }

    #[test]
    fn each_state_is_told_apart() {
        let subjects = [
            subject("Alpha & Co.", &["192.0.2.0/24"]),
            subject("Beta", &["198.51.100.0/24"]),
            subject("Gamma", &["203.0.113.0/25"]),
            subject("Delta", &["203.0.113.128/25"]),
            subject("Epsilon", &[]),
        ];
        let seen = [
            evidence("192.0.2.1", "2024-11-20", Signal::Attempted),
            evidence("192.0.2.9", "2024-04-02", Signal::Served),
            evidence("198.51.100.1", "2024-05-01", Signal::Served),
        ];
        let settings = Settings {
            products: &["kaspersky".into()],
            as_of: "2024-11-30".parse().unwrap(),
            visible: &|s| s.name == "Gamma",
            combine: &|p| 1.0 - p.map(|p| 1.0 - p).product::<f64>(),
        };
        let found = findings(&subjects, seen, &settings);
        let states: Vec<_> = found.iter().map(|f| f.state).collect();
        assert_eq!(
            states,
            [
                FindingState::InContact,
                FindingState::NoLongerSeen,
                FindingState::NotSeen,
                FindingState::NotVisible,
                FindingState::NotCheckable
            ]
        );
        let alpha = &found[0];
        assert_eq!(alpha.id, "kaspersky:alpha-co");
        assert_eq!((alpha.days, alpha.addresses), (2, 2));
        assert!((alpha.confidence - 0.6).abs() < 1e-6, "one /24 is one observation");
        assert_eq!(
            alpha.evidence,
            [
                "served, recognised by name: 1 day, 2024-04-02 to 2024-04-02",
                "attempted, recognised by name: 1 day, 2024-11-20 to 2024-11-20"
            ]
        );
    }
}
