//! Evidence → new facts.
//!
//! **Invariant:** the same evidence twice, in any order, adds nothing the second time. A
//! finding is never deleted, closed or reopened here: facts are added, and its state
//! follows from them.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::{
    Address, Asn, Attribution, Client, Day, DayRange, EndpointId, Grade, Instant,
    OrgId, Prefix, ProductId, Role, Signal, VantageId, Week,
};

use crate::chance::Chance;
use crate::fact::{Fact, Quiet, Seen, Told};
use crate::id::Id;
use crate::ledger::{Entry, Ledger, Record};
use crate::life::{Combine, life};
use crate::mask;
use crate::matching::{By, Index, Passed};
use crate::portfolio::{Kind, Portfolio, Subject};

/// Contacts of one client with one endpoint on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The client.
    pub client: Client,
    /// Who held its address that day.
    pub held: Attribution,
    /// The product.
    pub product: ProductId,
    /// The entry of the catalog.
    pub endpoint: EndpointId,
    /// What the server does.
    pub role: Role,
    /// From where it was seen.
    pub vantage: VantageId,
    /// The day.
    pub day: Day,
    /// The first contact.
    pub first: Instant,
    /// The last contact.
    pub last: Instant,
    /// How the endpoint was recognised.
    pub grade: Grade,
    /// What the contacts prove.
    pub signal: Signal,
    /// How many, at least 1.
    pub contacts: u64,
    /// Probability that they mean use at the client, 0 to 1.
    pub probability: f64,
}

/// How far a week was looked at for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// Days on which any of its networks was in a footprint.
    pub days: u8,
    /// Who looked.
    pub vantages: Vec<VantageId>,
    /// Chance that a user in sight is seen in a week that is looked at on all seven days,
    /// or why it is not known.
    pub detection: Result<f64, String>,
}

/// What findings are made with.
pub struct Settings<'a> {
    /// The products asked about.
    pub products: &'a [ProductId],
    /// The days that the evidence covers.
    pub days: DayRange,
    /// When this is written.
    pub recorded: Instant,
    /// How far a week was looked at.
    pub looked: &'a dyn Fn(&Subject, &ProductId, Week) -> Looked,
    /// Combines the probabilities of independent networks into one.
    pub combine: Combine<'a>,
}

/// What an import brought.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Update {
    /// The lines to be appended to the ledger.
    pub entries: Vec<Entry>,
    /// Contacts that look like a row's and were not taken for it, by position of the row.
    pub passed: BTreeMap<(usize, Passed), u64>,
}

/// Matches the evidence with the portfolio and adds what is new to the ledger.
pub fn update(
    portfolio: &Portfolio,
    evidence: impl IntoIterator<Item = Evidence>,
    ledger: &mut Ledger,
    settings: &Settings<'_>,
) -> Update {
    let mut gathered = Gathered::default();
    let index = Index::new(&portfolio.subjects);
    for evidence in evidence {
        let asked = settings.products.contains(&evidence.product);
        if asked && settings.days.contains(evidence.day) {
            gathered.add(&index, portfolio, &evidence, ledger);
        }
    }
    let Gathered { trails, passed } = gathered;
    let mut entries = Vec::new();
    for (trail, tally) in trails {
        let Some(subject) = portfolio.subjects.get(trail.row) else { continue };
        let product = trail.product.clone();
        let fact = Fact::Seen(tally.fact(trail));
        let row = (subject.key.as_str(), subject.name.as_str());
        entries.extend(ledger.add(row, &product, settings.recorded, fact));
    }
    for subject in &portfolio.subjects {
        for product in settings.products {
            entries.extend(quiet_weeks(subject, product, ledger, settings));
        }
    }
    entries.extend(tell(ledger, settings));
    Update { entries, passed }
}

/// What one line of evidence is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Trail {
    row: usize,
    product: ProductId,
    day: Day,
    vantage: VantageId,
    endpoint: EndpointId,
    role: Role,
    grade: Grade,
    signal: Signal,
    network: Prefix,
    by: By,
    organisation: Option<OrgId>,
    asn: Option<Asn>,
}

/// What was seen of it.
#[derive(Debug)]
struct Tally {
    addresses: BTreeSet<Address>,
    contacts: u64,
    first: Instant,
    last: Instant,
    probability: Chance,
}

impl Tally {
    fn fact(self, trail: Trail) -> Seen {
        Seen {
            day: trail.day,
            vantage: trail.vantage,
            endpoint: trail.endpoint,
            role: trail.role,
            grade: trail.grade,
            signal: trail.signal,
            network: trail.network,
            by: trail.by,
            organisation: trail.organisation,
            asn: trail.asn,
            addresses: self.addresses.len() as u64,
            contacts: self.contacts,
            first: self.first,
            last: self.last,
            probability: self.probability,
        }
    }
}

#[derive(Default)]
struct Gathered {
    trails: BTreeMap<Trail, Tally>,
    passed: BTreeMap<(usize, Passed), u64>,
}

