//! One answer: every estimator that a panel allows, asked the same question of one act.
//!
//! * [`lasting`]: how long use lasted in the baseline cohort, addressee against the rest;
//! * [`periods`]: the hazard of removal before and after each dated act;
//! * [`contacts`]: organisations in contact week by week, and countries left alone;
//! * [`rest`]: how long the rest will last; [`instead`]: what was used instead;
//! * [`unseen`]: what no vantage saw; [`noise`]: what was seen and was no use;
//! * [`scope`]: whom an act addresses;
//! * [`placebo`]: what fits find where the act did nothing;
//! * [`choices`]: the same figure under other choices, and with parts left out;
//! * [`curves`]: which weeks of a survival curve may be told;
//! * [`questions`]: which checks passed, and what a policymaker asks, in sentences.
//!
//! **Invariant:** no estimator lives here: each is called from its own module, and what it
//! refuses is told with the rule it names. Every figure is finite and says on how many
//! organisations, by what method and under which assumption it stands; a figure that is
//! not there has a rule in its place. A country is set apart only if [`Asked::told`] lists
//! it; a group smaller than [`Asked::cell_min`] is not told.

mod choices;
mod contacts;
mod curves;
mod instead;
mod lasting;
mod noise;
mod periods;
mod placebo;
mod questions;
mod rest;
mod scope;
#[cfg(test)]
mod tests;
mod unseen;

use std::collections::BTreeSet;
use std::fmt;

pub use curves::told as told_curves;
pub use instead::WAYS;

use tidegauge_model::estimate::Estimate;
use tidegauge_model::panel::{History, Panel};
use tidegauge_model::policy::PolicyEvent;
use tidegauge_model::{Country, SectorId};

use crate::activity::organisations;
use crate::regression::Coefficient;
use crate::specification::Specification;
use crate::{Active, Windows};

/// Organisations below which a group has no estimate, whoever reads it.
pub const GROUP_MIN: usize = 10;

/// Removals of a group, on each side of what is contrasted, below which a contrast has no
/// error that could be trusted: with fewer the logarithm of a ratio is not normal, with none
/// there is no ratio, and errors over families come out far too small. Picked by hand; `sizes`
/// of `simulate` holds the tests to it in worlds where no act does anything.
const REMOVALS_MIN: usize = 5;

/// The whole.
const ALL: &str = "all";
/// Every organisation outside the addressee's country.
const REST: &str = "rest";

/// The question, and what it is asked of.
#[derive(Clone)]
pub struct Asked<'a> {
    /// Weekly histories, over as many days as were covered. The windows lie inside.
    pub panel: &'a Panel,
    /// Before and after.
    pub windows: Windows,
    /// The act.
    pub policy: &'a PolicyEvent,
    /// All acts that are known, this one among them; those on other products are passed
    /// over.
    pub acts: &'a [PolicyEvent],
    /// Who is active in a window.
    pub active: Active,
    /// What is known of visibility between the windows.
    pub sight: Sight,
    /// Removal with visibility taken out, of groups whose figure may be told.
    pub corrected: Vec<Estimate>,
    /// Countries whose figures may be told apart from the whole.
    pub told: BTreeSet<Country>,
    /// Weekly histories of rival products, over the same days; empty if there are none.
    pub rivals: &'a [Panel],
    /// Organisations that were looked at at all over those days, with the product or
    /// without; `None` if nobody counted.
    pub looked_at: Option<u64>,
    /// Organisations below which a group, those who left or those who stayed are not told.
    pub cell_min: usize,
}

/// Whether vantages saw the same share of use before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// They did, as far as controls can tell.
    Steady,
    /// Nothing tells; says why.
    Unknown(String),
    /// They did not; says how.
    Changed(String),
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The sector that everything here is of, if the act addresses one alone.
    pub sector: Option<SectorId>,
    /// How long use lasted.
    pub survival: Vec<Reading>,
    /// Hazards of removal by period of policy.
    pub hazard: Vec<Reading>,
    /// Organisations in contact, week by week.
    pub series: Vec<Reading>,
    /// The addressee against countries left alone.
    pub comparison: Vec<Reading>,
    /// What choices change, and what single countries and vantages do.
    pub specifications: Vec<Reading>,
    /// Cohort removal under every set of choices.
    pub specification_curve: Vec<Specification>,
    /// How long the rest will last.
    pub forecast: Vec<Reading>,
    /// What the cohort uses instead.
    pub substitution: Vec<Reading>,
    /// Organisations in use, seen or not.
    pub unseen: Vec<Reading>,
    /// Sightings that are no use.
    pub noise: Vec<Reading>,
    /// Which checks passed.
    pub checks: Vec<Check>,
    /// Five questions of a policymaker.
    pub questions: Vec<Question>,
}

