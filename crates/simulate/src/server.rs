//! The servers that clients talk to.
//!
//! Names come from the world's parameters, by default public host patterns of the vendors;
//! addresses are documentation space (RFC 5737), because a world must not depend on where
//! a name pointed on some day.
//!
//! **Invariant:** servers of a kind are neighbours, so that a kind is a range; those with
//! a name come first, so that a server's place is its name's.

use std::ops::Range;

use crate::Error;
use crate::params::Endpoints;

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
    /// Update servers of other vendors.
    Rivals,
    /// Update servers of the product that the vendor moves consumers to.
    Successor,
    /// Where the vendor moves its update servers.
    Moved,
    /// Anything else: no name.
    Other,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Update,
        Self::Reputation,
        Self::Windows,
        Self::Control,
        Self::Rivals,
        Self::Successor,
        Self::Moved,
        Self::Other,
    ];

    /// How the truth calls it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Reputation => "reputation",
            Self::Windows => "windows",
            Self::Control => "control",
            Self::Rivals => "rival",
            Self::Successor => "successor",
            Self::Moved => "moved",
            Self::Other => "other",
        }
    }
}

const VENDOR_SPACE: u32 = 0xc633_6400; // 198.51.100.0/24
const CONTROL_SPACE: u32 = 0xcb00_7100; // 203.0.113.0/24
const OTHER_SPACE: u32 = 0xc000_0200; // 192.0.2.0/24
/// Hosts of a /24 of documentation space.
const SPACE_HOSTS: u32 = 254;
/// What `*` in a name stands for.
const NUMBERS: Range<u8> = 0..20;

/// All servers of a world.
pub(crate) struct Servers {
    list: Vec<Server>,
    ranges: [Range<ServerIndex>; Kind::ALL.len()],
}

impl Servers {
    /// By place.
    pub(crate) fn all(&self) -> &[Server] {
        &self.list
    }

    /// The places of a kind.
    pub(crate) fn range(&self, kind: Kind) -> Range<ServerIndex> {
        self.ranges[kind as usize].clone()
    }

    /// The server at a place.
    pub(crate) fn at(&self, place: ServerIndex) -> &Server {
        &self.list[usize::from(place)]
    }

    /// What the server at a place is for.
    pub(crate) fn kind(&self, place: ServerIndex) -> Kind {
        let is_in = |kind: &Kind| self.ranges[*kind as usize].contains(&place);
        Kind::ALL.into_iter().find(is_in).expect("ranges cover the list")
    }
}

/// The servers that a world's endpoints name.
pub(crate) fn all(endpoints: &Endpoints) -> Result<Servers, Error> {
    let names = [
        ("endpoints.update", &endpoints.update),
        ("endpoints.reputation", &endpoints.reputation),
        ("endpoints.windows", &endpoints.windows),
        ("endpoints.control", &endpoints.control),
        ("endpoints.rivals", &endpoints.rivals),
        ("endpoints.successor", &endpoints.successor),
        ("endpoints.moved", &endpoints.moved),
    ];
    let mut kinds = Vec::new();
    for (key, list) in names {
        kinds.push(hosts(key, list)?);
    }
    if endpoints.nameless == 0 {
        return Err(refused("endpoints.nameless", "0", "from 1 to 200"));
    }
    kinds.push((0..endpoints.nameless).map(|_| (None, 443)).collect());
    let mut servers = Servers { list: Vec::new(), ranges: Default::default() };
    let mut used = [0u32; 3];
    for (kind, hosts) in Kind::ALL.into_iter().zip(kinds) {
        let from = servers.place_next();
        for (name, port) in hosts {
            let (place, space) = match kind {
                Kind::Update | Kind::Reputation | Kind::Moved => (0, VENDOR_SPACE),
                Kind::Windows | Kind::Control => (1, CONTROL_SPACE),
                Kind::Rivals | Kind::Successor | Kind::Other => (2, OTHER_SPACE),
            };
            used[place] += 1;
            let address = 0xffff_0000_0000 | u128::from(space + used[place]);
            servers.list.push(Server { name, address, port });
        }
        servers.ranges[kind as usize] = from..servers.place_next();
    }
    match used.into_iter().find(|n| *n > SPACE_HOSTS) {
        Some(many) => {
            Err(refused("endpoints", &many.to_string(), "at most 254 hosts of a side"))
        }
        None => Ok(servers),
    }
}

impl Servers {
    fn place_next(&self) -> ServerIndex {
        // More than fit are refused by their addresses.
        ServerIndex::try_from(self.list.len()).unwrap_or(ServerIndex::MAX)
    }
}

type Host = (Option<String>, u16);

fn hosts(key: &'static str, list: &[String]) -> Result<Vec<Host>, Error> {
    let mut hosts = Vec::new();
    for text in list {
        let (name, port) = host(text)
            .ok_or_else(|| refused(key, text, "like `s*.example.com:443`"))?;
        if name.contains('*') {
            let number = |n: u8| (Some(name.replace('*', &format!("{n:02}"))), port);
            hosts.extend(NUMBERS.map(number));
        } else {
            hosts.push((Some(name.to_owned()), port));
        }
    }
    if hosts.is_empty() {
        return Err(refused(key, "empty", "one or more of `name:port`"));
    }
    Ok(hosts)
}

/// A host name, perhaps with one `*`, and a port.
fn host(text: &str) -> Option<(&str, u16)> {
    let (name, port) = text.split_once(':')?;
    let port: u16 = port.parse().ok().filter(|p| *p > 0)?;
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 60
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
    };
    let whole = name.len() <= 250 && name.matches('*').count() <= 1;
    (whole && name.split('.').all(label)).then_some((name, port))
}

fn refused(name: &'static str, value: &str, hint: &'static str) -> Error {
    Error::Parameter { name, value: value.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_where_their_ranges_say() {
        let servers = all(&Endpoints::default()).unwrap();
        let of = |kind: Kind| {
            let range = servers.range(kind);
            &servers.all()[usize::from(range.start)..usize::from(range.end)]
        };
        let names = |kind| of(kind).iter().map(|s| s.name.as_deref().unwrap_or(""));
        assert!(names(Kind::Update).all(|n| n.ends_with(".kaspersky.com")));
        assert_eq!(of(Kind::Update).len(), 61);
        assert_eq!(names(Kind::Update).next(), Some("s00.upd.kaspersky.com"));
        assert!(names(Kind::Reputation).all(|n| n.contains("kaspersky")));
        assert_eq!(names(Kind::Windows).next(), Some("download.windowsupdate.com"));
        assert_eq!(names(Kind::Control).next(), Some("update.googleapis.com"));
        assert!(names(Kind::Moved).all(|n| !n.contains("kaspersky")));
        assert!(names(Kind::Other).all(str::is_empty));
        for (place, _) in (0u16..).zip(servers.all()) {
            assert!(servers.range(servers.kind(place)).contains(&place));
        }
        let mut addresses: Vec<_> = servers.all().iter().map(|s| s.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), servers.all().len());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", "a", "a:", "a:0", "a:70000", ":443", "a..b:1", "a b:1", "*.*:1"]
        {
            assert_eq!(host(text), None, "{text}");
        }
        assert_eq!(host("u*.a-b.example:8080"), Some(("u*.a-b.example", 8080)));
    }
}
