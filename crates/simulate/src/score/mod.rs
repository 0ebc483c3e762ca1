//! Truth beside estimate: what an assessment said of a world, judged by its truth folder.
//!
//! * `assessment`: the document of an assessment, as far as it is judged; `truth`: the
//!   truth folder read back.
//!
//! **Invariant:** an answer is judged by the members of the same group and windows that
//! the truth folder lists; a refusal is judged by what the world did to sight, never by
//! how far another figure was off.

mod assessment;
mod truth;

use std::path::Path;

use tidegauge_model::DayRange;

use self::assessment::{Assessment, Figure, Group};
use self::truth::{Facts, Truth};
use crate::Error;
use crate::params::Story;

/// An estimate whose world hides at least this share of a cohort wholly, by darkness or by
/// moved hosts, may be refused rightly (ours: it is the width of an interval that would
/// still be of use).
const HIDDEN_MIN: f64 = 0.1;
/// With fewer organisations a refusal for want of data is right (ours: a share of ten has
/// an interval of half of everything).
const FEW: u64 = 30;

/// What is estimated of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Estimand {
    /// Organisations active in the window before.
    Baseline,
    /// Share of these not active after.
    CohortRemoval,
    /// Change of the count, as a fall.
    NetChange,
    /// Share of these without the product after, with visibility taken out.
    RemovalCorrected,
}

impl Estimand {
    /// Its name, as in the assessment.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "n_baseline",
            Self::CohortRemoval => "cohort_removal",
            Self::NetChange => "net_change",
            Self::RemovalCorrected => "removal_corrected",
        }
    }
}

/// How an answer, or the want of one, is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The interval holds the truth.
    Covered,
    /// It does not.
    Missed,
    /// A figure without an interval.
    Told,
    /// Not identified, and the world hides a part of the group that nothing can show.
    RightlyRefused,
    /// Not identified, with too few organisations to know better.
    RefusedForFew,
    /// Not identified, although the world left enough to be seen.
    NeedlesslyRefused,
    /// Held back by the disclosure rule.
    Suppressed,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Missed => "not covered",
            Self::Told => "no interval",
            Self::RightlyRefused => "refused, rightly",
            Self::RefusedForFew => "refused, few organisations",
            Self::NeedlesslyRefused => "refused, needlessly",
            Self::Suppressed => "suppressed",
        }
    }
}

/// One figure of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// ISO code, if the group is of one country.
    pub country: Option<String>,
    /// If the group is of one sector.
    pub sector: Option<String>,
    /// What is estimated.
    pub estimand: Estimand,
    /// What is true: count or share.
    pub truth: f64,
    /// What a perfect counter finds in the same telemetry; nothing for what no counter
    /// finds.
    pub as_seen: Option<f64>,
    /// What the assessment says.
    pub estimate: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The judgement.
    pub verdict: Verdict,
    /// Why the assessment has no figure, in its words.
    pub reason: Option<String>,
}

impl Line {
    /// Estimate less truth.
    pub fn error(&self) -> Option<f64> {
        Some(self.estimate? - self.truth)
    }
}

/// How often one estimand was answered, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Of which estimand.
    pub estimand: Estimand,
    /// Groups with an answer.
    pub answered: u64,
    /// Of those with an interval, the number that hold the truth.
    pub covered: u64,
    /// Answers with an interval.
    pub intervals: u64,
    /// Mean of the errors' sizes.
    pub error_mean: Option<f64>,
    /// Groups refused rightly or for few organisations.
    pub refused_rightly: u64,
    /// Groups refused needlessly.
    pub refused_needlessly: u64,
}

/// The whole judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Which world.
    pub world: Story,
    /// The window before.
    pub before: DayRange,
    /// The window after.
    pub after: DayRange,
    /// In the order of the assessment's groups.
    pub lines: Vec<Line>,
    /// What the assessment found remarkable about visibility.
    pub alarms: Vec<String>,
    /// Share of the whole cohort that the world hid wholly.
    pub hidden: f64,
}