/// One figure of one group, or the rule that forbids it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What: `half-life`, `hazard ratio`.
    pub what: String,
    /// Of whom or of what act: `US`, `rest`, `all`.
    pub of: String,
    /// Unit of the value: `weeks`, `ratio`, `share`.
    pub unit: &'static str,
    /// The estimate; `None` where only its ends are known, or it is refused.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The chance of as much by chance, if it was tested.
    pub p: Option<f64>,
    /// The least that `p` could be, where it is a rank.
    pub p_floor: Option<f64>,
    /// Units it rests on; see `counted`.
    pub n: usize,
    /// What `n` counts.
    pub counted: &'static str,
    /// The estimator, and what the ends are.
    pub method: String,
    /// What has to hold for it to be of use and of the act.
    pub assumption: String,
    /// Why there is no value.
    pub refused: Option<Refused>,
}

/// The rule that forbids a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its name.
    pub rule: String,
    /// What is missing.
    pub reason: String,
}

/// A check of the figures by other figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it holds; `None` where it could not be carried out.
    pub passed: Option<bool>,
    /// What was seen, or the rule that forbids the check.
    pub detail: String,
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub question: &'static str,
    /// The answer, which begins with `cannot be told` where it cannot.
    pub answer: String,
}

/// Asks every estimator. An act that addresses one sector alone is asked of that sector
/// alone: its organisations in the act's country against those elsewhere.
pub fn assess(asked: &Asked<'_>) -> Assessment {
    let Ok(Some(sector)) = scope::sector(asked.policy) else {
        return of_all(asked, None);
    };
    let panel = scope::narrowed(asked.panel, &sector);
    let rivals: Vec<Panel> =
        asked.rivals.iter().map(|rival| scope::narrowed(rival, &sector)).collect();
    // How many of the sector were looked at nobody counted.
    let narrowed =
        Asked { panel: &panel, rivals: &rivals, looked_at: None, ..asked.clone() };
    of_all(&narrowed, Some(sector))
}

fn of_all(asked: &Asked<'_>, sector: Option<SectorId>) -> Assessment {
    let grounds = Grounds { sector: sector.clone(), ..Grounds::new(asked) };
    let sets = choices::sets(&grounds);
    let mut found = Assessment {
        sector,
        survival: lasting::readings(&grounds),
        hazard: periods::readings(&grounds),
        series: contacts::series(&grounds),
        comparison: contacts::comparison(&grounds),
        specifications: choices::readings(&grounds, &sets),
        specification_curve: choices::told(&grounds, sets),
        forecast: rest::readings(&grounds),
        substitution: instead::readings(&grounds),
        unseen: unseen::readings(&grounds),
        noise: noise::readings(&grounds),
        checks: Vec::new(),
        questions: Vec::new(),
    };
    let all = [
        &mut found.survival,
        &mut found.hazard,
        &mut found.series,
        &mut found.comparison,
        &mut found.specifications,
        &mut found.forecast,
        &mut found.substitution,
        &mut found.unseen,
        &mut found.noise,
    ];
    all.into_iter().flatten().for_each(Reading::keep_finite);
    found.checks = questions::checks(&grounds, &found);
    found.questions = questions::answers(&grounds, &found);
    found
}

/// The question with what every part of the answer needs.
struct Grounds<'a> {
    asked: &'a Asked<'a>,
    /// Histories of all vantages united.
    organisations: Vec<History>,
    /// The sector that the panel was narrowed to, if it was.
    sector: Option<SectorId>,
}

impl<'a> Grounds<'a> {
    fn new(asked: &'a Asked<'a>) -> Self {
        Self { asked, organisations: organisations(asked.panel), sector: None }
    }

    fn addressed(&self) -> Country {
        self.asked.policy.country
    }

    fn tells(&self, country: Country) -> bool {
        self.asked.told.contains(&country)
    }

    /// Why the addressee cannot be set apart, if it cannot.
    fn apart(&self) -> Result<(), Refused> {
        let country = self.addressed();
        if let Some(part) = &self.asked.policy.subdivision {
            return Err(Refused::by(
                "subdivision",
                format!("the act addresses {part}; organisations are known by country"),
            ));
        }
        scope::sector(self.asked.policy)?;
        if self.sector.is_some() && !self.tells_cells() {
            return Err(Refused::by(
                "disclosure",
                "the act addresses one sector of a country; cells of both are for the \
                 operator",
            ));
        }
        if !self.organisations.iter().any(|o| o.country == Some(country)) {
            return Err(Refused::by(
                "addressee-absent",
                format!("no organisation of {country} was ever seen"),
            ));
        }
        if self.tells(country) {
            return Ok(());
        }
        Err(Refused::by(
            "disclosure",
            format!("figures of {country} would show too few organisations"),
        ))
    }

