//! The servers that clients talk to.
//!
//! Names are public host patterns of the vendors; addresses are documentation space
//! (RFC 5737), because a world must not depend on where a name pointed on some day.
//!
//! **Invariant:** servers of a kind are neighbours in [`all`], so that a kind is a range.

use std::ops::Range;

/// A place in the list of servers.
pub(crate) type ServerIndex = u16;

/// A server.
pub(crate) struct Server {
    /// Without a name where no telemetry would show one.
    pub(crate) name: Option<String>,
    /// IPv4-mapped.
    pub(crate) address: u128,
    pub(crate) port: u16,
}

/// What a client wants of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Update servers of the product.
    Update,
    /// Its reputation service: seen beside updates, never alone.
    Reputation,
    /// Windows Update: nearly every organisation, all year.
    Windows,
    /// Other control products.
    Control,
    /// Update servers of other vendors, for scanners.
    Rivals,
    /// Anything else: no name.
    Other,
}

const UPDATE: Range<ServerIndex> = 0..61;
const REPUTATION: Range<ServerIndex> = 61..64;
const WINDOWS: Range<ServerIndex> = 64..68;
const CONTROL: Range<ServerIndex> = 68..73;
const RIVALS: Range<ServerIndex> = 73..79;
const OTHER: Range<ServerIndex> = 79..143;

impl Kind {
    /// The places of a kind.
    pub(crate) fn range(self) -> Range<ServerIndex> {
        match self {
            Self::Update => UPDATE,
            Self::Reputation => REPUTATION,
            Self::Windows => WINDOWS,
            Self::Control => CONTROL,
            Self::Rivals => RIVALS,
            Self::Other => OTHER,
        }
    }
}

const REPUTATION_NAMES: [&str; 3] = [
    "ds.kaspersky.com",
    "dc1.ksn.kaspersky-labs.com",
    "dc1-file.ksn.kaspersky-labs.com",
];
const WINDOWS_NAMES: [(&str, u16); 4] = [
    ("download.windowsupdate.com", 80),
    ("ctldl.windowsupdate.com", 80),
    ("fe2cr.update.microsoft.com", 443),
    ("tlu.dl.delivery.mp.microsoft.com", 80),
];
const CONTROL_NAMES: [(&str, u16); 5] = [
    ("update.googleapis.com", 443),
    ("aus5.mozilla.org", 443),
    ("archive.ubuntu.com", 80),
    ("swscan.apple.com", 443),
    ("armmf.adobe.com", 443),
];
const RIVAL_NAMES: [&str; 6] = [
    "update.eset.com",
    "upgrade.bitdefender.com",
    "liveupdate.symantecliveupdate.com",
    "su.ff.avast.com",
    "sophosupd.com",
    "database.clamav.net",
];

const VENDOR_SPACE: u32 = 0xc633_6400; // 198.51.100.0/24
const CONTROL_SPACE: u32 = 0xcb00_7100; // 203.0.113.0/24
const OTHER_SPACE: u32 = 0xc000_0200; // 192.0.2.0/24

/// All servers, by place.
pub(crate) fn all() -> Vec<Server> {
    let numbered = |pattern: fn(u8) -> String, port| {
        (0..20u8).map(move |n| (Some(pattern(n)), port))
    };
    let named = |names: &'static [(&'static str, u16)]| {
        names.iter().map(|(name, port)| (Some((*name).to_owned()), *port))
    };
    let on_443 = |names: &'static [&'static str]| {
        names.iter().map(|name| (Some((*name).to_owned()), 443))
    };
    let vendor = numbered(|n| format!("s{n:02}.upd.kaspersky.com"), 443)
        .chain(numbered(|n| format!("p{n:02}.upd.kaspersky.com"), 80))
        .chain(numbered(|n| format!("dnl-{n:02}.geo.kaspersky.com"), 80))
        .chain([(Some("downloads.upd.kaspersky.com".to_owned()), 443)])
        .chain(on_443(&REPUTATION_NAMES));
    let controls = named(&WINDOWS_NAMES).chain(named(&CONTROL_NAMES));
    let others = on_443(&RIVAL_NAMES).chain((0..64).map(|_| (None, 443)));
    let mut servers = place(vendor, VENDOR_SPACE);
    servers.extend(place(controls, CONTROL_SPACE));
    servers.extend(place(others, OTHER_SPACE));
    servers
}

fn place(
    servers: impl Iterator<Item = (Option<String>, u16)>,
    space: u32,
) -> Vec<Server> {
    let at = |host: u32| 0xffff_0000_0000 | u128::from(space + host);
    servers
        .zip(1u32..)
        .map(|((name, port), host)| Server { name, address: at(host), port })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_where_their_ranges_say() {
        let servers = all();
        assert_eq!(servers.len(), usize::from(OTHER.end));
        let of = |kind: Kind| {
            let range = kind.range();
            &servers[usize::from(range.start)..usize::from(range.end)]
        };
        let names = |kind| of(kind).iter().map(|s| s.name.as_deref().unwrap_or(""));
        assert!(names(Kind::Update).all(|n| n.ends_with(".kaspersky.com")));
        assert!(
            names(Kind::Update).all(|n| n.contains(".upd.") || n.contains(".geo."))
        );
        assert!(names(Kind::Reputation).all(|n| REPUTATION_NAMES.contains(&n)));
        assert_eq!(names(Kind::Windows).next(), Some("download.windowsupdate.com"));
        assert_eq!(names(Kind::Control).next(), Some("update.googleapis.com"));
        assert!(names(Kind::Rivals).all(|n| RIVAL_NAMES.contains(&n)));
        assert!(names(Kind::Other).all(str::is_empty));
    }
}
