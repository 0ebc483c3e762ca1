//! Who held an address, when, and how sure we are.
//!
//! **Invariant:** "nobody known" is a value ([`Attribution::UNATTRIBUTED`]); shared space
//! never proves one organisation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::word;
use crate::{
    Address, Asn, Client, Country, Day, DayRange, OrgId, Organisation, Standing,
};

/// Who held an address on a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// The holder, or `None` if nobody is known.
    pub organisation: Option<OrgId>,
    /// Origin AS, if known.
    pub asn: Option<Asn>,
    /// What kind of network it is.
    pub kind: NetworkKind,
    /// Whether many organisations share the address.
    pub shared: Shared,
    /// Where the organisation is registered.
    pub org_country: Option<Country>,
    /// Where the address is used.
    pub addr_country: Option<Country>,
    /// 0 (a guess) to 1 (the user's own table).
    pub confidence: f32,
}

impl Attribution {
    /// Nobody known.
    pub const UNATTRIBUTED: Self = Self {
        organisation: None,
        asn: None,
        kind: NetworkKind::Unknown,
        shared: Shared::No,
        org_country: None,
        addr_country: None,
        confidence: 0.0,
    };
}

word! {
    /// What kind of network an address is in. Government and education are sectors.
    NetworkKind {
        /// The organisation's own network.
        Own = "own",
        /// Leased to businesses by an access provider.
        IspBusiness = "isp_business",
        /// Consumers of an access provider.
        Eyeball = "eyeball",
        /// A mobile operator's subscribers.
        Mobile = "mobile",
        /// Servers rented out.
        Hosting = "hosting",
        /// Announced from many places.
        Anycast = "anycast",
        /// Not known.
        Unknown = "unknown",
    }
}

word! {
    /// Whether many organisations are behind one address.
    Shared {
        /// As far as known, one holder.
        No = "no",
        /// Carrier-grade translation.
        Cgnat = "cgnat",
        /// VPN, Tor or cloud egress.
        Proxy = "proxy",
        /// A content network.
        Cdn = "cdn",
    }
}

/// A stretch of days with one attribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenure {
    /// The days, both ends included.
    pub days: DayRange,
    /// Who held the address on them.
    pub attribution: Attribution,
}

/// Answers who held an address. The atlas is one; tests have smaller ones.
pub trait Holders: Send + Sync {
    /// The tenures of `client` that cover `days` wholly, in order, without overlap.
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure>;

    /// The same of a client without a site, and the last address, from the client's on, of
    /// a run of addresses that all have these tenures: whoever asks in the order of
    /// addresses asks once for each run.
    fn tenures_of_run(
        &self,
        client: &Client,
        days: DayRange,
    ) -> (Vec<Tenure>, Address) {
        (self.tenures(client, days), client.address)
    }

    /// How directly it is proven who held `client` on `day`. Of clients without a site it is
    /// the same for all addresses of a run.
    fn standing(&self, client: &Client, day: Day) -> Standing;

    /// What is known of an organisation that a tenure named.
    fn organisation(&self, id: &OrgId) -> Option<Organisation>;
}
