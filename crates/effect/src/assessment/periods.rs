//! The hazard of removal by period of policy: a term for each dated act that begins while
//! a cohort is followed, on organisations of the country that it addresses.
//!
//! The baseline hazard belongs to calendar weeks and is shared by all countries, so that
//! what happened to everybody in a week is no effect of an act.
//!
//! **Invariant:** an act gets a ratio only if a cohort is followed for [`GAP`] weeks before
//! it and after it, if no other act on that country begins within [`GAP`] weeks ahead, if
//! others are left to compare with, and if [`REMOVALS_MIN`] left before it and after it;
//! otherwise the rule is told. Fits are bounded: one
//! for all acts and one for each that has to be taken out, one placebo in time, and
//! [`PLACEBOS`] in space.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::policy::PolicyEvent;
use tidegauge_model::{Country, Day, DayRange, SectorId};

use super::scope::{self, Group};
use super::{ALL, GROUP_MIN, Grounds, REMOVALS_MIN, Reading, Refused};
use crate::interval::as_f64;
use crate::regression::{Coefficient, RegressionError, count};
use crate::survival::SurvivalRefused;
use crate::survival::hazard::{Hazard, Spell, Term, hazard};
use crate::survival::spells::uses;
use crate::window::window_from;

pub(super) const RATIO: &str = "hazard ratio";
pub(super) const DETECTABLE: &str = "least hazard ratio that would be found";
pub(super) const SPILLOVER: &str =
    "hazard ratio of families that reach into the country";
pub(super) const IN_TIME: &str = "hazard ratio of a date before any act";
pub(super) const IN_SPACE: &str = "rank among countries as if addressed";

/// The level of those families, before and after.
const LINKED: &str = "families that reach into the country";

/// Weeks before and after an act, and between two acts on a country, below which it has no
/// ratio: four, since clients update daily but decisions take weeks, and a term of less
/// rests on a handful of removals (picked by hand).
pub(super) const GAP: u32 = 4;

/// Countries that are taken in turn as if addressed: the largest. Each is a fit.
pub(super) const PLACEBOS: usize = 20;

/// Removals that a block of weeks of the baseline hazard holds at least.
const EVENTS_MIN: usize = 5;

/// Ratios by act, what they could have found, spillover, and placebos.
pub(super) fn readings(grounds: &Grounds<'_>) -> Vec<Reading> {
    let cohort = match Cohort::new(grounds) {
        Ok(cohort) => cohort,
        Err(refused) => {
            return vec![Reading::of(RATIO, ALL, "ratio").refuse(refused)];
        }
    };
    let mut steps = Steps::new(grounds, &cohort);
    let fit = cohort.fit(&mut steps);
    let mut found = cohort.ratios(&steps, &fit);
    found.push(cohort.spillover(&steps, &fit));
    let own: Vec<&Step> =
        steps.kept.iter().filter(|s| s.is_of(grounds.addressed())).collect();
    let first = own.first().copied();
    found.push(cohort.in_time(first));
    found.push(cohort.in_space(first, &steps));
    found.extend(steps.refused);
    found
}

/// Those active in the first window of the panel that is as long as the one before, or in
/// that one, with the weeks in which each was at risk.
struct Cohort<'a> {
    grounds: &'a Grounds<'a>,
    origin: DayRange,
    countries: Vec<Option<Country>>,
    sectors: Vec<Option<SectorId>>,
    /// Whether each belongs to a family with members in the addressee's country, and is
    /// none of them.
    linked: Vec<bool>,
    spells: Vec<Spell>,
    /// The last week in which anybody was at risk.
    last: u32,
}

/// A term: from a week on, for a country or a sector of it.
struct Step {
    group: Group,
    day: Day,
    /// Weeks since the cohort's origin.
    week: u32,
    /// The acts whose dates it stands for.
    acts: BTreeSet<String>,
    words: &'static str,
}

struct Steps {
    kept: Vec<Step>,
    /// Why spillover has no term, although there are families to have one.
    unlinked: Option<Refused>,
    refused: Vec<Reading>,
}

