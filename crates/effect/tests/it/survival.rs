//! Survival against R's `survival` 3.5.3 and an exact maximum for Turnbull's distribution.

use serde_json::Value;
use tidegauge_effect::regression::{Coefficient, Design};
use tidegauge_effect::survival::Followed;
use tidegauge_effect::survival::competing::{Left, destinations};
use tidegauge_effect::survival::cox::cox;
use tidegauge_effect::survival::hazard::{Spell, Term, hazard};
use tidegauge_effect::survival::kaplan_meier::curve;
use tidegauge_effect::survival::log_rank::log_rank;
use tidegauge_effect::survival::turnbull::{Between, turnbull};

use crate::anchors::{anchor, assert_all_close, assert_close, number, numbers, table};
use crate::measured::measured;

struct Lung {
    institution: Option<u64>,
    subject: Followed,
    age: f64,
    sex: f64,
    performance: Option<f64>,
}

/// 228 patients with advanced lung cancer (Loprinzi et al. 1994).
fn lung(test: &str) -> Option<Vec<Lung>> {
    let columns = ["inst", "time", "status", "age", "sex", "ph.ecog"];
    let rows = table(test, "lung.csv", columns)?;
    let of = |[institution, time, status, age, sex, performance]: &[String; 6]| Lung {
        institution: institution.parse().ok(),
        subject: Followed::from_start(time.parse().unwrap(), status == "2"),
        age: age.parse().unwrap(),
        sex: sex.parse().unwrap(),
        performance: performance.parse().ok(),
    };
    Some(rows.iter().map(of).collect())
}

fn aml(test: &str) -> Option<(Vec<Followed>, Vec<usize>)> {
    let rows = table(test, "aml.csv", ["time", "status", "x"])?;
    let subjects = rows
        .iter()
        .map(|[time, status, _]| {
            Followed::from_start(time.parse().unwrap(), status == "1")
        })
        .collect();
    let groups = rows.iter().map(|[.., x]| usize::from(x != "Maintained")).collect();
    Some((subjects, groups))
}

fn ids(n: usize) -> Vec<u64> {
    (0..).take(n).collect()
}

#[test]
fn the_curve_of_maintained_patients_is_that_of_r() {
    let test = "the_curve_of_maintained_patients_is_that_of_r";
    let Some(expected) = anchor(test, "km_aml_maintained") else { return };
    let Some((subjects, groups)) = aml(test) else { return };
    let maintained: Vec<Followed> = subjects
        .into_iter()
        .zip(groups)
        .filter_map(|(s, group)| (group == 0).then_some(s))
        .collect();
    let found = curve(&maintained).unwrap();
    let of = |key: &str| numbers(&expected[key]);
    let survival: Vec<f64> = found.steps.iter().map(|s| s.survival).collect();
    let errors: Vec<f64> = found.steps.iter().map(|s| s.standard_error).collect();
    measured("Kaplan-Meier", &survival, &of("surv"), 1e-10);
    measured("Greenwood", &errors, &of("se_greenwood"), 1e-9);
    let at = found.at(23.0).unwrap();
    measured("log-log interval", &[at.low, at.high], &of("loglogCI_t23"), 1e-11);
    assert_eq!(found.half_life().value, Some(31.0));
}

#[test]
fn the_lung_curve_its_median_and_mean_times_are_those_of_r() {
    let test = "the_lung_curve_its_median_and_mean_times_are_those_of_r";
    let Some(expected) = anchor(test, "km_lung") else { return };
    let Some(rows) = lung(test) else { return };
    let all: Vec<Followed> = rows.iter().map(|r| r.subject).collect();
    let found = curve(&all).unwrap();
    for (days, survival, error) in
        [(180.0, "surv_180", "se_180"), (365.0, "surv_365", "se_365")]
    {
        assert_close(
            "S",
            found.at(days).unwrap().value,
            number(&expected[survival]),
            1e-12,
        );
        assert_close("se", found.standard_error(days), number(&expected[error]), 1e-12);
    }
    let at = found.at(365.0).unwrap();
    let log_log = numbers(&expected["ci365"]["log-log"]);
    assert_all_close("interval", &[at.low, at.high], &log_log, 1e-12);
    assert_eq!(found.half_life().value, Some(number(&expected["median"][0])));
    // `tests/oracle/half_life.py`: lifelines' interval is log-log too.
    let half = found.half_life();
    assert_eq!((half.low, half.high), (Some(284.0), Some(361.0)));
    let mean = found.mean_time(365.0).unwrap();
    measured(
        "restricted mean time",
        &[mean.value, mean.standard_error],
        &numbers(&expected["rmst365"]),
        1e-12,
    );
    for (sex, key) in [(1.0, "rmst365_sex1"), (2.0, "rmst365_sex2")] {
        let of: Vec<Followed> = rows
            .iter()
            .filter(|r| (r.sex - sex).abs() < 0.5)
            .map(|r| r.subject)
            .collect();
        let mean = curve(&of).unwrap().mean_time(365.0).unwrap();
        let found = [mean.value, mean.standard_error];
        assert_all_close(key, &found, &numbers(&expected[key]), 1e-9);
    }
}

