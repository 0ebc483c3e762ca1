//! What changes if addresses are attributed as of another day.
//!
//! **Invariant:** books close: what is compared is what stayed and what changed, and each
//! address that changed is counted under one cause, the first that holds of
//! [`Cause`]'s list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tidegauge_model::{
    Attribution, Client, Country, Day, Holders, NetworkKind, OrgId, SectorId, Shared,
};

use super::HolderMap;

/// The organisations before and after; `None` is nobody.
pub type Move = (Option<OrgId>, Option<OrgId>);

/// How the attributions of clients differ between two days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Clients compared.
    pub clients: u64,
    /// Whose origin AS differs.
    pub asn: u64,
    /// Whose organisation differs.
    pub organisation: u64,
    /// Whose network kind differs.
    pub kind: u64,
    /// Whose country of use differs.
    pub addr_country: u64,
    /// Clients that changed organisation, by the one before and the one after.
    pub moves: BTreeMap<Move, u64>,
}

/// How much of the address space changed hands between two days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Of IPv4, in addresses.
    pub v4: Share,
    /// Of IPv6, in networks of /64, each counted where its first address is.
    pub v6: Share,
    /// What moved, by organisation before and after: IPv4 addresses, and /64 networks.
    pub moves: BTreeMap<Move, (u64, u64)>,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Held by somebody on either day.
    pub held: u64,
    /// Held by another organisation on the second, or by nobody on one of the days.
    pub moved: u64,
}

/// Where an address is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of the organisation; of the address where nobody is known.
    pub country: Option<Country>,
    /// The organisation's primary sector.
    pub sector: Option<SectorId>,
    /// The kind of network.
    pub kind: NetworkKind,
}

/// Why an address is counted elsewhere, or for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// An organisation held it on the first day, nobody known on the second.
    Unattributed,
    /// The other way round.
    Attributed,
    /// Another organisation holds it.
    Moved,
    /// The same one holds it, in another kind of network, or shares it.
    Kind,
    /// The same one, registered in another country.
    Country,
    /// The same one, in another sector.
    Sector,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unattributed => "became unattributed",
            Self::Attributed => "became attributed",
            Self::Moved => "moved between organisations",
            Self::Kind => "changed kind of network",
            Self::Country => "changed country",
            Self::Sector => "changed sector",
        })
    }
}

/// The change of one cell into another, or within one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Clients.
    pub clients: u64,
    /// Organisations that held them on the first day.
    pub before: BTreeSet<OrgId>,
    /// Organisations that held them on the second.
    pub after: BTreeSet<OrgId>,
}

/// The same clients counted on two maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reattribution {
    /// Clients compared.
    pub clients: u64,
    /// Clients by cell on the first map, and on the second.
    pub cells: BTreeMap<Place, (u64, u64)>,
    /// What changed, by cell before, cell after, and cause.
    pub changes: BTreeMap<(Place, Place, Cause), Change>,
}

impl Reattribution {
    /// Clients of whom nothing that is counted changed.
    pub fn unchanged(&self) -> u64 {
        self.clients - self.changes.values().map(|c| c.clients).sum::<u64>()
    }
}

impl HolderMap {
    /// Attributes each client on day `a` and on day `b`, and counts the differences.
    pub fn diff(
        &self,
        a: Day,
        b: Day,
        clients: impl IntoIterator<Item = Client>,
    ) -> Diff {
        let mut diff = Diff::default();
        for client in clients {
            let (before, after) =
                (self.attribute(&client, a), self.attribute(&client, b));
            diff.clients += 1;
            diff.asn += u64::from(before.asn != after.asn);
            diff.kind += u64::from(before.kind != after.kind);
            diff.addr_country += u64::from(before.addr_country != after.addr_country);
            if before.organisation != after.organisation {
                diff.organisation += 1;
                let of = (before.organisation, after.organisation);
                *diff.moves.entry(of).or_default() += 1;
            }
        }
        diff
    }

