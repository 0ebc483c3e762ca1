//! The visibility curve, and what is remarkable about it.
//!
//! **Invariant:** the curve is of those who use the product and are in sight; who left
//! does not lower it.

use tidegauge_model::VantageId;

use super::chain::{Asked, Chain, Room, Sums};
use super::correct::{Z, on_logits};
use super::entry::Entries;
use super::evidence::Evidence;
use super::fit::Fit;
use super::likelihood::{gradient, in_parts};
use super::rates::Rates;
use super::{Alarm, Share, VisibilityWeek};
use crate::interval::as_f64;

/// Contacts seen that fell to less than this are an alarm, if the interval says so too.
const THINNED: f64 = 0.8;
/// The product's contacts relative to controls, if the whole interval lies outside this
/// and its inverse, part. Sizes of organisations that leave and stay differ; that alone
/// moves the ratio by less. Picked by hand, revisit.
const PARTED: f64 = 0.78;
/// Share out of sight, or no longer looked at, that is an alarm. Picked by hand, revisit.
const DARK: f64 = 0.1;

/// The curve by vantage and week.
pub(crate) fn curve(evidence: &Evidence, fit: &Fit) -> Vec<VisibilityWeek> {
    let rates = Rates::new(&fit.layout, evidence, &fit.minimum.at);
    let sight = in_sight(evidence, fit, &rates);
    let mut weeks = Vec::with_capacity(evidence.vantages.len() * evidence.weeks);
    for (v, vantage) in evidence.vantages.iter().enumerate() {
        if !evidence.units.iter().any(|u| u.views.iter().any(|w| w.vantage == v)) {
            continue;
        }
        for week in 0..evidence.weeks {
            let controlled = evidence.controlled[v];
            let [lit, all] = sight.lit[v * evidence.weeks + week];
            weeks.push(VisibilityWeek {
                vantage: vantage.clone(),
                first: evidence.begins(week),
                product: chance(evidence, fit, &rates, (v, week, 0)),
                control: controlled
                    .then(|| chance(evidence, fit, &rates, (v, week, 1))),
                in_sight: controlled.then_some(lit / all),
                looked: looked(evidence, v, week),
            });
        }
    }
    weeks
}

/// Chance to be seen on one of seven days, of the product (0) or controls (1).
fn chance(
    evidence: &Evidence,
    fit: &Fit,
    rates: &Rates,
    (vantage, week, kind): (usize, usize, usize),
) -> Share {
    let layout = &fit.layout;
    let mut sums = Sums::new(layout);
    let mut value = 0.0;
    for product in 0..layout.products {
        for control in 0..layout.controls {
            let class = product * layout.controls + control;
            let (cell, detection, into) = if kind == 0 {
                let cell = layout.product_cell(vantage, week, product);
                (cell, &rates.product, &mut sums.product)
            } else {
                let cell = layout.control_cell(vantage, week, control);
                (cell, &rates.control, &mut sums.control)
            };
            let [weekday, weekend] = detection.intensity[cell];
            let (weekdays, others) = (5.0 * weekday, 2.0 * weekend);
            let missed = (-weekdays - others).exp();
            let weight = rates.weights[class];
            value += weight * (1.0 - missed);
            into[cell].direct[0] += weight * missed * weekdays;
            into[cell].direct[1] += weight * missed * others;
            sums.class[class] = weight * (1.0 - missed);
        }
    }
    let gradient = gradient(layout, evidence, rates, &sums);
    match fit.variance(&gradient) {
        Some(variance) => on_logits(value, variance.sqrt()),
        None => Share { value, low: 0.0, high: 1.0 },
    }
}

fn in_sight(evidence: &Evidence, fit: &Fit, rates: &Rates) -> Sums {
    let layout = &fit.layout;
    let entries = Entries::new(layout, evidence, rates);
    let chain = Chain::new(layout, evidence, rates, &entries);
    let parts = in_parts(&evidence.units, |units| {
        let (mut room, mut sums) = (Room::default(), Sums::new(layout));
        for unit in units {
            chain.likelihood(unit, None, &mut room);
            chain.add(unit, Asked { weight: 1.0 }, &room, &mut sums);
        }
        sums
    });
    let mut sums = Sums::new(layout);
    for part in &parts {
        sums.add(part);
    }
    sums
}

