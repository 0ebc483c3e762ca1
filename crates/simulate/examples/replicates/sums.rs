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
        "| {name} | {} of {} | {:+.2} | {} | {} | {:.1}, {:.1} | {:+.1} | {} | {}, {} of {} \
         | {} of {} |",
        answered.len(),
        all.len(),
        mean(answered.iter().map(|(truth, e)| 100.0 * (e.value - truth))),
        share(own_covered),
        share(all_covered),
        mean(answered.iter().map(|(_, e)| width(e.own))),
        mean(answered.iter().map(|(_, e)| width(e.all))),
        mean(all.iter().map(|j| 100.0 * (j.as_seen - j.truth))),
        all.iter().filter(|j| j.alarmed).count(),
        strata(0),
        strata(1),
        all.iter().map(|j| j.strata).sum::<u32>(),
        compared.iter().filter(|differ| **differ).count(),
        compared.len(),
    )
}

/// The mean, 0 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    sum / f64::max(n, 1.0)
}

/// A share with its Monte Carlo error; a dash of nothing.
fn share(held: impl ExactSizeIterator<Item = f64>) -> String {
    if held.len() == 0 {
        return "–".to_owned();
    }
    let n = u32::try_from(held.len()).map_or(f64::INFINITY, f64::from);
    let p = mean(held);
    format!("{p:.3} ± {:.3}", (p * (1.0 - p) / n).sqrt())
}