impl Gathered {
    fn add(
        &mut self,
        index: &Index<'_>,
        portfolio: &Portfolio,
        evidence: &Evidence,
        ledger: &Ledger,
    ) {
        let address = evidence.client.address;
        let matches = index.matches(&evidence.client, &evidence.held);
        for passed in matches.passed {
            *self.passed.entry(passed).or_default() += evidence.contacts;
        }
        for found in matches.matched {
            let subject = portfolio.subjects.get(found.row);
            // What was noted of a day when addresses were there would be noted twice.
            if address.is_pseudonym()
                && subject.is_some_and(|s| noted(s, evidence, ledger))
            {
                let passed = self.passed.entry((found.row, Passed::Pseudonym));
                *passed.or_default() += evidence.contacts;
                continue;
            }
            let network = match subject.map_or(Kind::Supplier, |s| s.kind) {
                Kind::Asset if !address.is_pseudonym() => {
                    Prefix::containing(address, 128)
                }
                Kind::Asset | Kind::Supplier => mask::network(address),
            };
            let trail = Trail {
                row: found.row,
                product: evidence.product.clone(),
                day: evidence.day,
                vantage: evidence.vantage.clone(),
                endpoint: evidence.endpoint.clone(),
                role: evidence.role,
                grade: evidence.grade,
                signal: evidence.signal,
                network,
                by: found.by,
                organisation: evidence.held.organisation.clone(),
                asn: evidence.held.asn,
            };
            let probability = Chance::near(evidence.probability * found.strength);
            let (first, last) = (evidence.first, evidence.last.max(evidence.first));
            let tally = self.trails.entry(trail).or_insert(Tally {
                addresses: BTreeSet::new(),
                contacts: 0,
                first,
                last,
                probability,
            });
            tally.addresses.insert(address);
            tally.contacts = tally.contacts.saturating_add(evidence.contacts.max(1));
            tally.first = tally.first.min(first);
            tally.last = tally.last.max(last);
            tally.probability = tally.probability.max(probability);
        }
    }
}

/// Whether the ledger knows of addresses of a row on the day of the evidence.
fn noted(subject: &Subject, evidence: &Evidence, ledger: &Ledger) -> bool {
    let finding = Id::of_finding(&subject.key, evidence.product.as_str());
    let of_day = |fact: &Fact| match fact {
        Fact::Seen(seen) => {
            seen.day == evidence.day && !seen.network.first().is_pseudonym()
        }
        _ => false,
    };
    ledger.record(finding).is_some_and(|record| record.facts().any(of_day))
}

/// The whole weeks after the first contact in which a row was looked at and not seen.
fn quiet_weeks(
    subject: &Subject,
    product: &ProductId,
    ledger: &mut Ledger,
    settings: &Settings<'_>,
) -> Vec<Entry> {
    let finding = Id::of_finding(&subject.key, product.as_str());
    let Some(record) = ledger.record(finding) else { return Vec::new() };
    let seen: BTreeSet<Day> = record.facts().filter_map(day_seen).collect();
    let Some(first) = seen.first().copied() else { return Vec::new() };
    let whole = |week: &Week| {
        let monday = week.monday();
        monday > first
            && settings.days.contains(monday)
            && settings.days.contains(monday.plus(6))
            && seen.range(monday..=monday.plus(6)).next().is_none()
    };
    let mut entries = Vec::new();
    for week in settings.days.weeks().filter(whole) {
        let looked = (settings.looked)(subject, product, week);
        if looked.days > 0 {
            let fact = Fact::Quiet(quiet(week, looked));
            let row = (subject.key.as_str(), subject.name.as_str());
            entries.extend(ledger.add(row, product, settings.recorded, fact));
        }
    }
    entries
}

fn day_seen(fact: &Fact) -> Option<Day> {
    match fact {
        Fact::Seen(seen) => Some(seen.day),
        _ => None,
    }
}

fn quiet(week: Week, looked: Looked) -> Quiet {
    let days = looked.days.min(7);
    let (detection, unknown) = match looked.detection {
        // Days are taken as alike and apart, so a part of a week sees less.
        Ok(chance) => {
            let missed = (1.0 - chance.clamp(0.0, 1.0)).powf(f64::from(days) / 7.0);
            (Some(Chance::near(1.0 - missed)), None)
        }
        Err(why) => (None, Some(why)),
    };
    let mut vantages = looked.vantages;
    vantages.sort();
    vantages.dedup();
    Quiet { week: week.monday(), looked_days: days, vantages, detection, unknown }
}

/// Tells the state of every finding that is not what was last told. A question about the
/// past tells nothing.
fn tell(ledger: &mut Ledger, settings: &Settings<'_>) -> Vec<Entry> {
    let as_of = settings.days.last();
    let mut news = Vec::new();
    for (_, record) in ledger.records() {
        let Some(life) = life(record.facts(), as_of, settings.combine) else {
            continue;
        };
        let last = last_told(record);
        let old =
            last.is_some_and(|told| told.as_of > as_of || told.state == life.state);
        if !old {
            let told = Told { as_of, state: life.state, why: life.why };
            let row = (record.subject.clone(), record.name().to_owned());
            news.push((row, record.product.clone(), Fact::Told(told)));
        }
    }
    let tell =
        |((subject, name), product, fact): ((String, String), ProductId, Fact)| {
            ledger.add((&subject, &name), &product, settings.recorded, fact)
        };
    news.into_iter().filter_map(tell).collect()
}

/// What readers were told last.
pub(crate) fn last_told(record: &Record) -> Option<&Told> {
    told(record).pop()
}

/// What readers were told, in order.
pub(crate) fn told(record: &Record) -> Vec<&Told> {
    let mut told: Vec<_> = record
        .entries
        .values()
        .filter_map(|entry| match &entry.fact {
            Fact::Told(told) => Some((told.as_of, entry.recorded, entry.id, told)),
            _ => None,
        })
        .collect();
    told.sort_by_key(|(as_of, recorded, id, _)| (*as_of, *recorded, *id));
    told.into_iter().map(|(_, _, _, told)| told).collect()
}

#[cfg(test)]
mod tests;
