//! Group-time average effects (Callaway and Sant'Anna 2021, Journal of Econometrics
//! 225:200), panel data, no covariates.
//!
//! `ATT(g,t)` is the mean change of group g since its base period less the mean change of
//! its controls. Before treatment the base is the period just before (a placebo); from
//! treatment on it is the last period before anticipation.
//!
//! **Invariant:** no effect is estimated by a regression over all groups at once, which
//! would use the already treated as controls (Goodman-Bacon 2021). Standard errors come
//! from influence functions over units: a unit must be what acts fall on (a country, not
//! its organisations), and a group or control pool below [`UNITS_MIN`] has none.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::regression::{Coefficient, all_finite, count};
use crate::student::quantile;

/// Units below which a mean's variance over units says nothing.
pub const UNITS_MIN: usize = 5;

/// Units observed in every period.
#[derive(Clone, Debug)]
pub struct Units {
    /// Outcomes: one row a unit, one number a period.
    pub outcomes: Vec<Vec<f64>>,
    /// The first period in which each unit is treated, counted from 0; `None` is never.
    pub first_treated: Vec<Option<usize>>,
    /// Periods before treatment in which units may already react.
    pub anticipation: usize,
}

/// Against whom a group is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// Units that are never treated.
    Never,
    /// Those and units not treated yet.
    NotYet,
}

/// Units that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComparisonRefused {
    /// Rows of different length, or none.
    #[error("unit {0} has another number of periods than unit 0, or fewer than two")]
    Unbalanced(usize),
    /// An outcome is not a number.
    #[error("unit {unit} has no finite outcome in period {period}")]
    NotFinite {
        /// The unit.
        unit: usize,
        /// The period.
        period: usize,
    },
    /// A list has another length than the outcomes.
    #[error("{0} first periods of treatment for {1} units")]
    Lengths(usize, usize),
    /// Nobody is left to compare with, or nobody was treated inside the periods.
    #[error("rule groups-needed: there is no {0} to compare")]
    NoGroup(&'static str),
}

/// The effect on one group in one period.
#[derive(Clone, Debug)]
pub struct GroupTime {
    /// The group: its first treated period.
    pub group: usize,
    /// The period.
    pub period: usize,
    /// The effect, in units of the outcome.
    pub effect: Effect,
}

/// An effect with its influence function.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The estimate.
    pub value: f64,
    /// Its standard error, or `None` if a group or its controls are below [`UNITS_MIN`].
    pub standard_error: Option<f64>,
    influence: Vec<f64>,
}

/// All group-time effects.
#[derive(Clone, Debug)]
pub struct GroupTimes {
    /// One effect per group and period.
    pub effects: Vec<GroupTime>,
    /// Units of each group.
    sizes: BTreeMap<usize, usize>,
    groups: Vec<Option<usize>>,
    anticipation: usize,
}

/// Estimates the effect on every group in every period that has a base.
pub fn group_times(
    units: &Units,
    controls: Controls,
) -> Result<GroupTimes, ComparisonRefused> {
    units.check()?;
    let periods = units.outcomes[0].len();
    let first_possible = 1 + units.anticipation;
    // A group treated from the start has no base; it is neither group nor control.
    let groups: BTreeSet<usize> = units
        .first_treated
        .iter()
        .flatten()
        .copied()
        .filter(|g| (first_possible..periods).contains(g))
        .collect();
    let mut effects = Vec::new();
    for &group in &groups {
        for period in 1..periods {
            if let Some(effect) = units.effect(group, period, controls) {
                effects.push(GroupTime { group, period, effect });
            }
        }
    }
    if groups.is_empty() {
        return Err(ComparisonRefused::NoGroup("group treated after the first period"));
    }
    if effects.is_empty() {
        return Err(ComparisonRefused::NoGroup("control"));
    }
    let size =
        |g: &usize| units.first_treated.iter().filter(|f| **f == Some(*g)).count();
    Ok(GroupTimes {
        effects,
        sizes: groups.iter().map(|g| (*g, size(g))).collect(),
        groups: units.first_treated.clone(),
        anticipation: units.anticipation,
    })
}

