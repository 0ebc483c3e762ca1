//! What no vantage saw, against R's `glm` and vegan, and a profile likelihood by scipy.

use std::collections::BTreeMap;

use tidegauge_effect::unseen::{Sets, chao, chapman, log_linear};

use crate::anchors::{anchor, number, numbers};
use crate::measured::measured;

const NAMES: [&str; 3] = ["P", "Q", "E"];

/// Students with hepatitis A, on three lists (Chao et al. 2001).
fn lists(cells: &serde_json::Value) -> Sets {
    let counts = cells.as_object().unwrap().iter().map(|(key, n)| {
        let bit = |(j, digit): (usize, u8)| usize::from(digit - b'0') << j;
        (key.bytes().enumerate().map(bit).sum(), n.as_u64().unwrap())
    });
    Sets {
        vantages: NAMES.iter().map(|n| (*n).to_owned()).collect(),
        counts: counts.collect::<BTreeMap<usize, u64>>(),
    }
}

#[test]
fn unseen_people_have_the_estimates_of_glm() {
    let test = "unseen_people_have_the_estimates_of_glm";
    let Some(expected) = anchor(test, "capture_recapture_HAV_taiwan") else { return };
    let sets = lists(&expected["cells_PQE"]);
    let found = log_linear(&sets).unwrap();
    assert_eq!(found.models.len(), 8, "from independence to all pairs");
    for model in &found.models {
        let pairs: Vec<String> =
            model.pairs.iter().map(|(a, b)| format!("{a}{b}")).collect();
        let name = match pairs.len() {
            0 => "indep".to_owned(),
            3 => "saturated".to_owned(),
            _ => pairs.join("+"),
        };
        let of = numbers(&expected["loglinear_N_se_dev_aic"][&name]);
        let total = model.total;
        measured("log-linear models", &[total.value, model.aic], &[of[0], of[3]], 1e-8);
        // R takes the error from the step before its last.
        let error = [total.standard_error];
        measured("log-linear models, errors", &error, &of[1..2], 1e-5);
        assert!((model.deviance - of[2]).abs() < 1e-7, "{name}: {}", model.deviance);
        // `tests/oracle/recapture_profile.py`
        let ends = match name.as_str() {
            "indep" => [350.313_644_179, 435.413_971_779],
            "PQ+QE" => [408.903_648_406, 734.180_821_757],
            _ => continue,
        };
        measured("profile likelihood", &[total.low, total.high], &ends, 1e-6);
    }
    assert!(found.range.0 < 530.0 && found.range.1 > 1_300.0, "{:?}", found.range);
}

#[test]
fn two_lists_have_chapmans_estimate() {
    let test = "two_lists_have_chapmans_estimate";
    let Some(expected) = anchor(test, "capture_recapture_HAV_taiwan") else { return };
    let sets = lists(&expected["cells_PQE"]);
    let seen = |of: usize| -> u64 {
        sets.counts.iter().filter(|(set, _)| **set & of == of).map(|(_, n)| n).sum()
    };
    for (pair, a, b) in [("PQ", 1, 2), ("PE", 1, 4), ("QE", 2, 4)] {
        let found = chapman(seen(a), seen(b), seen(a | b)).unwrap();
        let of = &expected["pairs"][pair];
        let both = [number(&of["Chapman"]), number(&of["se"])];
        measured("Chapman", &[found.value, found.standard_error], &both, 1e-12);
    }
}

#[test]
fn trees_of_barro_colorado_have_vegans_estimate() {
    let test = "trees_of_barro_colorado_have_vegans_estimate";
    let Some(expected) = anchor(test, "chao1_vegan_BCI") else { return };
    let site = &expected["site1"];
    let of = |key: &str| site[key].as_u64().unwrap();
    let found = chao(of("S"), of("f1"), of("f2")).unwrap();
    let both = [number(&site["chao1"]), number(&site["se"])];
    measured("Chao", &[found.value, found.standard_error], &both, 1e-12);
}
