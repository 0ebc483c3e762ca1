//! Routing tables as route collectors dump them: MRT `TABLE_DUMP_V2` (RFC 6396, with
//! the additional paths of RFC 8050) and the older `TABLE_DUMP`.
//!
//! **Invariant:** a prefix becomes one observation, however many peers told of it: its AS
//! is the origin that most peers saw, the lowest of equals, and where there are several,
//! all stand in the detail `origins` as in `pfx2as`, most seen first. A file that ends
//! inside a record is refused whole; an entry that cannot be read is a loss, its prefix
//! lives by the others.
//!
//! An AS that is nobody's (private, reserved, the stand-in for a wide number) is no origin:
//! the last one before it on the path is. Prefixes shorter than any that is held, such as
//! default routes, say nothing.
//!
//! What is left out: who the peers are, paths, communities, and all records that are no
//! table: updates, states.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::net::{Ipv4Addr, Ipv6Addr};

use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Asn, Prefix, Reason};

use super::{Out, Said};
use crate::atlas::AtlasError;

/// Bytes of a record at most, so that a damaged length cannot fill the memory. A prefix
/// seen by a thousand peers is some 200 KiB; picked by hand above it.
const RECORD_BYTES_MAX: u32 = 16 << 20;
/// The shortest prefixes that somebody holds: those of IANA's registries of IPv4 (/8) and
/// of IPv6 (6to4, /16).
const LENGTH_MIN_V4: u8 = 8;
const LENGTH_MIN_V6: u8 = 16;

/// Types of records (RFC 6396, 4).
const TABLE_DUMP: u16 = 12;
const TABLE_DUMP_V2: u16 = 13;
/// Those that hold no table: OSPF, BGP, BGP4+, updates, IS-IS, with and without fractions
/// of a second.
const NO_TABLE: [u16; 10] = [5, 9, 10, 11, 16, 17, 32, 33, 48, 49];

/// Attributes of a path (RFC 4271, 5; RFC 6793).
const AS_PATH: u8 = 2;
const AS4_PATH: u8 = 17;
/// Marks an attribute whose length is two bytes.
const EXTENDED: u8 = 0x10;
/// Kinds of segments of a path.
const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;
/// Stands for a number too wide for two bytes (RFC 6793).
const AS_TRANS: u32 = 23_456;

/// Reads a file.
pub(super) fn file(
    mut input: impl BufRead,
    out: &mut Out<'_>,
) -> Result<(), AtlasError> {
    let mut older = BTreeMap::new();
    let mut offset: u64 = 0;
    let mut body = Vec::new();
    loop {
        let refused = |error| AtlasError::Bytes {
            table: out.source.clone(),
            byte: offset,
            error,
        };
        let Some(head) = head(&mut input, &mut body).map_err(refused)? else { break };
        out.here = (offset, None);
        offset += 12 + u64::from(head.length);
        match record(&head, &body, &mut older, out) {
            Ok(()) => {}
            Err(reason) => out.lose_here(reason, 1),
        }
    }
    for (prefix, votes) in older {
        tell(prefix, votes, out);
    }
    Ok(())
}

/// The header of a record, of what follows its time.
struct Head {
    kind: u16,
    subtype: u16,
    length: u32,
}

