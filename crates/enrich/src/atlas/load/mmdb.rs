//! MMDB files of any layout: `MaxMind`, DB-IP, `IPinfo`, ip-location-db, your own.
//!
//! **Invariant:** networks that touch and have the same record are one range. A file whose
//! tree or metadata is broken is refused whole, and so is one with nodes to which no branch
//! leads, since the branch that did is damaged; a record that cannot be read is lost alone,
//! once for each range that has it.
//!
//! What is left out: everything but AS, name of the AS, country of use and the flags that
//! are mapped to tags. The file is held in memory, since its tree is not in the order of
//! its bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{BufRead, Read};
use std::str::FromStr;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Asn, Country, Loss, Prefix, Reason};

use super::{Out, Said, value};
use crate::atlas::AtlasError;

/// The largest file that is read, in bytes. The largest sold are near 1 GiB; picked by
/// hand above it.
const FILE_BYTES_MAX: u64 = 2 << 30;
/// Networks in a file at most: a tree whose branches share nodes may have more than can
/// ever be told. The largest sold have some 20 million; picked by hand above it.
const NETWORKS_MAX: u64 = 1 << 26;

/// Where the known layouts keep what we read, tried in this order.
const KNOWN: [(&str, &str); 16] = [
    // MaxMind, DB-IP, ip-location-db; the second is MaxMind's Enterprise.
    ("asn", "autonomous_system_number"),
    ("asn", "traits.autonomous_system_number"),
    // IPinfo, `AS64496`.
    ("asn", "asn"),
    ("name", "autonomous_system_organization"),
    ("name", "traits.autonomous_system_organization"),
    ("name", "as_name"),
    ("country", "country.iso_code"),
    ("country", "country_code"),
    ("country", "country"),
    // MaxMind's Anonymous IP.
    ("vpn", "is_anonymous_vpn"),
    ("relay", "is_public_proxy"),
    ("relay", "is_residential_proxy"),
    ("relay", "is_tor_exit_node"),
    ("vpsh", "is_hosting_provider"),
    // MaxMind's Enterprise.
    ("relay", "traits.is_anonymous"),
    ("anycast", "traits.is_anycast"),
];

/// Which field of a record is what: `asn`, `name` or `country`, anything else is a tag of
/// the range where the field is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Role and path; empty for the known layouts.
    fields: Vec<(String, String)>,
}

impl Mapping {
    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let known = KNOWN.iter().copied().filter(|_| self.fields.is_empty());
        known.chain(
            self.fields.iter().map(|(role, path)| (role.as_str(), path.as_str())),
        )
    }
}

impl FromStr for Mapping {
    type Err = ();

    /// Reads `asn=a.b,country=c`; nothing for the known layouts.
    fn from_str(text: &str) -> Result<Self, ()> {
        let pairs = text.split(',').filter(|_| !text.is_empty());
        let pair = |pair: &str| match pair.split_once('=') {
            Some((role, path)) if !role.is_empty() && !path.is_empty() => {
                Ok((role.to_owned(), path.to_owned()))
            }
            _ => Err(()),
        };
        Ok(Self { fields: pairs.map(pair).collect::<Result<_, ()>>()? })
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> =
            self.fields.iter().map(|(role, path)| format!("{role}={path}")).collect();
        f.write_str(&pairs.join(","))
    }
}

/// Reads a file.
pub(super) fn file(
    mapping: &Mapping,
    input: impl BufRead,
    out: &mut Out<'_>,
) -> Result<(), AtlasError> {
    let table = out.source.clone();
    let mut bytes = Vec::new();
    input
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| AtlasError::Read { table: table.clone(), line: 1, error })?;
    let refused = |error| AtlasError::Mmdb { table: table.clone(), error };
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(refused(MaxMindDbError::invalid_input("the file is too large")));
    }
    let reader = Reader::from_source(bytes.as_slice()).map_err(refused)?;
    let metadata = reader.metadata();
    let tree = Tree::of(&bytes, metadata.node_count, metadata.record_size);
    let lonely = tree.unreached();
    if lonely > 0 {
        let text = format!("no branch leads to {lonely} of {} nodes", tree.nodes);
        return Err(refused(MaxMindDbError::invalid_database(text)));
    }
    let mut records: HashMap<usize, Result<Vec<Said>, Reason>> = HashMap::new();
    let mut touching: Option<(Address, Address, usize)> = None;
    let mut networks = 0;
    for network in reader.networks(WithinOptions::default()).map_err(refused)? {
        let network = network.map_err(refused)?;
        networks += 1;
        if networks > NETWORKS_MAX {
            return Err(refused(MaxMindDbError::invalid_input("too many networks")));
        }
        let Some(record) = network.offset() else { continue };
        let said = || match network.decode::<Item>() {
            Ok(Some(item)) => read(mapping, &item),
            Ok(None) => Ok(Vec::new()),
            Err(_) => Err(Reason::Syntax),
        };
        records.entry(record).or_insert_with(said);
        let of = network.network().map_err(refused)?;
        let prefix = prefix(Address::from(of.network()), of.prefix());
        touching = Some(match touching {
            Some((first, last, same))
                if same == record
                    && last.is_v4() == prefix.first().is_v4()
                    && last.bits().checked_add(1) == Some(prefix.first().bits()) =>
            {
                (first, prefix.last(), record)
            }
            other => {
                tell(other, &records, out);
                (prefix.first(), prefix.last(), record)
            }
        });
    }
    tell(touching, &records, out);
    Ok(())
}

