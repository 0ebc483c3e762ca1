//! Organisations in contact, week by week: the addressee against the rest.
//!
//! **Invariant:** only weeks of which the panel has all seven days are points, and only
//! where some vantage looked in each of them; the outcome is a logarithm of a ratio, so
//! that a loss of sight that all countries share cancels. Fits are bounded: five for the
//! act, three for each country that it is held against, [`PLACEBOS_IN_TIME`] in time, [`PLACEBOS`] in space, and as many donors.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::{Country, Day, Week};

use super::periods::PLACEBOS;
use super::placebo::Placebo;
use super::{GROUP_MIN, Grounds, Reading, Refused};
use crate::comparison::spillover::randomised;
use crate::comparison::staggered::{Controls, GroupTimes, Units, group_times};
use crate::comparison::synthetic::{Placebos, Unit, placebos};
use crate::regression::{Coefficient, count};
use crate::series::interrupted::{
    Act, Interrupted, SLOPE, STEP, interrupted, interrupted_counts,
};
use crate::series::level::level_effect;
use crate::series::{POINTS_AFTER_MIN, POINTS_BEFORE_MIN, SeriesRefused};

pub(super) const RATIO: &str = "organisations in contact, after by before";
pub(super) const DIVERGENCE: &str = "divergence a week before the act";
pub(super) const FALSE_DATES: &str = "dates before the act that would seem to matter";
pub(super) const RANK: &str = "rank of the series among countries as if addressed";
pub(super) const GAP: &str = "gap to the synthetic country, mean after the act";
const ALONE: &str = "organisations in contact, after by before, without controls";
pub(super) const NEWEY_WEST: &str =
    "organisations in contact, after by before, other errors";
pub(super) const EFFECT: &str =
    "organisations in contact, after effect by before announcement";
pub(super) const SLOPES: &str = "change of trend a week, ratio";
pub(super) const FORECAST: &str = "organisations in contact, observed by forecast";
const GROUP_TIME: &str = "group-time effect, after by before";

/// Dates before the act that are tried as if they were one.
pub(super) const PLACEBOS_IN_TIME: usize = 12;

/// Deals of the dates among countries; 199 give p-values to .005.
const DEALS: usize = 199;
/// Seed of the deals.
const SEED: u64 = 2024;

/// Weekly counts are put on a logarithm with so much added, since a week may have none.
const HALF: f64 = 0.5;

/// Counts by week and country.
pub(super) struct Weekly {
    mondays: Vec<Day>,
    counts: BTreeMap<Option<Country>, Vec<f64>>,
}

impl Weekly {
    fn new(grounds: &Grounds<'_>) -> Result<Self, Refused> {
        let days = grounds.asked.panel.days;
        let full = |monday: Day| days.contains(monday) && days.contains(monday.plus(6));
        let places: Vec<(usize, Day)> = days
            .weeks()
            .map(Week::monday)
            .enumerate()
            .filter(|(_, monday)| full(*monday))
            .collect();
        let mut counts: BTreeMap<Option<Country>, Vec<f64>> = BTreeMap::new();
        let mut looked = vec![false; places.len()];
        for of in &grounds.organisations {
            let country =
                counts.entry(of.country).or_insert_with(|| vec![0.0; places.len()]);
            for (point, (week, _)) in places.iter().enumerate() {
                let Some(cell) = of.weeks.get(*week) else { continue };
                country[point] += f64::from(u8::from(cell.seen != 0));
                looked[point] |= cell.visible != 0 || cell.seen != 0;
            }
        }
        let from = looked.iter().position(|l| *l).unwrap_or(0);
        let to = looked.iter().rposition(|l| *l).map_or(0, |last| last + 1);
        let gaps = looked[from..to].iter().filter(|l| !**l).count();
        if gaps > 0 {
            let words =
                format!("{gaps} weeks between were not looked at by any vantage");
            return Err(Refused::by("weeks-needed", words));
        }
        for of in counts.values_mut() {
            *of = of[from..to].to_vec();
        }
        let mondays = places[from..to].iter().map(|(_, monday)| *monday).collect();
        Ok(Self { mondays, counts })
    }