    /// How much of all address space that any table names changed hands.
    pub fn turnover(&self, a: Day, b: Day) -> Turnover {
        let mut turnover = Turnover::default();
        for (first, last, before, after) in self.ranges_on(a, b) {
            let (before, after) = (before.organisation(), after.organisation());
            if before.is_none() && after.is_none() {
                continue;
            }
            let v4 = tidegauge_model::Address::from_bits(first).is_v4();
            let (share, size) = if v4 {
                (&mut turnover.v4, last - first + 1)
            } else {
                (&mut turnover.v6, networks(first, last))
            };
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            share.held = share.held.saturating_add(size);
            if before != after {
                share.moved = share.moved.saturating_add(size);
                let of = (before.cloned(), after.cloned());
                let moved = turnover.moves.entry(of).or_default();
                let part = if v4 { &mut moved.0 } else { &mut moved.1 };
                *part = part.saturating_add(size);
            }
        }
        turnover
    }

    /// Counts each client in its cell on the map of day `a` and on that of day `b`, and
    /// says of each that is counted elsewhere, or for somebody else, why.
    pub fn reattribution(
        &self,
        a: Day,
        b: Day,
        clients: impl IntoIterator<Item = Client>,
    ) -> Reattribution {
        let mut told = Reattribution::default();
        for client in clients {
            let (before, after) =
                (self.attribute(&client, a), self.attribute(&client, b));
            let places = (self.place(&before), self.place(&after));
            told.clients += 1;
            told.cells.entry(places.0.clone()).or_default().0 += 1;
            told.cells.entry(places.1.clone()).or_default().1 += 1;
            let Some(cause) = cause((&before, &places.0), (&after, &places.1)) else {
                continue;
            };
            let change = told.changes.entry((places.0, places.1, cause)).or_default();
            change.clients += 1;
            change.before.extend(before.organisation);
            change.after.extend(after.organisation);
        }
        told
    }

    /// Where the census counts a client so attributed.
    fn place(&self, attribution: &Attribution) -> Place {
        let held = attribution.organisation.as_ref();
        let organisation = held.and_then(|id| self.organisation(id));
        let registered = attribution.org_country.filter(|_| held.is_some());
        Place {
            country: registered
                .or(organisation.as_ref().and_then(|o| o.country))
                .or(attribution.addr_country),
            sector: organisation.and_then(|o| o.sector.clone()),
            kind: attribution.kind,
        }
    }
}

/// How many /64 begin between two addresses, both included.
fn networks(first: u128, last: u128) -> u128 {
    let inside = first & u128::from(u64::MAX) != 0;
    let begin = (first >> 64) + u128::from(inside);
    ((last >> 64) + 1).saturating_sub(begin)
}

fn cause(
    (before, from): (&Attribution, &Place),
    (after, to): (&Attribution, &Place),
) -> Option<Cause> {
    let shares = |a: &Attribution| a.shared != Shared::No;
    match (&before.organisation, &after.organisation) {
        (Some(_), None) => Some(Cause::Unattributed),
        (None, Some(_)) => Some(Cause::Attributed),
        (a, b) if a != b => Some(Cause::Moved),
        _ if before.kind != after.kind || shares(before) != shares(after) => {
            Some(Cause::Kind)
        }
        _ if from.country != to.country => Some(Cause::Country),
        _ if from.sector != to.sector => Some(Cause::Sector),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_counted_once_where_it_begins() {
        let one = 1u128 << 64;
        assert_eq!(networks(one, 2 * one - 1), 1);
        assert_eq!(networks(one, 3 * one - 1), 2);
        assert_eq!(networks(one, one), 1, "the rest of the /64 counts none");
        assert_eq!(networks(one + 1, 2 * one - 1), 0);
        assert_eq!(networks(one + 1, one + 5), 0);
        assert_eq!(networks(0, u128::MAX), one);
    }
}
