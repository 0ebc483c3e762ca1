//! The corrected removal of each stratum, or the rule that forbids it.
//!
//! **Invariant:** a value stands only beside `Identified`; every other answer names its
//! rule. Rules look at what was fitted, never at whether the answer pleases.

use std::collections::BTreeMap;

use tidegauge_model::estimate::Identification;
use tidegauge_model::panel::Panel;

use super::chain::{Asked, CLASSES_MAX, Chain, Room, Sums};
use super::entry::Entries;
use super::evidence::{Evidence, Unit};
use super::fit::Fit;
use super::lack::lack_of_fit;
use super::likelihood::{gradient, in_parts};
use super::rates::Rates;
use super::survival::survival;
use super::visibility::{alarms, curve, parted};
use super::{
    ActDates, Corrected, Errors, LackOfFit, NOISE_MAX, Refusal, Settings, Share,
    StillUsing, StratumRemoval,
};
use crate::interval::as_f64;
use crate::occupancy::optimum::{logistic, logit};
use crate::{Stratify, Windows};

/// A stratum of fewer organisations has no corrected figure. Picked by hand, revisit.
const STRATUM_MIN: usize = 20;
/// Least share of a stratum's organisations with controls in the window before.
const CONTROLLED_SHARE_MIN: f64 = 0.5;
/// A standard error that grows by more than this when priors are weakened rests on them.
const PRIOR_RATIO_MAX: f64 = 1.5;
/// A standard error that visibility makes so much larger is of visibility. It does not
/// matter where it is small all the same.
const CURVE_RATIO_MAX: f64 = 4.0;
/// Standard errors below this are small: 2 points, intervals of 8.
const SE_SMALL: f64 = 0.02;
/// Half-widths above this say nothing of use: an interval of 30 points.
const SE_MAX: f64 = 0.0765;
/// Widest range of a share over odds of use a third or three times those of the fitted
/// hazards. Picked by hand, revisit.
const RANGE_MAX: f64 = 0.15;
/// By how much those odds are changed.
const ODDS: f64 = 3.0;
/// The normal quantile of two-sided 95 %.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// Removal between the windows, corrected for visibility, for each stratum of each way to
/// stratify; with the visibility curve and the chance that each organisation still uses
/// the product. One model is fitted to all, so the strata agree with each other.
pub fn removal_corrected(
    panel: &Panel,
    windows: Windows,
    dates: ActDates,
    by: &[Stratify],
    settings: &Settings,
) -> Result<Corrected, Refusal> {
    if settings.classes == 0 || settings.classes > CLASSES_MAX {
        let classes = settings.classes;
        return Err(Refusal::Classes { classes, most: CLASSES_MAX });
    }
    if !(0.0..NOISE_MAX).contains(&settings.noise) {
        return Err(Refusal::Noise);
    }
    let evidence = Evidence::read(panel, windows, dates, settings)?;
    let fit = Fit::new(&evidence, settings.classes);
    let lack = lack_of_fit(&evidence, &fit, settings);
    let model = Model { lack, ..Model::new(&evidence, &fit) };
    let known = model.posteriors(evidence.after.start);
    let whole = whole_panel(&evidence, &fit);
    let members = members(&evidence, by);
    let strata: Vec<StratumRemoval> = members
        .iter()
        .map(|(of, members)| model.stratum(of.clone(), members, &known, whole.as_ref()))
        .collect();
    let still_using = evidence
        .units
        .iter()
        .zip(&known)
        .map(|(unit, known)| StillUsing {
            organisation: unit.organisation.clone(),
            probability: if unit.seen_after { 1.0 } else { known.using },
        })
        .collect();
    let each = strata.iter().zip(members.iter().map(|(_, members)| members.as_slice()));
    let survival = if settings.survival { survival(&model, each) } else { Vec::new() };
    Ok(Corrected {
        strata,
        survival,
        visibility: curve(&evidence, &fit),
        still_using,
        alarms: alarms(&evidence, &fit),
        lack_of_fit: lack,
        method: method(&evidence, settings),
    })
}

/// Pairs of dimension and value; empty for all.
type Stratum = Vec<(String, String)>;