    /// The first point of the week of `day`: none before the first, all after the last.
    fn onset(&self, day: Day) -> usize {
        self.mondays.partition_point(|monday| monday.plus(6) < day)
    }

    fn of(&self, wanted: impl Fn(Option<Country>) -> bool) -> Vec<f64> {
        let mut sum = vec![0.0; self.mondays.len()];
        for (_, counts) in self.counts.iter().filter(|(country, _)| wanted(**country)) {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// Logarithm of a country's counts by those of the others that are compared.
    pub(super) fn ratio(
        &self,
        country: Country,
        left_out: Option<Country>,
    ) -> Vec<f64> {
        let own = self.of(|c| c == Some(country));
        let rest = self.of(|c| c != Some(country) && (c.is_none() || c != left_out));
        own.iter().zip(&rest).map(|(o, r)| ((o + HALF) / (r + HALF)).ln()).collect()
    }

    /// Observed less forecast, mean from the act on, of the logarithm of a country's counts
    /// by a local level with the others that are compared as control.
    pub(super) fn ahead(
        &self,
        event: &Event,
        country: Country,
        left_out: Option<Country>,
    ) -> Result<Coefficient, SeriesRefused> {
        let log = |of: Vec<f64>| -> Vec<f64> {
            of.into_iter().map(|c| (c + HALF).ln()).collect()
        };
        let own = log(self.of(|c| c == Some(country)));
        let rest = self.of(|c| c != Some(country) && (c.is_none() || c != left_out));
        level_effect(&own, &[log(rest)], event.onset).map(|found| found.average)
    }

    /// Countries with enough organisations in contact in every week before `onset`, the
    /// largest first, but for those that `skip` names.
    pub(super) fn others(
        &self,
        onset: usize,
        skip: impl Fn(Country) -> bool,
    ) -> Vec<Country> {
        let size =
            |c: &[f64]| c.iter().take(onset).copied().fold(f64::INFINITY, f64::min);
        let mut found: Vec<(f64, Country)> = self
            .counts
            .iter()
            .filter_map(|(country, c)| Some((size(c), (*country)?)))
            .filter(|(n, c)| *n >= count(GROUP_MIN) && n.is_finite() && !skip(*c))
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, c)| c).take(PLACEBOS).collect()
    }
}

/// The asked act in the weeks.
pub(super) struct Event {
    pub(super) country: Country,
    /// The first point from the announcement on.
    pub(super) onset: usize,
    /// The first point from the effect on.
    pub(super) effect: usize,
}

impl Event {
    fn new(grounds: &Grounds<'_>, weekly: &Weekly) -> Result<Self, Refused> {
        grounds.apart()?;
        let policy = grounds.asked.policy;
        let later = policy.effective.or(policy.deadline);
        let Some(first) = policy.announced.into_iter().chain(later).min() else {
            return Err(Refused::by("date-needed", "the act has no date"));
        };
        let onset = weekly.onset(first);
        let effect = weekly.onset(later.unwrap_or(first)).max(onset);
        if onset == 0 {
            let words = format!("{first} is before the first full week of the data");
            return Err(Refused::by("predates-data", words));
        }
        Ok(Self { country: policy.country, onset, effect })
    }

    pub(super) fn act(&self) -> Act {
        Act { onset: self.onset, transition: 0..0, season: None }
    }
}

fn found(grounds: &Grounds<'_>) -> Result<(Weekly, Event), Refused> {
    let weekly = Weekly::new(grounds)?;
    let event = Event::new(grounds, &weekly)?;
    Ok((weekly, event))
}

