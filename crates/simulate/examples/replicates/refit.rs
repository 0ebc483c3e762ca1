//! The standard error of removal by refitting, beside the one that the model states: families
//! are drawn with replacement, and the whole model is fitted again to each such panel.

use std::fmt::Write;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use tidegauge_effect::Stratify;
use tidegauge_model::OrgId;
use tidegauge_model::panel::{History, Panel};
use tidegauge_simulate::Replicates;

use crate::Failure;
use crate::judged::corrected;

/// What [`row`] tells, in Markdown.
pub(crate) const HEAD: &str = "\
| world | replicates | refits of each, with an answer | standard error by refitting, points | \
as stated, points | stated by refitted: mean, least, most |
|---|--:|--:|--:|--:|--:|";

/// The errors of one replicate, as parts of one.
pub(crate) struct Refitted {
    /// Stated, for organisations like these.
    stated: f64,
    /// Deviation of the refits.
    deviation: f64,
    answered: usize,
}

/// Refits a replicate so many times; `None` where the model has no answer at all.
pub(crate) fn refitted(
    of: &Replicates,
    seed: u64,
    refits: u64,
) -> Result<Option<Refitted>, Failure> {
    let replicate = of.draw(seed)?;
    let whole = |panel: &Panel| -> Result<_, Failure> {
        let found = corrected(panel, &[Stratify::All])?;
        let whole =
            found.strata.first().and_then(|w| Some((w.removal?.value, w.errors?)));
        Ok(whole)
    };
    let Some((_, errors)) = whole(&replicate.panel)? else { return Ok(None) };
    let mut values = Vec::new();
    for draw in 0..refits {
        let mut random =
            Pcg64::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(draw));
        let drawn = families(&replicate.panel, &mut random);
        values.extend(whole(&drawn)?.map(|(value, _)| value));
    }
    Ok(Some(Refitted {
        stated: errors.of_population(),
        deviation: deviation(&values),
        answered: values.len(),
    }))
}

/// As many families as there are, drawn with replacement, each draw another family.
fn families(panel: &Panel, random: &mut Pcg64) -> Panel {
    let mut by_family: Vec<&History> = panel.histories.iter().collect();
    by_family.sort_by(|a, b| a.family.cmp(&b.family));
    let families: Vec<_> = by_family.chunk_by(|a, b| a.family == b.family).collect();
    let mut histories = Vec::new();
    for number in 0..families.len() {
        let other = |id: &OrgId| OrgId::new(format!("{id}#{number}"));
        let family = families.get(random.random_range(0..families.len()));
        for history in family.into_iter().copied().flatten() {
            histories.push(History {
                organisation: other(&history.organisation),
                family: other(&history.family),
                ..History::clone(history)
            });
        }
    }
    histories.sort_by(|a, b| {
        (&a.organisation, &a.vantage).cmp(&(&b.organisation, &b.vantage))
    });
    Panel { histories, ..panel.clone() }
}

fn deviation(values: &[f64]) -> f64 {
    let n = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares / (n - 1.0)).sqrt()
}

/// The row of a world.
pub(crate) fn row(name: &str, refits: u64, all: &[Refitted]) -> String {
    let n = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let mean = |of: fn(&Refitted) -> f64| all.iter().map(of).sum::<f64>() / n;
    let ratios = all.iter().map(|r| r.stated / r.deviation);
    let (least, most) = ratios
        .clone()
        .fold((f64::INFINITY, 0.0f64), |(least, most), r| (least.min(r), most.max(r)));
    let mut row = format!("| {name} | {} | {refits}, ", all.len());
    let answered: usize = all.iter().map(|r| r.answered).sum();
    write!(
        row,
        "{answered} of all | {:.2} | {:.2} | {:.2}, {least:.2}, {most:.2} |",
        100.0 * mean(|r| r.deviation),
        100.0 * mean(|r| r.stated),
        ratios.sum::<f64>() / n,
    )
    .expect("a text takes what is written");
    row
}
