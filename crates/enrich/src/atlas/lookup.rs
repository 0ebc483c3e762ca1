//! Answers: who held an address on a day, over days, and why.
//!
//! **Invariant:** tenures cover the days asked for wholly, in order, without overlap;
//! two that touch differ.

use std::fmt;

use tidegauge_model::{
    Address, Attribution, Day, DayRange, Gap, NetworkKind, Observation, OrgId,
    Organisation, Shared, SiteId, SourceId, Standing, Tenure,
};

use super::ask::Answer;
use super::build::{Atlas, Edition, Layer};
use super::confidence::Confidence;
use super::ranges::Hit;

/// An answer with its grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The address asked for.
    pub address: Address,
    /// The day asked for.
    pub day: Day,
    /// The answer.
    pub attribution: Attribution,
    /// The organisation named in it.
    pub organisation: Option<Organisation>,
    /// Which rule chose it.
    pub why: Why,
    /// What its confidence is made of.
    pub confidence: Confidence,
    /// How directly the day is proven.
    pub standing: Standing,
    /// How gaps were filled.
    pub gap: Gap,
    /// What the answer rests on. A range is the piece in which the observation decides:
    /// narrower than its row where a narrower row lies inside.
    pub observations: Vec<Observation>,
    /// What every source says, by field and name: of the snapshots before the day, the one
    /// that holds, and those after it.
    pub opinions: Vec<Opinion>,
    /// The last stretch before the day on which somebody else held it.
    pub before: Option<Tenure>,
    /// The first stretch after it.
    pub after: Option<Tenure>,
}

/// What one snapshot of one source says of an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// The source.
    pub source: SourceId,
    /// Its snapshot.
    pub snapshot: Day,
    /// How the snapshot lies to the day.
    pub relation: Relation,
    /// What it says; `None` if it leaves the address out.
    pub said: Option<Observation>,
    /// The organisation that this names.
    pub organisation: Option<OrgId>,
    /// Whether the answer rests on it.
    pub decides: bool,
}

/// How a snapshot lies to the day asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// An older one of a source that has a newer one by then.
    Before,
    /// The one by which the source is read on that day.
    Holds,
    /// A later one.
    After,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Before => "before",
            Self::Holds => "holds",
            Self::After => "after",
        })
    }
}

/// Which rule chose the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A holder row stands over everything else.
    Holder,
    /// No holder row; a provider publishes the range as its own.
    Provider,
    /// Neither; a registry names the user of the range, and it is not whom the AS is of.
    Registry,
    /// None of these; the AS that announces the range stands for its organisation.
    Origin,
    /// Two snapshots differ, and the rule for gaps names nobody.
    Withheld,
    /// No source names anybody.
    Nobody,
}

impl Why {
    /// Whether what was said so loses confidence with the age of its snapshot. A holder
    /// row does not: whoever wrote it answers for it until they write another.
    pub(super) fn ages(self) -> bool {
        matches!(self, Self::Provider | Self::Registry | Self::Origin)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holder => "a holder row stands over every other source",
            Self::Provider => {
                "no holder row; the provider's own list stands over the routing table"
            }
            Self::Registry => {
                "no holder row and no provider; a registry names the user of the range"
            }
            Self::Origin => {
                "no holder row, no provider and no registered user; the origin AS stands \
                 for it"
            }
            Self::Withheld => "two snapshots differ and the rule for gaps names nobody",
            Self::Nobody => "no source names anybody",
        })
    }
}

impl Atlas {
    /// Who held a global `address` on a day, and what that rests on.
    pub fn lookup(&self, address: Address, day: Day) -> Explained {
        let v6 = !address.is_v4();
        let locate = |edition: &Edition| edition.ranges.segment(address.bits());
        let asked = self.ask(v6, &locate, day);
        let decision = self.decide(&asked, &locate, day);
        let held = self.map().held(address, day);
        let registration = self.answer(&self.registrations, v6, &locate, day);
        let delegation = self.answer(&self.delegations, v6, &locate, day);
        let answers = [
            &asked.holder,
            &asked.provider,
            &registration,
            &asked.tag,
            &asked.origin,
            &asked.country,
            &delegation,
        ];
        let mut observations: Vec<_> =
            answers.into_iter().filter_map(|answer| self.told(answer)).collect();
        let attribution = held.attribution();
        if let Some(asn) = attribution.asn {
            observations.extend(self.networks.observations(asn, day));
        }
        let decides = |edition: &Edition| {
            let told = asked.deciding().told;
            told.is_some_and(|(_, told)| std::ptr::eq(told, edition))
        };
        let [before, after] = self.neighbours(address, day, &attribution);
        Explained {
            address,
            day,
            organisation: attribution
                .organisation
                .as_ref()
                .and_then(|o| self.organisation(o)),
            why: decision.why,
            confidence: Confidence { age: held.age(), ..decision.confidence },
            standing: self.map().standing_of(address, day),
            gap: self.gap,
            attribution,
            observations,
            opinions: self.opinions(address, day, &decides),
            before,
            after,
        }
    }