/// The interrupted series, and the same at false dates and of other countries.
pub(super) fn series(grounds: &Grounds<'_>) -> Vec<Reading> {
    let (weekly, event) = match found(grounds) {
        Ok(found) => found,
        Err(refused) => {
            return vec![
                Reading::of(RATIO, grounds.addressed(), "ratio").refuse(refused),
            ];
        }
    };
    let values = weekly.ratio(event.country, None);
    let assumption = format!(
        "without the act the trend against the rest would have gone on, and ratios of other \
         countries wander as this one's would have; {}",
        grounds.sight_alike()
    );
    let reading = |what, method: &str| {
        Reading::of(what, event.country, "ratio")
            .on(values.len(), "weeks")
            .by(method, assumption.clone())
    };
    let mut out = Vec::new();
    let method = "interrupted series of log counts by those of the rest, AR(1) REML, t";
    match interrupted(&values, &event.act()) {
        Ok(fit) => out.extend(of_fit(&fit, |what| reading(what, method))),
        Err(error) => out.push(reading(RATIO, method).refuse(Refused::of(error))),
    }
    if event.effect > event.onset {
        let transition = event.onset..event.effect;
        let act = Act { transition, ..event.act() };
        let reading = reading(EFFECT, &format!("{method}; weeks between left out"));
        out.push(match interrupted(&values, &act) {
            Ok(fit) => step(reading, &fit),
            Err(error) => reading.refuse(Refused::of(error)),
        });
    }
    out.push(Reading { p: None, ..alone(&weekly, &event) });
    out.push(forecast(&weekly, &event, reading(FORECAST, "")));
    out.push(in_time(&values, &event, reading(FALSE_DATES, method)));
    // The model's errors die out; departures add up. Its ends and its p are not told.
    let placebo = Placebo::new(&weekly, &event);
    for reading in out.iter_mut().filter(|r| r.unit == "ratio" && r.what != ALONE) {
        let ended = placebo.ends(reading.clone());
        let ranked = [RATIO, DIVERGENCE].contains(&reading.what.as_str());
        *reading = match placebo.rank(&reading.what) {
            Ok((place, all)) if ranked && ended.value.is_some() => {
                by_rank(ended, place, all)
            }
            _ => ended,
        };
    }
    out.push(in_space(
        &placebo,
        &event,
        Reading {
            assumption: grounds.sight_alike().to_owned(),
            ..reading(RANK, method)
        },
    ));
    out
}

fn step(reading: Reading, fit: &Interrupted) -> Reading {
    match fit.coefficient(STEP) {
        Some(found) => reading.coefficient(found, true),
        None => reading.refuse(Refused::by("not-estimable", "the fit has no step")),
    }
}

fn of_fit(
    fit: &Interrupted,
    reading: impl Fn(&'static str) -> Reading,
) -> Vec<Reading> {
    let mut out = vec![step(reading(RATIO), fit)];
    let named = [(SLOPES, SLOPE), (DIVERGENCE, "trend")];
    out.extend(named.into_iter().filter_map(|(what, column)| {
        Some(reading(what).coefficient(fit.coefficient(column)?, true))
    }));
    if let Some(other) = fit.newey_west.iter().find(|c| c.name == STEP) {
        let method = other.interval.method.clone();
        out.push(Reading { method, ..reading(NEWEY_WEST).coefficient(other, true) });
    }
    out
}

/// The counts of the addressee alone.
fn alone(weekly: &Weekly, event: &Event) -> Reading {
    let own = weekly.of(|c| c == Some(event.country));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of ones, far below 2^53"
    )]
    let counts: Vec<u64> = own.iter().map(|c| *c as u64).collect();
    let reading =
        Reading::of(ALONE, event.country, "ratio").on(counts.len(), "weeks").by(
            "negative binomial, Newey-West",
            "nothing else changed, visibility least of all; and departures of single weeks \
             pass, so that where they last the interval is too narrow",
        );
    match interrupted_counts(&counts, &event.act()) {
        Ok(fit) => match fit.coefficients.iter().find(|c| c.name == STEP) {
            Some(found) => reading.coefficient(found, true),
            None => reading.refuse(Refused::by("not-estimable", "the fit has no step")),
        },
        Err(error) => reading.refuse(Refused::of(error)),
    }
}

