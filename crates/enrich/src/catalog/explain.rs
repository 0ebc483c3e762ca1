//! Why a name or an address matches an entry, or does not.
//!
//! **Invariant:** the winner is the one that [`Catalog::find`] returns for a flow of which
//! only this name or address and the day are known.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Address, Day, DayRange, Endpoint, EndpointId, Pattern};

use super::{Catalog, Exclusion, Place, Probe, index, pattern_kind, pattern_text};

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A name.
    Host(String),
    /// An address.
    Address(Address),
    /// Neither.
    Neither(String),
}

impl FromStr for Subject {
    type Err = Infallible;

    /// An address if it can be one, else a name if it can be one.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let address = text.trim().parse().map(Self::Address).ok();
        let host = || canonical_host(text).map(Self::Host);
        Ok(address.or_else(host).unwrap_or_else(|| Self::Neither(text.to_owned())))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(text) => f.write_str(text),
            Self::Address(address) => write!(f, "{address}"),
            Self::Neither(text) => write!(f, "`{text}`, no name and no address,"),
        }
    }
}

/// Every entry that matches, or nearly does, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<'c> {
    /// What was asked about.
    pub subject: Subject,
    /// The day asked about.
    pub day: Day,
    /// In order of precedence; those that do not match last.
    pub verdicts: Vec<Verdict<'c>>,
    /// Exclusions that contain the address.
    pub excluded: Vec<&'c Exclusion>,
}

/// What becomes of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'c> {
    /// The entry.
    pub endpoint: &'c Endpoint,
    /// Where it is written.
    pub place: &'c Place,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of an entry that matches, or nearly does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The flow belongs to it.
    Wins,
    /// It matches, but another entry is more specific.
    LessSpecific {
        /// The more specific one.
        than: EndpointId,
    },
    /// It matches, but not on this day.
    OutOfDate(DayRange),
    /// It contains the address, but the address serves others too.
    Shared,
    /// It is about the same domain, but another name.
    OtherName,
}

impl<'c> Explanation<'c> {
    /// The entry that the flow belongs to.
    pub fn winner(&self) -> Option<&'c Endpoint> {
        let wins = |v: &&Verdict<'c>| v.outcome == Outcome::Wins;
        self.verdicts.iter().find(wins).map(|verdict| verdict.endpoint)
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.winner() {
            Some(winner) => {
                writeln!(f, "{} on {} is {}", self.subject, self.day, winner.id)?;
            }
            None => writeln!(f, "{} on {} matches nothing", self.subject, self.day)?,
        }
        for exclusion in &self.excluded {
            writeln!(f, "  excluded: {}: {}", exclusion.prefix, exclusion.note)?;
        }
        for verdict in &self.verdicts {
            writeln!(f, "  {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, place, outcome } = self;
        let kind = pattern_kind(&endpoint.pattern);
        let text = pattern_text(&endpoint.pattern);
        write!(f, "{outcome}: {} [{kind} {text}", endpoint.id)?;
        for port in &endpoint.ports {
            let protocol = match port.protocol {
                tidegauge_model::Protocol::UDP => "udp",
                _ => "tcp",
            };
            write!(f, " {}/{protocol}", port.number)?;
        }
        write!(f, "] {}, weight {}, {place}", endpoint.role, endpoint.weight)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wins => f.write_str("wins"),
            Self::LessSpecific { than } => write!(f, "less specific than {than}"),
            Self::OutOfDate(valid) => write!(f, "holds only from {valid}"),
            Self::Shared => f.write_str("the address is shared"),
            Self::OtherName => f.write_str("another name"),
        }
    }
}

impl Catalog {
    /// Lists what matches the name or address on the day, what nearly does, and why.
    pub fn explain(&self, subject: Subject, day: Day) -> Explanation<'_> {
        let (candidates, near, excluded) = match &subject {
            Subject::Host(host) => (self.named(host), self.siblings(host), Vec::new()),
            Subject::Address(address) => {
                (self.at(*address), self.shared(*address), self.excluding(*address))
            }
            Subject::Neither(_) => Default::default(),
        };
        let probe = probe(&subject, day);
        let winner = self.find_at(&probe).and_then(|(at, _)| self.endpoints.get(at));
        let mut verdicts: Vec<_> = candidates
            .iter()
            .filter_map(|at| {
                self.verdict(*at, |endpoint| outcome_of(endpoint, winner, day))
            })
            .collect();
        for (at, outcome) in near {
            if !candidates.contains(&at) {
                verdicts.extend(self.verdict(at, |_| outcome));
            }
        }
        Explanation { subject, day, verdicts, excluded }
    }

    fn verdict(
        &self,
        at: usize,
        outcome: impl FnOnce(&Endpoint) -> Outcome,
    ) -> Option<Verdict<'_>> {
        let endpoint = self.endpoints.get(at)?;
        let place = self.places.get(at)?;
        Some(Verdict { endpoint, place, outcome: outcome(endpoint) })
    }

    fn named(&self, host: &str) -> Vec<usize> {
        let mut found = Vec::new();
        self.index.by_name(host, None, &mut |at| {
            found.push(at);
            true
        });
        found
    }

    fn at(&self, address: Address) -> Vec<usize> {
        let mut found = Vec::new();
        self.index.by_address(address, &mut |at| {
            found.push(at);
            true
        });
        found
    }

    /// Entries for other names under the same last two labels.
    fn siblings(&self, host: &str) -> Vec<(usize, Outcome)> {
        let Some(domain) = domain(host) else { return Vec::new() };
        let about = |endpoint: &Endpoint| match &endpoint.pattern {
            Pattern::Exact(name) | Pattern::Suffix(name) => {
                index::parents(name).any(|parent| parent == domain)
            }
            Pattern::Regex(text) => text.contains(&domain.replace('.', "\\.")),
            Pattern::Url(_) | Pattern::Prefix(_) => false,
        };
        let siblings = self.endpoints.iter().enumerate().filter(|(_, e)| about(e));
        siblings.map(|(at, _)| (at, Outcome::OtherName)).collect()
    }

    /// Entries that contain the address but share it with others.
    fn shared(&self, address: Address) -> Vec<(usize, Outcome)> {
        let about = |endpoint: &Endpoint| match &endpoint.pattern {
            Pattern::Prefix(prefix) => !endpoint.exclusive && prefix.contains(address),
            _ => false,
        };
        let shared = self.endpoints.iter().enumerate().filter(|(_, e)| about(e));
        shared.map(|(at, _)| (at, Outcome::Shared)).collect()
    }

    fn excluding(&self, address: Address) -> Vec<&Exclusion> {
        self.exclusions.iter().filter(|e| e.prefix.contains(address)).collect()
    }
}

fn probe(subject: &Subject, day: Day) -> Probe<'_> {
    let mut probe = Probe { host: None, request: None, address: None, port: None, day };
    match subject {
        Subject::Host(host) => probe.host = Some(host),
        Subject::Address(address) => probe.address = Some(*address),
        Subject::Neither(_) => {}
    }
    probe
}

fn outcome_of(endpoint: &Endpoint, winner: Option<&Endpoint>, day: Day) -> Outcome {
    match winner {
        Some(winner) if winner.id == endpoint.id => Outcome::Wins,
        Some(winner) if endpoint.valid.contains(day) => {
            Outcome::LessSpecific { than: winner.id.clone() }
        }
        _ => Outcome::OutOfDate(endpoint.valid),
    }
}

/// The last two labels.
fn domain(host: &str) -> Option<&str> {
    let mut above = index::parents(host).collect::<Vec<_>>().into_iter().rev();
    above.nth(1)
}
