//! Who held an address, as numbers: what counting needs of an attribution.
//!
//! **Invariant:** asked in the order of addresses, holders are asked once for each run of
//! addresses of which the same is told: the merge of two sorted sequences. What is told of
//! one run is not asked again for another that is told the same, whichever part of the
//! question counts it. The spans of an address cover the days of the question wholly, in
//! order, without overlap.

use std::borrow::Cow;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::common::HashMap;
use tidegauge_model::count::{Dating, Dimension, Query};
use tidegauge_model::{
    Address, Attribution, Client, Country, DayRange, Holders, NetworkKind, OrgId,
    Organisation, SectorId, Shared, Standing, Tenure,
};

use crate::clients::Days;

/// Numbers for values, in order of first appearance.
#[derive(Debug)]
pub(crate) struct Codes<T> {
    codes: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Codes<T> {
    fn default() -> Self {
        Self { codes: HashMap::default(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Codes<T> {
    /// The number of a value.
    pub(crate) fn code(&mut self, value: &T) -> u32 {
        if let Some(code) = self.codes.get(value) {
            return *code;
        }
        let code = u32::try_from(self.values.len())
            .expect("2^32 distinct values do not fit into memory");
        self.codes.insert(value.clone(), code);
        self.values.push(value.clone());
        code
    }

    /// The values, in the order of their numbers.
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    /// The value of a number.
    pub(crate) fn value(&self, code: u32) -> Option<&T> {
        self.values.get(usize::try_from(code).ok()?)
    }
}

/// What cells can be made of, of an attribution; `None` where it is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) country: Option<Country>,
    pub(crate) sector: Option<SectorId>,
    pub(crate) kind: Option<NetworkKind>,
}

/// An attribution as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The organisation that the client stands for.
    pub(crate) organisation: Option<u32>,
    /// The number of its [`Place`].
    pub(crate) place: u32,
    /// It is in an eyeball or mobile network.
    pub(crate) consumer: bool,
    /// The filters of the question let it through.
    pub(crate) passes: bool,
    /// Nobody is known to hold it.
    pub(crate) unattributed: bool,
}

/// Facts up to a day, from the end of the span before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The last day, as days from the first.
    pub(crate) last: i32,
    pub(crate) facts: Facts,
}

/// A standing up to a day, from the end of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stood {
    /// The last day, as days from the first.
    pub(crate) last: i32,
    /// A place in [`Standing::ALL`].
    pub(crate) standing: usize,
}

/// All that is told of a run of addresses, on the days of the question.
#[derive(Debug, Default)]
struct Told {
    spans: Vec<Span>,
    /// Asked when it is wanted first.
    standings: OnceLock<Vec<Stood>>,
}

/// Answers that are kept: a few hundred bytes each.
const ANSWERS_MAX: usize = 1 << 16;

/// What was told so far, by numbers that the parts of a question have in common.
pub(crate) struct Answers {
    /// Of the question.
    days: DayRange,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    organisations: Codes<OrgId>,
    places: Codes<Place>,
    described: HashMap<OrgId, Option<Organisation>>,
    /// By the numbers of answers.
    told: HashMap<u32, Arc<Told>>,
}

/// The holders, asked for a question or a part of one.
pub(crate) struct Holding<'a> {
    query: &'a Query,
    holders: &'a dyn Holders,
    answers: Arc<Answers>,
    /// The first day of the part, as days from the first of the question.
    part_from: i32,
    /// The first and the last address of the run at hand, if that is one.
    run: Option<(Address, Address)>,
    /// Where the run asked about last lies.
    place: usize,
    told: Arc<Told>,
    /// Answers that this part has had, by number: found without the lock of all parts.
    had: HashMap<u32, Arc<Told>>,
}

impl Answers {
    pub(crate) fn new(days: DayRange) -> Arc<Self> {
        Arc::new(Self { days, known: Mutex::default() })
    }

    /// A panic while the lock was held left no half-made number behind.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Holding<'a> {
    pub(crate) fn new(query: &'a Query, holders: &'a dyn Holders) -> Self {
        Self::of_part(query, holders, Answers::new(query.days))
    }

    /// Of a part of the question whose answers these are.
    pub(crate) fn of_part(
        query: &'a Query,
        holders: &'a dyn Holders,
        answers: Arc<Answers>,
    ) -> Self {
        Self {
            query,
            holders,
            part_from: query.days.first().0 - answers.days.first().0,
            answers,
            run: None,
            place: 0,
            told: Arc::default(),
            had: HashMap::default(),
        }
    }