/// The counterfactual of a local level with the rest as control.
fn forecast(weekly: &Weekly, event: &Event, reading: Reading) -> Reading {
    let reading = Reading {
        method:
            "local level of log counts with the rest as control, fitted before the act"
                .to_owned(),
        ..reading
    };
    match weekly.ahead(event, event.country, None) {
        Ok(found) => reading.coefficient(&found, true),
        Err(error) => reading.refuse(Refused::of(error)),
    }
}

/// Share of false dates, all before the act and in the weeks before it alone, whose step
/// is told from none at 5 %.
fn in_time(values: &[f64], event: &Event, reading: Reading) -> Reading {
    let before = &values[..event.onset.min(values.len())];
    let last = before.len().saturating_sub(POINTS_AFTER_MIN);
    let dates: Vec<usize> = (POINTS_BEFORE_MIN..=last).collect();
    let every = dates.len().div_ceil(PLACEBOS_IN_TIME).max(1);
    let (mut tried, mut seem) = (0, 0);
    for onset in dates.into_iter().step_by(every) {
        let act = Act { onset, transition: 0..0, season: None };
        let Ok(fit) = interrupted(before, &act) else { continue };
        let p = fit.coefficient(STEP).and_then(Coefficient::p_two_sided);
        tried += 1;
        seem += usize::from(p.is_some_and(|p| p < 0.05));
    }
    if tried == 0 {
        let words = format!(
            "{} points before the act; a false date among them needs {} and {}",
            before.len(),
            POINTS_BEFORE_MIN,
            POINTS_AFTER_MIN
        );
        return reading.refuse(Refused::by("points-min", words));
    }
    let value = Some(count(seem) / count(tried));
    Reading { value, unit: "share", ..reading.on(tried, "dates") }
}

fn in_space(placebo: &Placebo, event: &Event, reading: Reading) -> Reading {
    debug_assert_eq!(reading.of, event.country.to_string());
    match placebo.rank(RATIO) {
        Ok((place, all)) => {
            let reading = Reading { unit: "rank", ..reading.on(all, "countries") };
            Reading { value: Some(count(place)), ..by_rank(reading, place, all) }
        }
        Err(refused) => reading.refuse(refused),
    }
}

fn by_rank(reading: Reading, place: usize, all: usize) -> Reading {
    let (p, p_floor) = (count(place) / count(all), 1.0 / count(all));
    Reading { p: Some(p), p_floor: Some(p_floor), ..reading }
}

/// The addressee against a weighted sum of countries left alone, and by groups of dates.
pub(super) fn comparison(grounds: &Grounds<'_>) -> Vec<Reading> {
    let refuse = |refused: Refused| {
        let of = |what| Reading::of(what, grounds.addressed(), "ratio");
        vec![of(GAP).refuse(refused.clone()), of(GROUP_TIME).refuse(refused)]
    };
    let (weekly, event) = match found(grounds) {
        Ok(found) => found,
        Err(refused) => return refuse(refused),
    };
    let touched: BTreeSet<Country> = grounds.acts().map(|a| a.country).collect();
    let donors = weekly.others(event.onset, |c| touched.contains(&c));
    let mut out = synthetic(&weekly, &event, &donors);
    out.push(staggered(grounds, &weekly, &event, &donors));
    out
}

