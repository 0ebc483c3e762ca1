//! What the catalog says about a product's servers.
//!
//! **Invariant:** an endpoint has a stable id; correcting its role, weight or validity
//! never changes what is stored about past sightings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DayRange, EndpointId, Prefix, ProductId};

/// One dated entry of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Stable id, `product/name`.
    pub id: EndpointId,
    /// Whose server it is.
    pub product: ProductId,
    /// What the server does.
    pub role: Role,
    /// How a flow is recognised as going to it.
    pub pattern: Pattern,
    /// Ports that the pattern is limited to; empty means any.
    pub ports: Vec<Port>,
    /// Days on which the entry holds.
    pub valid: DayRange,
    /// Whether the server's addresses serve nobody else. Only then does an address
    /// without a name prove a contact.
    pub exclusive: bool,
    /// How much a contact proves that the product is in use.
    pub weight: Weight,
    /// Where this is known from.
    pub source: String,
    /// How well it is known.
    pub confidence: Confidence,
    /// What a reader should know.
    pub note: String,
}

/// How a flow is recognised. Host patterns are in the form of
/// [`crate::flow::canonical_host`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This host name exactly.
    Exact(String),
    /// This name and every name below it: `kaspersky.com` also means
    /// `upd.kaspersky.com`, never `notkaspersky.com`.
    Suffix(String),
    /// A regular expression over the host name.
    Regex(String),
    /// A regular expression over `METHOD target Host: name`.
    Url(String),
    /// A block of addresses.
    Prefix(Prefix),
}

impl Pattern {
    /// What to look for in a log: a name, a form of names, or addresses.
    pub fn in_words(&self) -> String {
        match self {
            Self::Exact(host) => host.clone(),
            Self::Suffix(host) => format!("{host} and names below it"),
            Self::Regex(form) => format!("names of the form {form}"),
            Self::Url(form) => format!("requests of the form {form}"),
            Self::Prefix(prefix) => format!("addresses in {prefix}"),
        }
    }
}

/// A port and its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Port number.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: crate::Protocol,
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
                 Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word used in files, columns and flags.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = crate::endpoint::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text).ok_or_else(|| {
                    crate::endpoint::UnknownWord {
                        word: text.to_owned(),
                        known: Self::ALL.iter().map(|w| w.as_str()).collect(),
                    }
                })
            }
        }
    };
}
pub(crate) use word;

/// A word outside its list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {}", known.join(", "))]
pub struct UnknownWord {
    pub(crate) word: String,
    pub(crate) known: Vec<&'static str>,
}

word! {
    /// What a server does. Only some roles are evidence of use.
    Role {
        /// Serves databases or program updates.
        Update = "update",
        /// Answers reputation queries.
        Reputation = "reputation",
        /// Checks licences.
        Activation = "activation",
        /// Takes statistics, pushes messages, hosts consoles.
        Telemetry = "telemetry",
        /// The vendor's web pages.
        Website = "website",
        /// Serves installers.
        Installer = "installer",
        /// Tells the time.
        Time = "time",
        /// Answers "is the network up".
        Reachability = "reachability",
        /// Anything else, including networks with mixed uses.
        Other = "other",
    }
}

word! {
    /// How much a contact proves that the product is in use.
    Weight {
        /// Nothing: never counted.
        Nothing = "none",
        /// Also made by machines of people who do not use the product.
        Weak = "weak",
        /// The product is installed, not that it updates.
        Presence = "presence",
        /// Mostly an update.
        Medium = "medium",
        /// An update fetch.
        Strong = "strong",
    }
}

word! {
    /// How well a fact is known.
    Confidence {
        /// Derived or doubtful.
        Low = "low",
        /// One secondary source.
        Medium = "medium",
        /// A primary source, or two independent ones.
        High = "high",
    }
}
