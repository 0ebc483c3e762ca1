//! A row of the portfolio: somebody whose contacts are looked for.
//!
//! **Invariant:** a domain or a cloud account is never enough to match addresses by; both
//! are kept for people and for what reads the findings.

use serde::{Deserialize, Serialize};
use tidegauge_model::{Asn, OrgId, Prefix, SiteId};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Subject {
    /// The stable key of its findings: the column `id`, or the name where there is none.
    pub key: String,
    /// Name for people.
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// Domains.
    pub domains: Vec<String>,
    /// Networks that are theirs alone; private ones mean those at `sites`.
    pub prefixes: Vec<Prefix>,
    /// Networks within `prefixes` that are not theirs.
    pub except: Vec<Prefix>,
    /// Autonomous systems that are theirs alone.
    pub asns: Vec<Asn>,
    /// Organisations of the atlas.
    pub organisations: Vec<OrgId>,
    /// Sites whose private clients are theirs.
    pub sites: Vec<SiteId>,
    /// Accounts at cloud providers.
    pub cloud_accounts: Vec<String>,
    /// Words for rules and reports.
    pub tags: Vec<String>,
    /// How much depends on it: 1 is most.
    pub tier: Option<u8>,
    /// Key of the row through which it is ours: its supplier, or its department.
    pub parent: Option<String>,
    /// Who is written to.
    pub contact: Option<String>,
}

/// Whose a row is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Our own: addresses are shown.
    Asset,
    /// Somebody else's: addresses are masked. Unless told, a row is this.
    #[default]
    Supplier,
}

impl Kind {
    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Supplier => "supplier",
        }
    }
}

impl Subject {
    /// Whether the row gives anything that addresses can be matched by.
    pub fn is_checkable(&self) -> bool {
        !(self.prefixes.is_empty()
            && self.asns.is_empty()
            && self.organisations.is_empty()
            && self.sites.is_empty())
    }
}

/// Whether all of a network is private, so that it means a client only at a site.
pub fn is_private(prefix: Prefix) -> bool {
    // Shorter ones reach into the internet, though their ends do not.
    let shortest = if prefix.first().is_v4() { 96 + 8 } else { 7 };
    let ends = [prefix.first(), prefix.last()];
    prefix.length() >= shortest && ends.iter().all(|a| !a.is_global())
}
