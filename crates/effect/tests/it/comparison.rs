//! Comparisons against csdid, R `did` and exact quadratic programs.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegauge_effect::comparison::staggered::{
    Controls, GroupTimes, Units, group_times,
};
use tidegauge_effect::comparison::synthetic::{Unit, placebos};

use crate::anchors::{anchor, assert_close, folder, number, table};

const FIRST_YEAR: usize = 2003;

/// Log teenage employment of 500 US counties, 2003 to 2007, by the year in which the
/// state raised its minimum wage.
fn counties(test: &str) -> Option<Units> {
    let rows = table(test, "mpdta.csv", ["countyreal", "year", "lemp", "first.treat"])?;
    let mut outcomes: BTreeMap<&str, [f64; 5]> = BTreeMap::new();
    let mut first: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    for [county, year, employment, treated] in &rows {
        let year: usize = year.parse().unwrap();
        let treated: usize = treated.parse().unwrap();
        outcomes.entry(county).or_default()[year - FIRST_YEAR] =
            employment.parse().unwrap();
        first.insert(county, (treated > 0).then(|| treated - FIRST_YEAR));
    }
    Some(Units {
        outcomes: outcomes.values().map(|row| row.to_vec()).collect(),
        first_treated: first.into_values().collect(),
        anticipation: 0,
    })
}

fn check_cells(found: &GroupTimes, expected: &Value, digits: f64) {
    assert_eq!(found.effects.len(), 12);
    for cell in &found.effects {
        let group = (cell.group + FIRST_YEAR).to_string();
        let period = (cell.period + FIRST_YEAR).to_string();
        let expected = &expected[&group][&period];
        let name = format!("ATT({group},{period})");
        match expected.as_array() {
            Some(pair) => {
                assert!(
                    (cell.effect.value - number(&pair[0])).abs() < digits,
                    "{name}"
                );
                let error = cell.effect.standard_error.unwrap();
                assert!((error - number(&pair[1])).abs() < digits, "{name}: {error}");
            }
            None => {
                assert!(
                    (cell.effect.value - number(expected)).abs() < digits,
                    "{name}"
                );
            }
        }
    }
}

/// The anchor gives ten decimals.
#[test]
fn group_time_effects_and_their_errors_agree_with_did() {
    let test = "group_time_effects_and_their_errors_agree_with_did";
    let Some(anchor) = anchor(test, "callaway_santanna_mpdta") else { return };
    let Some(units) = counties(test) else { return };
    for (controls, cells, aggregates) in [
        (Controls::Never, "never_treated", "agg_never"),
        (Controls::NotYet, "not_yet_treated", "agg_notyet"),
    ] {
        let found = group_times(&units, controls).unwrap();
        check_cells(&found, &anchor[cells], 1e-9);
        let expected = &anchor[aggregates];
        for (key, effect) in [
            ("simple", found.simple()),
            ("dynamic_overall", found.event_time_mean()),
            ("group_overall", found.group_mean()),
            ("calendar_overall", found.calendar_mean()),
        ] {
            let value = effect.unwrap().value;
            assert!((value - number(&expected[key])).abs() < 1e-9, "{key}: {value}");
        }
    }
}

#[test]
fn event_times_and_the_error_of_the_mean_agree_with_did() {
    let test = "event_times_and_the_error_of_the_mean_agree_with_did";
    let Some(anchor) = anchor(test, "callaway_santanna_mpdta") else { return };
    let Some(units) = counties(test) else { return };
    let found = group_times(&units, Controls::Never).unwrap();
    let expected = &anchor["agg_never"];
    let by_event = found.by_event_time();
    assert_eq!(by_event.len(), 7);
    for (time, effect) in &by_event {
        let expected = number(&expected["dynamic"][time.to_string()]);
        assert!((effect.value - expected).abs() < 1e-9, "event time {time}");
    }
    // The anchor gives three decimals of this one.
    let error = found.simple().unwrap().standard_error.unwrap();
    assert!((error - number(&expected["simple_se_analytic"])).abs() < 5e-4, "{error}");
    let effects: Vec<_> = by_event.into_values().collect();
    let factor = GroupTimes::simultaneous_factor(&effects, 999, 62).unwrap();
    assert!(
        factor > 2.2 && factor < 3.2,
        "seven bands at once need a factor of {factor}"
    );
}

/// Packs of cigarettes per head, California and 38 states, 1970 to 2000; the act is 1989.
#[test]
fn california_has_the_weights_of_the_exact_program() {
    let test = "california_has_the_weights_of_the_exact_program";
    let Some(anchor) = anchor(test, "synthetic_control_prop99_outcomes_only") else {
        return;
    };
    let path = folder(test).unwrap().join("california_prop99.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names: Vec<String> =
        reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let units: Vec<Unit> = (1..names.len())
        .map(|place| Unit {
            name: names[place].clone(),
            outcomes: rows.iter().map(|row| row[place].parse().unwrap()).collect(),
        })
        .collect();
    let (treated, donors): (Vec<Unit>, Vec<Unit>) =
        units.into_iter().partition(|u| u.name == "California");
    let found = placebos(&treated[0], &donors, 19).unwrap();

    for (state, weight) in &found.treated.weights {
        let expected = anchor["weights"][state].as_f64().unwrap_or(0.0);
        assert!(
            (weight - expected).abs() < 2e-5,
            "{state}: {weight}, expected {expected}"
        );
    }
    let near = |key: &str, value: f64, relative: f64| {
        assert_close(key, value, number(&anchor[key]), relative);
    };
    near("rmspe_pre", found.treated.error_before, 1e-8);
    near("att_1989_2000", found.treated.effect, 1e-5);
    near("gap_2000", *found.treated.gaps.last().unwrap(), 1e-5);
    near("rmspe_ratio", found.treated.ratio(), 1e-5);
    near("did", found.plain, 1e-9);
    assert_eq!((found.rank, found.ranked), (3, 39), "{}", anchor["placebo_rank"]);
    assert!((found.p_floor - 1.0 / 39.0).abs() < 1e-12);
}
