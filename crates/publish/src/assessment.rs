//! What every estimator says of an act, as readers see it.
//!
//! **Invariant:** a reading has a value or the rule that forbids it, and says by what
//! method and under which assumption.

use serde::Serialize;
use tidegauge_model::DayRange;
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::visibility::SurvivalCurve;

/// Whether an act was assessed.
#[derive(Clone, Debug)]
pub enum Assessed {
    /// It was.
    Ready(Box<Assessment>),
    /// It is being worked out; ask again.
    Working,
    /// It cannot be; a sentence says why.
    Absent(String),
}

impl Assessed {
    /// Whether the answer will soon be another one, though the data is the same.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Ready(found) => found.superseded,
            Self::Working => true,
            Self::Absent(_) => false,
        }
    }
}

/// All that was found about an act.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The window before.
    pub before: DayRange,
    /// The window after, as long.
    pub after: DayRange,
    /// The answer in sentences, the most important first.
    pub verdict: Vec<String>,
    /// Removal as seen, net change, and removal with visibility taken out.
    pub estimates: Vec<ReleasedEstimate>,
    /// What each further estimator says.
    pub readings: Vec<Reading>,
    /// What the cohort was seen with after, for each group of which it may be told.
    pub flows: Vec<Flow>,
    /// How many go on week by week, with the weeks that may be told.
    pub survival: Vec<SurvivalCurve>,
    /// Cohort removal under every set of choices.
    pub choices: Vec<Choices>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// Questions and their answers, or why there is none.
    pub questions: Vec<Question>,
    /// What is remarkable about visibility.
    pub alarms: Vec<String>,
    /// What is not answered, each rule once.
    pub refusals: Vec<Refusal>,
    /// There is newer data, and a newer assessment is being worked out.
    pub superseded: bool,
}

/// Cohort removal under one set of choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// Name and value of each choice.
    pub chosen: Vec<(String, String)>,
    /// Whether it is the set that all other figures were made with.
    pub asked: bool,
    /// The share of each group: `all`, a country, `rest`; `None` where it cannot be told.
    pub removal: Vec<(String, Option<f64>)>,
}

/// A group that had the product before, and what it was seen with after.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// For whom: `all`, or a country.
    pub of: String,
    /// How many organisations.
    pub n: u64,
    /// The ways, which are all there are; shares of the group.
    pub ways: Vec<Way>,
}

/// A way that a part of a group took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// What they were seen with.
    pub seen: SeenWith,
    /// Their share of the group.
    pub share: f64,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// What those who had the product before were seen with after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenWith {
    /// The product alone.
    Product,
    /// The product and a rival.
    Both,
    /// A rival alone.
    Rival,
    /// Neither, though control products were seen.
    Neither,
    /// Not even controls: nothing is known of them.
    Nothing,
}

/// One figure of one estimator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// The kind of estimator: `survival`, `series`, `comparison`.
    pub section: String,
    /// What is estimated.
    pub what: String,
    /// For whom.
    pub of: String,
    /// In what unit.
    pub unit: String,
    /// The figure; absent if it is refused.
    pub value: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// A p-value, where the method gives one.
    pub p: Option<f64>,
    /// How many units it rests on.
    pub n: u64,
    /// What those units are.
    pub counted: String,
    /// The method in words.
    pub method: String,
    /// What must hold for it to mean what it says.
    pub assumption: String,
    /// Why there is no figure.
    pub refused: Option<Refusal>,
}

/// A rule that forbids a figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its name.
    pub rule: String,
    /// What it found.
    pub reason: String,
}

/// Something that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it held; `None` if it could not be carried out.
    pub passed: Option<bool>,
    /// What was found.
    pub detail: String,
}

/// A question and what the data answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// The answer, or the rule that forbids one.
    pub answer: String,
}
