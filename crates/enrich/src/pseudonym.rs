//! Pseudonyms: keyed stand-ins for clients whose address is no longer kept, and what is kept of
//! whoever held them.
//!
//! A pseudonym is made of an address by the first key (HMAC-SHA-256, RFC 2104, cut to the bits
//! there are) and turned into another by each later one (a permutation: Feistel rounds of the
//! same, Luby and Rackoff 1988). So a key more makes new pseudonyms of old ones, none alike that
//! were not: who has an old copy of a lake and the keys of then cannot find its clients in the
//! new one. All keys together make the same pseudonym of an address that is seen again.
//!
//! **Invariant:** equal clients held alike have equal pseudonyms, whenever they are made; without
//! the keys nobody can tell the address. Keys never lie in a lake: their fingerprints do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tidegauge_model::observation::Field;
use tidegauge_model::pseudonym::{GENERATIONS_MAX, HOST_BITS, NETWORK_BITS, Pseudonym};
use tidegauge_model::{Address, Attribution, Client, Day, Observation, SourceId};

/// The source under which holders of pseudonyms are kept.
pub const SOURCE: &str = "pseudonyms";
/// The first line of a file of keys.
const HEAD: &str = "tidegauge-keys 1";
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Hexadecimal digits of a key's fingerprint.
const FINGERPRINT_DIGITS: usize = 16;

/// Keys, the oldest first.
#[derive(Clone)]
pub struct Keys(Vec<[u8; KEY_BYTES]>);

/// A file of keys that cannot be used. It never tells what the file holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It is something else.
    #[error("the first line is not `{HEAD}`")]
    Head,
    /// A line is no key.
    #[error("line {0} is not a key of 64 hexadecimal digits")]
    Line(usize),
    /// There is no key, or there are too many.
    #[error("it has {0} keys; from 1 to {GENERATIONS_MAX} can be used")]
    Count(usize),
}

impl Keys {
    /// Reads a file: a line that names its form, then a key a line.
    pub fn read(text: &str) -> Result<Self, BadKeys> {
        let mut lines =
            text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        if lines.next().is_none_or(|(_, line)| line != HEAD) {
            return Err(BadKeys::Head);
        }
        let lines = lines.filter(|(_, line)| !line.is_empty());
        let keys: Vec<_> = lines
            .map(|(at, line)| key(line).ok_or(BadKeys::Line(at)))
            .collect::<Result<_, _>>()?;
        Self(keys).sound()
    }

    /// Keys with another one after them.
    pub fn and(mut self, key: [u8; KEY_BYTES]) -> Result<Self, BadKeys> {
        self.0.push(key);
        self.sound()
    }

    /// A single key.
    pub fn first(key: [u8; KEY_BYTES]) -> Self {
        Self(vec![key])
    }

    fn sound(self) -> Result<Self, BadKeys> {
        let count = self.0.len();
        let fits = (1..=usize::from(GENERATIONS_MAX)).contains(&count);
        if fits { Ok(self) } else { Err(BadKeys::Count(count)) }
    }

    /// The file that [`Keys::read`] reads.
    pub fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for key in &self.0 {
            text.push_str(&hex(key));
            text.push('\n');
        }
        text
    }

    /// Random words by the first key, always the same of the same bytes: noise that asking again
    /// does not average out, and that a key more does not change.
    pub fn words(&self, of: &[u8]) -> impl Iterator<Item = u64> + use<> {
        let key = *self.0.first().expect("there is a key at least");
        let of = of.to_vec();
        (0u64..).flat_map(move |block| {
            let bytes = keyed(&key, b"noise", &[&block.to_be_bytes(), &of]);
            let (words, _) = bytes.as_chunks::<8>();
            words.iter().map(|word| u64::from_be_bytes(*word)).collect::<Vec<_>>()
        })
    }

    /// Of each key a word that tells it from others and nothing else of it.
    pub fn fingerprints(&self) -> Vec<String> {
        let print = |key: &[u8; KEY_BYTES]| {
            let mut print = hex(&keyed(key, b"fingerprint", &[]));
            print.truncate(FINGERPRINT_DIGITS);
            print
        };
        self.0.iter().map(print).collect()
    }

    /// What stands for a client that was held like others of `class`.
    pub fn pseudonym(&self, client: &Client, class: u64) -> Address {
        let address = client.address;
        let v6 = !address.is_v4();
        let site = client.site.as_ref().map_or("", |site| site.as_str());
        let of = |key: &[u8; KEY_BYTES], part: &[u8], bits: u128| {
            number(keyed(key, part, &[&bits.to_be_bytes(), site.as_bytes()]))
        };
        let first = self.0.first().map_or(0, |key| {
            if !v6 {
                return of(key, b"address", address.bits());
            }
            let network = of(key, b"network", address.bits() >> 64);
            let host = of(key, b"host", address.bits());
            Pseudonym::body_v6(network >> HOST_BITS, host)
        });
        let class = class & Pseudonym::CLASS_MAX;
        let pseudonym = Pseudonym { v6, class, generation: 1, body: first };
        self.renewed(pseudonym).unwrap_or(pseudonym).address()
    }

    /// The pseudonym with the keys that it has not had yet; `None` if it has had all.
    pub fn renewed(&self, pseudonym: Pseudonym) -> Option<Pseudonym> {
        let mut renewed = pseudonym;
        let had = usize::from(pseudonym.generation);
        for key in self.0.get(had..).unwrap_or(&[]) {
            let (network, host) = (renewed.network(), renewed.body);
            renewed.generation += 1;
            renewed.body = if renewed.v6 {
                Pseudonym::body_v6(
                    permuted(key, b"pseudonym network", 0, network, NETWORK_BITS),
                    permuted(key, b"pseudonym host", network, host, HOST_BITS),
                )
            } else {
                permuted(key, b"pseudonym", 0, renewed.body, u64::BITS)
            };
        }
        (renewed != pseudonym).then_some(renewed)
    }
}