impl Steps {
    fn new(grounds: &Grounds<'_>, cohort: &Cohort<'_>) -> Self {
        let mut dates: Vec<(Day, &PolicyEvent, &'static str)> = Vec::new();
        let mut steps = Self { kept: Vec::new(), unlinked: None, refused: Vec::new() };
        for act in grounds.acts() {
            let effective = act.effective.or(act.deadline);
            if act.announced.or(effective).is_none() {
                steps.refuse(
                    act,
                    None,
                    Refused::by("date-needed", "the act has no date"),
                );
            }
            dates.extend(act.announced.map(|day| (day, act, "announced")));
            let later = effective.filter(|day| Some(*day) != act.announced);
            dates.extend(later.map(|day| (day, act, "in effect")));
        }
        // The act that is asked about comes first among those of a day.
        let asked = |act: &PolicyEvent| act.id != grounds.asked.policy.id;
        dates.sort_by(|a, b| {
            (a.0, asked(a.1), &a.1.id).cmp(&(b.0, asked(b.1), &b.1.id))
        });
        for (day, act, words) in dates {
            if let Err(refused) = steps.take((day, act, words), cohort) {
                steps.refuse(act, Some((day, words)), refused);
            }
        }
        steps
    }

    fn refuse(&mut self, act: &PolicyEvent, date: Option<(Day, &str)>, why: Refused) {
        let of = match date {
            Some((day, words)) => format!("{} {} {words} {day}", act.country, act.id),
            None => format!("{} {}", act.country, act.id),
        };
        self.refused.push(Reading::of(RATIO, of, "ratio").refuse(why));
    }

    fn take(
        &mut self,
        (day, act, words): (Day, &PolicyEvent, &'static str),
        cohort: &Cohort<'_>,
    ) -> Result<(), Refused> {
        if let Some(part) = &act.subdivision {
            let reason =
                format!("it addresses {part}; organisations are known by country");
            return Err(Refused::by("subdivision", reason));
        }
        let group = Group { country: act.country, sector: scope::sector(act)? };
        let week = cohort.week(day)?;
        // In a panel of one sector an act on that sector is on all there is.
        let narrowed = cohort.grounds.sector.is_some();
        let group = Group { sector: group.sector.filter(|_| !narrowed), ..group };
        cohort.large_enough(&group)?;
        let near = |s: &&mut Step| s.group.meets(&group) && week < s.week + GAP;
        if let Some(other) = self.kept.iter_mut().rev().find(near) {
            if other.day == day && other.group == group {
                other.acts.insert(act.id.to_string());
                return Ok(());
            }
            let reason = format!(
                "it falls within {GAP} weeks of {} ({})",
                other.day,
                other.names()
            );
            return Err(Refused::by("acts-too-close", reason));
        }
        let acts = BTreeSet::from([act.id.to_string()]);
        self.kept.push(Step { group, day, week, acts, words });
        Ok(())
    }

    fn countries(&self) -> BTreeSet<Country> {
        self.kept.iter().map(|s| s.group.country).collect()
    }

    fn groups(&self) -> BTreeSet<Group> {
        self.kept.iter().map(|s| s.group.clone()).collect()
    }
}

impl Step {
    fn names(&self) -> String {
        self.acts.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Of what a ratio is: also the name of its term.
    fn name(&self) -> String {
        format!("{} from {} ({}: {})", self.group, self.day, self.words, self.names())
    }

    /// Whether it is on the whole of a country.
    fn is_of(&self, country: Country) -> bool {
        self.group == Group { country, sector: None }
    }
}

impl<'a> Cohort<'a> {
    fn new(grounds: &'a Grounds<'a>) -> Result<Self, Refused> {
        let asked = grounds.asked;
        let (panel, before) = (asked.panel, asked.windows.before());
        let early = window_from(panel.days.first(), asked.windows.length_days());
        let origin = if early.last() < before.first() { early } else { before };
        let all = uses(panel, origin, asked.active).map_err(Refused::of)?;
        let week = |day| panel.week_index(day);
        let (Some(first), Some(last)) = (week(origin.first()), week(origin.last()))
        else {
            return Err(Refused::by("outside", "the windows lie outside the panel"));
        };
        let from = u32::try_from(last - first + 1).unwrap_or(u32::MAX);
        let mut families = BTreeMap::new();
        let addressed = Some(grounds.addressed());
        let reaching: BTreeSet<_> = grounds
            .organisations
            .iter()
            .filter(|o| o.country == addressed)
            .map(|o| &o.family)
            .collect();
        let mut cohort = Self {
            grounds,
            origin,
            countries: Vec::new(),
            sectors: Vec::new(),
            linked: Vec::new(),
            spells: Vec::new(),
            last: 0,
        };
        for of in &all {
            let Some((last, event)) = of.weeks_from(from) else { continue };
            let next = u64::try_from(families.len()).unwrap_or(u64::MAX);
            let cluster = *families.entry(&of.family).or_insert(next);
            cohort.spells.push(Spell { first: 1, last, event, cluster });
            cohort.countries.push(of.country);
            cohort.sectors.push(of.sector.clone());
            let linked = of.country != addressed && reaching.contains(&of.family);
            cohort.linked.push(linked);
            cohort.last = cohort.last.max(last);
        }
        if cohort.spells.is_empty() {
            return Err(Refused::by(
                "at-risk-needed",
                format!("nobody active in {origin} could be followed after it"),
            ));
        }
        Ok(cohort)
    }

    /// The week of a day since the origin, if a term may begin there.
    fn week(&self, day: Day) -> Result<u32, Refused> {
        let panel = self.grounds.asked.panel;
        let (days, origin) = (panel.days, self.origin);
        if day <= origin.last() {
            let reason = if day < days.first() {
                format!("{day} is before the data begin on {}", days.first())
            } else {
                format!("{day} is before anybody is followed, after {}", origin.last())
            };
            return Err(Refused::by("predates-data", reason));
        }
        let last = panel.week_index(origin.last());
        let Some((last, week)) = last.zip(panel.week_index(day)) else {
            let reason = format!("{day} is after the data end {}", days.last());
            return Err(Refused::by("after-data", reason));
        };
        let week = u32::try_from(week - last).unwrap_or(u32::MAX);
        if week <= GAP {
            let reason = format!(
                "{} weeks are followed before {day}; {GAP} are needed",
                week.saturating_sub(1)
            );
            return Err(Refused::by("before-needed", reason));
        }
        if self.last + 1 < week + GAP {
            let reason = format!(
                "{} weeks are followed from {day} on; {GAP} are needed",
                (self.last + 1).saturating_sub(week)
            );
            return Err(Refused::by("after-needed", reason));
        }
        Ok(week)
    }

    fn is_in(&self, group: &Group, i: usize) -> bool {
        group.holds(self.countries[i], self.sectors[i].as_ref())
    }

    fn size(&self, group: &Group) -> usize {
        (0..self.countries.len()).filter(|i| self.is_in(group, *i)).count()
    }

    fn large_enough(&self, group: &Group) -> Result<(), Refused> {
        let least = GROUP_MIN.max(self.grounds.asked.cell_min);
        if self.size(group) < least {
            let words =
                format!("fewer than {least} organisations of {group} are followed");
            return Err(Refused::by("organisations-min", words));
        }
        let cell = group.sector.is_some() || self.grounds.sector.is_some();
        let hidden = cell && !self.grounds.tells_cells();
        if hidden || !self.grounds.tells(group.country) {
            let words = format!("figures of {group} would show too few organisations");
            return Err(Refused::by("disclosure", words));
        }
        Ok(())
    }

    /// Fails unless enough members left in these weeks.
    fn removals(
        &self,
        member: impl Fn(usize) -> bool,
        weeks: std::ops::Range<u32>,
    ) -> Result<(), Refused> {
        let left = self.spells.iter().enumerate().filter(|(i, spell)| {
            spell.event && weeks.contains(&spell.last) && member(*i)
        });
        if left.count() >= REMOVALS_MIN {
            return Ok(());
        }
        let until = match weeks.end {
            u32::MAX => "the end".to_owned(),
            end => format!("before week {end}"),
        };
        let words = format!(
            "fewer than {REMOVALS_MIN} left from week {} to {until} of those followed",
            weeks.start
        );
        Err(Refused::by("removals-needed", words))
    }

    /// Takes out the terms on whose groups too little happened before or after.
    fn take_out_quiet(&self, steps: &mut Steps) {
        while let Some((quiet, refused)) = self.quiet(steps) {
            let step = steps.kept.remove(quiet);
            let reading = Reading::of(RATIO, step.name(), "ratio");
            steps.refused.push(reading.refuse(refused));
        }
        let own = steps.kept.iter().find(|s| s.is_of(self.grounds.addressed()));
        let Some(from) = own.map(|step| step.week) else { return };
        let halves = [1..from, from..u32::MAX];
        let few =
            halves.into_iter().find_map(|w| self.removals(|i| self.linked[i], w).err());
        steps.unlinked = steps.unlinked.take().or(few);
    }

    /// A step before or after which too few of its group left, and the rule.
    fn quiet(&self, steps: &Steps) -> Option<(usize, Refused)> {
        let of_group = |group: &Group| {
            let own = steps.kept.iter().enumerate().filter(|(_, s)| s.group == *group);
            let own: Vec<(usize, u32)> = own.map(|(at, s)| (at, s.week)).collect();
            let begins = std::iter::once(1).chain(own.iter().map(|(_, week)| *week));
            let ends = own.iter().map(|(_, week)| *week).chain([u32::MAX]);
            let weeks: Vec<_> =
                begins.zip(ends).map(|(begin, end)| begin..end).collect();
            weeks.into_iter().enumerate().find_map(|(period, weeks)| {
                let refused = self.removals(|i| self.is_in(group, i), weeks).err()?;
                let (step, _) = own.get(period.saturating_sub(1))?;
                Some((*step, refused))
            })
        };
        steps.groups().iter().find_map(of_group)
    }

    /// The fit of all terms; a term without a finite estimate is taken out by name.
    fn fit(&self, steps: &mut Steps) -> Result<Hazard, Refused> {
        self.take_out_quiet(steps);
        loop {
            if steps.kept.is_empty() {
                return Err(Refused::by(
                    "acts-needed",
                    "no act begins while a cohort is followed",
                ));
            }
            let addressed = steps.countries();
            let others = self
                .countries
                .iter()
                .filter(|c| !c.is_some_and(|c| addressed.contains(&c)));
            if others.count() < GROUP_MIN {
                return Err(Refused::by(
                    "controls-needed",
                    format!(
                        "fewer than {GROUP_MIN} organisations outside the addressed countries"
                    ),
                ));
            }
            let found = self.fit_once(steps);
            let (name, refused) = match found {
                Ok(found) => return Ok(found),
                Err(SurvivalRefused::Separated(name)) => {
                    (name.clone(), Refused::of(SurvivalRefused::Separated(name)))
                }
                Err(SurvivalRefused::Regression(RegressionError::Singular(name))) => {
                    let error = RegressionError::Singular(name.clone());
                    (name, Refused::by("collinear", error.to_string()))
                }
                Err(other) => return Err(Refused::of(other)),
            };
            if name == SPILLOVER || name == LINKED {
                steps.unlinked = Some(refused);
                continue;
            }
            // A country's own level cannot be told: none of its terms can.
            let bad = |s: &Step| s.name() == name || s.group.to_string() == name;
            if !steps.kept.iter().any(bad) {
                return Err(refused);
            }
            for step in steps.kept.extract_if(.., |s| bad(s)) {
                let reading = Reading::of(RATIO, step.name(), "ratio");
                steps.refused.push(reading.refuse(refused.clone()));
            }
        }
    }

    fn fit_once(&self, steps: &Steps) -> Result<Hazard, SurvivalRefused> {
        let mut terms: Vec<(String, Column<'_>)> = Vec::new();
        for group in steps.groups() {
            let name = group.to_string();
            let is = move |i: usize, _| indicator(self.is_in(&group, i));
            terms.push((name, Box::new(is)));
        }
        for step in &steps.kept {
            let from = step.week;
            let on = move |i: usize, week| {
                indicator(week >= from && self.is_in(&step.group, i))
            };
            terms.push((step.name(), Box::new(on)));
        }
        let own = steps.kept.iter().find(|s| s.is_of(self.grounds.addressed()));
        let linked = self.linked.iter().filter(|l| **l).count();
        let apart = steps.unlinked.is_none() && linked >= self.linked_min();
        if let Some(step) = own.filter(|_| apart) {
            let from = step.week;
            terms.push((
                LINKED.to_owned(),
                Box::new(move |i: usize, _| indicator(self.linked[i])),
            ));
            let on = move |i: usize, week| indicator(self.linked[i] && week >= from);
            terms.push((SPILLOVER.to_owned(), Box::new(on)));
        }
        hazard_of(&self.spells, &terms)
    }

    fn linked_min(&self) -> usize {
        GROUP_MIN.max(self.grounds.asked.cell_min)
    }

    fn ratios(&self, steps: &Steps, fit: &Result<Hazard, Refused>) -> Vec<Reading> {
        let assumption = format!(
            "without the act, hazards of its country and of the rest would have kept their \
             ratio; {}",
            self.grounds.sight_alike()
        );
        let mut found = Vec::new();
        for step in &steps.kept {
            let reading = |what| {
                Reading::of(what, step.name(), "ratio")
                    .on(self.size(&step.group), "organisations")
                    .by(self.method(), assumption.clone())
            };
            match fit.as_ref().map(|fit| coefficient(fit, &step.name())) {
                Ok(Some(coefficient)) => {
                    found.push(reading(RATIO).coefficient(coefficient, true));
                    let value = Some(coefficient.minimum_detectable().exp());
                    found.push(Reading { value, ..reading(DETECTABLE) });
                }
                Ok(None) => {}
                Err(refused) => found.push(reading(RATIO).refuse(refused.clone())),
            }
        }
        found
    }

    fn spillover(&self, steps: &Steps, fit: &Result<Hazard, Refused>) -> Reading {
        let linked = self.linked.iter().filter(|l| **l).count();
        let reading = Reading::of(SPILLOVER, self.grounds.addressed(), "ratio")
            .on(linked, "organisations")
            .by(self.method(), "families without members there were left alone");
        match fit {
            _ if linked < self.linked_min() => {
                let words = format!(
                    "fewer than {} organisations elsewhere belong to families with members \
                     in the addressee's country",
                    self.linked_min()
                );
                let reading = Reading { n: 0, ..reading };
                reading.refuse(Refused::by("organisations-min", words))
            }
            Ok(fit) => match coefficient(fit, SPILLOVER) {
                Some(found) => reading.coefficient(found, true),
                None => reading.refuse(steps.unlinked.clone().unwrap_or_else(no_act)),
            },
            Err(refused) => reading.refuse(refused.clone()),
        }
    }

    fn method(&self) -> String {
        format!(
            "cloglog hazard by week of those active in {}, errors over families; each ratio \
             is on top of those of earlier acts",
            self.origin
        )
    }

    /// A date that was none: half-way to the first act, in the weeks before it alone.
    fn in_time(&self, first: Option<&Step>) -> Reading {
        let country = self.grounds.addressed();
        let reading = Reading::of(IN_TIME, country, "ratio")
            .on(self.size(&Group { country, sector: None }), "organisations")
            .by(self.method(), "no act cast its shadow ahead");
        let Some(first) = first else { return reading.refuse(no_act()) };
        let before = first.week - 1;
        if before < 2 * GAP {
            let words = format!(
                "{before} weeks are followed before the first act; a date between needs {}",
                2 * GAP
            );
            return reading.refuse(Refused::by("before-needed", words));
        }
        let is = |i: usize| self.countries[i] == Some(country);
        match self.contrast(is, |_| true, before / 2 + 1, Some(before)) {
            Ok(found) => reading.coefficient(&found, true),
            Err(refused) => reading.refuse(refused),
        }
    }

    /// The asked act's ratio among those that other countries have at its date, by
    /// distance from none in standard errors.
    fn in_space(&self, first: Option<&Step>, steps: &Steps) -> Reading {
        let country = self.grounds.addressed();
        let reading = Reading::of(IN_SPACE, country, "p").by(
            format!("{}, at most {PLACEBOS} countries", self.method()),
            "countries do not react alike for other reasons",
        );
        let Some(first) = first else { return reading.refuse(no_act()) };
        let touched = steps.countries();
        let mut sizes: BTreeMap<Country, usize> = BTreeMap::new();
        for of in self.countries.iter().flatten() {
            *sizes.entry(*of).or_default() += 1;
        }
        let mut others: Vec<(usize, Country)> = sizes
            .into_iter()
            .filter(|(c, n)| *n >= GROUP_MIN && !touched.contains(c))
            .map(|(c, n)| (n, c))
            .collect();
        others.sort_by(|a, b| b.cmp(a));
        others.truncate(PLACEBOS);
        let statistic = |of: Country| -> Result<f64, Refused> {
            let member = |i: usize| self.countries[i] == Some(of);
            let counts = |i: usize| {
                self.countries[i].is_none_or(|c| c == of || !touched.contains(&c))
            };
            let found = self.contrast(member, counts, first.week, None)?;
            let z = (found.value / found.standard_error).abs();
            let odd = || Refused::by("separation", "the act has no ratio");
            Some(z).filter(|z| z.is_finite()).ok_or_else(odd)
        };
        let ranked: Vec<f64> =
            others.iter().filter_map(|(_, c)| statistic(*c).ok()).collect();
        let reading = reading.on(ranked.len() + 1, "countries");
        let own = match statistic(country) {
            Ok(own) => own,
            Err(refused) => return reading.refuse(refused),
        };
        if ranked.is_empty() {
            return reading.refuse(Refused::by(
                "donors-min",
                format!("no other country has {GROUP_MIN} organisations and a ratio"),
            ));
        }
        let as_far = count(1 + ranked.iter().filter(|z| **z >= own).count());
        let all = count(ranked.len() + 1);
        let (p, p_floor) = (Some(as_far / all), Some(1.0 / all));
        Reading { value: Some(as_far), unit: "rank", p, p_floor, ..reading }
    }

    /// One country's step at a week, against everybody else who `counts`.
    fn contrast(
        &self,
        member: impl Fn(usize) -> bool,
        counts: impl Fn(usize) -> bool,
        from: u32,
        last: Option<u32>,
    ) -> Result<Coefficient, Refused> {
        let end = last.map_or(u32::MAX, |last| last + 1);
        for weeks in [1..from, from..end] {
            self.removals(|i| member(i) && counts(i), weeks)?;
        }
        let mut spells = Vec::new();
        let mut is = Vec::new();
        for (i, spell) in self.spells.iter().enumerate().filter(|(i, _)| counts(*i)) {
            let until = last.unwrap_or(spell.last).min(spell.last);
            let event = spell.event && until == spell.last;
            spells.push(Spell { last: until, event, ..*spell });
            is.push(member(i));
        }
        let terms: [(String, Column<'_>); 2] = [
            ("country".to_owned(), Box::new(|i: usize, _| indicator(is[i]))),
            (
                "step".to_owned(),
                Box::new(|i: usize, week| indicator(is[i] && week >= from)),
            ),
        ];
        let found = hazard_of(&spells, &terms).map_err(Refused::of)?;
        let absent = || Refused::of(SurvivalRefused::NoEvent);
        coefficient(&found, "step").cloned().ok_or_else(absent)
    }
}

/// The value of a term for a subject in a week.
type Column<'a> = Box<dyn Fn(usize, u32) -> f64 + 'a>;

fn no_act() -> Refused {
    Refused::by(
        "acts-needed",
        "no act on the addressee's country has a ratio of its own",
    )
}

fn indicator(is: bool) -> f64 {
    as_f64(u64::from(is))
}

fn coefficient<'a>(of: &'a Hazard, name: &str) -> Option<&'a Coefficient> {
    of.coefficients.iter().find(|c| c.name == name)
}

/// Fits with a baseline of blocks of weeks that hold enough removals each.
fn hazard_of(
    spells: &[Spell],
    terms: &[(String, Column<'_>)],
) -> Result<Hazard, SurvivalRefused> {
    let last = spells.iter().map(|s| s.last).max().unwrap_or(0);
    let mut events = vec![0; usize::try_from(last).unwrap_or(0) + 1];
    for spell in spells.iter().filter(|s| s.event) {
        if let Some(week) =
            usize::try_from(spell.last).ok().and_then(|w| events.get_mut(w))
        {
            *week += 1;
        }
    }
    let mut block_of = Vec::with_capacity(events.len());
    let (mut block, mut inside) = (0u32, 0);
    let mut left: usize = events.iter().sum();
    for here in events {
        block_of.push(block);
        inside += here;
        left -= here;
        // The rest joins the last block if it could not stand alone.
        if inside >= EVENTS_MIN && left >= EVENTS_MIN {
            (block, inside) = (block + 1, 0);
        }
    }
    let terms: Vec<Term<'_>> = terms
        .iter()
        .map(|(name, value)| Term { name: name.clone(), value: value.as_ref() })
        .collect();
    let of =
        |week: u32| usize::try_from(week).ok().and_then(|w| block_of.get(w)).copied();
    hazard(spells, |week| of(week).unwrap_or(block), &terms)
}
