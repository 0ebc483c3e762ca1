//! Which rows of a portfolio a client belongs to, and why.
//!
//! **Invariant:** the same answer as comparing the client with everything that every row
//! gives (the test does). A client belongs to a row once, by its best reason. Shared space
//! never proves an organisation; what is passed over for that is counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tidegauge_model::{
    Asn, Attribution, Client, NetworkKind, OrgId, Prefix, Shared, SiteId,
};

use crate::portfolio::Subject;
use crate::portfolio::subject::is_private;

/// How sure it is that an address originated by a row's AS is the row's own and not its
/// customer's, on a network that is known to be its own. Picked by hand, revisit.
pub const ASN_STRENGTH: f64 = 0.8;
/// The same on a network of unknown kind, against what it would be worth on one known to
/// be the row's own. Picked by hand, revisit.
pub const UNKNOWN_KIND_STRENGTH: f64 = 0.5;

/// Why a client is a row's, strongest first.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The row gives this network as its own.
    Prefix(Prefix),
    /// A private client at a site that the row gives.
    Site(SiteId),
    /// The atlas says that this organisation, which the row gives, held the address.
    Organisation(OrgId),
    /// The address was originated by this AS, which the row gives.
    Asn(Asn),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => {
                write!(f, "the portfolio lists its network {prefix}")
            }
            Self::Site(site) => write!(f, "the portfolio lists its site {site}"),
            Self::Organisation(id) => write!(
                f,
                "the atlas has {id} as the holder that day, whom the portfolio lists"
            ),
            Self::Asn(asn) => write!(
                f,
                "{asn} originated the address that day, which the portfolio lists"
            ),
        }
    }
}

/// A client's row.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Position of the row.
    pub row: usize,
    /// Why.
    pub by: By,
    /// How sure it is, 0 to 1.
    pub strength: f64,
}

/// Why a client that looks like a row's is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// Many organisations share the address.
    Shared(Shared),
    /// The network is rented out to others.
    Kind(NetworkKind),
    /// The row says that the network is not its own.
    Except,
    /// A pseudonym stands for the address, and the row was seen on that day by what may well be
    /// it, or excepts addresses, of which it may be one.
    Pseudonym,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(shared) => write!(f, "shared address space ({shared})"),
            Self::Kind(kind) => write!(f, "a network that others use ({kind})"),
            Self::Except => f.write_str("excepted by the portfolio"),
            Self::Pseudonym => {
                f.write_str("of addresses that are no longer kept: known of that day, or perhaps excepted")
            }
        }
    }
}

/// Where a client belongs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matches {
    /// The rows it belongs to, in file order.
    pub matched: Vec<Match>,
    /// The rows it might, and why it was passed over.
    pub passed: Vec<(usize, Passed)>,
}

/// An index over the rows of a portfolio.
#[derive(Debug, Default)]
pub struct Index<'a> {
    subjects: &'a [Subject],
    /// Rows by prefix; looked up once for each length in use.
    by_prefix: BTreeMap<Prefix, Vec<usize>>,
    /// The lengths in use, 128-bit form.
    lengths: Vec<u8>,
    by_asn: BTreeMap<Asn, Vec<usize>>,
    by_organisation: BTreeMap<OrgId, Vec<usize>>,
    by_site: BTreeMap<SiteId, Vec<usize>>,
}

impl<'a> Index<'a> {
    /// Indexes `subjects` by their position.
    pub fn new(subjects: &'a [Subject]) -> Self {
        let mut index = Self { subjects, ..Self::default() };
        for (row, subject) in subjects.iter().enumerate() {
            for prefix in subject.prefixes.iter().filter(|p| !is_private(**p)) {
                index.by_prefix.entry(*prefix).or_default().push(row);
            }
            for asn in &subject.asns {
                index.by_asn.entry(*asn).or_default().push(row);
            }
            for id in &subject.organisations {
                index.by_organisation.entry(id.clone()).or_default().push(row);
            }
            for site in &subject.sites {
                index.by_site.entry(site.clone()).or_default().push(row);
            }
        }
        index.lengths = index.by_prefix.keys().map(|p| p.length()).collect();
        index.lengths.sort_unstable();
        index.lengths.dedup();
        index
    }