fn synthetic(weekly: &Weekly, event: &Event, donors: &[Country]) -> Vec<Reading> {
    let unit = |country: Country| {
        let own = weekly.of(|c| c == Some(country));
        let before = own.iter().take(event.onset).sum::<f64>() / count(event.onset);
        let outcomes = own.iter().map(|c| c / before.max(HALF)).collect();
        Unit { name: country.to_string(), outcomes }
    };
    let reading = |what, unit| {
        Reading::of(what, event.country, unit).on(donors.len(), "donors").by(
            "synthetic control of counts by their mean before; donors are countries on \
             which no act is known",
            "the act left the donors alone",
        )
    };
    let pool: Vec<Unit> = donors.iter().map(|c| unit(*c)).collect();
    let found = match placebos(&unit(event.country), &pool, event.onset) {
        Ok(found) => found,
        Err(error) => return vec![reading(GAP, "share").refuse(Refused::of(error))],
    };
    let (low, high) = found.leave_one_out;
    let gap = reading(GAP, "share").is(found.treated.effect, low, high);
    let Placebos { p_floor, rank_unfitted: (place, ranked), .. } = found;
    let method = format!(
        "{}; ends: one donor left out; rank {place} of {ranked} by the gap after over that of \
         weeks before that were not fitted ({} over that of fitted ones); root mean squared \
         gap before {:.3}",
        gap.method, found.rank, found.treated.error_before
    );
    let p = Some(count(place) / count(ranked));
    let gap = Reading { p, p_floor: Some(p_floor), method, ..gap };
    let in_time = reading("the same at the middle of the time before", "share");
    let in_time = match found.in_time {
        Some(value) => Reading { value: Some(value), ..in_time },
        None => in_time.refuse(Refused::by(
            "points-min",
            "too few weeks before the act for a date among them",
        )),
    };
    vec![gap, in_time]
}

/// Group-time effects by the first act on each country, against countries without any.
fn staggered(
    grounds: &Grounds<'_>,
    weekly: &Weekly,
    event: &Event,
    donors: &[Country],
) -> Reading {
    let mut outcomes = Vec::new();
    let mut first_treated = Vec::new();
    let mut add = |country: Country, treated| {
        let own = weekly.of(|c| c == Some(country));
        outcomes.push(own.iter().map(|c| (c + HALF).ln()).collect());
        first_treated.push(treated);
    };
    let large = |country: &Country| {
        weekly.counts.contains_key(&Some(*country)) && grounds.tells(*country)
    };
    let treated: Vec<(Country, usize)> =
        onsets(grounds, weekly).into_iter().filter(|(c, _)| large(c)).collect();
    for (country, onset) in &treated {
        add(*country, Some(*onset));
    }
    for country in donors {
        add(*country, None);
    }
    let reading = Reading::of(GROUP_TIME, event.country, "ratio")
        .on(first_treated.len(), "countries")
        .by(
            format!(
                "Callaway-Sant'Anna on log counts by week, never treated as controls, {} \
                 treated; p by {DEALS} deals of the dates",
                treated.len()
            ),
            "acts before the data had run their course, and without later ones all \
             countries would have moved in parallel",
        );
    if !treated.iter().any(|(country, _)| *country == event.country) {
        return reading.refuse(Refused::by(
            "predates-data",
            "no act on the addressee's country begins inside the weeks that were covered",
        ));
    }
    let units = Units { outcomes, first_treated, anticipation: 0 };
    let effects = group_times(&units, Controls::Never);
    let Some(effect) = effects.as_ref().ok().and_then(GroupTimes::simple) else {
        return reading.refuse(match effects {
            Err(error) => Refused::of(error),
            Ok(_) => Refused::by("groups-needed", "there is no period after an act"),
        });
    };
    let reading = match effect.interval("group-time") {
        Some(found) => Reading { p: None, ..reading.coefficient(&found, true) },
        None => Reading { value: Some(effect.value.exp()), ..reading },
    };
    match randomised(&units, Controls::Never, DEALS, SEED) {
        Ok(found) => {
            Reading { p: Some(found.p), p_floor: Some(found.p_floor), ..reading }
        }
        Err(error) => reading.refuse(Refused::of(error)),
    }
}

/// The first week in which an act on each country holds.
fn onsets(grounds: &Grounds<'_>, weekly: &Weekly) -> BTreeMap<Country, usize> {
    let points = weekly.mondays.len();
    let mut first: BTreeMap<Country, usize> = BTreeMap::new();
    for act in grounds.acts().filter(|a| a.subdivision.is_none()) {
        let date = act.announced.or(act.effective).or(act.deadline);
        let onset = date.map_or(0, |day| weekly.onset(day));
        // A country with acts before the data alone is neither treated nor left alone.
        if (1..points).contains(&onset) {
            let known = first.entry(act.country).or_insert(onset);
            *known = onset.min(*known);
        }
    }
    first
}