fn looked(evidence: &Evidence, vantage: usize, week: usize) -> f64 {
    let (mut days, mut all) = (0, 0);
    for view in evidence.units.iter().flat_map(|u| &u.views) {
        if view.vantage == vantage {
            days += u64::from(view.looked[week].count_ones());
            all += 7;
        }
    }
    if all == 0 { 0.0 } else { as_f64(days) / as_f64(all) }
}

/// Vantages at which the product's visibility parted from the controls' by the window
/// after, with contacts relative to controls.
pub(crate) fn parted(evidence: &Evidence, fit: &Fit) -> Vec<(VantageId, Share)> {
    let mut out = Vec::new();
    for (v, vantage) in evidence.vantages.iter().enumerate() {
        let mut gradient = vec![0.0; fit.layout.count];
        for week in evidence.after.clone() {
            if let Some(place) = fit.layout.parting(v, evidence.block[week]) {
                gradient[place] += 1.0 / count(evidence.after.len());
            }
        }
        let Some(ratio) = ratio(fit, &gradient) else { continue };
        if ratio.high < PARTED || ratio.low > 1.0 / PARTED {
            out.push((vantage.clone(), ratio));
        }
    }
    out
}

/// The exponential of a sum of parameters, with its interval.
fn ratio(fit: &Fit, gradient: &[f64]) -> Option<Share> {
    let log: f64 = gradient.iter().zip(&fit.minimum.at).map(|(g, x)| g * x).sum();
    let half = Z * fit.variance(gradient)?.sqrt();
    Some(Share { value: log.exp(), low: (log - half).exp(), high: (log + half).exp() })
}

/// What is remarkable.
pub(crate) fn alarms(evidence: &Evidence, fit: &Fit) -> Vec<Alarm> {
    let rates = Rates::new(&fit.layout, evidence, &fit.minimum.at);
    let sight = in_sight(evidence, fit, &rates);
    let mut alarms = Vec::new();
    for (v, vantage) in evidence.vantages.iter().enumerate() {
        let mut change = vec![0.0; fit.layout.count];
        for week in 0..evidence.weeks {
            let Some(place) = fit.layout.curve(v, week) else { continue };
            if week < evidence.before {
                change[place] -= 1.0 / count(evidence.before);
            } else if evidence.after.contains(&week) {
                change[place] += 1.0 / count(evidence.after.len());
            }
        }
        if let Some(ratio) = ratio(fit, &change)
            && ratio.high < THINNED
        {
            alarms.push(Alarm::Thinned { vantage: vantage.clone(), ratio });
        }
        let mut lit = [0.0; 2];
        for week in evidence.after.clone() {
            let [seen, all] = sight.lit[v * evidence.weeks + week];
            lit = [lit[0] + seen, lit[1] + all];
        }
        let share = 1.0 - lit[0] / lit[1];
        if evidence.controlled[v] && share > DARK {
            alarms.push(Alarm::Dark { vantage: vantage.clone(), share });
        }
        let mean = |weeks: std::ops::Range<usize>| {
            let n = count(weeks.len());
            weeks.map(|week| looked(evidence, v, week)).sum::<f64>() / n
        };
        let ratio = mean(evidence.after.clone()) / mean(0..evidence.before);
        if ratio < 1.0 - DARK {
            alarms.push(Alarm::LookedLess { vantage: vantage.clone(), ratio });
        }
    }
    let parted = parted(evidence, fit).into_iter();
    alarms.extend(parted.map(|(vantage, ratio)| Alarm::Parted { vantage, ratio }));
    alarms
}

fn count(n: usize) -> f64 {
    as_f64(u64::try_from(n).unwrap_or(1).max(1))
}
