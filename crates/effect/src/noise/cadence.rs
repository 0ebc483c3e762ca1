//! Whether days seen come from a product that keeps a schedule, or from one visit.
//!
//! A product asks for updates every day it runs, and so shows on any day looked at with a
//! chance that schedule and sampling give. A visit shows on a few days that follow each
//! other, and never again but by the background's chance.
//!
//! **Invariant:** the ratio compares two full accounts of the same days; days not looked
//! at are in neither.

use super::NoiseRefused;
use crate::regression::count;

/// Below so many days seen, a cadence is not told from chance (methods, section 2).
pub const SIGHTINGS_MIN: usize = 6;

/// How an organisation's days compare with a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cadence {
    /// Share of the days looked at, from the first seen to the last, that were seen.
    pub active_share: f64,
    /// Logarithm of how much more likely the days are under the schedule than as one
    /// visit: above 0 speaks for use.
    pub log_ratio: f64,
}

/// The two accounts of the days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Chance that a day looked at is seen if the product keeps its schedule:
    /// `1 - exp(-λ q)`, contacts a day times the share of them sampled.
    pub daily: f64,
    /// Days that one visit lasts.
    pub visit_days: usize,
    /// Chance that a day is seen though nothing is there.
    pub background: f64,
}

/// Compares the days `seen` among those looked at (`true` is seen), oldest first.
pub fn cadence(seen: &[bool], schedule: Schedule) -> Result<Cadence, NoiseRefused> {
    let number = seen.iter().filter(|s| **s).count();
    if number < SIGHTINGS_MIN {
        return Err(NoiseRefused::FewSightings(number));
    }
    let open = |p: f64| p > 0.0 && p < 1.0;
    if !open(schedule.daily) || !open(schedule.background) || schedule.visit_days == 0 {
        return Err(NoiseRefused::Invalid(
            "chances of a schedule lie between 0 and 1, and a visit lasts a day or more",
        ));
    }
    let first = seen.iter().position(|s| *s).unwrap_or(0);
    let last = seen.iter().rposition(|s| *s).unwrap_or(0);
    let of = |is: bool, p: f64| if is { p.ln() } else { (-p).ln_1p() };
    let regular: f64 = seen.iter().map(|s| of(*s, schedule.daily)).sum();
    // The visit may have begun on any day; inside it, days show as under the schedule.
    let visit = (0..seen.len()).map(|start| {
        let inside = start..start + schedule.visit_days;
        let chance = |day: usize| {
            if inside.contains(&day) { schedule.daily } else { schedule.background }
        };
        seen.iter().enumerate().map(|(day, s)| of(*s, chance(day))).sum::<f64>()
    });
    let visit: Vec<f64> = visit.collect();
    let top = visit.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = visit.iter().map(|v| (v - top).exp()).sum::<f64>() / count(seen.len());
    Ok(Cadence {
        active_share: count(number) / count(last - first + 1),
        log_ratio: regular - (top + mean.ln()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAILY: Schedule = Schedule { daily: 0.4, visit_days: 7, background: 0.002 };

    #[test]
    fn a_schedule_and_a_visit_are_told_apart() {
        let regular: Vec<bool> = (0..60).map(|d| d % 3 == 0).collect();
        let found = cadence(&regular, DAILY).unwrap();
        assert!(found.log_ratio > 20.0, "{found:?}");
        assert!((found.active_share - 20.0 / 58.0).abs() < 1e-12);
        let visit: Vec<bool> = (0..60).map(|d| (20..27).contains(&d)).collect();
        assert!(cadence(&visit, DAILY).unwrap().log_ratio < -10.0);
    }

    #[test]
    fn few_days_and_odd_chances_are_refused() {
        let few = cadence(&[true; 5], DAILY);
        assert_eq!(few, Err(NoiseRefused::FewSightings(5)));
        assert_eq!(cadence(&[], DAILY), Err(NoiseRefused::FewSightings(0)));
        for daily in [0.0, 1.0, f64::NAN] {
            let odd = cadence(&[true; 9], Schedule { daily, ..DAILY });
            assert!(matches!(odd, Err(NoiseRefused::Invalid(_))));
        }
    }
}
