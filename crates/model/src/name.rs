//! Identifiers. Each is its own type, so that two of them cannot be swapped.
//!
//! **Invariant:** an identifier is never empty; it is cheap to clone (shared text).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! identifier {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
                 serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps `text`, which must not be empty.
            pub fn new(text: impl AsRef<str>) -> Self {
                let text = text.as_ref();
                debug_assert!(!text.is_empty(), "an identifier is never empty");
                Self(Arc::from(text))
            }

            /// The text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

identifier! {
    /// A product whose use is measured, as named by its file in `catalog/`: `kaspersky`.
    ProductId;
    /// One dated entry of the catalog: `kaspersky/upd-suffix`.
    EndpointId;
    /// Where telemetry was seen: `rita`.
    VantageId;
    /// A network of the holder of a vantage; scopes private client addresses.
    SiteId;
    /// An organisation: `as:3320` or an id given by the user's own table.
    OrgId;
    /// A sector of `sectors/`: `government`.
    SectorId;
    /// A table of the atlas, the same name for all of its snapshots: `ip2asn`.
    SourceId;
    /// A policy or vendor event of `policies/`: `US-BIS-2024-updates`.
    PolicyId;
}
