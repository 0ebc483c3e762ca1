//! Regressions and series against R (nlme, sandwich) and statsmodels.

use serde_json::Value;
use tidegauge_effect::regression::linear::LeastSquares;
use tidegauge_effect::regression::negative_binomial::{negative_binomial, poisson};
use tidegauge_effect::regression::{Coefficient, Design};
use tidegauge_effect::series::interrupted::{Act, interrupted};
use tidegauge_effect::series::level::{LocalLevel, level_effect};

use crate::anchors::{anchor, assert_all_close, assert_close, number, numbers, table};
use crate::measured::measured;

/// Great Britain's drivers killed or seriously injured, months from January 1969.
fn drivers(test: &str) -> Option<Vec<f64>> {
    let rows = table(test, "seatbelts.csv", ["drivers"])?;
    Some(rows.iter().map(|[drivers]| drivers.parse().unwrap()).collect())
}

/// The law of 31 January 1983 is the 170th month.
fn law(season: Option<usize>) -> Act {
    Act { onset: 169, transition: 0..0, season }
}

fn values(coefficients: &[Coefficient]) -> Vec<f64> {
    coefficients.iter().map(|c| c.value).collect()
}

fn errors(coefficients: &[Coefficient]) -> Vec<f64> {
    coefficients.iter().map(|c| c.standard_error).collect()
}

fn diagonal_errors(covariance: &nalgebra::DMatrix<f64>) -> Vec<f64> {
    covariance.diagonal().iter().map(|v| v.sqrt()).collect()
}

#[test]
fn least_squares_and_its_errors_agree_with_sandwich() {
    let test = "least_squares_and_its_errors_agree_with_sandwich";
    let Some(anchor) = anchor(test, "its_seatbelts_log") else { return };
    let Some(drivers) = drivers(test) else { return };
    let log: Vec<f64> = drivers.iter().map(|d| d.ln()).collect();
    let fit = LeastSquares::fit(&law(None).design(log.len()), &log).unwrap();
    measured("least squares", fit.coefficients(), &numbers(&anchor["ols"]), 1e-9);
    for (key, covariance) in [
        ("hc0_se", fit.white()),
        ("nw4_se", fit.newey_west(4)),
        ("nw12_se", fit.newey_west(12)),
    ] {
        measured(
            "HC0 and Newey-West",
            &diagonal_errors(&covariance),
            &numbers(&anchor[key]),
            1e-9,
        );
    }
    let adjusted = fit.newey_west(4) * (192.0 / fit.degrees());
    let expected = numbers(&anchor["nw4_adj_se"]);
    assert_all_close("nw4_adj_se", &diagonal_errors(&adjusted), &expected, 1e-9);
}

#[test]
fn autoregressive_errors_by_restricted_likelihood_agree_with_nlme() {
    let test = "autoregressive_errors_by_restricted_likelihood_agree_with_nlme";
    let Some(anchor) = anchor(test, "its_seatbelts_log") else { return };
    let Some(drivers) = drivers(test) else { return };
    let log: Vec<f64> = drivers.iter().map(|d| d.ln()).collect();
    let plain = interrupted(&log, &law(None)).unwrap();
    check_reml(&plain, &anchor["reml_ar1"], "coef", "se");
    assert_close("sigma", plain.sigma, number(&anchor["reml_ar1"]["sigma"]), 1e-6);
    let seasonal = interrupted(&log, &law(Some(12))).unwrap();
    check_reml(&seasonal, &anchor["with_month_dummies"]["reml_ar1"], "coef4", "se4");
}

fn check_reml(
    fit: &tidegauge_effect::series::interrupted::Interrupted,
    expected: &Value,
    coefficients: &str,
    standard_errors: &str,
) {
    let four = &fit.coefficients[..4];
    assert_close("phi", fit.phi, number(&expected["phi"]), 1e-6);
    measured("AR(1) REML", &values(four), &numbers(&expected[coefficients]), 1e-6);
    let se = numbers(&expected[standard_errors]);
    measured("AR(1) REML, errors", &errors(four), &se, 1e-6);
    let likelihood = number(&expected["reml_loglik"]);
    assert_close("log-likelihood", fit.log_likelihood, likelihood, 1e-9);
}

#[test]
fn poisson_counts_with_newey_west_errors_agree_with_sandwich() {
    let test = "poisson_counts_with_newey_west_errors_agree_with_sandwich";
    let Some(anchor) = anchor(test, "its_seatbelts_log") else { return };
    let Some(drivers) = drivers(test) else { return };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts"
    )]
    let counts: Vec<u64> = drivers.iter().map(|d| *d as u64).collect();
    let fit = poisson(&law(Some(12)).design(counts.len()), &counts, 12).unwrap();
    let expected = &anchor["poisson_counts_month"];
    let coef = numbers(&expected["coef4"]);
    measured("Poisson regression", &values(&fit.coefficients[..4]), &coef, 1e-8);
    let se = numbers(&expected["nw12_se4"]);
    measured("Poisson, Newey-West", &errors(&fit.coefficients[..4]), &se, 1e-6);
    assert_close("deviance", fit.deviance, number(&expected["deviance"]), 1e-9);
}