impl Units {
    fn check(&self) -> Result<(), ComparisonRefused> {
        let (units, given) = (self.outcomes.len(), self.first_treated.len());
        if units != given || units == 0 {
            return Err(ComparisonRefused::Lengths(given, units));
        }
        let periods = self.outcomes[0].len();
        for (unit, row) in self.outcomes.iter().enumerate() {
            if row.len() != periods || periods < 2 {
                return Err(ComparisonRefused::Unbalanced(unit));
            }
            if all_finite("outcome", row).is_err() {
                let period =
                    row.iter().position(|v| !v.is_finite()).unwrap_or_default();
                return Err(ComparisonRefused::NotFinite { unit, period });
            }
        }
        Ok(())
    }

    fn effect(
        &self,
        group: usize,
        period: usize,
        controls: Controls,
    ) -> Option<Effect> {
        let reacts_from = group - self.anticipation;
        let base = if period >= reacts_from { reacts_from - 1 } else { period - 1 };
        let last = period.max(base);
        let treated = |first: Option<usize>| first == Some(group);
        let control = |first: Option<usize>| match (first, controls) {
            (None, _) => true,
            (Some(_), Controls::Never) => false,
            (Some(first), Controls::NotYet) => {
                first != group && first > last + self.anticipation
            }
        };
        let change =
            |unit: usize| self.outcomes[unit][period] - self.outcomes[unit][base];
        let own = Mean::of(&self.first_treated, treated, change)?;
        let others = Mean::of(&self.first_treated, control, change)?;
        let influence: Vec<f64> =
            own.influence.iter().zip(&others.influence).map(|(a, b)| a - b).collect();
        let enough = own.units >= UNITS_MIN && others.units >= UNITS_MIN;
        Some(Effect::new(own.value - others.value, influence, enough))
    }
}

/// A mean over some units, with what each unit moves it by.
struct Mean {
    value: f64,
    units: usize,
    influence: Vec<f64>,
}

impl Mean {
    fn of(
        first_treated: &[Option<usize>],
        belongs: impl Fn(Option<usize>) -> bool,
        change: impl Fn(usize) -> f64,
    ) -> Option<Self> {
        let all = count(first_treated.len());
        let of: Vec<bool> = first_treated.iter().map(|f| belongs(*f)).collect();
        let units = of.iter().filter(|b| **b).count();
        if units == 0 {
            return None;
        }
        let members = (0..of.len()).filter(|unit| of[*unit]);
        let value = members.map(&change).sum::<f64>() / count(units);
        let weight = all / count(units);
        let influence = (0..of.len())
            .map(|unit| if of[unit] { weight * (change(unit) - value) } else { 0.0 })
            .collect();
        Some(Self { value, units, influence })
    }
}

impl Effect {
    fn new(value: f64, influence: Vec<f64>, enough: bool) -> Self {
        let n = count(influence.len());
        let variance = influence.iter().map(|i| i * i).sum::<f64>() / n / n;
        Self { value, standard_error: enough.then(|| variance.sqrt()), influence }
    }

    /// The effect with its pointwise 95 % interval, or `None` without a standard error.
    pub fn interval(&self, name: &str) -> Option<Coefficient> {
        let error = self.standard_error?;
        Some(Coefficient::new(
            name,
            self.value,
            error,
            None,
            "influence function, normal",
        ))
    }
}

impl GroupTimes {
    /// One figure: the mean over groups and periods since treatment, groups by their size.
    pub fn simple(&self) -> Option<Effect> {
        let sizes: f64 = self.post().map(|e| self.size(e.group)).sum();
        self.weighted(self.post().map(|e| (e, self.size(e.group) / sizes)))
    }