/// Rounds of a permutation: four are enough for a random function of a round (Luby and
/// Rackoff), more make up for small halves.
const ROUNDS: u8 = 8;

/// Shows how many keys there are, and none of them.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

fn key(line: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if line.len() != 2 * KEY_BYTES || !line.is_ascii() {
        return None;
    }
    for (at, byte) in key.iter_mut().enumerate() {
        let digits = line.get(2 * at..2 * at + 2)?;
        if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(key)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// The parts by a key; `what` keeps uses of one key apart.
fn keyed(key: &[u8; KEY_BYTES], what: &[u8], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(what);
    for part in parts {
        // No name of a use has a zero, so no two inputs are spelt alike.
        mac.update(&[0]);
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Another number of so many bits, an even number, by a key; of two numbers two others. `beside`
/// chooses among permutations.
fn permuted(
    key: &[u8; KEY_BYTES],
    what: &[u8],
    beside: u64,
    value: u64,
    bits: u32,
) -> u64 {
    let half = bits / 2;
    let mask = (1 << half) - 1;
    let (mut left, mut right) = (value >> half & mask, value & mask);
    for round in 0..ROUNDS {
        let parts: [&[u8]; 3] = [&[round], &beside.to_be_bytes(), &right.to_be_bytes()];
        (left, right) = (right, left ^ number(keyed(key, what, &parts)) & mask);
    }
    left << half | right
}

fn number(bytes: [u8; KEY_BYTES]) -> u64 {
    let (first, _) = bytes.split_at(8);
    u64::from_be_bytes(first.try_into().expect("eight bytes are eight bytes"))
}

/// The class of whoever was held like this: equal on every machine for equal holders, AS, kinds,
/// sharing and countries. How sure that is, and where an address of a known organisation was, is
/// kept of the first.
pub fn class(attribution: &Attribution) -> u64 {
    let Attribution {
        organisation,
        asn,
        kind,
        shared,
        org_country,
        addr_country,
        confidence: _,
    } = attribution;
    let country = |c: &Option<tidegauge_model::Country>| {
        c.map_or(String::new(), |c| c.to_string())
    };
    let words = [
        organisation.as_ref().map_or(String::new(), ToString::to_string),
        asn.map_or(String::new(), |asn| asn.0.to_string()),
        kind.as_str().to_owned(),
        shared.as_str().to_owned(),
        country(&org_country.or(*addr_country)),
    ];
    let words = match organisation {
        Some(_) => &words[..],
        // Of whoever is not known, where it was is all that is kept.
        None => &words[4..],
    };
    let digest: [u8; KEY_BYTES] = Sha256::digest(words.join("\0").as_bytes()).into();
    number(digest) & Pseudonym::CLASS_MAX
}

/// What tells an atlas that the pseudonyms of a class were held like this, on all days. Nothing
/// where nothing was known.
pub fn held(class: u64, v6: bool, attribution: &Attribution) -> Option<Observation> {
    let (field, value) = match (&attribution.organisation, attribution.addr_country) {
        (Some(organisation), _) => (Field::Frozen, organisation.to_string()),
        (None, Some(country)) => (Field::AddressCountry, country.to_string()),
        (None, None) => return None,
    };
    let mut detail = BTreeMap::new();
    if field == Field::Frozen {
        let mut tell = |key: &str, value: String| detail.insert(key.to_owned(), value);
        tell("kind", attribution.kind.to_string());
        tell("shared", attribution.shared.to_string());
        tell("confidence", attribution.confidence.to_string());
        for (key, country) in [
            ("country", attribution.org_country),
            ("addr_country", attribution.addr_country),
        ] {
            country.map(|country| tell(key, country.to_string()));
        }
        let [from, to] = ALWAYS;
        tell("from", from.to_owned());
        tell("to", to.to_owned());
    }
    Some(Observation {
        source: SourceId::new(SOURCE),
        // Known for as long as there is anything to know.
        snapshot: Day(0),
        range: Some(Pseudonym::block(v6, class)),
        asn: attribution.asn.filter(|_| field == Field::Frozen),
        field,
        value,
        detail,
    })
}

/// A row that dates itself holds on the days it says, and needs no snapshot.
const ALWAYS: [&str; 2] = ["1970-01-01", "9999-12-31"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::{Asn, NetworkKind, OrgId, Shared, SiteId};

    use super::*;
    use crate::atlas::{Atlas, Rules};

    fn client(text: &str, site: Option<&str>) -> Client {
        Client { address: text.parse().unwrap(), site: site.map(SiteId::new) }
    }

    fn keys(n: u8) -> Keys {
        let more = (2..=n)
            .try_fold(Keys::first([1; KEY_BYTES]), |keys, n| keys.and([n; KEY_BYTES]));
        more.unwrap()
    }

    #[test]
    fn keys_added_later_make_what_all_keys_make() {
        let clients = [
            client("192.0.2.1", None),
            client("10.0.0.1", Some("hq")),
            client("2001:db8::1", None),
        ];
        for client in clients {
            let old = Pseudonym::of(keys(1).pseudonym(&client, 5)).unwrap();
            assert_eq!(keys(1).renewed(old), None);
            let renewed = keys(3).renewed(old).unwrap();
            assert_eq!(renewed.address(), keys(3).pseudonym(&client, 5));
            let half = keys(2).renewed(old).unwrap();
            assert_eq!(keys(3).renewed(half), Some(renewed));
            assert_eq!((renewed.class, renewed.generation), (5, 3));
            assert_ne!(renewed.body, old.body);
        }
    }

    #[test]
    fn clients_are_told_apart_and_networks_kept_together() {
        let keys = keys(2);
        let pseudonym = |text, site| keys.pseudonym(&client(text, site), 1);
        assert_ne!(pseudonym("192.0.2.1", None), pseudonym("192.0.2.2", None));
        assert_ne!(
            pseudonym("10.0.0.1", Some("hq")),
            pseudonym("10.0.0.1", Some("lab"))
        );
        assert_ne!(pseudonym("10.0.0.1", Some("hq")), pseudonym("10.0.0.1", None));
        let [a, b] = ["2001:db8::1", "2001:db8::2"].map(|t| pseudonym(t, None));
        assert_ne!(a, b);
        assert_eq!(a.network_v6(), b.network_v6());
        assert_ne!(a.network_v6(), pseudonym("2001:db8:0:1::1", None).network_v6());
        let other = Keys::first([9; KEY_BYTES]);
        assert_ne!(
            other.pseudonym(&client("192.0.2.1", None), 1),
            pseudonym("192.0.2.1", None)
        );
    }

    #[test]
    fn a_file_of_keys_is_read_and_told_without_its_keys() {
        let keys = keys(3);
        let again = Keys::read(&keys.text()).unwrap();
        assert_eq!(again.fingerprints(), keys.fingerprints());
        assert_eq!(format!("{keys:?}"), "3 keys");
        let prints = keys.fingerprints().concat();
        assert!(keys.text().lines().skip(1).all(|key| !prints.contains(key)));
        let bad = |text: &str| Keys::read(text).unwrap_err();
        assert_eq!(bad("keys\n"), BadKeys::Head);
        assert_eq!(bad(&format!("{HEAD}\n")), BadKeys::Count(0));
        assert_eq!(bad(&format!("{HEAD}\n\n+1\n")), BadKeys::Line(3));
        let plus = format!("{HEAD}\n{}\n", "+1".repeat(KEY_BYTES));
        assert_eq!(bad(&plus), BadKeys::Line(2));
        let many =
            format!("{HEAD}\n{}", format!("{}\n", "ab".repeat(KEY_BYTES)).repeat(128));
        assert_eq!(bad(&many), BadKeys::Count(128));
    }

    #[test]
    fn no_key_more_makes_one_of_two() {
        // A busy network, and many networks.
        for of in
            [|n: u32| format!("2001:db8::{n:x}"), |n| format!("2001:db8:{n:x}::1")]
        {
            let made: Vec<_> = (1..4_001)
                .map(|n| keys(1).pseudonym(&client(&of(n), None), 1))
                .collect();
            let distinct = |of: &[Address]| {
                of.iter().collect::<std::collections::BTreeSet<_>>().len()
            };
            let first = distinct(&made);
            assert!(first >= 3_998, "{first}");
            let renewed = |of: &Address| {
                keys(4).renewed(Pseudonym::of(*of).unwrap()).unwrap().address()
            };
            let renewed: Vec<_> = made.iter().map(renewed).collect();
            assert_eq!(distinct(&renewed), first);
        }
    }

    #[test]
    fn how_sure_it_is_makes_no_other_class() {
        let held = |id: &str, confidence, addr: Option<&str>| Attribution {
            organisation: (!id.is_empty()).then(|| OrgId::new(id)),
            org_country: Some("DE".parse().unwrap()).filter(|_| !id.is_empty()),
            addr_country: addr.map(|code| code.parse().unwrap()),
            confidence,
            ..Attribution::UNATTRIBUTED
        };
        assert_eq!(class(&held("a", 0.9, None)), class(&held("a", 0.8, Some("US"))));
        assert_ne!(class(&held("a", 0.9, None)), class(&held("b", 0.9, None)));
        assert_ne!(
            class(&held("", 0.0, Some("DE"))),
            class(&held("", 0.0, Some("US")))
        );
        let vpn = Attribution { shared: Shared::Proxy, ..held("", 0.0, None) };
        assert_eq!(class(&vpn), class(&Attribution::UNATTRIBUTED));
    }

    prop_compose! {
        fn attribution()(
            organisation in prop::option::of(0u8..5), asn in prop::option::of(1u32..9),
            kind in prop::sample::select(NetworkKind::ALL.to_vec()),
            shared in prop::sample::select(Shared::ALL.to_vec()),
            org in prop::option::of(prop::sample::select(vec!["DE", "US", "FR"])),
            addr in prop::option::of(prop::sample::select(vec!["DE", "US", "FR"])),
            confidence in 0.0f32..=1.0,
        ) -> Attribution {
            let country = |code: &str| code.parse().unwrap();
            let addr_country = addr.map(country);
            let Some(id) = organisation else {
                return Attribution { addr_country, ..Attribution::UNATTRIBUTED };
            };
            Attribution {
                organisation: Some(OrgId::new(format!("org:{id}"))),
                asn: asn.map(Asn),
                kind,
                shared,
                org_country: org.map(country),
                addr_country,
                confidence,
            }
        }
    }

    proptest! {
        #[test]
        fn an_atlas_answers_of_a_pseudonym_what_was_frozen(
            attributions in prop::collection::vec(attribution(), 1..8),
            day in 0i32..40_000,
            host: u32,
        ) {
            // The first of a class is what is kept of it.
            let mut classes = std::collections::BTreeSet::new();
            let attributions: Vec<_> =
                attributions.into_iter().filter(|a| classes.insert(class(a))).collect();
            let observations = attributions.iter().flat_map(|a| {
                [false, true].into_iter().filter_map(|v6| held(class(a), v6, a))
            });
            let atlas = Atlas::build(observations, &Rules::built_in());
            for a in &attributions {
                for text in [format!("192.0.2.{}", host % 256), format!("2001:db8::{host:x}").replace("::", ":0:0:0:0:0:0:")] {
                    let Ok(address) = text.parse() else { continue };
                    let client = Client { address, site: None };
                    let address = keys(1).pseudonym(&client, class(a));
                    let pseudonym = Client { address, site: None };
                    let found = atlas.map().attribute(&pseudonym, Day(day));
                    let known = |a: &Attribution| a.organisation.is_some();
                    let expected = if known(a) {
                        a.clone()
                    } else {
                        Attribution { addr_country: a.addr_country, ..Attribution::UNATTRIBUTED }
                    };
                    let off = found.confidence - expected.confidence;
                    prop_assert!(off.abs() <= 0.000_51, "{found:?}");
                    let confidence = expected.confidence;
                    prop_assert_eq!(Attribution { confidence, ..found }, expected);
                }
            }
        }
    }
}