/// Reads one record. `None` where the input ends between two.
fn head(input: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<Option<Head>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut bytes = [0; 12];
    input.read_exact(&mut bytes)?;
    let [_, _, _, _, k1, k2, s1, s2, l1, l2, l3, l4] = bytes;
    let head = Head {
        kind: u16::from_be_bytes([k1, k2]),
        subtype: u16::from_be_bytes([s1, s2]),
        length: u32::from_be_bytes([l1, l2, l3, l4]),
    };
    if head.length > RECORD_BYTES_MAX {
        let text = format!("a record of {} bytes", head.length);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    body.clear();
    let read = input.by_ref().take(u64::from(head.length)).read_to_end(body)?;
    if u32::try_from(read) != Ok(head.length) {
        let text = "the file ends inside a record";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    Ok(Some(head))
}

/// Who announces a prefix, and how many peers saw it.
type Votes = BTreeMap<Origin, u32>;
/// One AS, or the members of a set, in order.
type Origin = Vec<Asn>;

fn record(
    head: &Head,
    body: &[u8],
    older: &mut BTreeMap<Prefix, Votes>,
    out: &mut Out<'_>,
) -> Result<(), Reason> {
    let body = Bytes(body);
    match (head.kind, head.subtype) {
        (TABLE_DUMP, 1) => one_entry(body, Family::V4, Width::Two, older, out),
        (TABLE_DUMP, 2) => one_entry(body, Family::V6, Width::Two, older, out),
        // Of some collectors, not of the RFC: AS numbers of four bytes.
        (TABLE_DUMP, 3) => one_entry(body, Family::V4, Width::Four, older, out),
        (TABLE_DUMP, 4) => one_entry(body, Family::V6, Width::Four, older, out),
        (TABLE_DUMP_V2, 2) => entries(body, Family::V4, false, out),
        (TABLE_DUMP_V2, 4) => entries(body, Family::V6, false, out),
        (TABLE_DUMP_V2, 8) => entries(body, Family::V4, true, out),
        (TABLE_DUMP_V2, 10) => entries(body, Family::V6, true, out),
        (TABLE_DUMP_V2, 6) => generic(body, out),
        // Peers, where they are, multicast, additional paths of other families.
        (TABLE_DUMP_V2, 1 | 3 | 5 | 7 | 9 | 11 | 12) => {
            out.loaded.passed += 1;
            Ok(())
        }
        (kind, _) if NO_TABLE.contains(&kind) => {
            out.loaded.passed += 1;
            Ok(())
        }
        _ => Err(Reason::Format),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Bytes of an AS number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Two,
    Four,
}

/// | view u16 | sequence u16 | prefix | length u8 | status u8 | since u32 | peer | its AS |
/// | attributes u16 | … |
fn one_entry(
    mut body: Bytes<'_>,
    family: Family,
    width: Width,
    older: &mut BTreeMap<Prefix, Votes>,
    out: &mut Out<'_>,
) -> Result<(), Reason> {
    body.take(4)?;
    let address = body.take(family.bytes())?;
    let length = body.u8()?;
    body.take(1 + 4 + family.bytes() + width.bytes())?;
    let attributes = body.sized()?;
    let prefix = family.prefix(address, length)?;
    let origin = origin(attributes, width)?;
    let (true, Some(origin)) = (family.held(length), origin) else {
        out.loaded.passed += 1;
        return Ok(());
    };
    if older.contains_key(&prefix) {
        out.loaded.merged += 1;
    }
    *older.entry(prefix).or_default().entry(origin).or_default() += 1;
    Ok(())
}

/// | sequence u32 | length u8 | prefix | entries |
fn entries(
    mut body: Bytes<'_>,
    family: Family,
    paths: bool,
    out: &mut Out<'_>,
) -> Result<(), Reason> {
    body.u32()?;
    rib(body, family, paths, out)
}

/// | sequence u32 | AFI u16 | SAFI u8 | length u8 | prefix | entries |
fn generic(mut body: Bytes<'_>, out: &mut Out<'_>) -> Result<(), Reason> {
    body.u32()?;
    let family = match (body.u16()?, body.u8()?) {
        (1, 1) => Family::V4,
        (2, 1) => Family::V6,
        _ => {
            out.loaded.passed += 1;
            return Ok(());
        }
    };
    rib(body, family, false, out)
}

/// | length u8 | prefix | count u16 | (peer u16, since u32, path u32?, attributes) … |
fn rib(
    mut body: Bytes<'_>,
    family: Family,
    paths: bool,
    out: &mut Out<'_>,
) -> Result<(), Reason> {
    let length = body.u8()?;
    let address = body.take(usize::from(length.div_ceil(8)))?;
    let prefix = family.prefix(address, length)?;
    let mut votes = Votes::new();
    let mut bad = 0;
    for _ in 0..body.u16()? {
        body.take(if paths { 10 } else { 6 })?;
        match origin(body.sized()?, Width::Four) {
            Ok(Some(origin)) => *votes.entry(origin).or_default() += 1,
            Ok(None) => {}
            Err(_) => bad += 1,
        }
    }
    if !body.0.is_empty() {
        return Err(Reason::Length);
    }
    if bad > 0 {
        out.lose_here(Reason::Length, bad);
    }
    if !votes.is_empty() && family.held(length) {
        tell(prefix, votes, out);
    } else if bad == 0 {
        out.loaded.passed += 1;
    }
    Ok(())
}

/// Hands over what was seen of a prefix.
fn tell(prefix: Prefix, votes: Votes, out: &mut Out<'_>) {
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_by(|(a, seen_a), (b, seen_b)| seen_b.cmp(seen_a).then_with(|| a.cmp(b)));
    let Some(&first) = votes.first().and_then(|(origin, _)| origin.first()) else {
        return;
    };
    let said =
        Said::of_range(Field::Origin, prefix.first(), prefix.last()).by_as(first);
    let several = votes.len() > 1 || votes.iter().any(|(origin, _)| origin.len() > 1);
    if !several {
        out.say(said);
        return;
    }
    let written = |(origin, _): &(Origin, u32)| {
        let members: Vec<_> = origin.iter().map(|asn| asn.0.to_string()).collect();
        members.join(",")
    };
    let origins: Vec<_> = votes.iter().map(written).collect();
    out.say(said.with("origins", &origins.join("_")));
}

/// Who announces it, by the attributes of a path. `None` where the path is empty, or of
/// numbers that are nobody's.
fn origin(attributes: &[u8], width: Width) -> Result<Option<Origin>, Reason> {
    let mut rest = Bytes(attributes);
    let (mut told, mut wide) = (None, None);
    while !rest.0.is_empty() {
        let flags = rest.u8()?;
        let kind = rest.u8()?;
        let length =
            if flags & EXTENDED == 0 { u16::from(rest.u8()?) } else { rest.u16()? };
        let value = rest.take(usize::from(length))?;
        match kind {
            AS_PATH => told = Some(last(value, width)?),
            AS4_PATH => wide = Some(last(value, Width::Four)?),
            _ => {}
        }
    }
    let told = told.unwrap_or_default();
    let stands_in = width == Width::Two && told.ends_in_trans;
    let wide = wide.filter(|_| stands_in).and_then(|path| path.origin);
    Ok(wide.or(told.origin))
}

/// The end of a path.
#[derive(Default)]
struct End {
    origin: Option<Origin>,
    /// Whether its last number is the stand-in for a wide one.
    ends_in_trans: bool,
}

/// Reads a path to its end: | kind u8 | count u8 | AS … | …
fn last(path: &[u8], width: Width) -> Result<End, Reason> {
    let mut rest = Bytes(path);
    let mut end = End::default();
    while !rest.0.is_empty() {
        let kind = rest.u8()?;
        let count = rest.u8()?;
        let mut members = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            members.push(Asn(match width {
                Width::Two => u32::from(rest.u16()?),
                Width::Four => rest.u32()?,
            }));
        }
        // Segments of a confederation are inside the AS before them (RFC 5065).
        if !matches!(kind, AS_SET | AS_SEQUENCE) {
            continue;
        }
        if let Some(asn) = members.last() {
            end.ends_in_trans = asn.0 == AS_TRANS;
        }
        members.retain(|asn| !nobodys(*asn));
        if kind == AS_SET {
            members.sort_unstable();
            members.dedup();
        } else if let Some(asn) = members.pop() {
            members = vec![asn];
        }
        if !members.is_empty() {
            end.origin = Some(members);
        }
    }
    Ok(end)
}

/// Numbers that no organisation has: 0 (RFC 7607), the stand-in, private use (RFC 6996)
/// and the last of either width (RFC 7300).
fn nobodys(asn: Asn) -> bool {
    matches!(asn.0, 0 | AS_TRANS | 64_512..=65_535 | 4_200_000_000..=u32::MAX)
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

impl Family {
    fn bytes(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// Whether a prefix of this length is one that somebody holds.
    fn held(self, length: u8) -> bool {
        length >= if self == Self::V4 { LENGTH_MIN_V4 } else { LENGTH_MIN_V6 }
    }

    /// A prefix whose last bytes may be left out. Bits beyond its length are cleared, as
    /// routers do.
    fn prefix(self, bytes: &[u8], length: u8) -> Result<Prefix, Reason> {
        let mut whole = [0; 16];
        if usize::from(length) > self.bytes() * 8 || bytes.len() > self.bytes() {
            return Err(Reason::Length);
        }
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        let [a, b, c, d, ..] = whole;
        Ok(match self {
            Self::V4 => Prefix::containing(
                Address::from(Ipv4Addr::new(a, b, c, d)),
                length + 96,
            ),
            Self::V6 => {
                let prefix =
                    Prefix::containing(Address::from(Ipv6Addr::from(whole)), length);
                // IPv4 in the clothes of IPv6 is announced by mistake.
                (!prefix.first().is_v4()).then_some(prefix).ok_or(Reason::Value)?
            }
        })
    }
}

/// What is left of a record.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Reason::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Reason::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Reason> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn u16(&mut self) -> Result<u16, Reason> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        self.array().map(u32::from_be_bytes)
    }

    /// What stands behind its length of two bytes.
    fn sized(&mut self) -> Result<&'a [u8], Reason> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use tidegauge_model::{Day, Loss, Observation};

    use super::super::{Loaded, SourceKind, load};
    use super::*;

    /// A record, header and all.
    fn record(kind: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        let mut bytes = 1_700_000_000_u32.to_be_bytes().to_vec();
        bytes.extend(kind.to_be_bytes());
        bytes.extend(subtype.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn sized(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    }

    /// `ORIGIN`, then a path of segments; numbers of four bytes.
    fn attributes(path: &[(u8, &[u32])]) -> Vec<u8> {
        let mut value = Vec::new();
        for (kind, members) in path {
            value.extend([*kind, u8::try_from(members.len()).unwrap()]);
            value.extend(members.iter().flat_map(|asn| asn.to_be_bytes()));
        }
        [&[0x40, 1, 1, 0, 0x50, AS_PATH], sized(&value).as_slice()].concat()
    }

    fn rib_v4(length: u8, prefix: &[u8], paths: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, length];
        body.extend(prefix);
        body.extend(u16::try_from(paths.len()).unwrap().to_be_bytes());
        for (peer, path) in (0_u16..).zip(paths) {
            body.extend(peer.to_be_bytes());
            body.extend([0; 4]);
            body.extend(sized(path));
        }
        record(TABLE_DUMP_V2, 2, &body)
    }

    fn read(bytes: &[u8]) -> (Vec<Observation>, Vec<Loss>, Loaded) {
        let (mut observations, mut losses) = (Vec::new(), Vec::new());
        let loaded = load(
            &SourceKind::Mrt,
            &"rib".into(),
            Day(20_000),
            bytes,
            |o| observations.push(o),
            |l| losses.push(l),
        );
        (observations, losses, loaded.unwrap())
    }

    fn said(observations: &[Observation]) -> Vec<(String, u32, &str)> {
        observations
            .iter()
            .map(|o| {
                let (first, last) = o.range.unwrap();
                let origins = o.detail.get("origins").map_or("", String::as_str);
                (format!("{first}-{last}"), o.asn.unwrap().0, origins)
            })
            .collect()
    }

    #[test]
    fn a_prefix_has_the_origin_that_most_peers_saw_and_keeps_the_others() {
        let one = attributes(&[(AS_SEQUENCE, &[64_500, 64_496])]);
        let other = attributes(&[(AS_SEQUENCE, &[64_501, 64_497])]);
        let set = attributes(&[(AS_SEQUENCE, &[64_500]), (AS_SET, &[64_499, 64_498])]);
        let bytes = [
            record(TABLE_DUMP_V2, 1, &[0; 8]),
            rib_v4(24, &[192, 0, 2], std::slice::from_ref(&one)),
            rib_v4(25, &[192, 0, 2, 0], &[one.clone(), other.clone(), other]),
            rib_v4(23, &[198, 51, 101], &[set, one.clone()]),
            rib_v4(0, &[], &[one]),
        ]
        .concat();
        let (observations, losses, loaded) = read(&bytes);
        assert_eq!(
            said(&observations),
            [
                ("192.0.2.0-192.0.2.255".to_owned(), 64_496, ""),
                ("192.0.2.0-192.0.2.127".to_owned(), 64_497, "64497_64496"),
                // Bits beyond the length are cleared. One peer each: the lower first.
                ("198.51.100.0-198.51.101.255".to_owned(), 64_496, "64496_64498,64499"),
            ]
        );
        assert_eq!(losses, []);
        assert_eq!((loaded.observations, loaded.passed), (3, 2), "peers, default");
    }

    #[test]
    fn numbers_that_are_nobodys_are_no_origin() {
        let private = attributes(&[(AS_SEQUENCE, &[64_500, 64_496, 65_000, 65_000])]);
        let only = attributes(&[(AS_SEQUENCE, &[4_200_000_001])]);
        let inside = attributes(&[(AS_SEQUENCE, &[64_496]), (3, &[64_498])]);
        let bytes = [
            rib_v4(24, &[192, 0, 2], &[private]),
            rib_v4(24, &[192, 0, 3], &[only, attributes(&[])]),
            rib_v4(24, &[192, 0, 4], &[inside]),
        ]
        .concat();
        let (observations, losses, loaded) = read(&bytes);
        let ases: Vec<_> = observations.iter().map(|o| o.asn.unwrap().0).collect();
        assert_eq!((ases, losses.len(), loaded.passed), (vec![64_496, 64_496], 0, 1));
    }

    #[test]
    fn entries_of_the_older_form_are_put_together_and_wide_numbers_restored() {
        let entry = |prefix: [u8; 4], path: &[u8]| {
            let mut body = vec![0; 4];
            body.extend(prefix);
            body.extend([24, 1]);
            body.extend([0; 10]);
            body.extend(sized(path));
            record(TABLE_DUMP, 1, &body)
        };
        let short = [0x40, AS_PATH, 4, AS_SEQUENCE, 1, 0xfb, 0xf0];
        let wide: [u8; 16] = [
            0x40,
            AS_PATH,
            4,
            AS_SEQUENCE,
            1,
            0x5b,
            0xa0, //
            0xc0,
            AS4_PATH,
            6,
            AS_SEQUENCE,
            1,
            0,
            1,
            0,
            1,
        ];
        let bytes = [
            entry([192, 0, 2, 0], &short),
            entry([198, 51, 100, 0], &short),
            entry([192, 0, 2, 0], &short),
            entry([192, 0, 2, 0], &wide),
        ]
        .concat();
        let (observations, losses, loaded) = read(&bytes);
        assert_eq!(
            said(&observations),
            [
                ("192.0.2.0-192.0.2.255".to_owned(), 64_496, "64496_65537"),
                ("198.51.100.0-198.51.100.255".to_owned(), 64_496, ""),
            ]
        );
        assert_eq!((losses.len(), loaded.merged), (0, 2));
    }

    #[test]
    fn a_bad_entry_is_lost_and_its_prefix_lives_by_the_others() {
        let good = attributes(&[(AS_SEQUENCE, &[64_496])]);
        let bad = [0x40, AS_PATH, 3, AS_SEQUENCE, 9, 0];
        let mut long = rib_v4(24, &[192, 0, 3], std::slice::from_ref(&good));
        long[11] += 1;
        long.push(0);
        let bytes = [
            rib_v4(24, &[192, 0, 2], &[good.clone(), bad.to_vec()]),
            rib_v4(33, &[192, 0, 2, 0, 0], &[good]),
            long,
            record(99, 0, &[]),
        ]
        .concat();
        let (observations, losses, loaded) = read(&bytes);
        let reasons: Vec<_> = losses.iter().map(|l| l.reason).collect();
        assert_eq!(
            reasons,
            [Reason::Length, Reason::Length, Reason::Length, Reason::Format]
        );
        assert_eq!((observations.len(), loaded.lost), (1, 4));
        assert_eq!(losses[1].offset, 12 + 5 + 3 + 2 + (8 + 14) + (8 + 6));
    }

    #[test]
    fn a_file_that_ends_inside_a_record_is_refused() {
        let whole = rib_v4(24, &[192, 0, 2], &[attributes(&[(2, &[64_496])])]);
        for length in 1..whole.len() {
            let kind = SourceKind::Mrt;
            let cut = &whole[..length];
            let error = load(&kind, &"rib".into(), Day(0), cut, |_| (), |_| ());
            let text = error.unwrap_err().to_string();
            assert!(text.contains("nothing of it is used"), "{length}: {text}");
        }
        let mut endless = whole;
        endless[8] = 0xff;
        let cut = endless.as_slice();
        assert!(
            load(&SourceKind::Mrt, &"rib".into(), Day(0), cut, |_| (), |_| ()).is_err()
        );
    }
}