    /// The rows that `client` belongs to, held as `held` says.
    pub fn matches(&self, client: &Client, held: &Attribution) -> Matches {
        let mut found: BTreeMap<usize, (By, f64)> = BTreeMap::new();
        let mut passed = Vec::new();
        // Weakest first, so that stronger reasons replace them.
        for (row, by, strength) in self.by_holder(client, held) {
            match passed_over(held) {
                Some(why) => passed.push((row, why)),
                None => _ = found.insert(row, (by, strength)),
            }
        }
        for (row, by) in self.by_network(client) {
            found.insert(row, (by, 1.0));
        }
        // Whether a pseudonym is of an address that the row excepts nobody can tell.
        let why = if client.address.is_pseudonym() {
            Passed::Pseudonym
        } else {
            Passed::Except
        };
        let excepted = |row: &usize| {
            let except =
                self.subjects.get(*row).map_or(&[][..], |s| s.except.as_slice());
            let any = except.iter().any(|p| p.contains(client.address));
            any || why == Passed::Pseudonym && !except.is_empty()
        };
        let (out, kept): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(row, _)| excepted(row));
        passed.extend(out.into_iter().map(|(row, _)| (row, why)));
        passed.retain(|(row, _)| !kept.iter().any(|(k, _)| k == row));
        passed.sort_unstable();
        passed.dedup_by_key(|(row, _)| *row);
        let matched =
            kept.into_iter().map(|(row, (by, strength))| Match { row, by, strength });
        Matches { matched: matched.collect(), passed }
    }

    /// By what the row itself lists: its word is taken.
    fn by_network(&self, client: &Client) -> Vec<(usize, By)> {
        if let Some(site) = &client.site {
            let rows = self.by_site.get(site).into_iter().flatten().copied();
            let within = |row: &usize| {
                let prefixes = self.subjects.get(*row).map(|s| s.prefixes.as_slice());
                let mut private = prefixes
                    .unwrap_or_default()
                    .iter()
                    .filter(|p| is_private(**p))
                    .peekable();
                private.peek().is_none() || private.any(|p| p.contains(client.address))
            };
            let by = || By::Site(site.clone());
            return rows.filter(within).map(|row| (row, by())).collect();
        }
        let longest_last = self.lengths.iter();
        let prefixes = longest_last.map(|l| Prefix::containing(client.address, *l));
        prefixes
            .filter_map(|p| Some((p, self.by_prefix.get(&p)?)))
            .flat_map(|(p, rows)| rows.iter().map(move |row| (*row, By::Prefix(p))))
            .collect()
    }

    /// By what others say of the address; weakest first.
    fn by_holder(&self, client: &Client, held: &Attribution) -> Vec<(usize, By, f64)> {
        if client.site.is_some() {
            return Vec::new();
        }
        let kind = match held.kind {
            NetworkKind::Unknown => UNKNOWN_KIND_STRENGTH,
            _ => 1.0,
        };
        let by_asn = held.asn.and_then(|asn| Some((asn, self.by_asn.get(&asn)?)));
        let by_asn = by_asn.into_iter().flat_map(|(asn, rows)| {
            rows.iter().map(move |row| (*row, By::Asn(asn), ASN_STRENGTH * kind))
        });
        let organisation = held.organisation.as_ref();
        let by_organisation =
            organisation.and_then(|id| Some((id, self.by_organisation.get(id)?)));
        let by_organisation = by_organisation.into_iter().flat_map(|(id, rows)| {
            let strength = f64::from(held.confidence).clamp(0.0, 1.0) * kind;
            rows.iter().map(move |row| (*row, By::Organisation(id.clone()), strength))
        });
        by_asn.chain(by_organisation).collect()
    }
}

