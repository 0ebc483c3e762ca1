//! Hidden states against published fits: European dippers (Lebreton et al. 1992) and
//! blue ridge salamanders (`MacKenzie` et al. 2006).

use tidegauge_effect::occupancy::capture::Recaptures;
use tidegauge_effect::occupancy::season::{Season, Sites};

use crate::anchors::{anchor, assert_close, number, numbers};
use crate::measured::measured;

#[test]
fn dippers_stay_as_mark_says() {
    let Some(expected) = anchor("dippers_stay_as_mark_says", "cjs_dipper") else {
        return;
    };
    let counts = |value: &serde_json::Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect()
    };
    let rows = expected["m_array"].as_array().unwrap().iter().map(counts).collect();
    let found =
        Recaptures::new(counts(&expected["R"]), rows).unwrap().staying().unwrap();
    let [phi, phi_se] = numbers(&expected["phi"])[..] else { panic!("phi") };
    let [p, p_se] = numbers(&expected["p"])[..] else { panic!("p") };
    let both = [found.phi.value, found.p.value];
    measured("Cormack-Jolly-Seber", &both, &[phi, p], 1e-7);
    assert_close("se phi", found.phi.se, phi_se, 1e-6);
    assert_close("se p", found.p.se, p_se, 1e-6);
    assert_close("-2lnL", found.deviance, number(&expected["minus2lnL"]), 1e-12);
}

#[test]
fn salamanders_are_found_as_presence_says() {
    let test = "salamanders_are_found_as_presence_says";
    let Some(expected) = anchor(test, "occupancy_salamander") else { return };
    let count = |key: &str| u32::try_from(expected[key].as_u64().unwrap()).unwrap();
    // Only the sums bear on the estimate, so any histories with them will do.
    let (sites, visits, detected) = (count("S"), count("K"), count("sites_detected"));
    let mut left = count("detections") - detected;
    let histories = (0..sites).map(|site| {
        let more = if site < detected { left.min(visits - 1) } else { 0 };
        left -= more;
        let detections = if site < detected { 1 + more } else { 0 };
        vec![Season { visits, detections }]
    });
    let histories: Vec<_> = histories.collect();
    let found = Sites::new(histories).unwrap().occupancy().unwrap();
    let [psi, psi_se] = numbers(&expected["psi"])[..] else { panic!("psi") };
    let [p, p_se] = numbers(&expected["p"])[..] else { panic!("p") };
    // The references were found by a search that stopped at about seven digits.
    let both = [found.psi.value, found.p.value];
    measured("occupancy of one season", &both, &[psi, p], 1e-6);
    // Published to seven digits.
    assert_close("se psi", found.psi.se, psi_se, 1e-6);
    assert_close("se p", found.p.se, p_se, 1e-6);
    assert_close("AIC", found.aic, number(&expected["AIC"]), 1e-9);
    assert_eq!(found.turnover, None);
}
