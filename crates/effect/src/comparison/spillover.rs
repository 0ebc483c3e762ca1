//! Controls by how exposed they are to the act, and what a design could find at all.
//!
//! An act in one country reaches others: subsidiaries of its companies, its allies. If the
//! units compared with are touched too, every contrast is the effect less the spillover.
//! Controls are therefore laid out in rings, and each is compared with the outermost.
//!
//! **Invariant:** no ring is called untouched; the outermost is the one taken to be, and a
//! contrast without two units on each side has no interval.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::staggered::{ComparisonRefused, Controls, Units, group_times};
use crate::interval::as_f64;
use crate::regression::{Coefficient, all_finite, count};
use crate::student::quantile;

/// A unit's change between two windows, and its ring: 0 treated, 1 nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposed {
    /// Outcome after less outcome before.
    pub change: f64,
    /// Its ring.
    pub ring: u32,
}

/// Changes that cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpilloverRefused {
    /// Rule `rings-needed`.
    #[error("rule rings-needed: {0} rings; the treated and one of controls are needed")]
    Rings(usize),
    /// A change that is no number.
    #[error("unit {0} has no finite change")]
    NotFinite(usize),
    /// Rule `power-valid`.
    #[error("rule power-valid: {0}")]
    Power(&'static str),
    /// The comparison itself.
    #[error(transparent)]
    Comparison(#[from] ComparisonRefused),
}

/// Contrasts between rings.
#[derive(Clone, Debug, PartialEq)]
pub struct Rings {
    /// For each ring but the outermost: its mean change less that of the outermost, with
    /// Welch's interval; `None` for the error and interval of rings of one unit.
    pub contrasts: BTreeMap<u32, Contrast>,
    /// Least and greatest effect on the treated over the rings that they could be compared
    /// with: they are far apart if the act reached some of them.
    pub effect_by_control: (f64, f64),
}

/// A difference of mean changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// Units of the ring.
    pub units: usize,
    /// The difference.
    pub value: f64,
    /// The difference with its error, if there is one.
    pub estimate: Option<Coefficient>,
}

/// Compares each ring with the outermost.
pub fn rings(units: &[Exposed]) -> Result<Rings, SpilloverRefused> {
    let changes: Vec<f64> = units.iter().map(|u| u.change).collect();
    if all_finite("change", &changes).is_err() {
        let place = changes.iter().position(|c| !c.is_finite());
        return Err(SpilloverRefused::NotFinite(place.unwrap_or(0)));
    }
    let mut by_ring: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for unit in units {
        by_ring.entry(unit.ring).or_default().push(unit.change);
    }
    let refused = SpilloverRefused::Rings(by_ring.len());
    let (Some(treated), Some((outermost, outer))) =
        (by_ring.get(&0).cloned(), by_ring.pop_last())
    else {
        return Err(refused);
    };
    if outermost == 0 {
        return Err(refused);
    }
    let contrasts: BTreeMap<u32, Contrast> = by_ring
        .iter()
        .map(|(ring, changes)| (*ring, contrast(*ring, changes, &outer)))
        .collect();
    let controls = by_ring.iter().filter(|(ring, _)| **ring > 0).map(|(_, c)| c);
    let effects = controls.chain([&outer]).map(|c| mean(&treated) - mean(c));
    let effect_by_control = effects
        .fold((f64::INFINITY, f64::NEG_INFINITY), |r, e| (r.0.min(e), r.1.max(e)));
    Ok(Rings { contrasts, effect_by_control })
}

fn contrast(ring: u32, changes: &[f64], outer: &[f64]) -> Contrast {
    let value = mean(changes) - mean(outer);
    let parts = [changes, outer].map(|of| {
        let n = count(of.len());
        let sum: f64 = of.iter().map(|c| (c - mean(of)).powi(2)).sum();
        (sum / (n - 1.0) / n, n)
    });
    let variance = parts[0].0 + parts[1].0;
    let estimate = (parts.iter().all(|p| p.1 > 1.0) && variance > 0.0).then(|| {
        let of = |(v, n): (f64, f64)| v * v / (n - 1.0);
        let degrees = variance * variance / (of(parts[0]) + of(parts[1]));
        let name = format!("ring {ring}");
        Coefficient::new(&name, value, variance.sqrt(), Some(degrees), "Welch, t")
    });
    Contrast { units: changes.len(), value, estimate }
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / count(of.len())
}

