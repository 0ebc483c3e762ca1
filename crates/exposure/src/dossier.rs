//! A finding with all its evidence, for readers: what was seen, when, from where, how it
//! was matched, why it is this row's, how sure it is, and what to do next.
//!
//! **Invariant:** addresses of others are networks, whoever reads it; those of our own are
//! too, unless it stays in the house. Dossiers come sorted by name and product.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegauge_model::finding::{Finding, FindingState};
use tidegauge_model::{
    Asn, Day, EndpointId, Grade, Instant, OrgId, Prefix, ProductId, Role, Signal,
    VantageId,
};

use crate::chance::Chance;
use crate::fact::{Fact, Quiet, Said, Seen, Told};
use crate::id::Id;
use crate::ledger::{Ledger, Record};
use crate::life::{Combine, Facts, Life, life};
use crate::mask;
use crate::matching::By;
use crate::out::stamp;
use crate::portfolio::{Kind, Portfolio, Subject};
use crate::remedy::{Situation, asked, next_steps};
use crate::update::told;

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The operator: addresses of own assets are shown.
    House,
    /// Anybody else: every address is masked, and what was said stays in the house.
    Others,
}

/// Everything about one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dossier {
    /// Stable id of the finding.
    pub id: Id,
    /// Whose it is.
    pub subject: About,
    /// The product.
    pub product: ProductId,
    /// The last day looked at.
    pub as_of: Day,
    /// Where it stands, as known now.
    #[serde(flatten)]
    pub life: Life,
    /// What was seen, strongest first.
    pub evidence: Vec<Sight>,
    /// Weeks after the last contact that were looked at: negative evidence.
    pub quiet_weeks: Vec<Quiet>,
    /// What was said, in order.
    pub said: Vec<Said>,
    /// What readers were told, in order.
    pub told: Vec<Told>,
    /// What to do, in order.
    pub next_steps: Vec<String>,
    /// When its first line was written.
    #[serde(serialize_with = "stamp::serialize")]
    pub recorded_first: Instant,
    /// When its last line was written.
    #[serde(serialize_with = "stamp::serialize")]
    pub recorded_last: Instant,
}

/// Whose a finding is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// Key of the portfolio row.
    pub key: String,
    /// Name for people.
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// How much depends on it.
    pub tier: Option<u8>,
    /// Words of the portfolio.
    pub tags: Vec<String>,
    /// Domains of the portfolio.
    pub domains: Vec<String>,
    /// Cloud accounts of the portfolio.
    pub cloud_accounts: Vec<String>,
    /// Names of those through whom it is ours, nearest first.
    pub through: Vec<String>,
    /// Who is written to.
    pub contact: Option<String>,
    /// Whether the portfolio still has the row.
    pub listed: bool,
}

/// Contacts that are alike, over all days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sight {
    /// What they prove.
    pub signal: Signal,
    /// How the server was recognised.
    pub grade: Grade,
    /// What the server does.
    pub role: Role,
    /// Which entry of the catalog.
    pub endpoint: EndpointId,
    /// From where.
    pub vantage: VantageId,
    /// From which network.
    pub network: Prefix,
    /// Why it is this row's.
    pub matched: String,
    /// Who held the address, as the atlas has it.
    pub organisation: Option<OrgId>,
    /// Its origin AS.
    pub asn: Option<Asn>,
    /// The first contact.
    #[serde(serialize_with = "stamp::serialize")]
    pub first: Instant,
    /// The last contact.
    #[serde(serialize_with = "stamp::serialize")]
    pub last: Instant,
    /// Days with contacts.
    pub days: u32,
    /// Distinct addresses on the day with most of them.
    pub addresses: u64,
    /// Contacts, at least.
    pub contacts: u64,
    /// Best chance that they mean use by the row.
    pub probability: Chance,
}