    /// Whom it asks.
    pub(crate) fn holders(&self) -> &'a dyn Holders {
        self.holders
    }

    /// Turns to a client.
    pub(crate) fn turn_to(&mut self, client: &Client) {
        let address = client.address;
        if client.site.is_some() {
            self.run = None;
            self.told = Arc::new(self.ask(client));
            return;
        }
        if self.run.is_some_and(|(first, last)| first <= address && address <= last) {
            return;
        }
        let run = self.holders.run(address, self.place);
        (self.run, self.place) = (Some((address, run.last)), run.place);
        self.told = match run.answer {
            Some(answer) => self.answer(answer, client),
            None => Arc::new(self.ask(client)),
        };
    }

    /// The answer of a number, which is what is told of `client`.
    fn answer(&mut self, number: u32, client: &Client) -> Arc<Told> {
        if let Some(had) = self.had.get(&number) {
            return Arc::clone(had);
        }
        let known = self.answers.lock().told.get(&number).cloned();
        let told = known.unwrap_or_else(|| {
            let told = Arc::new(self.ask(client));
            let all = &mut self.answers.lock().told;
            if all.len() >= ANSWERS_MAX {
                all.clear();
            }
            all.insert(number, Arc::clone(&told));
            told
        });
        if self.had.len() >= ANSWERS_MAX {
            self.had.clear();
        }
        self.had.insert(number, Arc::clone(&told));
        told
    }

    /// Who holds the client turned to, from the span of the first of `days` on; days are of
    /// the part.
    pub(crate) fn spans(&self, days: Days) -> impl Iterator<Item = Span> {
        let (spans, part_from) = (&self.told.spans, self.part_from);
        let first = days.first() + part_from;
        let from = match spans.as_slice() {
            [_] => 0,
            spans => spans.partition_point(|span| span.last < first),
        };
        let rest = spans.iter().skip(from);
        rest.map(move |span| Span { last: span.last - part_from, ..*span })
    }

    /// How directly that is proven, likewise. `client` is the one turned to.
    pub(crate) fn standings(
        &self,
        client: &Client,
        days: Days,
    ) -> impl Iterator<Item = Stood> {
        let all = self.told.standings.get_or_init(|| self.ask_standings(client));
        let part_from = self.part_from;
        let first = days.first() + part_from;
        let from = all.partition_point(|stood| stood.last < first);
        let rest = all.iter().skip(from);
        rest.map(move |stood| Stood { last: stood.last - part_from, ..*stood })
    }

    /// The organisations so far, in the order of their numbers.
    pub(crate) fn organisations(&self) -> Vec<OrgId> {
        self.answers.lock().organisations.values().to_vec()
    }

    /// The place of a number.
    pub(crate) fn place(&self, code: u32) -> Option<Place> {
        self.answers.lock().places.value(code).cloned()
    }

    /// What is known of an organisation that was held by somebody.
    pub(crate) fn organisation(&self, id: &OrgId) -> Option<Organisation> {
        self.answers.lock().described.get(id).cloned().flatten()
    }

    fn ask(&self, client: &Client) -> Told {
        let days = self.answers.days;
        let tenures = match self.query.on {
            Dating::EachDay => self.holders.tenures(client, days),
            Dating::Frozen(day) => {
                let held = self.holders.tenures(client, DayRange::one(day)).into_iter();
                held.take(1).map(|tenure| Tenure { days, ..tenure }).collect()
            }
        };
        let mut spans: Vec<Span> = Vec::new();
        let known = &mut *self.answers.lock();
        for tenure in covering(tenures, days) {
            let last = tenure.days.last().0 - days.first().0;
            let facts = known.facts(&tenure.attribution, self.query, self.holders);
            match spans.last_mut() {
                // They differ in what a count does not look at.
                Some(before) if before.facts == facts => before.last = last,
                _ => spans.push(Span { last, facts }),
            }
        }
        Told { spans, standings: OnceLock::new() }
    }

    fn ask_standings(&self, client: &Client) -> Vec<Stood> {
        let days = self.answers.days;
        let told = match self.query.on {
            Dating::EachDay => self.holders.standings(client, days),
            Dating::Frozen(day) => vec![(days, self.holders.standing(client, day))],
        };
        let mut stood: Vec<Stood> = Vec::new();
        for (of, standing) in told {
            let last = of.last().0 - days.first().0;
            let place = Standing::ALL.iter().position(|known| *known == standing);
            let Some(standing) = place else { continue };
            match stood.last_mut() {
                Some(before) if before.standing == standing => before.last = last,
                _ => stood.push(Stood { last, standing }),
            }
        }
        stood
    }
}