#[test]
fn log_rank_tests_are_those_of_r() {
    let test = "log_rank_tests_are_those_of_r";
    let Some(expected) = anchor(test, "logrank") else { return };
    let Some((subjects, groups)) = aml(test) else { return };
    let found = log_rank(&subjects, &groups, &[0; 23], 0.0).unwrap();
    let pair = |value: &Value| [number(&value["chisq"]), number(&value["p"])];
    measured("log-rank", &[found.chi_square, found.p], &pair(&expected["aml"]), 1e-11);
    let Some(rows) = lung(test) else { return };
    let all: Vec<Followed> = rows.iter().map(|r| r.subject).collect();
    let sexes: Vec<usize> = rows.iter().map(|r| usize::from(r.sex > 1.5)).collect();
    let none = vec![0; all.len()];
    let found = log_rank(&all, &sexes, &none, 0.0).unwrap();
    let pair = pair(&expected["lung_sex"]);
    assert_all_close("lung", &[found.chi_square, found.p], &pair, 1e-11);
    let peto = log_rank(&all, &sexes, &none, 1.0).unwrap();
    let expected_peto = number(&expected["lung_sex_rho1_peto"]);
    measured("Peto and Peto", &[peto.chi_square], &[expected_peto], 1e-11);
    // Whose performance is not known is left out.
    let known: Vec<(&Lung, f64)> =
        rows.iter().filter_map(|r| Some((r, r.performance?))).collect();
    let subjects: Vec<Followed> = known.iter().map(|(r, _)| r.subject).collect();
    let sexes: Vec<usize> =
        known.iter().map(|(r, _)| usize::from(r.sex > 1.5)).collect();
    let strata: Vec<usize> = known
        .iter()
        .map(|(_, p)| [0.5, 1.5, 2.5, 3.5].iter().position(|q| p < q).unwrap())
        .collect();
    let found = log_rank(&subjects, &sexes, &strata, 0.0).unwrap();
    let expected = number(&expected["lung_sex_strata_phecog"]);
    measured("stratified log-rank", &[found.chi_square], &[expected], 1e-11);
}

#[test]
fn proportional_hazards_of_lung_are_those_of_r() {
    let test = "proportional_hazards_of_lung_are_those_of_r";
    let Some(expected) = anchor(test, "cox_lung_age_sex_phecog") else { return };
    let Some(rows) = lung(test) else { return };
    let known: Vec<(&Lung, f64)> =
        rows.iter().filter_map(|r| Some((r, r.performance?))).collect();
    let column = |of: fn(&(&Lung, f64)) -> f64| known.iter().map(of).collect();
    let design = Design::default()
        .with("age", column(|r| r.0.age))
        .with("sex", column(|r| r.0.sex))
        .with("performance", column(|r| r.1));
    let subjects: Vec<Followed> = known.iter().map(|(r, _)| r.subject).collect();
    let n = subjects.len();
    let found = cox(&design, &subjects, &vec![0; n], &ids(n)).unwrap();
    let efron = &expected["efron"];
    let coef: Vec<f64> = found.naive.iter().map(|c| c.value).collect();
    let se: Vec<f64> = found.naive.iter().map(|c| c.standard_error).collect();
    // R stops at a relative change of the likelihood of 1e-9: its last digits are open.
    measured("Cox, Efron ties", &coef, &numbers(&efron["coef"]), 1e-8);
    measured("Cox, standard errors", &se, &numbers(&efron["se"]), 1e-9);
    let likelihood = numbers(&efron["loglik"]);
    assert_all_close("log-likelihood", &found.log_likelihood, &likelihood, 1e-12);
    let tests = found.proportional.iter().chain([&found.proportional_all]);
    let (chi, p): (Vec<f64>, Vec<f64>) = tests.map(|t| (t.chi_square, t.p)).unzip();
    measured("proportionality", &chi, &numbers(&expected["zph_chisq"]), 1e-8);
    assert_all_close("p", &p, &numbers(&expected["zph_p"]), 1e-8);
}