    /// What is known of an organisation.
    pub fn organisation(&self, id: &OrgId) -> Option<Organisation> {
        let told = self.organisations.get(id).cloned();
        self.identity.describe(id, told.or_else(|| self.networks.organisation(id)))
    }

    /// Whose a site's private clients are.
    pub(super) fn at_site(&self, site: &SiteId) -> Attribution {
        let holder = self.sites.get(site).and_then(|id| self.organisations.get(id));
        let Some(holder) = holder else { return Attribution::UNATTRIBUTED };
        Attribution {
            organisation: Some(holder.id.clone()),
            asn: None,
            kind: NetworkKind::Own,
            shared: Shared::No,
            org_country: holder.country,
            addr_country: None,
            confidence: 1.0,
        }
    }

    /// The nearest stretches before and after `day` on which another organisation, or
    /// nobody, is named.
    fn neighbours(
        &self,
        address: Address,
        day: Day,
        now: &Attribution,
    ) -> [Option<Tenure>; 2] {
        let always = DayRange::new(Day(i32::MIN), Day(i32::MAX));
        let tenures =
            always.map_or_else(Vec::new, |days| self.map().tenures_of(address, days));
        let other = |t: &&Tenure| t.attribution.organisation != now.organisation;
        let before = tenures.iter().rev().filter(|t| t.days.last() < day).find(other);
        let after = tenures.iter().filter(|t| day < t.days.first()).find(other);
        [before.cloned(), after.cloned()]
    }

    fn opinions(
        &self,
        address: Address,
        day: Day,
        decides: &dyn Fn(&Edition) -> bool,
    ) -> Vec<Opinion> {
        let v6 = !address.is_v4();
        let fields = [
            &self.holders,
            &self.providers,
            &self.registrations,
            &self.range_tags,
            &self.origins,
            &self.countries,
            &self.delegations,
        ];
        let layers = fields.into_iter().chain(&self.beside);
        layers
            .flat_map(|field| field.family(v6))
            .flat_map(|layer| self.opinions_of(layer, address, day, decides))
            .collect()
    }

    /// What each snapshot of a source says; nothing if none mentions the address.
    fn opinions_of(
        &self,
        layer: &Layer,
        address: Address,
        day: Day,
        decides: &dyn Fn(&Edition) -> bool,
    ) -> Vec<Opinion> {
        let newest = layer.editions.len().saturating_sub(1);
        let begun = layer.editions.partition_point(|e| e.snapshot <= day);
        let holding = if layer.dated { newest } else { begun.saturating_sub(1) };
        let opinions = layer.editions.iter().enumerate().map(|(at, edition)| {
            let segment = edition.ranges.segment(address.bits());
            let hit = segment.and_then(|segment| edition.ranges.said(segment, day));
            Opinion {
                source: layer.source.clone(),
                snapshot: edition.snapshot,
                relation: match at.cmp(&holding) {
                    std::cmp::Ordering::Less => Relation::Before,
                    std::cmp::Ordering::Equal => Relation::Holds,
                    std::cmp::Ordering::Greater => Relation::After,
                },
                said: hit.and_then(|hit| self.observation(layer, edition, hit)),
                organisation: hit
                    .and_then(|hit| self.organisation_of(hit, day))
                    .cloned(),
                decides: decides(edition),
            }
        });
        let opinions: Vec<_> = opinions.collect();
        if opinions.iter().all(|o| o.said.is_none()) { Vec::new() } else { opinions }
    }

    fn told(&self, answer: &Answer<'_>) -> Option<Observation> {
        let (layer, edition) = answer.told?;
        self.observation(layer, edition, answer.hit?)
    }

    fn observation(
        &self,
        layer: &Layer,
        edition: &Edition,
        hit: Hit,
    ) -> Option<Observation> {
        let said = &self.statements.get(hit.statement)?.said;
        let (first, last) = edition.ranges.bounds(hit.segment)?;
        Some(Observation {
            source: layer.source.clone(),
            snapshot: edition.snapshot,
            range: Some((Address::from_bits(first), Address::from_bits(last))),
            asn: said.asn,
            field: said.field,
            value: said.value.clone(),
            detail: said.detail.clone(),
        })
    }
}