/// The smallest difference between two shares that a two-sided test at 5 % would find with
/// probability .8, with groups of `first` and `second` organisations around the share
/// `around`. `design` is how much more a mean of families varies than one of as many
/// single organisations: 1 without families.
pub fn detectable_difference(
    first: u64,
    second: u64,
    around: f64,
    design: f64,
) -> Result<f64, SpilloverRefused> {
    if first == 0 || second == 0 {
        return Err(SpilloverRefused::Power("a group is empty"));
    }
    if !(around > 0.0 && around < 1.0 && design >= 1.0 && design.is_finite()) {
        return Err(SpilloverRefused::Power(
            "the share lies between 0 and 1, and the design factor is at least 1",
        ));
    }
    let variance =
        around * (1.0 - around) * (1.0 / as_f64(first) + 1.0 / as_f64(second));
    let both = quantile(0.975, None) + quantile(0.8, None);
    Ok((both * (design * variance).sqrt()).min(1.0))
}

/// The overall group-time effect when each unit in turn is left out: least and greatest,
/// with the unit that gives them. Units without which there is no effect are passed over.
pub fn leave_one_out(
    units: &Units,
    controls: Controls,
) -> Result<[(usize, f64); 2], SpilloverRefused> {
    let whole = overall(units, controls)?;
    let mut ends = [(0, whole); 2];
    for place in 0..units.outcomes.len() {
        let mut rest = units.clone();
        rest.outcomes.remove(place);
        rest.first_treated.remove(place);
        let Ok(effect) = overall(&rest, controls) else { continue };
        if effect < ends[0].1 {
            ends[0] = (place, effect);
        }
        if effect > ends[1].1 {
            ends[1] = (place, effect);
        }
    }
    Ok(ends)
}

/// An effect against those of acts that were dealt out at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Randomised {
    /// The effect.
    pub effect: f64,
    /// Share of deals, its own among them, with an effect as far from none.
    pub p: f64,
    /// The least that `p` can be.
    pub p_floor: f64,
}

/// Placebos in space: the dates of the acts are dealt out anew among the units, `draws`
/// times from `seed` (Fisher's test; the inference there is with few treated units).
pub fn randomised(
    units: &Units,
    controls: Controls,
    draws: usize,
    seed: u64,
) -> Result<Randomised, SpilloverRefused> {
    let effect = overall(units, controls)?;
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let (mut dealt, mut as_far) = (1, 1);
    let mut shuffled = units.clone();
    for _ in 0..draws {
        for last in (1..shuffled.first_treated.len()).rev() {
            shuffled.first_treated.swap(last, random.random_range(0..=last));
        }
        let Ok(placebo) = overall(&shuffled, controls) else { continue };
        dealt += 1;
        as_far += usize::from(placebo.abs() >= effect.abs() - ROUNDING);
    }
    let floor = 1.0 / count(dealt);
    let fewest = 1.0 / deals(&units.first_treated);
    let p = count(as_far) / count(dealt);
    Ok(Randomised { effect, p, p_floor: floor.max(fewest) })
}

/// Effects of the same deal differ by rounding alone.
const ROUNDING: f64 = 1e-12;

/// How many ways there are to deal the dates out.
fn deals(first_treated: &[Option<usize>]) -> f64 {
    let mut sizes: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for first in first_treated {
        *sizes.entry(*first).or_default() += 1;
    }
    let mut left = first_treated.len();
    let mut ways = 1.0;
    for size in sizes.into_values() {
        for taken in 0..size {
            ways *= count(left - taken) / count(taken + 1);
        }
        left -= size;
    }
    ways
}

