//! What would change if addresses were attributed as of another day.

use std::collections::BTreeMap;

use tidegauge_model::{Client, Day, OrgId};

use super::Atlas;

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
    /// Clients that changed organisation, by the one before and the one after; `None` is
    /// nobody.
    pub moves: BTreeMap<(Option<OrgId>, Option<OrgId>), u64>,
}

impl Atlas {
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
}
