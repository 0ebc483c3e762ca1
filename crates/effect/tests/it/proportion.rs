//! Proportions against statsmodels and Newcombe's tables; families of tests against
//! Benjamini and Hochberg's own example.

use tidegauge_effect::interval::wilson;
use tidegauge_effect::proportion::{Adjust, adjusted, clopper_pearson, newcombe};

use crate::anchors::{anchor, numbers};
use crate::measured::measured;

fn counts(text: &str) -> (u64, u64) {
    let (k, n) = text.split_once('/').unwrap();
    (k.parse().unwrap(), n.parse().unwrap())
}

/// The ends of an interval; where the reference is 0 ours must be 0 to rounding.
fn ends(what: &str, found: [f64; 2], expected: &[f64], relative: f64) {
    if expected[0].abs() < f64::EPSILON {
        assert!(found[0].abs() < 1e-12, "{what}: {found:?}");
        measured(what, &found[1..], &expected[1..], relative);
    } else {
        measured(what, &found, expected, relative);
    }
}

#[test]
fn intervals_are_those_of_statsmodels() {
    let test = "intervals_are_those_of_statsmodels";
    let Some(expected) = anchor(test, "wilson") else { return };
    for (key, of) in expected.as_object().unwrap() {
        let (k, n) = counts(key);
        let found = wilson(k, n).unwrap();
        ends("Wilson", [found.low, found.high], &numbers(of), 1e-12);
    }
    let Some(expected) = anchor(test, "clopper_pearson") else { return };
    for (key, of) in expected.as_object().unwrap() {
        let (k, n) = counts(key);
        let found = clopper_pearson(k, n).unwrap();
        ends("Clopper-Pearson", [found.low, found.high], &numbers(of), 1e-11);
    }
    let Some(expected) = anchor(test, "newcombe_diff") else { return };
    for (key, of) in expected.as_object().unwrap() {
        let (first, second) = key.split_once('-').unwrap();
        let (_, found) = newcombe(counts(first), counts(second)).unwrap();
        ends("Newcombe", [found.low, found.high], &numbers(of), 1e-12);
    }
}

#[test]
fn a_family_of_tests_is_adjusted_as_published() {
    let test = "a_family_of_tests_is_adjusted_as_published";
    let Some(expected) = anchor(test, "benjamini_hochberg_1995") else { return };
    let p = numbers(&expected["p"]);
    let found = adjusted(&p, Adjust::BenjaminiHochberg).unwrap();
    // The anchor is printed to nine or ten digits.
    measured("Benjamini-Hochberg", &found, &numbers(&expected["adjusted"]), 2e-9);
    let rejected =
        |of: &[f64]| u64::try_from(of.iter().filter(|q| **q <= 0.05).count()).unwrap();
    assert_eq!(Some(rejected(&found)), expected["reject_at_0.05"].as_u64());
    let holm = adjusted(&p, Adjust::Holm).unwrap();
    assert_eq!(Some(rejected(&holm)), expected["holm_reject"].as_u64());
    let any = adjusted(&p, Adjust::BenjaminiYekutieli).unwrap();
    assert!(any.iter().zip(&found).all(|(y, h)| y >= h));
}
