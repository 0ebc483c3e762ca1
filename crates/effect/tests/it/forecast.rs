//! Curves of leaving, and recalibrated scores, against scipy and statsmodels. Values are
//! from `tests/oracle/forecast.py` and `tests/oracle/calibration.py`.

use tidegauge_effect::forecast::{Kind, Period, forecast};
use tidegauge_effect::noise::calibration::{calibration, platt};

use crate::measured::measured;

const REMOVED: [u64; 12] = [150, 120, 95, 80, 62, 50, 41, 33, 28, 22, 18, 15];

#[test]
fn curves_of_leaving_are_those_of_scipy() {
    let mut at_risk = 1_000;
    let periods = REMOVED.map(|removed| {
        let period = Period { at_risk, removed };
        at_risk -= removed;
        period
    });
    let found = forecast(&periods, 1).unwrap();
    for (kind, minus, left) in [
        (Kind::Exponential, 2_243.098_708_740_7, [0.243_955_312, 0.059_514_194]),
        (Kind::Weibull, 2_218.834_003_701_8, [0.273_856_270, 0.107_342_417]),
        (Kind::Gompertz, 2_208.447_539_422_8, [0.285_910_721, 0.194_390_196]),
        (Kind::Cure, 2_207.949_153_840_2, [0.286_064_811, 0.227_288_486]),
    ] {
        let (curve, _) = found.curves.iter().find(|c| c.0.kind() == kind).unwrap();
        measured("curves, likelihood", &[-curve.log_likelihood()], &[minus], 1e-10);
        let of = [curve.left(12.0), curve.left(24.0)];
        measured("curves, share left", &of, &left, 1e-5);
    }
}

#[test]
fn scores_are_recalibrated_as_statsmodels_does() {
    let scores =
        [0.05, 0.12, 0.18, 0.25, 0.33, 0.41, 0.52, 0.58, 0.67, 0.74, 0.86, 0.93];
    let truths = [0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1].map(|is| is == 1);
    let cases: Vec<(f64, bool)> = scores.into_iter().zip(truths).collect();
    let (intercept, slope) = platt(&cases).unwrap();
    let expected = [0.095_753_410_695_2, 0.551_686_319_58];
    measured("Platt", &[intercept, slope], &expected, 1e-9);
    let found = calibration(&cases).unwrap();
    let expected = [0.194_716_666_667, 0.275];
    measured(
        "Brier and calibration",
        &[found.brier, found.expected_error],
        &expected,
        1e-11,
    );
}