#[test]
fn errors_over_institutions_are_those_of_r() {
    let test = "errors_over_institutions_are_those_of_r";
    let Some(expected) = anchor(test, "cox_lung_cluster_inst") else { return };
    let Some(rows) = lung(test) else { return };
    let known: Vec<(&Lung, u64)> =
        rows.iter().filter_map(|r| Some((r, r.institution?))).collect();
    let column = |of: fn(&(&Lung, u64)) -> f64| known.iter().map(of).collect();
    let design = Design::default()
        .with("age", column(|r| r.0.age))
        .with("sex", column(|r| r.0.sex));
    let subjects: Vec<Followed> = known.iter().map(|(r, _)| r.subject).collect();
    let clusters: Vec<u64> = known.iter().map(|(_, c)| *c).collect();
    let found = cox(&design, &subjects, &vec![0; subjects.len()], &clusters).unwrap();
    let coef: Vec<f64> = found.coefficients.iter().map(|c| c.value).collect();
    let robust: Vec<f64> =
        found.coefficients.iter().map(|c| c.standard_error).collect();
    assert_all_close("coef", &coef, &numbers(&expected["coef"]), 1e-8);
    measured("Cox over clusters", &robust, &numbers(&expected["robust_se"]), 1e-8);
}

/// Rows of `heart` are pieces of patients: before and after a transplant.
#[test]
fn covariates_that_change_with_time_are_those_of_r() {
    let test = "covariates_that_change_with_time_are_those_of_r";
    let Some(expected) = anchor(test, "cox_timedep_heart") else { return };
    let columns = ["start", "stop", "event", "age", "year", "transplant", "id"];
    let Some(rows) = table(test, "heart.csv", columns) else { return };
    let column = |i: usize| -> Vec<f64> {
        rows.iter().map(|row| row[i].parse().unwrap()).collect()
    };
    let design = Design::default()
        .with("transplant", column(5))
        .with("age", column(3))
        .with("year", column(4));
    let subjects: Vec<Followed> = rows
        .iter()
        .map(|row| Followed {
            entry: row[0].parse().unwrap(),
            exit: row[1].parse().unwrap(),
            event: row[2] == "1",
        })
        .collect();
    let clusters: Vec<u64> = rows.iter().map(|row| row[6].parse().unwrap()).collect();
    let found = cox(&design, &subjects, &vec![0; rows.len()], &clusters).unwrap();
    let coef: Vec<f64> = found.naive.iter().map(|c| c.value).collect();
    let se: Vec<f64> = found.naive.iter().map(|c| c.standard_error).collect();
    measured("Cox, covariates in time", &coef, &numbers(&expected["coef"]), 1e-8);
    assert_all_close("se", &se, &numbers(&expected["se"]), 1e-8);
    let likelihood = numbers(&expected["loglik"]);
    assert_all_close("log-likelihood", &found.log_likelihood, &likelihood, 1e-11);
}

#[test]
fn destinations_of_mgus_are_those_of_r() {
    let test = "destinations_of_mgus_are_those_of_r";
    let Some(expected) = anchor(test, "aalen_johansen_mgus2") else { return };
    let columns = ["ptime", "pstat", "futime", "death"];
    let Some(rows) = table(test, "mgus2.csv", columns) else { return };
    let subjects: Vec<Left> = (0u64..)
        .zip(&rows)
        .map(|(cluster, [ptime, pstat, futime, death])| {
            let kind = match (pstat.as_str(), death.as_str()) {
                ("1", _) => Some(0),
                (_, "1") => Some(1),
                _ => None,
            };
            let exit = if pstat == "1" { ptime } else { futime };
            Left {
                entry: f64::NEG_INFINITY,
                exit: exit.parse().unwrap(),
                kind,
                cluster,
            }
        })
        .collect();
    let found = destinations(&subjects, 2).unwrap();
    for (i, time) in numbers(&expected["times"]).into_iter().enumerate() {
        let place = found.times.partition_point(|t| *t <= time) - 1;
        let shares = numbers(&expected["pstate"][i]);
        measured("Aalen-Johansen", &found.shares[place], &shares, 1e-12);
        let errors = numbers(&expected["se"][i]);
        measured(
            "Aalen-Johansen, errors",
            &found.standard_errors[place],
            &errors,
            1e-10,
        );
    }
}