/// The strata with the places of their members.
fn members(evidence: &Evidence, by: &[Stratify]) -> Vec<(Stratum, Vec<usize>)> {
    let of = |stratify: &Stratify| {
        let mut members: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, unit) in evidence.units.iter().enumerate() {
            members.entry(stratify.of(&unit.place)).or_default().push(i);
        }
        members
    };
    by.iter().flat_map(of).collect()
}

/// By what lack of fit multiplies a standard error (`MacKenzie` and Bailey 2004). What a
/// model gets wrong by the same shares adds to Pearson's statistic in proportion to the
/// organisations compared; a stratum bears the part that its own size would show.
/// Dependence inside organisations and families is in the sandwich already.
fn inflation(lack: Option<LackOfFit>, members: usize) -> f64 {
    let Some(lack) = lack else { return 1.0 };
    let number = |n: usize| as_f64(u64::try_from(n).unwrap_or(1).max(1));
    let excess = (lack.overdispersion - 1.0).max(0.0);
    (1.0 + excess * number(members) / number(lack.organisations)).sqrt()
}

fn method(evidence: &Evidence, settings: &Settings) -> String {
    format!(
        "weekly occupancy with {} classes of detection, {} groups of hazards in {} \
         periods, visibility by vantage and week shared with controls; {}; intervals from \
         observed information or, if wider, the sandwich over families",
        settings.classes,
        evidence.groups,
        evidence.periods,
        settings.active.statement(),
    )
}

/// A rule that forbids every figure of the panel.
fn whole_panel(evidence: &Evidence, fit: &Fit) -> Option<String> {
    if !evidence.controlled.contains(&true) {
        return Some(
            "controls-absent: no vantage sees control products at enough organisations, \
             so nothing tells ending use from losing sight"
                .to_owned(),
        );
    }
    if !fit.minimum.converged {
        return Some("no-convergence: the likelihood has no clear top".to_owned());
    }
    if fit.minimum.covariance.is_none() {
        return Some("near-singular: the information cannot be inverted".to_owned());
    }
    let parted = parted(evidence, fit);
    parted.first().map(|(vantage, ratio)| {
        format!(
            "visibility-parted: at {vantage} contacts of the product per organisation that \
             still shows it went to {:.2} ({:.2} to {:.2}) of those of controls, relative \
             to before; servers that moved, a rotten catalog and fewer devices look like \
             that, and some organisations may have vanished by it altogether",
            ratio.value, ratio.low, ratio.high
        )
    })
}

/// What is known of one organisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Chance of use from a week on, up to the end of the window after.
    pub(super) using: f64,
    /// The same with the week before it.
    using_before: f64,
}

pub(super) struct Model<'a> {
    pub(super) evidence: &'a Evidence,
    fit: &'a Fit,
    rates: Rates,
    entries: Entries,
    lack: Option<LackOfFit>,
}

impl<'a> Model<'a> {
    fn new(evidence: &'a Evidence, fit: &'a Fit) -> Self {
        let rates = Rates::new(&fit.layout, evidence, &fit.minimum.at);
        let entries = Entries::new(&fit.layout, evidence, &rates);
        Self { evidence, fit, rates, entries, lack: None }
    }

