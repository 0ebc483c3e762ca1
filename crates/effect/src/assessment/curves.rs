//! Which weeks of a survival curve may be told.
//!
//! **Invariant:** between two weeks that are told, and before the first and after the last,
//! nobody was last seen or as many as may be told; so no point of a curve, and no step between
//! two, shows fewer.

use tidegauge_model::visibility::{SurvivalCurve, SurvivalWeek};

use super::may_tell;

/// The curves with the weeks that may be told where fewer than `cell_min` organisations may
/// not; a curve of which no week may is left out.
pub fn told<'a>(
    curves: impl IntoIterator<Item = &'a SurvivalCurve>,
    cell_min: usize,
) -> Vec<SurvivalCurve> {
    let kept = curves
        .into_iter()
        .map(|curve| SurvivalCurve { weeks: weeks(curve, cell_min), ..curve.clone() });
    kept.filter(|curve| !curve.weeks.is_empty()).collect()
}

/// Each week that may be told after those before it; for the sake of the last, which is
/// removal's own, some before it are given up.
fn weeks(curve: &SurvivalCurve, cell_min: usize) -> Vec<SurvivalWeek> {
    let step = |from: u64, to: u64| {
        let part = usize::try_from(from.saturating_sub(to)).unwrap_or(usize::MAX);
        may_tell(part, cell_min)
    };
    let follows = |kept: &[SurvivalWeek], next: &SurvivalWeek| {
        let seen = kept.last().map_or(curve.n_baseline, |week| week.seen);
        step(seen, next.seen) && step(next.seen, 0)
    };
    let mut kept: Vec<SurvivalWeek> = Vec::new();
    for week in &curve.weeks {
        if follows(&kept, week) {
            kept.push(*week);
        }
    }
    if let Some(last) = curve.weeks.last().filter(|last| kept.last() != Some(last)) {
        let fitting = (0..=kept.len()).rev().find(|n| follows(&kept[..*n], last));
        if let Some(n) = fitting {
            kept.truncate(n);
            kept.push(*last);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::Day;
    use tidegauge_model::visibility::Share;

    use super::*;

    fn curve(n_baseline: u64, seen: &[u64]) -> SurvivalCurve {
        let in_use = Share { value: 1.0, low: 1.0, high: 1.0 };
        let week = |(i, seen): (usize, &u64)| SurvivalWeek {
            first: Day(7 * i32::try_from(i).unwrap()),
            in_use,
            seen: *seen,
        };
        let weeks = seen.iter().enumerate().map(week).collect();
        SurvivalCurve { stratum: Vec::new(), n_baseline, weeks }
    }

    fn kept(n: u64, seen: &[u64]) -> Vec<u64> {
        let told = told(&[curve(n, seen)], 10);
        told.first().map_or(Vec::new(), |c| c.weeks.iter().map(|w| w.seen).collect())
    }

    #[test]
    fn small_steps_are_passed_over_and_the_end_is_kept() {
        assert_eq!(kept(100, &[100, 97, 88, 88, 60]), [100, 88, 88, 60]);
        assert_eq!(kept(100, &[100, 88, 85]), [100, 85]);
        assert_eq!(kept(100, &[100, 97]), [100]);
        assert!(kept(100, &[97, 95]).is_empty());
        assert_eq!(kept(20, &[10, 9]), [10]);
    }

    proptest! {
        #[test]
        fn no_step_shows_a_few(
            falls in prop::collection::vec(0u64..15, 1..20),
            rest in 0u64..30,
        ) {
            let n = falls.iter().sum::<u64>() + rest;
            let seen: Vec<u64> = falls.iter().scan(n, |left, fall| {
                *left -= fall;
                Some(*left)
            }).collect();
            let mut told = vec![n];
            told.extend(kept(n, &seen));
            let small = |part: u64| (1..10).contains(&part);
            prop_assert!(!told.windows(2).any(|w| small(w[0] - w[1])), "{:?}", told);
            prop_assert!(told.len() == 1 || !small(*told.last().unwrap()));
        }
    }
}