impl Known {
    /// An attribution as numbers.
    fn facts(
        &mut self,
        attribution: &Attribution,
        query: &Query,
        holders: &dyn Holders,
    ) -> Facts {
        let Self { organisations, places, described, .. } = self;
        let organisation = attribution.organisation.as_ref().and_then(|id| {
            let find = || holders.organisation(id).map(Cow::into_owned);
            described.entry_ref(id).or_insert_with(find).as_ref()
        });
        let org_country = attribution
            .org_country
            .or(organisation.and_then(|o| o.country))
            .filter(|_| attribution.organisation.is_some());
        let sector = organisation.and_then(|o| o.sector.as_ref());
        let others = organisation.map_or(&[][..], |o| &o.other_sectors);
        let (countries, sectors) = (&query.countries, &query.sectors);
        let passes = (countries.is_empty()
            || org_country.is_some_and(|c| countries.contains(&c)))
            && (sectors.is_empty()
                || sector.into_iter().chain(others).any(|s| sectors.contains(s)));
        let by = |dimension| query.by.contains(&dimension);
        let kind = attribution.kind;
        let place = Place {
            country: org_country
                .or(attribution.addr_country)
                .filter(|_| by(Dimension::Country)),
            sector: sector.filter(|_| by(Dimension::Sector)).cloned(),
            kind: Some(kind)
                .filter(|kind| by(Dimension::Kind) && *kind != NetworkKind::Unknown),
        };
        let stands = stands_for_organisation(attribution, query);
        let stands_for = attribution.organisation.as_ref().filter(|_| stands);
        Facts {
            organisation: stands_for.map(|id| organisations.code(id)),
            place: places.code(&place),
            consumer: matches!(kind, NetworkKind::Eyeball | NetworkKind::Mobile),
            passes,
            unattributed: attribution.organisation.is_none(),
        }
    }
}

/// Whether an address so attributed stands for its organisation.
pub(crate) fn stands_for_organisation(
    attribution: &Attribution,
    query: &Query,
) -> bool {
    attribution.shared == Shared::No
        && query.organisation_kinds.contains(&attribution.kind)
}

/// `tenures` cut to `days`, without overlap (the earlier one stands), with nobody known
/// in what they leave open.
pub(crate) fn covering(tenures: Vec<Tenure>, days: DayRange) -> Vec<Tenure> {
    let nobody = |from, to| {
        let days = DayRange::new(from, to)?;
        Some(Tenure { days, attribution: Attribution::UNATTRIBUTED })
    };
    let mut out = Vec::with_capacity(tenures.len().max(1));
    let mut open = days.first();
    for tenure in tenures {
        let from = tenure.days.first().max(open);
        let to = tenure.days.last().min(days.last());
        let Some(held) = DayRange::new(from, to) else { continue };
        out.extend(nobody(open, from.plus(-1)));
        out.push(Tenure { days: held, attribution: tenure.attribution });
        open = to.plus(1);
    }
    out.extend(nobody(open, days.last()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(a: &str, b: &str) -> DayRange {
        DayRange::new(a.parse().unwrap(), b.parse().unwrap()).unwrap()
    }

    fn of(days: DayRange, id: &str) -> Tenure {
        let organisation = Some(OrgId::new(id));
        let attribution = Attribution { organisation, ..Attribution::UNATTRIBUTED };
        Tenure { days, attribution }
    }

    #[test]
    fn gaps_are_nobodys_and_overlaps_go_to_the_earlier() {
        let days = range("2024-04-01", "2024-04-30");
        let tenures = vec![
            of(range("2024-03-01", "2024-04-02"), "a"),
            of(range("2024-04-02", "2024-04-05"), "b"),
            of(range("2024-04-10", "2024-04-12"), "c"),
        ];
        let covered: Vec<_> = covering(tenures, days)
            .into_iter()
            .map(|t| {
                let id =
                    t.attribution.organisation.map_or("-".into(), |o| o.to_string());
                format!("{id} {}", t.days)
            })
            .collect();
        assert_eq!(
            covered,
            [
                "a 2024-04-01 to 2024-04-02",
                "b 2024-04-03 to 2024-04-05",
                "- 2024-04-06 to 2024-04-09",
                "c 2024-04-10 to 2024-04-12",
                "- 2024-04-13 to 2024-04-30",
            ]
        );
        assert_eq!(covering(Vec::new(), days).len(), 1);
    }
}
