//! Who held an address, when, and how sure we are.
//!
//! **Invariant:** "nobody known" is a value ([`Attribution::UNATTRIBUTED`]); shared space
//! never proves one organisation.

use std::borrow::Cow;
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

/// Addresses that follow each other, of which the same is told: their tenures and their
/// standings are those of any other of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The last of them.
    pub last: Address,
    /// A number that another run has too only if the same is told of it; `None` where no
    /// other is known.
    pub answer: Option<u32>,
    /// Where it lies among the others, for whoever asks for the next.
    pub place: usize,
}

/// Answers who held an address. The atlas is one; tests have smaller ones.
pub trait Holders: Send + Sync {
    /// The tenures of `client` that cover `days` wholly, in order, without overlap.
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure>;

    /// The run of addresses without a site that `address` lies in: whoever asks in the order
    /// of addresses asks once for each, and says where the one before was.
    fn run(&self, address: Address, _before: usize) -> Run {
        Run { last: address, answer: None, place: 0 }
    }

    /// How directly it is proven who held `client` on `day`.
    fn standing(&self, client: &Client, day: Day) -> Standing;

    /// The same of all of `days`, in order, without gaps.
    fn standings(&self, client: &Client, days: DayRange) -> Vec<(DayRange, Standing)> {
        let told = |day| (DayRange::one(day), self.standing(client, day));
        days.days().map(told).collect()
    }

    /// What is known of an organisation that a tenure named.
    fn organisation(&self, id: &OrgId) -> Option<Cow<'_, Organisation>>;
}
