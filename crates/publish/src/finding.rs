//! Findings as the operator's own pages show them: what was seen of an asset or a supplier,
//! how it came to stand where it stands, and what to do.
//!
//! **Invariant:** nothing here passes the disclosure rule, so it is for the operator's own
//! pages alone. A row of the portfolio without a finding is listed too, with the reason: that
//! nothing was seen is not that nothing is there.

use std::sync::Arc;

use serde_json::Value;
use tidegauge_model::finding::{Finding, FindingState};
use tidegauge_model::{Asn, Day, OrgId, Prefix, VantageId};

/// All findings of a portfolio.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The day of which they are told; `None` if there are none yet.
    pub as_of: Option<Day>,
    /// Findings, by name of the row and product.
    pub exposures: Arc<[Exposure]>,
    /// Rows of which nothing was ever seen, with the state that says why; a row once, for all
    /// products.
    pub silent: Arc<[Silent]>,
}

/// A row of the portfolio of which nothing was ever seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Its name.
    pub subject: String,
    /// `asset` or `supplier`.
    pub kind: String,
    /// Not seen, not visible or not checkable.
    pub state: FindingState,
    /// Whether the portfolio has networks or sites of it: what was looked at is known by those
    /// alone.
    pub placed: bool,
}

/// One finding with all its evidence.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// The finding as a row.
    pub finding: Finding,
    /// Name of the product for readers.
    pub product_name: String,
    /// Whose it is.
    pub about: About,
    /// Since when it is in its state.
    pub since: Day,
    /// Why it is in this state and no other.
    pub why: String,
    /// Every move from state to state, in order.
    pub moves: Vec<Move>,
    /// What was seen, strongest first.
    pub sights: Vec<Sight>,
    /// Weeks after the last contact in which it was looked for in vain.
    pub quiet: Vec<QuietWeek>,
    /// What somebody said of it, in order.
    pub said: Vec<Said>,
    /// What to do, in order.
    pub next_steps: Vec<String>,
    /// All of it, as `tidegauge exposure --out` writes it.
    pub document: Value,
}

/// The row of the portfolio that a finding is about.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `asset` or `supplier`.
    pub kind: String,
    /// How much depends on it: 1 for the most.
    pub tier: Option<u8>,
    /// Words of the portfolio.
    pub tags: Vec<String>,
    /// Through whom it is ours, nearest first.
    pub through: Vec<String>,
    /// Who is written to.
    pub contact: Option<String>,
    /// Whether the portfolio still has the row.
    pub listed: bool,
}

/// A move from one state to another.
#[derive(Clone, Debug)]
pub struct Move {
    /// When.
    pub on: Day,
    /// To what.
    pub to: FindingState,
    /// By what.
    pub by: String,
    /// Who said so, and why, where somebody did.
    pub said: Option<String>,
}

/// Contacts that are alike.
#[derive(Clone, Debug)]
pub struct Sight {
    /// What they prove.
    pub signal: String,
    /// How the server was recognised.
    pub grade: String,
    /// What the server does, and which it is.
    pub endpoint: String,
    /// From where.
    pub vantage: VantageId,
    /// From which network.
    pub network: Prefix,
    /// Why it is this row's.
    pub matched: String,
    /// Who held the address.
    pub organisation: Option<OrgId>,
    /// Its origin AS.
    pub asn: Option<Asn>,
    /// The day of the first contact.
    pub first: Day,
    /// The day of the last contact.
    pub last: Day,
    /// Days with contacts.
    pub days: u32,
    /// Contacts, at least.
    pub contacts: u64,
    /// Best chance that they mean use by the row.
    pub probability: f64,
}

/// A week in which nothing was seen.
#[derive(Clone, Debug)]
pub struct QuietWeek {
    /// Its Monday.
    pub week: Day,
    /// Days of it that were looked at.
    pub looked_days: u8,
    /// Who looked.
    pub vantages: Vec<VantageId>,
    /// Chance that a user would have been seen, or why it is not known.
    pub detection: Result<f64, String>,
}

/// What somebody said of a finding.
#[derive(Clone, Debug)]
pub struct Said {
    /// From when it holds.
    pub on: Day,
    /// Who.
    pub who: String,
    /// What.
    pub verdict: String,
    /// In their words.
    pub why: String,
}

/// A form of all findings that other programs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Export {
    /// A row for each finding.
    Csv,
    /// All that is known.
    Json,
    /// STIX 2.1, masked.
    Stix,
    /// An event for MISP, masked.
    Misp,
    /// Generic findings of `DefectDojo`.
    DefectDojo,
    /// Events for Elastic, one a line.
    Ecs,
    /// Events of the Open Cybersecurity Schema Framework, one a line.
    Ocsf,
}

impl Export {
    /// Every form.
    pub const ALL: [Self; 7] = [
        Self::Csv,
        Self::Json,
        Self::Stix,
        Self::Misp,
        Self::DefectDojo,
        Self::Ecs,
        Self::Ocsf,
    ];

    /// Its name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Stix => "stix",
            Self::Misp => "misp",
            Self::DefectDojo => "defectdojo",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
        }
    }

    /// The name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "findings.csv",
            Self::Json => "findings.json",
            Self::Stix => "stix.json",
            Self::Misp => "misp.json",
            Self::DefectDojo => "defectdojo.json",
            Self::Ecs => "ecs.ndjson",
            Self::Ocsf => "ocsf.ndjson",
        }
    }

    /// Its name for readers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Stix => "STIX 2.1",
            Self::Misp => "MISP event",
            Self::DefectDojo => "DefectDojo",
            Self::Ecs => "ECS",
            Self::Ocsf => "OCSF",
        }
    }

    /// Its media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json | Self::Misp | Self::DefectDojo => "application/json",
            Self::Stix => "application/stix+json;version=2.1",
            Self::Ecs | Self::Ocsf => "application/x-ndjson",
        }
    }
}

/// States that ask for something to be done.
pub(crate) fn is_open(state: FindingState) -> bool {
    matches!(state, FindingState::Open | FindingState::Reappeared)
}

impl Findings {
    /// Those of these states and products, those that ask for something to be done first, then
    /// by tier, then the surest.
    pub(crate) fn narrowed(
        &self,
        state: Option<FindingState>,
        products: &[tidegauge_model::ProductId],
        words: &str,
    ) -> Vec<&Exposure> {
        let words = words.to_lowercase();
        let wanted = |e: &&Exposure| {
            let tags = e.about.tags.iter().map(String::as_str);
            let mut texts = tags.chain([e.finding.subject.as_str()]);
            state.is_none_or(|s| s == e.finding.state)
                && (products.is_empty() || products.contains(&e.finding.product))
                && texts.any(|text| text.to_lowercase().contains(&words))
        };
        let mut found: Vec<&Exposure> = self.exposures.iter().filter(wanted).collect();
        found.sort_by(|a, b| {
            let urgent = |e: &Exposure| {
                (!is_open(e.finding.state), e.about.tier.unwrap_or(u8::MAX))
            };
            let surer = b.finding.confidence.total_cmp(&a.finding.confidence);
            urgent(a).cmp(&urgent(b)).then(surer)
        });
        found
    }
}