    /// Whether figures by country and sector may be told beside those by each.
    fn tells_cells(&self) -> bool {
        self.asked.cell_min <= 1
    }

    /// Whether a part of a group may be told.
    fn may_tell(&self, part: usize) -> bool {
        may_tell(part, self.asked.cell_min)
    }

    /// Acts on the product that are acts.
    fn acts(&self) -> impl Iterator<Item = &'a PolicyEvent> {
        let product = &self.asked.panel.product;
        let is_act = |kind| kind != tidegauge_model::policy::ActKind::NoAct;
        self.asked.acts.iter().filter(move |a| a.product == *product && is_act(a.kind))
    }

    /// The assumption about visibility that every comparison of groups rests on.
    fn sight_alike(&self) -> &'static str {
        match self.asked.sight {
            Sight::Steady => "vantages saw addressee and rest alike",
            Sight::Unknown(_) => {
                "visibility, not separated from usage, changed alike for addressee and rest"
            }
            Sight::Changed(_) => {
                "visibility changed, and must have done so alike for addressee and rest"
            }
        }
    }
}

impl Refused {
    fn by(rule: &str, reason: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), reason: reason.into() }
    }

    /// The rule that an estimator names, or `not-estimable` with its words.
    fn of(error: impl fmt::Display) -> Self {
        let words = error.to_string();
        let named = words.strip_prefix("rule ").and_then(|rest| rest.split_once(": "));
        match named {
            Some((rule, reason)) => Self::by(rule, reason),
            None => Self::by("not-estimable", words),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)
    }
}

impl Reading {
    fn of(what: impl Into<String>, of: impl fmt::Display, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            of: of.to_string(),
            unit,
            value: None,
            low: None,
            high: None,
            p: None,
            p_floor: None,
            n: 0,
            counted: "organisations",
            method: String::new(),
            assumption: String::new(),
            refused: None,
        }
    }

    fn on(self, n: usize, counted: &'static str) -> Self {
        Self { n, counted, ..self }
    }

    fn by(self, method: impl Into<String>, assumption: impl Into<String>) -> Self {
        Self { method: method.into(), assumption: assumption.into(), ..self }
    }

    fn is(self, value: f64, low: f64, high: f64) -> Self {
        Self { value: Some(value), low: Some(low), high: Some(high), ..self }
    }

    /// A coefficient, and whether its scale is a logarithm that is taken back.
    fn coefficient(self, found: &Coefficient, logarithm: bool) -> Self {
        let back = |v: f64| if logarithm { v.exp() } else { v };
        let (low, high) = (found.interval.low, found.interval.high);
        let p = found.p_two_sided();
        Self { p, ..self.is(back(found.value), back(low), back(high)) }
    }

    fn refuse(self, refused: Refused) -> Self {
        let (value, low, high) = (None, None, None);
        Self { value, low, high, p: None, refused: Some(refused), ..self }
    }

    /// Takes out what is no number, and says so.
    fn keep_finite(&mut self) {
        let odd = |v: &Option<f64>| v.is_some_and(|v| !v.is_finite());
        if [self.value, self.p, self.p_floor].iter().any(odd) {
            let words = "the figure is no finite number";
            let [what, of] = [&self.what, &self.of].map(Clone::clone);
            *self = Self::of(what, of, self.unit)
                .on(self.n, self.counted)
                .refuse(Refused::by("finite", words));
        }
        self.low = self.low.filter(|v| v.is_finite());
        self.high = self.high.filter(|v| v.is_finite());
    }
}

/// Whether a part of a group may be told: nobody, or enough.
fn may_tell(part: usize, cell_min: usize) -> bool {
    part == 0 || part >= cell_min
}

/// `k` of `n` as a share; 0 of nothing.
fn count_share(k: u64, n: u64) -> f64 {
    crate::interval::as_f64(k) / crate::interval::as_f64(n.max(1))
}

/// The reading of `what` of `of` that has a value.
fn reading<'a>(of: &'a [Reading], what: &str, whom: &str) -> Option<&'a Reading> {
    of.iter().find(|r| r.what == what && r.of == whom)
}