fn overall(units: &Units, controls: Controls) -> Result<f64, SpilloverRefused> {
    let effect = group_times(units, controls)?.simple();
    let effect = effect.ok_or(ComparisonRefused::NoGroup("period after an act"))?;
    Ok(effect.value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(changes: &[(f64, u32)]) -> Vec<Exposed> {
        changes
            .iter()
            .map(|(change, ring)| Exposed { change: *change, ring: *ring })
            .collect()
    }

    #[test]
    fn a_ring_that_moves_with_the_treated_shows_spillover() {
        let units = of(&[
            (-0.9, 0),
            (-0.5, 1),
            (-0.4, 1),
            (-0.6, 1),
            (0.0, 3),
            (0.1, 3),
            (-0.1, 3),
        ]);
        let found = rings(&units).unwrap();
        let near = &found.contrasts[&1];
        assert!((near.value + 0.5).abs() < 1e-12);
        let estimate = near.estimate.as_ref().unwrap();
        assert!(estimate.interval.high < 0.0, "{estimate:?}");
        assert_eq!(found.contrasts[&0].estimate, None, "one unit has no error");
        assert!((found.effect_by_control.0 + 0.9).abs() < 1e-12);
        assert!((found.effect_by_control.1 + 0.4).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_laid_out_is_refused() {
        assert_eq!(rings(&[]), Err(SpilloverRefused::Rings(0)));
        assert_eq!(rings(&of(&[(1.0, 0)])), Err(SpilloverRefused::Rings(1)));
        assert_eq!(rings(&of(&[(1.0, 1), (1.0, 2)])), Err(SpilloverRefused::Rings(2)));
        let nan = of(&[(1.0, 0), (f64::NAN, 1)]);
        assert_eq!(rings(&nan), Err(SpilloverRefused::NotFinite(1)));
        for (n, share, design) in
            [(0, 0.5, 1.0), (9, 0.0, 1.0), (9, f64::NAN, 1.0), (9, 0.5, 0.5)]
        {
            let found = detectable_difference(n, 9, share, design);
            assert!(matches!(found, Err(SpilloverRefused::Power(_))));
        }
    }

    /// Issue's case: 2,500 organisations and 2,500 others around .6 (Fleiss 1981: (1.96 +
    /// .8416) √(2 · .6 · .4 / 2500) = 3.9 points).
    #[test]
    fn two_strata_of_2500_can_be_told_apart_at_four_points() {
        let found = detectable_difference(2_500, 2_500, 0.6, 1.0).unwrap();
        assert!((found - 0.038_820).abs() < 1e-5, "{found}");
        assert!(detectable_difference(2_500, 2_500, 0.6, 4.0).unwrap() > 1.99 * found);
    }

    fn country_of_one() -> Units {
        let row = |i: u32, treated: bool| {
            let value = |t: u32| {
                let wave = f64::from((i * 7 + t * 3) % 5) * 0.01;
                wave - if treated && t >= 4 { 1.0 } else { 0.0 }
            };
            (0..8).map(value).collect::<Vec<f64>>()
        };
        let outcomes = (0..10).map(|i| row(i, i == 0)).collect();
        let mut first_treated = vec![None; 10];
        first_treated[0] = Some(4);
        Units { outcomes, first_treated, anticipation: 0 }
    }

    #[test]
    fn one_country_among_ten_cannot_be_rarer_than_one_in_ten() {
        let found = randomised(&country_of_one(), Controls::Never, 199, 3).unwrap();
        assert!((found.effect + 1.0).abs() < 0.05);
        assert!((found.p_floor - 0.1).abs() < 1e-12);
        assert!(found.p >= 0.05 && found.p < 0.2, "{found:?}");
        let ends = leave_one_out(&country_of_one(), Controls::Never).unwrap();
        assert!(ends[0].1 <= found.effect && found.effect <= ends[1].1);
        assert!(ends[1].1 < -0.9);
    }

    proptest! {
        #[test]
        fn more_units_detect_less(
            n in 1u64..10_000, share in 0.01f64..0.99, design in 1.0f64..9.0
        ) {
            let of = |n| detectable_difference(n, n, share, design).unwrap();
            prop_assert!(of(n + 1) <= of(n) && of(n) > 0.0);
        }
    }
}