/// Every finding of the ledger, as known now of `as_of`.
pub fn dossiers(
    portfolio: &Portfolio,
    ledger: &Ledger,
    as_of: Day,
    audience: Audience,
    combine: Combine<'_>,
) -> Vec<Dossier> {
    let by_key: BTreeMap<&str, &Subject> =
        portfolio.subjects.iter().map(|s| (s.key.as_str(), s)).collect();
    let mut all: Vec<Dossier> = ledger
        .records()
        .filter_map(|(id, record)| {
            let subject = by_key.get(record.subject.as_str()).copied();
            let about = about(portfolio, subject, record);
            dossier(id, record, about, as_of, audience, combine)
        })
        .collect();
    all.sort_by(|a, b| {
        let key = |d: &Dossier| (d.subject.name.clone(), d.product.clone(), d.id);
        key(a).cmp(&key(b))
    });
    all
}

fn about(portfolio: &Portfolio, subject: Option<&Subject>, record: &Record) -> About {
    let nobody = Subject {
        key: record.subject.clone(),
        name: record.name().to_owned(),
        ..Subject::default()
    };
    let (listed, row) = (subject.is_some(), subject.unwrap_or(&nobody));
    About {
        key: row.key.clone(),
        name: row.name.clone(),
        kind: row.kind,
        tier: row.tier,
        tags: row.tags.clone(),
        domains: row.domains.clone(),
        cloud_accounts: row.cloud_accounts.clone(),
        through: portfolio.parents(row),
        contact: row.contact.clone(),
        listed,
    }
}

fn dossier(
    id: Id,
    record: &Record,
    subject: About,
    as_of: Day,
    audience: Audience,
    combine: Combine<'_>,
) -> Option<Dossier> {
    let mut life = life(record.facts(), as_of, combine)?;
    let facts = Facts::until(record.facts(), as_of);
    let masked = audience == Audience::Others || subject.kind != Kind::Asset;
    let evidence = sights(record.facts(), as_of, masked);
    let strongest = evidence.first()?;
    let next_steps = next_steps(Situation {
        kind: subject.kind,
        state: life.state,
        role: strongest.role,
        signal: strongest.signal,
        product: record.product.as_str(),
    });
    let house = audience == Audience::House;
    if !house {
        keep_in_the_house(&mut life);
    }
    let (recorded_first, recorded_last) = record.recorded()?;
    let last = life.last_seen;
    let told = told(record).into_iter().filter(|t| t.as_of <= as_of).cloned();
    Some(Dossier {
        id,
        product: record.product.clone(),
        as_of,
        evidence,
        quiet_weeks: facts
            .quiet
            .range(last.plus(1)..)
            .map(|(_, q)| (*q).clone())
            .collect(),
        said: facts.said.iter().filter(|_| house).map(|s| (*s).clone()).collect(),
        told: told.filter(|_| house).collect(),
        next_steps,
        recorded_first,
        recorded_last,
        subject,
        life,
    })
}

/// Who said what is nobody else's.
fn keep_in_the_house(life: &mut Life) {
    for step in &mut life.moves {
        step.said = None;
    }
    match life.state {
        FindingState::Disputed => "disputed, to be decided".clone_into(&mut life.why),
        FindingState::NotOurs => "decided: not the row's".clone_into(&mut life.why),
        _ => {}
    }
}

/// What contacts are alike by.
type Alike = (
    Signal,
    Grade,
    Role,
    EndpointId,
    VantageId,
    Prefix,
    By,
    Option<OrgId>,
    Option<Asn>,
);

fn sights<'a>(
    facts: impl Iterator<Item = &'a Fact>,
    as_of: Day,
    masked: bool,
) -> Vec<Sight> {
    let mut alike: BTreeMap<Alike, BTreeMap<(Day, Prefix), Seen>> = BTreeMap::new();
    let seen = facts.filter_map(|fact| match fact {
        Fact::Seen(seen) if seen.day <= as_of => Some(seen),
        _ => None,
    });
    for seen in seen {
        let (network, by) = match (masked, &seen.by) {
            (false, by) => (seen.network, by.clone()),
            (true, By::Prefix(p)) => {
                (mask::masked(seen.network), By::Prefix(mask::masked(*p)))
            }
            (true, by) => (mask::masked(seen.network), by.clone()),
        };
        let key = (
            seen.signal,
            seen.grade,
            seen.role,
            seen.endpoint.clone(),
            seen.vantage.clone(),
            network,
            by,
            seen.organisation.clone(),
            seen.asn,
        );
        let days = alike.entry(key).or_default();
        days.entry((seen.day, seen.network))
            .and_modify(|there| widen(there, seen))
            .or_insert_with(|| seen.clone());
    }
    let mut sights: Vec<Sight> =
        alike.into_iter().filter_map(|(key, days)| sight(key, &days)).collect();
    sights.sort_by_key(|s| std::cmp::Reverse((s.signal, s.grade, s.last)));
    sights
}

