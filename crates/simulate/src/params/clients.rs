//! Endpoints, families, what follows the product, and contacts that prove no use.

use serde::{Deserialize, Serialize};

/// Host names and ports of servers, as `name:port`, by what they are for. `*` in a name
/// stands for the numbers 00 to 19: twenty hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// Update servers of the product.
    pub update: Vec<String>,
    /// Its reputation service.
    pub reputation: Vec<String>,
    /// Update servers of nearly every organisation.
    pub windows: Vec<String>,
    /// Other control products.
    pub control: Vec<String>,
    /// Update servers of rival products, the first `substitution.rivals` of them for those
    /// who left, all of them for scanners and sandboxes.
    pub rivals: Vec<String>,
    /// Update servers of the product to which the vendor moves consumers of the United
    /// States (ours: the real ones were not found).
    pub successor: Vec<String>,
    /// Where the vendor moves its hosts to (ours).
    pub moved: Vec<String>,
    /// Servers without a name, for any other traffic.
    pub nameless: u16,
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            update: list(&[
                "s*.upd.kaspersky.com:443",
                "p*.upd.kaspersky.com:80",
                "dnl-*.geo.kaspersky.com:80",
                "downloads.upd.kaspersky.com:443",
            ]),
            reputation: list(&[
                "ds.kaspersky.com:443",
                "dc1.ksn.kaspersky-labs.com:443",
                "dc1-file.ksn.kaspersky-labs.com:443",
            ]),
            windows: list(&[
                "download.windowsupdate.com:80",
                "ctldl.windowsupdate.com:80",
                "fe2cr.update.microsoft.com:443",
                "tlu.dl.delivery.mp.microsoft.com:80",
            ]),
            control: list(&[
                "update.googleapis.com:443",
                "aus5.mozilla.org:443",
                "archive.ubuntu.com:80",
                "swscan.apple.com:443",
                "armmf.adobe.com:443",
            ]),
            rivals: list(&[
                "update.eset.com:443",
                "upgrade.bitdefender.com:443",
                "liveupdate.symantecliveupdate.com:443",
                "su.ff.avast.com:443",
                "sophosupd.com:443",
                "database.clamav.net:443",
            ]),
            successor: list(&["update.successor.example:443"]),
            moved: list(&["u*.delivery.example:443"]),
            nameless: 64,
        }
    }
}

/// Parents and what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Families {
    /// Share of organisations elsewhere with a parent in the United States.
    pub us_parents: f64,
    /// Share of organisations with a parent in their own country.
    pub parents: f64,
    /// Whether those with a parent in the United States leave on its dates: as many as in
    /// their own country, but on the parent's course.
    pub follow: bool,
}

impl Default for Families {
    fn default() -> Self {
        Self { us_parents: 0.05, parents: 0.08, follow: true }
    }
}

/// What those use who left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Substitution {
    /// Share of organisations that left and use a rival product from then on.
    pub share: f64,
    /// Share of these that had the rival beside the product before.
    pub dual: f64,
    /// Days from the last day of the old to the first of the new, at most.
    pub gap_days: u16,
    /// So many of the rivals are chosen from.
    pub rivals: u16,
    /// Share of United States consumers moved by the vendor that keep what they were
    /// moved to.
    pub successor_kept: f64,
}

impl Default for Substitution {
    fn default() -> Self {
        Self { share: 0.55, dual: 0.1, gap_days: 14, rivals: 5, successor_kept: 0.6 }
    }
}

/// Contacts that prove no use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Noise {
    /// Research scanners.
    pub scanners: u32,
    /// Malware sandboxes in rented servers: products of all vendors in turn.
    pub sandboxes: u32,
    /// Exits of commercial VPNs: consumers of any country behind one rented address.
    pub vpn_exits: u32,
    /// Share of organisations without the product that show one contact in the year, where
    /// nothing of the first sight is lost.
    pub one_off: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { scanners: 30, sandboxes: 8, vpn_exits: 12, one_off: 0.1 }
    }
}
