//! What came out over the replicates of a world, as a row of a table.

use crate::judged::Judged;

/// The names of what [`row`] tells, in Markdown.
pub(crate) const HEAD: &str = "\
| world | identified | bias, points | sampling and visibility cover | all errors cover | \
width, points: without and with attribution | as seen is off by | alarm | strata: without \
and with attribution | US and DE told apart |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// The row of a world in Markdown. `±` is the Monte Carlo error of a share.
pub(crate) fn row(name: &str, all: &[Judged]) -> String {
    let answered: Vec<_> =
        all.iter().filter_map(|j| Some((j.truth, j.estimate?))).collect();
    let holds = |[low, high]: [f64; 2], truth| {
        f64::from(u8::from(low <= truth && truth <= high))
    };
    let width = |[low, high]: [f64; 2]| 100.0 * (high - low);
    let own_covered = answered.iter().map(|(truth, e)| holds(e.own, *truth));
    let all_covered = answered.iter().map(|(truth, e)| holds(e.all, *truth));
    let strata =
        |which: usize| all.iter().map(|j| j.strata_covered[which]).sum::<u32>();
    let compared: Vec<bool> = all.iter().filter_map(|j| j.differ).collect();
    format!(
        "| {name} | {} of {} | {} | {} | {} | {}, {} | {} | {} | {}, {} of {} \
         | {} of {} |",
        answered.len(),
        all.len(),
        told(mean(answered.iter().map(|(t, e)| 100.0 * (e.value - t))), |m| format!(
            "{m:+.2}"
        )),
        share(own_covered),
        share(all_covered),
        told(mean(answered.iter().map(|(_, e)| width(e.own))), |m| format!("{m:.1}")),
        told(mean(answered.iter().map(|(_, e)| width(e.all))), |m| format!("{m:.1}")),
        told(mean(all.iter().map(|j| 100.0 * (j.as_seen - j.truth))), |m| format!(
            "{m:+.1}"
        )),
        all.iter().filter(|j| j.alarmed).count(),
        strata(0),
        strata(1),
        all.iter().map(|j| j.strata).sum::<u32>(),
        compared.iter().filter(|differ| **differ).count(),
        compared.len(),
    )
}

/// The mean; `None` of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    (n > 0.0).then_some(sum / n)
}

/// A figure, or a dash where there is none.
fn told(figure: Option<f64>, words: impl Fn(f64) -> String) -> String {
    figure.map_or_else(|| "–".to_owned(), words)
}

/// A share with its Monte Carlo error.
fn share(held: impl ExactSizeIterator<Item = f64>) -> String {
    let n = u32::try_from(held.len()).map_or(f64::INFINITY, f64::from);
    told(mean(held), |p| format!("{p:.3} ± {:.3}", (p * (1.0 - p) / n).sqrt()))
}
