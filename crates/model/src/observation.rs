//! What a registry table said on the day of its snapshot: the grain in which the atlas
//! is stored.
//!
//! **Invariant:** an observation repeats its source and interprets nothing: how the gap
//! between two snapshots is filled, what a tag means and which source wins is decided
//! when an address is looked up. An observation is about one thing: a range of addresses,
//! an AS, or what its value names (an organisation, a domain).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::word;
use crate::{Address, Asn, Day, SourceId};

/// One statement of one source.
///
/// | field | `range` | `asn` | `value` | `detail` keys |
/// |---|---|---|---|---|
/// | `origin` | the range | origin AS | its name, may be empty | - |
/// | `address_country` | the range | - | country code | - |
/// | `holder` | the range | if told | organisation id | `name` `country` `addr_country` `parent` `sector` `kind` `shared` `from` `to` `confidence` |
/// | `as_name` | - | the AS | its name | `country` `class` `basis` |
/// | `as_tag` | - | the AS | the tag, as the source spells it | - |
/// | `provider` | the range | - | id of the provider | `name` `kind` `shared` `service` `region` `country` `addr_country` |
/// | `registration` | the range, | or the AS | handle of the organisation, may be empty | `name` `country` `status` `registry` `net` |
/// | `delegation` | the range, | or the AS | holder within this edition only, may be empty | `country` `status` `registry` `given` |
/// | `route` | the range | AS that may announce it | - | `registry` |
/// | `range_tag` | the range | - | tags, separated by `;` | `operator` |
/// | `organisation` | - | - | its handle | `name` `country` `registry` `alias` `website` |
/// | `domain` | - | - | the domain | `name` `country` `tag` |
/// | `frozen` | a block of pseudonyms | if told | organisation id | `country` `addr_country` `kind` `shared` `from` `to` `confidence` |
///
/// `origin` has the detail `origins` where several AS announce the range: all of them, as
/// the source writes them. `as_name` may have the detail `website`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// The table it comes from; names the same table across snapshots.
    pub source: SourceId,
    /// The day for which the table was made: it proves this date, no change instant.
    pub snapshot: Day,
    /// First and last address, both included, of one family, first <= last.
    pub range: Option<(Address, Address)>,
    /// The AS: the subject where there is no range, else the origin.
    pub asn: Option<Asn>,
    /// What kind of statement it is.
    pub field: Field,
    /// What was said.
    pub value: String,
    /// What else was said, by key; see the table above.
    pub detail: BTreeMap<String, String>,
}

word! {
    /// What an observation states.
    Field {
        /// An AS announces the range.
        Origin = "origin",
        /// The range is used in a country.
        AddressCountry = "address_country",
        /// An organisation holds the range.
        Holder = "holder",
        /// An AS has a name, and perhaps a class and a country.
        AsName = "as_name",
        /// An AS has a tag.
        AsTag = "as_tag",
        /// A provider of servers or of content publishes the range as its own.
        Provider = "provider",
        /// A registry has the range or the AS in the name of an organisation.
        Registration = "registration",
        /// A regional registry gave the range or the AS away.
        Delegation = "delegation",
        /// A routing registry allows an AS to announce the range.
        Route = "route",
        /// The range has a tag.
        RangeTag = "range_tag",
        /// An organisation has a name.
        Organisation = "organisation",
        /// A domain belongs to somebody of a kind.
        Domain = "domain",
        /// Whoever is in the range, a block of pseudonyms, was held like this.
        Frozen = "frozen",
    }
}

word! {
    /// How the days between two snapshots that disagree are filled. Where they agree
    /// there is nothing to decide.
    Gap {
        /// The earlier snapshot holds until the later one.
        Carry = "carry",
        /// The earlier one holds, with half its confidence.
        Disputed = "disputed",
        /// Nobody is known to hold the address.
        Unattributed = "unattributed",
    }
}

word! {
    /// How directly a day is proven by the source that decided it.
    Standing {
        /// The table was made on that day.
        Snapshot = "snapshot",
        /// The table itself dates its rows.
        Dated = "dated",
        /// Between two snapshots that say the same.
        Agreed = "agreed",
        /// Between two snapshots that differ: [`Gap`] decided.
        Disputed = "disputed",
        /// Before the first snapshot, which was carried back.
        BeforeFirst = "before_first",
        /// After the last snapshot, which was carried on.
        AfterLast = "after_last",
        /// As it was known when a pseudonym took the place of the address.
        Frozen = "frozen",
        /// No source says anything.
        Nobody = "nobody",
    }
}