/// The search tree: nodes of two records each, from the start of the file.
struct Tree<'a> {
    bytes: &'a [u8],
    nodes: usize,
    /// 24, 28 or 32 bits.
    record_bits: u16,
}

impl<'a> Tree<'a> {
    fn of(bytes: &'a [u8], nodes: u32, record_bits: u16) -> Self {
        Self { bytes, nodes: usize::try_from(nodes).unwrap_or(usize::MAX), record_bits }
    }

    /// Nodes to which no branch leads. Branches may share a node, as those of IPv4 in
    /// IPv6 do.
    fn unreached(&self) -> usize {
        let node_bytes = usize::from(self.record_bits) / 4;
        // What the file has no room for, the reader refuses.
        let nodes = self.nodes.min(self.bytes.len() / node_bytes.max(1));
        let mut reached = vec![false; nodes];
        let mut open = vec![0];
        while let Some(node) = open.pop() {
            match reached.get_mut(node) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            open.extend(self.records(node, node_bytes).unwrap_or_default());
        }
        reached.into_iter().filter(|seen| !seen).count()
    }

    /// Where a node leads; from `nodes` on, to data.
    fn records(&self, node: usize, node_bytes: usize) -> Option<[usize; 2]> {
        let at = node.checked_mul(node_bytes)?;
        let bytes = self.bytes.get(at..at.checked_add(node_bytes)?)?;
        let half = node_bytes / 2;
        let read = |bytes: &[u8]| {
            bytes.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
        };
        let (left, right) = (bytes.get(..half)?, bytes.get(node_bytes - half..)?);
        // Of seven bytes the middle one holds the highest bits of both records.
        let both = if self.record_bits == 28 { *bytes.get(half)? } else { 0 };
        let (high_left, high_right) = (usize::from(both >> 4), usize::from(both & 15));
        Some([(high_left << 24) | read(left), (high_right << 24) | read(right)])
    }
}

/// Hands over what the record of a range says.
fn tell(
    range: Option<(Address, Address, usize)>,
    records: &HashMap<usize, Result<Vec<Said>, Reason>>,
    out: &mut Out<'_>,
) {
    let Some((first, last, record)) = range else { return };
    match records.get(&record) {
        Some(Ok(said)) if !said.is_empty() => {
            for said in said {
                out.say(said.clone().over(first, last));
            }
        }
        Some(Err(reason)) => {
            let offset = u64::try_from(record).unwrap_or(u64::MAX);
            out.lose(Loss::at(offset, *reason));
        }
        Some(Ok(_)) | None => out.loaded.passed += 1,
    }
}

/// A network as a prefix. A tree of IPv6 has IPv4 below `::/96`.
fn prefix(base: Address, length: u8) -> Prefix {
    if base.is_v4() {
        return Prefix::containing(base, length.saturating_add(96));
    }
    let v4 = u32::try_from(base.bits()).ok().filter(|_| length >= 96);
    let base = v4.map_or(base, |v4| Address::from(std::net::Ipv4Addr::from_bits(v4)));
    Prefix::containing(base, length)
}

/// What a record says of its networks.
fn read(mapping: &Mapping, item: &Item) -> Result<Vec<Said>, Reason> {
    let (mut asn, mut name, mut country) = (None, None, None);
    let mut tags: Vec<&str> = Vec::new();
    for (role, path) in mapping.fields() {
        let Some(found) = item.at(path) else { continue };
        match (role, found) {
            ("asn", Item::Number(number)) if asn.is_none() => {
                let number = u32::try_from(*number).map_err(|_| Reason::Value)?;
                asn = Some(Asn(number));
            }
            ("asn", Item::Text(text)) if asn.is_none() && !text.is_empty() => {
                asn = Some(value(text)?);
            }
            ("name", Item::Text(text)) => name = name.or(Some(text)),
            ("country", Item::Text(text)) if country.is_none() && !text.is_empty() => {
                country = Some(value::<Country>(text)?);
            }
            ("asn" | "name" | "country", _) => {}
            (tag, Item::Flag(true)) if !tags.contains(&tag) => tags.push(tag),
            _ => {}
        }
    }
    let mut said = Vec::new();
    if let Some(asn) = asn {
        let of = Said::of_nothing(Field::Origin);
        let of = of.value(name.map_or("", String::as_str));
        said.push(if asn.0 == 0 { of } else { of.by_as(asn) });
    }
    if let Some(country) = country {
        said.push(Said::of_nothing(Field::AddressCountry).value(country.as_str()));
    }
    if !tags.is_empty() {
        said.push(Said::of_nothing(Field::RangeTag).value(&tags.join(";")));
    }
    Ok(said)
}

/// A value of a record.
enum Item {
    Text(String),
    Number(u64),
    Flag(bool),
    Map(BTreeMap<String, Item>),
    /// What no role needs: lists, bytes, fractions.
    Other,
}

impl Item {
    /// The value at the end of a path of keys, separated by dots.
    fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |item, key| match item {
            Self::Map(map) => map.get(key),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Items)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Item, E> {
        Ok(Item::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Number(number))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(u64::try_from(number).map_or(Item::Other, Item::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.to_owned()))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Item, E> {
        Ok(Item::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Item, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, item)) = from.next_entry()? {
            map.insert(key, item);
        }
        Ok(Item::Map(map))
    }
}