/// Judges the text of an assessment by a truth folder.
pub fn score(truth: &Path, assessment: &str) -> Result<Score, Error> {
    let said = Assessment::read(assessment)?;
    let truth = Truth::read(truth)?;
    let (before, after) = (said.before()?, said.after()?);
    let lines = said.groups.iter().flat_map(|group| {
        let true_of = truth.of(group.of(), before, after);
        lines(group, &true_of)
    });
    let lines = lines.collect();
    let hidden = truth.of((None, None), before, after).hidden;
    Ok(Score { world: truth.world, before, after, lines, alarms: said.alarms, hidden })
}

impl Score {
    /// For each estimand with an interval.
    pub fn summaries(&self) -> Vec<Summary> {
        [Estimand::CohortRemoval, Estimand::NetChange, Estimand::RemovalCorrected]
            .map(|estimand| self.summary(estimand))
            .to_vec()
    }

    #[expect(clippy::cast_precision_loss, reason = "a few thousand groups")]
    fn summary(&self, estimand: Estimand) -> Summary {
        let lines: Vec<&Line> =
            self.lines.iter().filter(|l| l.estimand == estimand).collect();
        let count = |verdicts: &[Verdict]| {
            lines.iter().filter(|l| verdicts.contains(&l.verdict)).count() as u64
        };
        let errors: Vec<f64> =
            lines.iter().filter_map(|l| l.error()).map(f64::abs).collect();
        let sum: f64 = errors.iter().sum();
        Summary {
            estimand,
            answered: errors.len() as u64,
            covered: count(&[Verdict::Covered]),
            intervals: count(&[Verdict::Covered, Verdict::Missed]),
            error_mean: (!errors.is_empty()).then(|| sum / errors.len() as f64),
            refused_rightly: count(&[Verdict::RightlyRefused, Verdict::RefusedForFew]),
            refused_needlessly: count(&[Verdict::NeedlesslyRefused]),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of organisations")]
fn lines(group: &Group, truth: &Facts) -> Vec<Line> {
    let line = |estimand, truth, as_seen, figure: Option<Figure>, verdict| Line {
        country: group.country.clone(),
        sector: group.sector.clone(),
        estimand,
        truth,
        as_seen,
        estimate: figure.map(|f| f.value),
        low: figure.and_then(|f| f.low),
        high: figure.and_then(|f| f.high),
        verdict,
        reason: group.reason.clone().filter(|_| figure.is_none()),
    };
    let judged = |figure: Option<Figure>, truth: f64| match figure {
        None => Verdict::Suppressed,
        Some(Figure { low: Some(low), high: Some(high), .. }) => {
            if (low..=high).contains(&truth) {
                Verdict::Covered
            } else {
                Verdict::Missed
            }
        }
        Some(_) => Verdict::Told,
    };
    let baseline = group.n_baseline.map(|n| Figure::of(n as f64));
    let corrected = match (group.n_baseline, group.removal_corrected) {
        (Some(n), None) if !group.is_suppressed() => refusal(n, truth),
        (_, figure) => judged(figure, truth.removal),
    };
    vec![
        line(
            Estimand::Baseline,
            truth.users_before as f64,
            Some(truth.cohort as f64),
            baseline,
            judged(baseline, truth.users_before as f64),
        ),
        line(
            Estimand::CohortRemoval,
            truth.removal,
            Some(truth.observed_removal),
            group.cohort_removal,
            judged(group.cohort_removal, truth.removal),
        ),
        line(
            Estimand::NetChange,
            truth.net_change,
            Some(truth.observed_net_change),
            group.net_change,
            judged(group.net_change, truth.net_change),
        ),
        line(
            Estimand::RemovalCorrected,
            truth.removal,
            None,
            group.removal_corrected,
            corrected,
        ),
    ]
}

fn refusal(n: u64, truth: &Facts) -> Verdict {
    if truth.hidden >= HIDDEN_MIN {
        Verdict::RightlyRefused
    } else if n < FEW {
        Verdict::RefusedForFew
    } else {
        Verdict::NeedlesslyRefused
    }
}
