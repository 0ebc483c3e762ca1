//! Dated acts about products: `policies/*.toml`.
//!
//! **Invariant:** an act has a source; a date that is not known is absent, not guessed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::word;
use crate::{Confidence, Country, Day, DayRange, PolicyId, ProductId};

word! {
    /// What kind of act a policy is.
    ActKind {
        /// Use or supply is forbidden.
        Ban = "ban",
        /// Buying is restricted.
        Restriction = "restriction",
        /// Removal is ordered.
        RemovalOrder = "removal_order",
        /// Use is advised against.
        Warning = "warning",
        /// Assets or exports are restricted.
        Sanction = "sanction",
        /// A statement that there is no act: a control.
        NoAct = "none",
    }
}

/// A dated act of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEvent {
    /// Stable id.
    #[serde(default = "unnamed")]
    pub id: PolicyId,
    /// Whose products.
    pub product: ProductId,
    /// ISO 3166-1, or `EU`.
    pub country: Country,
    /// ISO 3166-2 subdivision, if it is one's act.
    pub subdivision: Option<String>,
    /// What kind of act.
    pub kind: ActKind,
    /// Whether those addressed must follow it.
    pub binding: bool,
    /// Who is addressed.
    pub scope: String,
    /// Whether private organisations are addressed: `yes`, `no` or `partly`.
    pub private_sector: String,
    /// When it was made public.
    pub announced: Option<Day>,
    /// When it began to hold.
    pub effective: Option<Day>,
    /// When it had to be done.
    pub deadline: Option<Day>,
    /// When it ended.
    pub ended: Option<Day>,
    /// The legal text.
    pub instrument: String,
    /// Who made it.
    pub issuer: String,
    /// Where this is known from.
    pub source: String,
    /// How well it is known.
    pub confidence: Confidence,
    /// What a reader should know.
    #[serde(default)]
    pub note: String,
    /// A few words for charts.
    #[serde(default)]
    pub label: String,
}

/// A dated act of a vendor, or another event that charts must show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorEvent {
    /// Stable id.
    #[serde(default = "unnamed")]
    pub id: PolicyId,
    /// Whose product.
    pub product: ProductId,
    /// Where.
    pub country: Country,
    /// When; the first day that sources give.
    pub date: Day,
    /// The last day that sources give, where they disagree.
    pub latest: Option<Day>,
    /// What happened.
    pub event: String,
    /// Where this is known from.
    pub source: String,
    /// How well it is known.
    pub confidence: Confidence,
    /// A few words for charts; empty if it is not drawn.
    #[serde(default)]
    pub label: String,
}

impl VendorEvent {
    /// The days on which it may have been.
    ///
    /// ```
    /// let text = r#"[vendor.V]
    /// product = "p"
    /// country = "US"
    /// date = "2024-09-17"
    /// latest = "2024-09-19"
    /// event = "migration"
    /// source = "two newspapers"
    /// confidence = "medium"
    /// "#;
    /// let mut timeline = tidegauge_model::Timeline::default();
    /// timeline.read(text).unwrap();
    /// assert_eq!(timeline.vendor[0].days().length_days(), 3);
    /// ```
    pub fn days(&self) -> DayRange {
        let latest = self.latest.and_then(|latest| DayRange::new(self.date, latest));
        latest.unwrap_or(DayRange::one(self.date))
    }
}

/// All acts and events, sorted by date and id.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Timeline {
    /// Acts of states.
    pub policies: Vec<PolicyEvent>,
    /// Acts of vendors.
    pub vendor: Vec<VendorEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: std::collections::BTreeMap<String, PolicyEvent>,
    #[serde(default)]
    vendor: std::collections::BTreeMap<String, VendorEvent>,
}

impl Timeline {
    /// Reads the text of one file of `policies/` and adds what it says: tables
    /// `[policy.ID]` and `[vendor.ID]`.
    pub fn read(&mut self, text: &str) -> Result<(), toml::de::Error> {
        let file: File = toml::from_str(text)?;
        for (id, event) in file.policy {
            self.policies.push(PolicyEvent { id: PolicyId::new(id), ..event });
        }
        for (id, event) in file.vendor {
            if event.latest.is_some_and(|latest| latest < event.date) {
                let words = format!("event {id}: `latest` is before `date`");
                return Err(serde::de::Error::custom(words));
            }
            self.vendor.push(VendorEvent { id: PolicyId::new(id), ..event });
        }
        self.policies.sort_by(|a, b| (a.announced, &a.id).cmp(&(b.announced, &b.id)));
        self.vendor.sort_by(|a, b| (a.date, &a.id).cmp(&(b.date, &b.id)));
        Ok(())
    }

    /// The act with this id.
    pub fn policy(&self, id: &str) -> Option<&PolicyEvent> {
        self.policies.iter().find(|p| p.id.as_str() == id)
    }
}

fn unnamed() -> PolicyId {
    PolicyId::new("unnamed")
}