    /// By periods since treatment, before and after.
    pub fn by_event_time(&self) -> BTreeMap<i64, Effect> {
        let event = |e: &GroupTime| signed(e.period) - signed(e.group);
        let times: BTreeSet<i64> = self.effects.iter().map(event).collect();
        let of = |time: i64| {
            let cells = || self.effects.iter().filter(move |e| event(e) == time);
            let sizes: f64 = cells().map(|e| self.size(e.group)).sum();
            self.weighted(cells().map(|e| (e, self.size(e.group) / sizes)))
        };
        times.into_iter().filter_map(|t| Some((t, of(t)?))).collect()
    }

    /// Mean of the effects by event time from treatment on.
    pub fn event_time_mean(&self) -> Option<Effect> {
        mean(self.by_event_time().into_iter().filter(|(t, _)| *t >= 0).map(|(_, e)| e))
    }

    /// Mean over groups, by size, of each group's mean effect since treatment.
    pub fn group_mean(&self) -> Option<Effect> {
        let sizes: f64 = self.sizes.values().map(|s| count(*s)).sum();
        let periods =
            |group: usize| count(self.post().filter(|e| e.group == group).count());
        self.weighted(
            self.post().map(|e| (e, self.size(e.group) / sizes / periods(e.group))),
        )
    }

    /// Mean over periods of the mean effect, by size, on the groups treated by then.
    pub fn calendar_mean(&self) -> Option<Effect> {
        let periods: BTreeSet<usize> = self.post().map(|e| e.period).collect();
        mean(periods.into_iter().filter_map(|period| {
            let cells = || self.post().filter(move |e| e.period == period);
            let sizes: f64 = cells().map(|e| self.size(e.group)).sum();
            self.weighted(cells().map(|e| (e, self.size(e.group) / sizes)))
        }))
    }

    /// The factor by which standard errors are multiplied so that all of `effects` lie in
    /// their bands at once with probability 0.95: the quantile of the largest |t| over
    /// `draws` multiplier draws (Rademacher) from `seed`.
    pub fn simultaneous_factor(
        effects: &[Effect],
        draws: usize,
        seed: u64,
    ) -> Option<f64> {
        let errors: Option<Vec<f64>> =
            effects.iter().map(|e| e.standard_error).collect();
        let errors = errors.filter(|e| !e.is_empty() && draws > 0)?;
        let units = effects[0].influence.len();
        let mut random = Pcg64::seed_from_u64(seed);
        let mut largest: Vec<f64> = (0..draws)
            .map(|_| {
                let signs: Vec<f64> = (0..units)
                    .map(|_| if random.random_bool(0.5) { 1.0 } else { -1.0 })
                    .collect();
                let t = effects.iter().zip(&errors).map(|(effect, error)| {
                    let moved: f64 =
                        effect.influence.iter().zip(&signs).map(|(i, s)| i * s).sum();
                    (moved / count(units) / error.max(f64::MIN_POSITIVE)).abs()
                });
                t.fold(0.0, f64::max)
            })
            .collect();
        largest.sort_by(f64::total_cmp);
        let place = (draws * 95).div_ceil(100).clamp(1, draws) - 1;
        Some(largest[place].max(quantile(0.975, None)))
    }

    /// Effects from treatment on.
    fn post(&self) -> impl Iterator<Item = &GroupTime> {
        self.effects.iter().filter(|e| e.period >= e.group)
    }

    fn size(&self, group: usize) -> f64 {
        self.sizes.get(&group).map_or(0.0, |s| count(*s))
    }

    /// A weighted sum of effects; weights follow the groups' sizes, whose own sampling
    /// error is part of the influence function.
    fn weighted<'a>(
        &self,
        cells: impl Iterator<Item = (&'a GroupTime, f64)>,
    ) -> Option<Effect> {
        let cells: Vec<(&GroupTime, f64)> = cells.collect();
        let value: f64 = cells.iter().map(|(e, w)| w * e.effect.value).sum();
        let enough = cells.iter().all(|(e, _)| e.effect.standard_error.is_some());
        let units = self.groups.len();
        let shares = self.share_moves(&cells);
        let influence = (0..units)
            .map(|unit| {
                let own: f64 =
                    cells.iter().map(|(e, w)| w * e.effect.influence[unit]).sum();
                own + shares[unit]
            })
            .collect();
        (!cells.is_empty()).then(|| Effect::new(value, influence, enough))
    }

