//! Whether the fitted model describes the histories: a parametric bootstrap.
//!
//! Histories are drawn from the fitted model for the same organisations, looked at on the
//! same days, until each is a member of the cohort; pooled counts of what was seen are
//! compared by Pearson's statistic with their mean over the draws.
//!
//! **Invariant:** pooled counts are those on which removal rests: how many days are seen
//! in a week, and how long silence lasts before the product is seen again. The model is
//! not fitted again to each draw, which makes p-values too large, never too small.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::evidence::{Evidence, Unit, pattern_days};
use super::fit::Fit;
use super::layout::Layout;
use super::rates::Rates;
use super::{LackOfFit, Settings};
use crate::interval::as_f64;

/// Organisations compared, evenly spread: enough to see a misfit that matters, few enough
/// for seconds.
const ORGANISATIONS_MAX: usize = 2_000;
/// Draws of one history before it is given up: the fitted model then hardly makes members
/// like it, which the counts show.
const DRAWS_MAX: u32 = 2_000;
/// Cells with a smaller expectation are left out, as usual for Pearson's statistic.
const EXPECTED_MIN: f64 = 5.0;
/// Silences as long as this are one.
const SILENCE_MAX: usize = 12;

/// Pooled counts: by kind, place and value.
type Pooled = BTreeMap<(u8, usize, usize), f64>;

/// The test, unless no replicates are asked for or nothing was fitted.
pub(crate) fn lack_of_fit(
    evidence: &Evidence,
    fit: &Fit,
    settings: &Settings,
) -> Option<LackOfFit> {
    if settings.replicates < 2 || !fit.minimum.converged {
        return None;
    }
    let step = evidence.units.len().div_ceil(ORGANISATIONS_MAX).max(1);
    let units: Vec<&Unit> = evidence.units.iter().step_by(step).collect();
    let rates = Rates::new(&fit.layout, evidence, &fit.minimum.at);
    let days = pattern_days();
    let mut seen = Pooled::new();
    for unit in &units {
        let weeks: Vec<Vec<u8>> = unit
            .views
            .iter()
            .map(|view| {
                view.cells
                    .iter()
                    .map(|c| {
                        let [weekdays, _, others, _] = days[usize::from(c.product)];
                        weekdays + others
                    })
                    .collect()
            })
            .collect();
        pool(evidence, unit, &weeks, &mut seen);
    }
    let mut random = Pcg64Mcg::seed_from_u64(settings.seed);
    let replicates: Vec<Pooled> = (0..settings.replicates)
        .map(|_| {
            let mut pooled = Pooled::new();
            for unit in &units {
                let weeks = draw(evidence, &fit.layout, &rates, unit, &mut random);
                pool(evidence, unit, &weeks, &mut pooled);
            }
            pooled
        })
        .collect();
    compare(&seen, &replicates, units.len(), settings.replicates)
}

fn compare(
    seen: &Pooled,
    replicates: &[Pooled],
    organisations: usize,
    count: u32,
) -> Option<LackOfFit> {
    let mut expected = Pooled::new();
    for (key, value) in replicates.iter().flatten() {
        *expected.entry(*key).or_default() += value / f64::from(count);
    }
    // What never occurs in a draw but was seen counts as expected once in all draws.
    let rare = 1.0 / f64::from(count);
    let statistic = |of: &Pooled| {
        let common: f64 = expected
            .iter()
            .filter(|(_, e)| **e >= EXPECTED_MIN)
            .map(|(key, e)| (of.get(key).copied().unwrap_or(0.0) - e).powi(2) / e)
            .sum();
        let is_rare = |key| expected.get(key).is_none_or(|e: &f64| *e < EXPECTED_MIN);
        let uncommon: f64 =
            of.iter().filter(|(key, _)| is_rare(*key)).map(|(_, o)| o).sum();
        let e = expected.values().filter(|e| **e < EXPECTED_MIN).sum::<f64>().max(rare);
        common + (uncommon - e).powi(2) / e
    };
    let own = statistic(seen);
    let drawn: Vec<f64> = replicates.iter().map(statistic).collect();
    let mean = drawn.iter().sum::<f64>() / f64::from(count);
    let larger = drawn.iter().filter(|d| **d >= own).count();
    let larger = as_f64(u64::try_from(larger).ok()?);
    (mean > 0.0).then(|| LackOfFit {
        overdispersion: own / mean,
        p: (larger + 1.0) / (f64::from(count) + 1.0),
        replicates: count,
        organisations,
    })
}

/// Adds the counts of one history: days seen a week by block, and lengths of silence
/// between two weeks with a sighting, at each view.
fn pool(evidence: &Evidence, unit: &Unit, weeks: &[Vec<u8>], pooled: &mut Pooled) {
    for (view, seen) in unit.views.iter().zip(weeks) {
        let mut silence = None;
        for (week, days) in seen.iter().enumerate() {
            let block = view.vantage * evidence.blocks + evidence.block[week];
            if view.looked[week] != 0 {
                *pooled.entry((0, block, usize::from(*days))).or_default() += 1.0;
            }
            if *days > 0 {
                if let Some(length) = silence {
                    let key = (1, view.vantage, SILENCE_MAX.min(length));
                    *pooled.entry(key).or_default() += 1.0;
                }
                silence = Some(0);
            } else {
                silence = silence.map(|length: usize| length + 1);
            }
        }
    }
}