/// The anchor's masses have eight decimals.
#[test]
fn masses_between_looks_are_the_exact_maximum() {
    let test = "masses_between_looks_are_the_exact_maximum";
    let Some(expected) = anchor(test, "interval_censored_bcdeter") else { return };
    let Some(rows) = table(test, "bcdeter.csv", ["lower", "upper", "treat"]) else {
        return;
    };
    for treatment in ["1", "2"] {
        let subjects: Vec<Between> = rows
            .iter()
            .filter(|[.., treat]| treat == treatment)
            .map(|[lower, upper, _]| Between {
                after: lower.parse().unwrap(),
                by: upper.parse().unwrap_or(f64::INFINITY),
            })
            .collect();
        let found = turnbull(&subjects).unwrap();
        let expected = &expected["npmle_exact"][format!("treat{treatment}")];
        let likelihood = number(&expected["loglik"]);
        measured("Turnbull, likelihood", &[found.log_likelihood], &[likelihood], 1e-11);
        let masses = expected["masses"].as_array().unwrap();
        assert_eq!(found.masses.len(), masses.len(), "{:?}", found.masses);
        for (mass, expected) in found.masses.iter().zip(masses) {
            let expected = numbers(expected);
            assert!((mass.between.by - expected[1]).abs() < 1e-6, "{mass:?}");
            assert!((mass.between.after - expected[0]).abs() < 1e-6, "{mass:?}");
            assert!((mass.probability - expected[2]).abs() < 6e-9, "{mass:?}");
        }
    }
}

/// Lung in quarters of a year, the eighth and later as one; the anchor's own grouping.
#[test]
fn grouped_hazards_of_lung_are_those_of_glm() {
    let test = "grouped_hazards_of_lung_are_those_of_glm";
    let Some(expected) = anchor(test, "cloglog_grouped_lung") else { return };
    let Some(rows) = lung(test) else { return };
    let spells: Vec<Spell> = (0u64..)
        .zip(&rows)
        .map(|(cluster, row)| {
            let quarter = (row.subject.exit / 91.31).ceil();
            let last = (1..100u32).find(|n| f64::from(*n) >= quarter).unwrap();
            Spell { first: 1, last, event: row.subject.event, cluster }
        })
        .collect();
    let age = |i: usize, _: u32| rows[i].age;
    let sex = |i: usize, _: u32| rows[i].sex;
    let terms = [
        Term { name: "age".to_owned(), value: &age },
        Term { name: "sex".to_owned(), value: &sex },
    ];
    let found = hazard(&spells, |period| period.min(8), &terms).unwrap();
    assert_eq!(u64::try_from(found.rows).unwrap(), expected["rows"].as_u64().unwrap());
    // `tests/oracle/grouped_hazard.py`; R's own errors are 3e-6 off, as it says there.
    for (name, exact) in [
        ("age", [0.016_410_238_634_7, 0.009_085_682_034_21, 0.009_783_737_767_06]),
        ("sex", [-0.513_030_484_002, 0.167_501_408_086, 0.164_036_751_537]),
    ] {
        let of =
            |of: &[Coefficient]| of.iter().find(|c| c.name == name).cloned().unwrap();
        let (naive, robust) = (of(&found.naive), of(&found.coefficients));
        let all = [naive.value, naive.standard_error, robust.standard_error];
        measured("grouped hazard", &all, &exact, 1e-9);
        let glm = numbers(&expected[name]);
        assert_all_close(name, &all[..2], &glm, 1e-5);
    }
    measured("deviance", &[found.deviance], &[number(&expected["deviance"])], 1e-11);
}