    /// What each unit moves the sum by through the weights: weights `p(g)/S` times a
    /// constant, with `p` a group's share of units and `S` the sum of shares over cells.
    fn share_moves(&self, cells: &[(&GroupTime, f64)]) -> Vec<f64> {
        let all = count(self.groups.len());
        let share = |g: usize| self.size(g) / all;
        self.groups
            .iter()
            .map(|first| {
                let deviation =
                    |g: usize| f64::from(u8::from(*first == Some(g))) - share(g);
                let total: f64 = cells.iter().map(|(_, w)| w).sum();
                let spread: f64 = cells
                    .iter()
                    .map(|(e, w)| w * deviation(e.group) / share(e.group))
                    .sum();
                cells
                    .iter()
                    .map(|(e, w)| {
                        let relative =
                            deviation(e.group) / share(e.group) - spread / total;
                        w * relative * e.effect.value
                    })
                    .sum()
            })
            .collect()
    }

    /// Periods before treatment in which units were allowed to react.
    pub fn anticipation(&self) -> usize {
        self.anticipation
    }
}

/// The plain mean of effects.
fn mean(effects: impl Iterator<Item = Effect>) -> Option<Effect> {
    let effects: Vec<Effect> = effects.collect();
    let n = count(effects.len());
    let units = effects.first()?.influence.len();
    let influence = (0..units)
        .map(|unit| effects.iter().map(|e| e.influence[unit]).sum::<f64>() / n)
        .collect();
    let enough = effects.iter().all(|e| e.standard_error.is_some());
    Some(Effect::new(
        effects.iter().map(|e| e.value).sum::<f64>() / n,
        influence,
        enough,
    ))
}

/// Periods are few.
fn signed(period: usize) -> i64 {
    i64::try_from(period).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(anticipation: usize) -> Units {
        let row = |unit: usize, jump: f64| {
            (0..6).map(|t| count(unit + t) + if t >= 3 { jump } else { 0.0 }).collect()
        };
        Units {
            outcomes: (0..20).map(|u| row(u, if u < 8 { -2.0 } else { 0.0 })).collect(),
            first_treated: (0..20).map(|u| (u < 8).then_some(3)).collect(),
            anticipation,
        }
    }

    #[test]
    fn a_jump_at_treatment_is_found_and_nothing_before_it() {
        let found = group_times(&units(0), Controls::Never).unwrap();
        for cell in &found.effects {
            let expected = if cell.period >= 3 { -2.0 } else { 0.0 };
            assert!((cell.effect.value - expected).abs() < 1e-12, "{cell:?}");
        }
        assert!((found.simple().unwrap().value + 2.0).abs() < 1e-12);
    }

    #[test]
    fn anticipation_moves_the_base_back() {
        let found = group_times(&units(1), Controls::NotYet).unwrap();
        let at = found.effects.iter().find(|e| e.period == 2).unwrap();
        assert!(at.effect.value.abs() < 1e-12);
        assert_eq!(found.anticipation(), 1);
    }

    #[test]
    fn a_single_treated_unit_has_no_standard_error() {
        let mut alone = units(0);
        alone.first_treated = (0..20).map(|u| (u == 0).then_some(3)).collect();
        let found = group_times(&alone, Controls::Never).unwrap();
        assert!(found.effects.iter().all(|e| e.effect.standard_error.is_none()));
        assert!(found.simple().unwrap().interval("simple").is_none());
    }

    #[test]
    fn all_treated_from_the_start_leave_nothing_to_compare() {
        let mut all = units(0);
        all.first_treated = vec![Some(0); 20];
        let error = group_times(&all, Controls::Never).unwrap_err();
        assert!(matches!(error, ComparisonRefused::NoGroup(_)));
    }
}