    fn chain(&self) -> Chain<'_> {
        Chain::new(&self.fit.layout, self.evidence, &self.rates, &self.entries)
    }

    /// What is known of each about use from a week on.
    pub(super) fn posteriors(&self, from: usize) -> Vec<Known> {
        let chain = self.chain();
        let parts = in_parts(&self.evidence.units, |units| {
            let mut room = Room::default();
            let of = |unit: &Unit| {
                let all = chain.likelihood(unit, None, &mut room);
                let mut using = |from: usize| {
                    let gone = chain.likelihood(unit, Some(from), &mut room);
                    1.0 - (gone - all).exp().clamp(0.0, 1.0)
                };
                let using_before = using(from.saturating_sub(1));
                Known { using: using(from), using_before }
            };
            units.iter().map(of).collect::<Vec<_>>()
        });
        parts.into_iter().flatten().collect()
    }

    fn stratum(
        &self,
        stratum: Stratum,
        members: &[usize],
        known: &[Known],
        whole: Option<&String>,
    ) -> StratumRemoval {
        let n = as_f64(u64::try_from(members.len()).unwrap_or(u64::MAX));
        let mean = |of: &dyn Fn(f64) -> f64| {
            members.iter().map(|i| of(known[*i].using)).sum::<f64>() / n
        };
        let value = 1.0 - mean(&|p| p);
        let odds = |by: f64| 1.0 - mean(&|p| p * by / (p * by + 1.0 - p));
        let range = (odds(ODDS), odds(1.0 / ODDS));
        let found = match whole {
            Some(rule) => Err(rule.clone()),
            None => self.share(members, known, value, range),
        };
        let (errors, identified) = match found {
            Ok(errors) => (Some(errors), Identification::Identified),
            Err(rule) => (None, Identification::NotIdentified(rule)),
        };
        let ends = counted_ends(members.iter().map(|i| known[*i].using));
        let share = |se: fn(Errors) -> f64| {
            errors.map(|errors| with_ends(on_logits(value, se(errors)), ends, n))
        };
        StratumRemoval {
            stratum,
            n_baseline: u64::try_from(members.len()).unwrap_or(u64::MAX),
            removal: share(Errors::of_cohort),
            sampled: share(Errors::of_population),
            errors,
            range_by_hazard: Some(range)
                .filter(|(a, b)| a.is_finite() && b.is_finite()),
            identified,
        }
    }

    /// The errors of a share, or the rule that forbids it.
    fn share(
        &self,
        members: &[usize],
        known: &[Known],
        value: f64,
        range: (f64, f64),
    ) -> Result<Errors, String> {
        if members.len() < STRATUM_MIN {
            return Err(format!(
                "too-few: {} organisations; at least {STRATUM_MIN} are needed",
                members.len()
            ));
        }
        let controlled = members
            .iter()
            .filter(|i| self.evidence.units[**i].views.iter().any(|v| v.control))
            .count();
        let share = |count: usize| {
            as_f64(u64::try_from(count).unwrap_or(0))
                / as_f64(u64::try_from(members.len()).unwrap_or(1))
        };
        if share(controlled) < CONTROLLED_SHARE_MIN {
            return Err(format!(
                "controls-absent: control products were seen at {:.0} % of the \
                 organisations; at least {:.0} % are needed to tell ending use from losing \
                 sight",
                100.0 * share(controlled),
                100.0 * CONTROLLED_SHARE_MIN
            ));
        }
        if range.1 - range.0 > RANGE_MAX {
            return Err(format!(
                "form-only: removal would be {:.0} to {:.0} % if the odds of use of those \
                 not seen were three times, or a third of, what the fitted hazards say; \
                 too many were not looked at or are hard to see",
                100.0 * range.0,
                100.0 * range.1
            ));
        }
        let gradient = self.share_gradient(members, known, self.evidence.after.start);
        let unknown = || "near-singular: the information cannot be inverted".to_owned();
        let parameters = self.fit.variance(&gradient).ok_or_else(unknown)?;
        let families = self
            .family_variance(members, known, value, &gradient)
            .ok_or_else(unknown)?;
        let errors = self.errors(members, known, [parameters, families]);
        let se = errors.of_cohort();
        let prior = self.fit.prior_ratio(&gradient);
        if parameters.sqrt() > SE_SMALL && prior.is_none_or(|r| r > PRIOR_RATIO_MAX) {
            return Err("near-singular: the figure rests on the priors".to_owned());
        }
        let curve = self.fit.curve_ratio(&gradient);
        if parameters.sqrt() > SE_SMALL && curve.is_none_or(|r| r > CURVE_RATIO_MAX) {
            return Err("confounded: removal and visibility can stand for each other"
                .to_owned());
        }
        if !se.is_finite() || se > SE_MAX {
            return Err(format!(
                "too-wide: the standard error is {:.0} points",
                100.0 * se
            ));
        }
        Ok(errors)
    }

    /// The share of `members` that uses the product in no week from `from` to the end of the
    /// window after, with the interval for this very cohort; `known` is of that week.
    pub(super) fn gone_from(
        &self,
        members: &[usize],
        known: &[Known],
        from: usize,
    ) -> Option<Share> {
        let n = as_f64(u64::try_from(members.len()).unwrap_or(1));
        let value = members.iter().map(|i| 1.0 - known[*i].using).sum::<f64>() / n;
        let variance = self.fit.variance(&self.share_gradient(members, known, from))?;
        let se = self.errors(members, known, [variance, 0.0]).of_cohort();
        let ends = counted_ends(members.iter().map(|i| known[*i].using));
        Some(with_ends(on_logits(value, se), ends, n)).filter(|_| se.is_finite())
    }

    /// The parts of the error, from the variances of parameters and over families.
    fn errors(
        &self,
        members: &[usize],
        known: &[Known],
        [parameters, families]: [f64; 2],
    ) -> Errors {
        let inflation = inflation(self.lack, members.len());
        Errors {
            model: inflation * parameters.sqrt(),
            unseen: inflation * self.drawn_variance(members, known).sqrt(),
            families: inflation * families.sqrt(),
            within_week: within_week(members, known),
            inflation,
        }
    }

    /// Variance of the share over draws of families: the sum of squares of what each moves
    /// it by, as a member and through the fit.
    fn family_variance(
        &self,
        members: &[usize],
        known: &[Known],
        value: f64,
        gradient: &[f64],
    ) -> Option<f64> {
        let n = as_f64(u64::try_from(members.len()).unwrap_or(1));
        let mut moves = self.fit.moves(gradient)?;
        for i in members {
            let own = (1.0 - known[*i].using - value) / n;
            moves[self.evidence.units[*i].family] += own;
        }
        Some(moves.iter().map(|by| by * by).sum())
    }

    /// Variance of the realised share given the parameters. Members of a family are taken
    /// to decide as one, which is the most it can be.
    fn drawn_variance(&self, members: &[usize], known: &[Known]) -> f64 {
        let mut families: BTreeMap<usize, f64> = BTreeMap::new();
        for i in members {
            let p = known[*i].using;
            *families.entry(self.evidence.units[*i].family).or_default() +=
                (p * (1.0 - p)).max(0.0).sqrt();
        }
        let n = as_f64(u64::try_from(members.len()).unwrap_or(1));
        families.values().map(|sd| sd * sd).sum::<f64>() / (n * n)
    }

    /// Gradient of the mean chance of no use: of each, the chance times the difference of
    /// the scores of the paths without use and of all.
    fn share_gradient(
        &self,
        members: &[usize],
        known: &[Known],
        from: usize,
    ) -> Vec<f64> {
        let chain = self.chain();
        let layout = &self.fit.layout;
        let n = as_f64(u64::try_from(members.len()).unwrap_or(1));
        let parts = in_parts(members, |part| {
            let (mut room, mut sums) = (Room::default(), Sums::new(layout));
            for i in part {
                let (unit, chance) = (&self.evidence.units[*i], 1.0 - known[*i].using);
                if chance <= 0.0 {
                    continue;
                }
                for (gone, sign) in [(Some(from), 1.0), (None, -1.0)] {
                    chain.likelihood(unit, gone, &mut room);
                    let asked = Asked { weight: sign * chance / n };
                    chain.add(unit, asked, &room, &mut sums);
                }
            }
            sums
        });
        let mut sums = Sums::new(layout);
        for part in &parts {
            sums.add(part);
        }
        gradient(layout, self.evidence, &self.rates, &sums)
    }
}