/// Two facts of one day and network: counts are "at least", so the greater holds.
fn widen(there: &mut Seen, seen: &Seen) {
    there.addresses = there.addresses.max(seen.addresses);
    there.contacts = there.contacts.max(seen.contacts);
    there.first = there.first.min(seen.first);
    there.last = there.last.max(seen.last);
    there.probability = there.probability.max(seen.probability);
}

fn sight(key: Alike, seen: &BTreeMap<(Day, Prefix), Seen>) -> Option<Sight> {
    let (signal, grade, role, endpoint, vantage, network, by, organisation, asn) = key;
    let mut days: BTreeMap<Day, u64> = BTreeMap::new();
    for ((day, _), seen) in seen {
        let addresses = days.entry(*day).or_default();
        *addresses = addresses.saturating_add(seen.addresses);
    }
    Some(Sight {
        signal,
        grade,
        role,
        endpoint,
        vantage,
        network,
        matched: by.to_string(),
        organisation,
        asn,
        first: seen.values().map(|s| s.first).min()?,
        last: seen.values().map(|s| s.last).max()?,
        days: u32::try_from(days.len()).unwrap_or(u32::MAX),
        addresses: days.into_values().max()?,
        contacts: seen.values().map(|s| s.contacts).fold(0, u64::saturating_add),
        probability: seen.values().map(|s| s.probability).max()?,
    })
}

impl Dossier {
    /// As one row, for tables.
    pub fn row(&self) -> Finding {
        #[expect(clippy::cast_possible_truncation, reason = "a share needs few digits")]
        let confidence = self.life.confidence.value() as f32;
        let mut networks: BTreeMap<Prefix, u64> = BTreeMap::new();
        for sight in &self.evidence {
            let most = networks.entry(sight.network).or_default();
            *most = (*most).max(sight.addresses);
        }
        Finding {
            id: self.id.to_string(),
            subject: self.subject.name.clone(),
            product: self.product.clone(),
            state: self.life.state,
            first_seen: Some(self.life.first_seen),
            last_seen: Some(self.life.last_seen),
            days: self.life.days,
            addresses: networks.into_values().fold(0, u64::saturating_add),
            evidence: self.evidence.iter().map(Sight::in_words).collect(),
            confidence,
        }
    }

    /// What a letter asks of whoever it is about; `product` is its name for readers.
    pub fn asked(&self, product: &str) -> Vec<String> {
        let asked = |strongest: &Sight| {
            asked(Situation {
                kind: self.subject.kind,
                state: self.life.state,
                role: strongest.role,
                signal: strongest.signal,
                product,
            })
        };
        self.evidence.first().map(asked).unwrap_or_default()
    }

    /// Whether it asks for something to be done.
    pub fn is_open(&self) -> bool {
        matches!(self.life.state, FindingState::Open | FindingState::Reappeared)
    }
}

impl Sight {
    /// One line.
    pub fn in_words(&self) -> String {
        format!(
            "{} ({} {}), recognised by {}, from {} at {}: {}, {} to {}",
            self.signal,
            self.role,
            self.endpoint,
            self.grade,
            self.network,
            self.vantage,
            days(self.days),
            self.first.day(),
            self.last.day()
        )
    }
}

/// A number of days, in words.
pub(crate) fn days(count: u32) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// The state of a row about which nothing was ever seen.
pub fn without_contacts(
    subject: &Subject,
    product: &ProductId,
    visible: bool,
) -> Finding {
    let state = match visible {
        _ if !subject.is_checkable() => FindingState::NotCheckable,
        true => FindingState::NotSeen,
        false => FindingState::NotVisible,
    };
    Finding {
        id: Id::of_finding(&subject.key, product.as_str()).to_string(),
        subject: subject.name.clone(),
        product: product.clone(),
        state,
        first_seen: None,
        last_seen: None,
        days: 0,
        addresses: 0,
        evidence: Vec::new(),
        confidence: 0.0,
    }
}