/// Days seen by view and week of one drawn member.
fn draw(
    evidence: &Evidence,
    layout: &Layout,
    rates: &Rates,
    unit: &Unit,
    random: &mut Pcg64Mcg,
) -> Vec<Vec<u8>> {
    let class = pick_class(rates, random) / layout.controls;
    let before = first_weeks(evidence, layout, rates, unit, class, random);
    let (mut days_in_window, mut member) = (0, evidence.before);
    for week in 0..evidence.before {
        let union = before.iter().fold(0, |bits, view| bits | view[week].0);
        days_in_window += usize::try_from(union.count_ones()).unwrap_or(0);
        if days_in_window >= evidence.days_min {
            member = week;
            break;
        }
    }
    let (mut using, mut lit) = (true, vec![true; unit.views.len()]);
    let mut weeks = vec![Vec::with_capacity(evidence.weeks); unit.views.len()];
    for (week, period) in evidence.period.iter().enumerate().take(evidence.weeks) {
        if week > member {
            for (lit, view) in lit.iter_mut().zip(&unit.views) {
                let at = layout.sight_cell(view.vantage, *period);
                let turn = rates.sight[at];
                *lit = turned(*lit, turn.down, turn.up, random);
            }
            let blackout = rates.blackout_of(layout, unit, *period);
            if blackout.is_some_and(|chance| random.random::<f64>() < chance) {
                lit.fill(false);
            }
            let turn = rates.using[layout.use_cell(unit.group, *period)];
            using = turned(using, turn.down, turn.up, random);
        }
        for (j, view) in unit.views.iter().enumerate() {
            let shown = week <= member || (using && lit[j]);
            let seen = if !shown {
                if lit[j] {
                    stray(view.looked[week], evidence.noise, random)
                } else {
                    0
                }
            } else if week < evidence.before {
                before[j][week].0 | before[j][week].1
            } else {
                let cell = layout.product_cell(view.vantage, week, class);
                see(view.looked[week], rates.product.intensity[cell], random)
            };
            weeks[j].push(u8::try_from(seen.count_ones()).unwrap_or(0));
        }
    }
    weeks
}

fn turned(state: bool, down: f64, up: f64, random: &mut Pcg64Mcg) -> bool {
    let change = if state { down } else { up };
    state != (random.random::<f64>() < change)
}

fn pick_class(rates: &Rates, random: &mut Pcg64Mcg) -> usize {
    let mut left = random.random::<f64>();
    let last = rates.weights.len() - 1;
    let under = |weight: &f64| {
        left -= weight;
        left < 0.0
    };
    rates.weights.iter().position(under).unwrap_or(last)
}

/// Bits of the days seen in the weeks of the window before, inside it and outside, by
/// view, drawn until the organisation is a member.
fn first_weeks(
    evidence: &Evidence,
    layout: &Layout,
    rates: &Rates,
    unit: &Unit,
    class: usize,
    random: &mut Pcg64Mcg,
) -> Vec<Vec<(u8, u8)>> {
    let window = &evidence.entries[unit.entry].views;
    let mut drawn = Vec::new();
    for _ in 0..DRAWS_MAX {
        drawn = unit
            .views
            .iter()
            .zip(window)
            .map(|(view, (_, _, inside))| {
                (0..evidence.before)
                    .map(|week| {
                        let cell = layout.product_cell(view.vantage, week, class);
                        let looked = view.looked[week];
                        let seen = see(looked, rates.product.intensity[cell], random);
                        (seen & inside[week], seen & !inside[week])
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let own = |view: &Vec<(u8, u8)>| view.iter().any(|week| week.0 != 0);
        let union = |week: usize| {
            drawn.iter().fold(0u8, |bits, view: &Vec<(u8, u8)>| bits | view[week].0)
        };
        let days: u32 = (0..evidence.before).map(|w| union(w).count_ones()).sum();
        if drawn.iter().all(own)
            && usize::try_from(days).unwrap_or(0) >= evidence.days_min
        {
            break;
        }
    }
    drawn
}

/// The bit of a lone day of noise, or none.
fn stray(looked: u8, noise: f64, random: &mut Pcg64Mcg) -> u8 {
    if noise <= 0.0 || random.random::<f64>() >= noise {
        return 0;
    }
    looked & 1 << random.random_range(0..7u8)
}

fn see(looked: u8, intensity: [f64; 2], random: &mut Pcg64Mcg) -> u8 {
    (0..7u8).filter(|day| looked >> day & 1 == 1).fold(0, |bits, day| {
        let lambda = intensity[usize::from(day >= 5)];
        let seen = random.random::<f64>() < -(-lambda).exp_m1();
        bits | u8::from(seen) << day
    })
}