/// The chance beyond each end of an interval.
const TAIL: f64 = 0.025;
/// A chance so near 0 or 1 is one.
const SURE: f64 = 1e-9;
/// With more members in doubt their number is normal, and the logit has its ends.
const DOUBTED_MAX: usize = 2_000;

/// A share of `n` that reaches as far as counting alone does: a logit never reaches the ends;
/// a cohort of which nobody left does.
fn with_ends(share: Share, (least, most): (f64, f64), n: f64) -> Share {
    let (low, high) = (share.low.min(least / n), share.high.max(most / n));
    Share { low, high, ..share }
}

/// Ends of the middle 95 % of how many of a cohort do not use the product, given the chance
/// of each that it does: of a sum of draws with unequal chances, worked out exactly. Where
/// few are in doubt they may well all use it, and then nobody has left.
fn counted_ends(using: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut certain, mut doubted) = (0.0, Vec::new());
    for p in using {
        if p <= SURE {
            certain += 1.0;
        } else if p < 1.0 - SURE {
            doubted.push(1.0 - p);
        }
    }
    if doubted.len() > DOUBTED_MAX {
        return (f64::INFINITY, 0.0);
    }
    let mut chances = vec![1.0];
    for gone in doubted {
        chances.push(0.0);
        for k in (0..chances.len()).rev() {
            let one_less = if k == 0 { 0.0 } else { chances[k - 1] };
            chances[k] = chances[k] * (1.0 - gone) + one_less * gone;
        }
    }
    let first = |of: &mut dyn Iterator<Item = f64>| {
        let mut sum = 0.0;
        let below = of.take_while(|p| {
            sum += p;
            sum < TAIL
        });
        as_f64(u64::try_from(below.count()).unwrap_or(0))
    };
    let least = first(&mut chances.iter().copied());
    let back = first(&mut chances.iter().rev().copied());
    let all = as_f64(u64::try_from(chances.len() - 1).unwrap_or(0));
    (certain + least, certain + all - back)
}