/// Why an address so held proves no organisation.
fn passed_over(held: &Attribution) -> Option<Passed> {
    match (held.shared, held.kind) {
        (Shared::No, NetworkKind::Own | NetworkKind::Unknown) => None,
        (Shared::No, kind) => Some(Passed::Kind(kind)),
        (shared, _) => Some(Passed::Shared(shared)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(prefixes: &[&str], asns: &[u32], organisations: &[&str]) -> Subject {
        Subject {
            prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(),
            asns: asns.iter().copied().map(Asn).collect(),
            organisations: organisations.iter().map(OrgId::new).collect(),
            ..Subject::default()
        }
    }

    fn client(address: &str) -> Client {
        Client { address: address.parse().unwrap(), site: None }
    }

    fn held(asn: Option<u32>, organisation: Option<&str>) -> Attribution {
        Attribution {
            asn: asn.map(Asn),
            organisation: organisation.map(OrgId::new),
            kind: NetworkKind::Own,
            confidence: 0.9,
            ..Attribution::UNATTRIBUTED
        }
    }

    #[test]
    fn the_index_agrees_with_comparing_everything() {
        let subjects = [
            subject(&["192.0.2.0/24", "2001:db8::/32"], &[], &[]),
            subject(&["192.0.2.128/25"], &[64496], &["org"]),
            subject(&["0.0.0.0/0"], &[], &[]),
            subject(&[], &[64496], &["org", "other"]),
        ];
        let index = Index::new(&subjects);
        let addresses =
            ["192.0.2.1", "192.0.2.200", "198.51.100.1", "2001:db8::1", "::1"];
        for client in addresses.map(client) {
            for asn in [None, Some(64496), Some(1)] {
                for organisation in [None, Some("org"), Some("third")] {
                    let held = held(asn, organisation);
                    let all = subjects.iter().enumerate().filter(|(_, s)| {
                        s.prefixes.iter().any(|p| p.contains(client.address))
                            || held.asn.is_some_and(|asn| s.asns.contains(&asn))
                            || held
                                .organisation
                                .as_ref()
                                .is_some_and(|o| s.organisations.contains(o))
                    });
                    let expected: Vec<usize> = all.map(|(row, _)| row).collect();
                    let matches = index.matches(&client, &held);
                    let rows: Vec<usize> =
                        matches.matched.iter().map(|m| m.row).collect();
                    assert_eq!(rows, expected, "{client:?} {held:?}");
                }
            }
        }
    }

    #[test]
    fn the_best_reason_is_told() {
        let subjects = [subject(&["192.0.2.0/24", "192.0.2.0/25"], &[1], &["org"])];
        let index = Index::new(&subjects);
        let by = |address: &str, held: &Attribution| {
            let found = index.matches(&client(address), held).matched;
            let [Match { by, strength, .. }] = found.as_slice() else { panic!("one") };
            (by.to_string(), *strength)
        };
        let all = held(Some(1), Some("org"));
        let (why, strength) = by("192.0.2.1", &all);
        assert_eq!(why, "the portfolio lists its network 192.0.2.0/25");
        assert!((strength - 1.0).abs() < 1e-9);
        let (why, strength) = by("198.51.100.1", &all);
        assert!(why.contains("org as the holder"), "{why}");
        assert!((strength - 0.9).abs() < 1e-6, "as sure as the atlas is");
        let (why, strength) = by("198.51.100.1", &held(Some(1), None));
        assert!(why.starts_with("AS1 originated"), "{why}");
        assert!((strength - ASN_STRENGTH).abs() < 1e-9);
    }

    #[test]
    fn shared_space_proves_no_organisation_and_is_counted() {
        let mut row = subject(&["192.0.2.0/24"], &[1], &[]);
        row.except = vec!["192.0.2.128/25".parse().unwrap()];
        let subjects = [row];
        let index = Index::new(&subjects);
        let shared = Attribution { shared: Shared::Cgnat, ..held(Some(1), None) };
        let matches = index.matches(&client("198.51.100.1"), &shared);
        assert_eq!(matches.matched, []);
        assert_eq!(matches.passed, [(0, Passed::Shared(Shared::Cgnat))]);
        let rented = Attribution { kind: NetworkKind::Hosting, ..held(Some(1), None) };
        let matches = index.matches(&client("198.51.100.1"), &rented);
        assert_eq!(matches.passed, [(0, Passed::Kind(NetworkKind::Hosting))]);
        // The row's own word on its own network is taken.
        assert_eq!(index.matches(&client("192.0.2.1"), &shared).matched.len(), 1);
        let out = index.matches(&client("192.0.2.129"), &shared);
        assert_eq!((out.matched.len(), out.passed.len()), (0, 1));
    }

    #[test]
    fn private_clients_belong_to_sites() {
        let mut hq = subject(&["10.1.0.0/16", "192.0.2.0/24"], &[], &[]);
        hq.sites = vec![SiteId::new("hq")];
        let mut lab = subject(&[], &[], &[]);
        lab.sites = vec![SiteId::new("lab"), SiteId::new("hq")];
        let subjects = [hq, lab];
        let index = Index::new(&subjects);
        let rows = |address: &str, site: &str| -> Vec<usize> {
            let client = Client { site: Some(SiteId::new(site)), ..client(address) };
            let found = index.matches(&client, &Attribution::UNATTRIBUTED);
            found.matched.iter().map(|m| m.row).collect()
        };
        assert_eq!(rows("10.1.2.3", "hq"), [0, 1]);
        assert_eq!(rows("10.2.2.3", "hq"), [1], "outside the row's private networks");
        assert_eq!(rows("10.1.2.3", "lab"), [1]);
        assert_eq!(rows("10.1.2.3", "elsewhere"), [0usize; 0]);
        let bare = index.matches(&client("10.1.2.3"), &Attribution::UNATTRIBUTED);
        assert_eq!(
            bare.matched,
            [] as [Match; 0],
            "private without a site is nobody's"
        );
    }
}
