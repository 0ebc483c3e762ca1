//! Rubin's rules against a published example, and what follows from them.

#![cfg(test)]

use proptest::prelude::*;
use tidegauge_effect::imputation::{Drawn, add_attribution, pool, pool_counts};
use tidegauge_effect::interval::LEVEL;
use tidegauge_model::DayRange;
use tidegauge_model::estimate::{Estimate, Identification, Interval, Quantity};

fn close(a: f64, b: f64, within: f64) {
    assert!((a - b).abs() <= within, "{a} is not {b}");
}

/// SAS/STAT User's Guide, MIANALYZE, "Reading Means and Standard Errors": means of
/// five draws with their standard errors, 30 degrees of freedom, and what the
/// procedure prints of them. The inputs are printed to five digits.
#[test]
fn the_published_example_of_sas_is_repeated() {
    let oxygen = [
        (47.0120, 0.95984),
        (47.2407, 0.93540),
        (47.4995, 1.00766),
        (47.1485, 0.95439),
        (47.0042, 0.96528),
    ];
    let draws = oxygen.map(|(value, error)| Drawn { value, variance: error * error });
    let pooled = pool(&draws, Some(30.0)).unwrap();
    close(pooled.value, 47.180_993, 2e-5);
    close(pooled.between, 0.041_478, 1e-5);
    close(pooled.within, 0.930_853, 2e-6);
    close(pooled.total, 0.980_626, 1e-5);
    close(pooled.freedom, 26.298, 1e-3);
    close(pooled.total / pooled.within - 1.0, 0.053_471, 2e-5);
    let both = pooled.both();
    close(both.low, 45.1466, 1e-4);
    close(both.high, 49.2154, 1e-4);
}

#[test]
fn counts_of_all_there_is_have_no_variance_but_that_of_the_draws() {
    let pooled = pool_counts(&[90, 100, 110]).unwrap();
    close(pooled.value, 100.0, 1e-12);
    close(pooled.within, 0.0, 1e-12);
    close(pooled.between, 100.0, 1e-12);
    close(pooled.between_share(), 1.0, 1e-12);
    close(pooled.freedom, 2.0, 1e-12);
    // Student's t with two degrees of freedom has 4.3027 at 97.5 %.
    let half = 4.302_653 * (100.0f64 * 4.0 / 3.0).sqrt();
    close(pooled.attribution().high - 100.0, half, 1e-3);
    assert_eq!(pool_counts(&[1]), None);
}

#[test]
fn where_all_draws_agree_nothing_is_added() {
    let draw = Drawn { value: 0.4, variance: 0.01 };
    let pooled = pool(&[draw; 5], None).unwrap();
    close(pooled.total, 0.01, 1e-12);
    close(pooled.both().low, pooled.sampling().low, 1e-12);
    close(pooled.attribution().high, 0.4, 1e-12);
    assert!(pool(&[draw; 5], Some(20.0)).unwrap().freedom < 20.0);
    assert_eq!(pool(&[Drawn { value: f64::NAN, ..draw }, draw], None), None);
}

fn estimate(value: f64, stratum: &str) -> Estimate {
    let month = |m: &str| DayRange::month(m.parse().unwrap());
    Estimate {
        quantity: Quantity::CohortRemoval,
        stratum: vec![("country".to_owned(), stratum.to_owned())],
        before: month("2024-04"),
        after: month("2024-11"),
        value,
        n: 10,
        k: 5,
        intervals: vec![Interval {
            method: "Wilson".to_owned(),
            level: LEVEL,
            low: value - 0.1,
            high: value + 0.1,
        }],
        method: "m".to_owned(),
        identified: Identification::Identified,
    }
}

#[test]
fn estimates_get_the_spread_of_the_draws_around_themselves() {
    let draws = [
        vec![estimate(0.5, "US"), estimate(0.1, "DE")],
        vec![estimate(0.7, "US")],
        vec![estimate(0.6, "US"), estimate(0.1, "DE")],
    ];
    let mut estimates = vec![estimate(0.55, "US"), estimate(0.1, "DE")];
    add_attribution(&mut estimates, &draws);
    let [us, de] = estimates.as_slice() else { panic!("{estimates:?}") };
    close(us.value, 0.55, 1e-12);
    let [sampling, attribution, both] = us.intervals.as_slice() else {
        panic!("{us:?}")
    };
    close(sampling.high - sampling.low, 0.2, 1e-9);
    // Variance between 0.01, times 4/3, with two degrees of freedom: half 0.4968.
    close(attribution.low, 0.55 - 0.496_83, 1e-4);
    close(attribution.high, 1.0, 1e-12);
    assert!(both.low <= sampling.low && both.low >= 0.0);
    assert_eq!(de.intervals.len(), 1, "not in every draw");
    let before = estimates.clone();
    add_attribution(&mut estimates, &draws[..1]);
    assert_eq!(estimates, before, "one draw has no spread");
}

proptest! {
    #[test]
    fn the_total_is_never_less_than_either_part(
        draws in prop::collection::vec((-5.0..5.0f64, 0.0..2.0f64), 2..20)
    ) {
        let draws: Vec<_> =
            draws.iter().map(|&(value, variance)| Drawn { value, variance }).collect();
        let pooled = pool(&draws, None).unwrap();
        prop_assert!(pooled.total + 1e-12 >= pooled.within);
        prop_assert!(pooled.total + 1e-12 >= pooled.between);
        prop_assert!((0.0..=1.0).contains(&pooled.between_share()));
        let m = f64::from(pooled.draws);
        prop_assert!(pooled.freedom >= (m - 1.0) * (1.0 - 1e-9));
        let both = pooled.both();
        prop_assert!(both.low <= pooled.value && pooled.value <= both.high);
    }
}