/// The deviation that comes of weeks: who uses the product for the last time in the week
/// before the window, by the model, may have done so a few days later. Where in the two
/// weeks is taken to be as likely as anywhere: a uniform distribution.
fn within_week(members: &[usize], known: &[Known]) -> f64 {
    let n = as_f64(u64::try_from(members.len()).unwrap_or(1).max(1));
    let of = |i: &usize| (known[*i].using_before - known[*i].using).max(0.0);
    members.iter().map(of).sum::<f64>() / n / 12f64.sqrt()
}

impl Errors {
    /// The standard error of the share in this very cohort.
    pub fn of_cohort(self) -> f64 {
        self.model.hypot(self.unseen).hypot(self.within_week)
    }

    /// The standard error of the share among organisations like these: never less than
    /// that of the cohort.
    pub fn of_population(self) -> f64 {
        self.families.max(self.of_cohort())
    }
}

/// The interval of a share by the delta method on its logit, which keeps it inside 0 to 1.
pub(crate) fn on_logits(value: f64, se: f64) -> Share {
    on_logits_by(value, se, Z)
}

/// The same with another quantile than the normal's.
pub(crate) fn on_logits_by(value: f64, se: f64, quantile: f64) -> Share {
    // At 0 or 1 the logit has no end; half a point is as near as it is asked.
    let at = value.clamp(0.005, 0.995);
    let half = quantile * se / (at * (1.0 - at));
    Share {
        value,
        low: logistic(logit(at) - half).min(value),
        high: logistic(logit(at) + half).max(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cohort_of_which_perhaps_nobody_left_has_none_inside_its_ends() {
        // Three in doubt: nobody left with chance .9 * .8 * .95 = .684.
        let sure = std::iter::repeat_n(1.0, 97);
        let ends = counted_ends([0.9, 0.8, 0.95].into_iter().chain(sure));
        assert_eq!(ends, (0.0, 2.0));
        // Two or more: .9*.2*.05 + .1*.8*.05 + .1*.2*.95 + .1*.2*.05 = .033 > .025.
        assert_eq!(counted_ends([0.0, 0.0, 1.0].into_iter()), (2.0, 2.0));
    }

    #[test]
    fn equal_chances_give_the_binomial() {
        let ends = counted_ends(std::iter::repeat_n(0.7, 40));
        let probability = |k: i32| {
            let choose: f64 =
                (0..k).map(|i| f64::from(40 - i) / f64::from(i + 1)).product();
            choose * 0.3f64.powi(k) * 0.7f64.powi(40 - k)
        };
        let below = |k: f64| -> f64 {
            (0..=40).filter(|i| f64::from(*i) < k).map(probability).sum()
        };
        assert!(below(ends.0) < TAIL && below(ends.0 + 1.0) >= TAIL, "{ends:?}");
        let above = |k: f64| 1.0 - below(k + 1.0);
        assert!(above(ends.1) < TAIL && above(ends.1 - 1.0) >= TAIL, "{ends:?}");
    }

    #[test]
    fn many_in_doubt_leave_the_ends_to_the_logit() {
        let (least, most) = counted_ends(std::iter::repeat_n(0.5, DOUBTED_MAX + 1));
        assert!(least > 1e9 && most < 1.0);
    }
}