/// `tests/oracle/negative_binomial.py`, statsmodels 0.15.0. On R's `quine` (MASS, not kept
/// here) the dispersion agreed with the anchor to 7e-9 and every coefficient to 3e-7.
#[test]
fn negative_binomial_agrees_with_statsmodels() {
    let test = "negative_binomial_agrees_with_statsmodels";
    let Some(drivers) = drivers(test) else { return };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts"
    )]
    let counts: Vec<u64> = drivers.iter().map(|d| *d as u64).collect();
    let fit = negative_binomial(&law(None).design(counts.len()), &counts, 0).unwrap();
    let expected =
        [7.525_521_808_05, -0.000_914_559_066_126, -0.331_561_060_793, 0.014_035_599];
    measured("negative binomial", &values(&fit.coefficients), &expected, 1e-6);
    assert_close("theta", fit.theta.unwrap(), 51.950_013_784_8, 1e-6);
    assert_close("log-likelihood", fit.log_likelihood, -1_318.688_955_63, 1e-10);
}

#[test]
fn clustered_errors_agree_with_sandwich_on_petersens_panel() {
    let test = "clustered_errors_agree_with_sandwich_on_petersens_panel";
    let Some(anchor) = anchor(test, "cluster_se_petersen") else { return };
    let Some(rows) = table(test, "petersen_cl.csv", ["firm", "x", "y"]) else { return };
    let firms: Vec<u64> = rows.iter().map(|[firm, ..]| firm.parse().unwrap()).collect();
    let column =
        |i: usize| rows.iter().map(|r| r[i].parse().unwrap()).collect::<Vec<f64>>();
    let design =
        Design::default().with("level", vec![1.0; rows.len()]).with("x", column(1));
    let fit = LeastSquares::fit(&design, &column(2)).unwrap();
    assert_all_close("coef", fit.coefficients(), &numbers(&anchor["coef"]), 1e-9);
    let found = diagonal_errors(&fit.clustered(&firms));
    measured("clustered errors", &found, &numbers(&anchor["firm_HC1"]), 1e-9);
}

#[test]
fn the_nile_has_the_variances_of_durbin_and_koopman() {
    let test = "the_nile_has_the_variances_of_durbin_and_koopman";
    let Some(anchor) = anchor(test, "nile_local_level") else { return };
    let Some(rows) = table(test, "nile.csv", ["flow"]) else { return };
    let flow: Vec<f64> = rows.iter().map(|[flow]| flow.parse().unwrap()).collect();
    let fit = LocalLevel::fit(&flow, &[]).unwrap();
    let expected = numbers(&anchor["mle_exact_diffuse"]);
    assert_close("noise", fit.irregular_variance, expected[0], 1e-6);
    assert_close("level", fit.level_variance, expected[1], 1e-5);
    let likelihood = number(&anchor["exact_diffuse_loglik"]);
    measured("local level", &[fit.log_likelihood], &[likelihood], 1e-9);
}

/// The anchor's fit stopped at a gradient of its own optimiser: its parameters agree with
/// ours to four digits, its effect to six.
#[test]
fn the_effect_of_causal_impacts_example_is_found() {
    let test = "the_effect_of_causal_impacts_example_is_found";
    let Some(anchor) = anchor(test, "causalimpact_readme") else { return };
    let Some(rows) = table(test, "causalimpact_readme.csv", ["y", "x1"]) else {
        return;
    };
    let column =
        |i: usize| rows.iter().map(|r| r[i].parse().unwrap()).collect::<Vec<f64>>();
    let effect = level_effect(&column(0), &[column(1)], 70).unwrap();
    let expected = &anchor["local_level_ML"];
    assert_close("effect", effect.average.value, number(&expected["avg_effect"]), 1e-4);
    let beta = numbers(&expected["params_irr_level_beta"])[2];
    assert_close("beta", effect.fit.beta[0], beta, 1e-3);
    let gibbs = numbers(&anchor["bsts_gibbs"]["ci95"]);
    assert!(
        (effect.average.interval.low - gibbs[0]).abs() < 0.2,
        "{:?}",
        effect.average
    );
    assert!(
        (effect.average.interval.high - gibbs[1]).abs() < 0.2,
        "{:?}",
        effect.average
    );
}
