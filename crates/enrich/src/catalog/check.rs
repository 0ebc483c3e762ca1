//! What is doubtful in a catalog that can be read.
//!
//! **Invariant:** a warning never changes what matches.

use std::fmt;

use tidegauge_model::{Endpoint, EndpointId, Pattern};

use super::{Catalog, Place};

/// A label that no entry names, to look below a suffix with.
const SAMPLE_LABEL: &str = "tidegauge-sample";

/// Something doubtful about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The entry.
    pub endpoint: EndpointId,
    /// Where it is written.
    pub place: Place,
    /// What is doubtful.
    pub doubt: Doubt,
}

/// What can be doubtful about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Another entry takes every flow that this one could match.
    Shadowed {
        /// The other entry.
        by: EndpointId,
    },
    /// The entry does not say where it is known from.
    NoSource,
    /// Addresses that serve others too never match, and no date says when they were seen.
    NeverMatches,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ", self.place, self.endpoint)?;
        match &self.doubt {
            Doubt::Shadowed { by } => write!(f, "never matches: {by} takes its flows"),
            Doubt::NoSource => write!(f, "has no source"),
            Doubt::NeverMatches => {
                write!(f, "never matches: its addresses are shared, and it is undated")
            }
        }
    }
}

impl Catalog {
    /// Everything doubtful, by entry.
    pub fn check(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (at, (endpoint, place)) in
            self.endpoints.iter().zip(&self.places).enumerate()
        {
            let shadow = self.shadow(at, endpoint);
            let shadowed = shadow.map(|by| Doubt::Shadowed { by: by.id.clone() });
            let no_source = endpoint.source.is_empty().then_some(Doubt::NoSource);
            let shared =
                matches!(endpoint.pattern, Pattern::Prefix(_)) && !endpoint.exclusive;
            let dated = endpoint.valid.length_days() <= DATED_DAYS_MAX;
            let never = (shared && !dated).then_some(Doubt::NeverMatches);
            for doubt in [shadowed, no_source, never].into_iter().flatten() {
                let (endpoint, place) = (endpoint.id.clone(), place.clone());
                warnings.push(Warning { endpoint, place, doubt });
            }
        }
        warnings
    }

    /// The entry that takes all flows of the one at `at`, if there is one. Regular
    /// expressions cannot be compared, so suffixes are tried on the name and on a sample
    /// below it.
    fn shadow(&self, at: usize, endpoint: &Endpoint) -> Option<&Endpoint> {
        let samples = match &endpoint.pattern {
            Pattern::Exact(host) => vec![host.clone()],
            Pattern::Suffix(host) => {
                vec![host.clone(), format!("{SAMPLE_LABEL}.{host}")]
            }
            Pattern::Prefix(prefix) if endpoint.exclusive => {
                let mut ends = [prefix.first(), prefix.last()].map(|address| {
                    let mut first = None;
                    self.index.by_address(address, &mut |other| {
                        first = self.covering(other, at, endpoint);
                        first.is_none() && other != at
                    });
                    first
                });
                let same = ends[0].map(|e| &e.id) == ends[1].map(|e| &e.id);
                return ends[0].take().filter(|_| same);
            }
            _ => return None,
        };
        let mut takers = samples.iter().map(|host| {
            let mut first = None;
            self.index.by_name(host, None, &mut |other| {
                first = self.covering(other, at, endpoint);
                first.is_none() && other != at
            });
            first
        });
        let taker = takers.next()??;
        takers.all(|other| other.is_some_and(|o| o.id == taker.id)).then_some(taker)
    }

    /// The entry at `other`, if it holds wherever `endpoint` (at `at`) does.
    fn covering(
        &self,
        other: usize,
        at: usize,
        endpoint: &Endpoint,
    ) -> Option<&Endpoint> {
        let found = self.endpoints.get(other).filter(|_| other != at)?;
        let days = found.valid.contains(endpoint.valid.first())
            && found.valid.contains(endpoint.valid.last());
        let ports = found.ports.is_empty()
            || !endpoint.ports.is_empty()
                && endpoint.ports.iter().all(|p| found.ports.contains(p));
        (days && ports).then_some(found)
    }
}

/// An entry that holds for no longer than this is a dated observation: a leap year, for
/// those of which only the year is known.
const DATED_DAYS_MAX: u32 = 366;
