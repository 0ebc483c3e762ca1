//! Every answer of the atlas, made once: the index that [`HolderMap`](super::HolderMap) looks up in.
//!
//! ```text
//! tables ─► pieces (the same segment of each table) ─► RangeIndex ─► stretches of days
//! ```
//!
//! Where two pieces are in the same segments, they have the same answers; so answers are
//! made for each different set of what the tables say, some hundred thousand times, not for each
//! look-up.
//!
//! **Invariant:** the index answers as [`Atlas::ask`] and [`Atlas::decide`] do, on every
//! day; a test holds it against a scan over observations.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegauge_model::{
    Address, Asn, Attribution, Country, Day, DayRange, NetworkKind, OrgId, Shared,
    Standing,
};

use super::build::{Atlas, Edition, Layers};
use super::confidence;
use crate::index::RangeIndex;

/// Stretches of days that answer alike are numbered by 32 bits; memory ends before.
const FEW: &str = "fewer than 2^28 answers fit into memory";

/// What holds for an address nothing is said of.
static NOBODY: Attribution = Attribution::UNATTRIBUTED;

/// The index.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct HeldIndex {
    /// To the number of a lone stretch, doubled; or, odd, of a history.
    pub(super) index: RangeIndex,
    /// Stretches of addresses with the same answer on every day.
    lone: Vec<Stretch>,
    /// Where the stretches of each history begin, and at last where all end.
    histories: Vec<u32>,
    /// The stretches of one history follow each other; the first also holds before it.
    stretches: Vec<Stretch>,
    pub(super) attributions: Vec<Attribution>,
    calendars: Vec<Calendar>,
}

/// Days with one answer, up to the next stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Stretch {
    #[serde(serialize_with = "number_of", deserialize_with = "day_of")]
    from: Day,
    attribution: u32,
    proof: Proof,
}

/// How an answer is proven, as far as it does not depend on the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Proof {
    Nobody,
    Dated,
    Disputed,
    BeforeFirst,
    /// By the snapshots of this calendar.
    Snapshots(u16),
}

/// The snapshots of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Calendar {
    snapshots: Vec<Day>,
    /// Whether what it says loses confidence with its age.
    ages: bool,
}

/// Who held an address on a day, lent by the map.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    attribution: &'a Attribution,
    proof: Proof,
    calendar: Option<&'a Calendar>,
    day: Day,
}

impl<'a> Held<'a> {
    /// The organisation, if one is known.
    pub fn organisation(&self) -> Option<&'a OrgId> {
        self.attribution.organisation.as_ref()
    }

    /// The attribution, its confidence before what its age takes of it.
    pub fn unaged(&self) -> &'a Attribution {
        self.attribution
    }

    /// The attribution.
    pub fn attribution(&self) -> Attribution {
        let confidence = self.confidence();
        Attribution { confidence, ..self.attribution.clone() }
    }

    /// How sure it is: see the page on attribution.
    pub fn confidence(&self) -> f32 {
        self.attribution.confidence * self.age()
    }

    /// Whether two snapshots around the day differ.
    pub(super) fn is_disputed(&self) -> bool {
        self.proof == Proof::Disputed
    }

    /// What the age of the snapshot leaves of the confidence.
    pub(super) fn age(&self) -> f32 {
        self.calendar.map_or(1.0, |calendar| calendar.left(self.day))
    }

    /// How directly the day is proven.
    pub fn standing(&self) -> Standing {
        match (self.proof, self.calendar) {
            (Proof::Dated, _) => Standing::Dated,
            (Proof::Disputed, _) => Standing::Disputed,
            (Proof::BeforeFirst, _) => Standing::BeforeFirst,
            (Proof::Snapshots(_), Some(calendar)) => calendar.standing(self.day),
            (Proof::Nobody | Proof::Snapshots(_), _) => Standing::Nobody,
        }
    }
}

impl Calendar {
    fn standing(&self, day: Day) -> Standing {
        match (self.snapshots.first(), self.snapshots.last()) {
            (Some(first), _) if day < *first => Standing::BeforeFirst,
            (_, Some(last)) if day > *last => Standing::AfterLast,
            _ if self.snapshots.binary_search(&day).is_ok() => Standing::Snapshot,
            _ => Standing::Agreed,
        }
    }

    /// What the distance from the nearest snapshot, outside of them all, leaves.
    fn left(&self, day: Day) -> f32 {
        let (Some(first), Some(last)) = (self.snapshots.first(), self.snapshots.last())
        else {
            return 1.0;
        };
        let away = |from: Day| confidence::left_at(day.0.abs_diff(from.0));
        match self.ages {
            true if day < *first => away(*first),
            true if day > *last => away(*last),
            _ => 1.0,
        }
    }

    /// The days on which the standing may turn: those of snapshots, and those after.
    fn turns(&self) -> impl Iterator<Item = Day> {
        self.snapshots.iter().flat_map(|day| [*day, day.plus(1)])
    }

    /// The first days of the steps in which the age counts.
    fn steps(&self) -> impl Iterator<Item = Day> {
        let (first, last) = (self.snapshots.first(), self.snapshots.last());
        let ends = first.zip(last).filter(|_| self.ages);
        ends.into_iter().flat_map(|(first, last)| {
            confidence::steps()
                .flat_map(move |days| [first.plus(1 - days), last.plus(days)])
        })
    }
}

impl HeldIndex {
    #[inline]
    pub(super) fn on(&self, value: Option<u32>, day: Day) -> Held<'_> {
        let stretch = value.and_then(|value| self.stretch(value, day));
        let attribution =
            stretch.and_then(|s| self.attributions.get(at(s.attribution)));
        let proof = stretch.map_or(Proof::Nobody, |s| s.proof);
        let calendar = match proof {
            Proof::Snapshots(calendar) => self.calendars.get(usize::from(calendar)),
            _ => None,
        };
        let attribution = attribution.unwrap_or(&NOBODY);
        Held { attribution, proof, calendar, day }
    }

    #[inline]
    fn stretch(&self, value: u32, day: Day) -> Option<&Stretch> {
        if value & 1 == 0 {
            return self.lone.get(at(value >> 1));
        }
        let history = self.history(value >> 1);
        history.iter().take_while(|s| s.from <= day).last().or(history.first())
    }

    #[inline]
    fn history(&self, number: u32) -> &[Stretch] {
        let bounds =
            self.histories.get(at(number)).zip(self.histories.get(at(number) + 1));
        let stretches = bounds.and_then(|(a, b)| self.stretches.get(at(*a)..at(*b)));
        stretches.unwrap_or(&[])
    }

    /// All days of the dispute that `day` lies in: up to the next answer that is not
    /// disputed.
    pub(super) fn dispute(&self, value: Option<u32>, day: Day) -> Option<DayRange> {
        let history = self.history(value.filter(|value| value & 1 == 1)? >> 1);
        let after = history.iter().position(|s| s.from > day)?;
        let disputed = |s: &&Stretch| s.proof == Proof::Disputed;
        let begun = history.get(..after)?.iter().rev().take_while(disputed).last()?;
        let next = history.get(after..)?.iter().find(|s| s.proof != Proof::Disputed)?;
        DayRange::new(begun.from, next.from.plus(-1))
    }

    /// Parts of `days`, in order, within which no answer can change.
    pub(super) fn alike(&self, value: Option<u32>, days: DayRange) -> Vec<DayRange> {
        self.cut(value, days, Calendar::steps)
    }

    /// The same, within which no standing can.
    pub(super) fn alike_proven(
        &self,
        value: Option<u32>,
        days: DayRange,
    ) -> Vec<DayRange> {
        self.cut(value, days, Calendar::turns)
    }

    /// `days`, cut where a stretch begins, or something of the calendar that proves one.
    fn cut<'a, I: Iterator<Item = Day>>(
        &'a self,
        value: Option<u32>,
        days: DayRange,
        of_calendar: impl Fn(&'a Calendar) -> I,
    ) -> Vec<DayRange> {
        let history = match value {
            Some(value) if value & 1 == 1 => self.history(value >> 1),
            Some(value) => {
                self.lone.get(at(value >> 1)).map_or(&[][..], std::slice::from_ref)
            }
            None => &[],
        };
        let steps = history.iter().flat_map(|stretch| {
            let calendar = match stretch.proof {
                Proof::Snapshots(number) => self.calendars.get(usize::from(number)),
                _ => None,
            };
            calendar.into_iter().flat_map(&of_calendar).chain([stretch.from])
        });
        let mut starts = vec![days.first()];
        starts.extend(steps.filter(|day| days.first() < *day && *day <= days.last()));
        starts.sort_unstable();
        starts.dedup();
        let next = starts.iter().skip(1).map(|next| next.plus(-1));
        let ends = next.chain([days.last()]);
        starts.iter().zip(ends).filter_map(|(a, b)| DayRange::new(*a, b)).collect()
    }

    /// Bytes of what look-ups use.
    pub(super) fn bytes(&self) -> usize {
        self.index.bytes()
            + self.histories.len() * size_of::<u32>()
            + (self.lone.len() + self.stretches.len()) * size_of::<Stretch>()
            + self.attributions.len() * size_of::<Attribution>()
    }

    pub(super) fn build(atlas: &Atlas) -> Self {
        let mut making = Making::new(atlas);
        let v6 = making.family(true);
        let v4 = making.family(false);
        let edge = Address::from(std::net::Ipv4Addr::UNSPECIFIED);
        let (below, above): (Vec<_>, _) = v6.into_iter().partition(|p| p.0 < edge);
        let pieces = below.into_iter().chain(v4).chain(above);
        let index = RangeIndex::build(pieces).expect("a sweep gives disjoint ranges");
        let mut held = making.held;
        held.histories.push(number(held.stretches.len()));
        Self { index, ..held }
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).expect("usize has at least 32 bits")
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect(FEW)
}

/// A day as its number: the first of all has no date.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn number_of<S: Serializer>(day: &Day, to: S) -> Result<S::Ok, S::Error> {
    day.0.serialize(to)
}

fn day_of<'de, D: Deserializer<'de>>(from: D) -> Result<Day, D::Error> {
    i32::deserialize(from).map(Day)
}

/// First and last address, and the value in the index.
type Piece = (Address, Address, u32);

/// The index on its way.
struct Making<'a> {
    atlas: &'a Atlas,
    held: HeldIndex,
    /// Values by what the tables say, for the family in hand.
    known: HashMap<Box<[u32]>, u32>,
    histories: HashMap<Vec<Stretch>, u32>,
    attributions: HashMap<Content, u32>,
    calendars: HashMap<Calendar, u16>,
}

/// An attribution, so that equal ones can be found.
type Content =
    (Option<OrgId>, Option<Asn>, NetworkKind, Shared, [Option<Country>; 2], u32);

/// A table in a sweep: where it stands.
struct Cursor<'a> {
    edition: &'a Edition,
    segment: usize,
}

impl<'a> Making<'a> {
    fn new(atlas: &'a Atlas) -> Self {
        Self {
            atlas,
            held: HeldIndex::default(),
            known: HashMap::new(),
            histories: HashMap::new(),
            attributions: HashMap::new(),
            calendars: HashMap::new(),
        }
    }

    /// Sweeps over the tables of a family.
    fn family(&mut self, v6: bool) -> Vec<Piece> {
        self.known.clear();
        let atlas = self.atlas;
        let editions = atlas.deciding_layers().into_iter().flat_map(|layers| {
            layers.family(v6).iter().flat_map(|layer| {
                let kept = if layer.dated { layer.editions.len() - 1 } else { 0 };
                layer.editions.iter().skip(kept)
            })
        });
        let mut cursors: Vec<_> =
            editions.map(|edition| Cursor { edition, segment: 0 }).collect();
        let tables = cursors.iter().map(|c| c.edition.table + 1).max().unwrap_or(0);
        let mut pieces: Vec<Piece> = Vec::new();
        let mut located: Vec<Option<usize>> = vec![None; tables];
        let mut open = cursors.iter().filter_map(|c| Some(c.bounds()?.0)).min();
        while let Some(first) = open {
            let next = cursors.iter_mut().filter_map(|c| c.locate(first, &mut located));
            let next = next.min();
            let last = next.map_or(u128::MAX, |next| next - 1);
            if located.iter().any(Option::is_some) {
                let value = self.value(&cursors, &located, v6);
                push(&mut pieces, first, last, value, v6);
            }
            open = next;
        }
        pieces
    }

    /// The value for a set of segments.
    fn value(
        &mut self,
        cursors: &[Cursor<'_>],
        located: &[Option<usize>],
        v6: bool,
    ) -> u32 {
        let said = cursors.iter().map(|cursor| {
            let segment = located.get(cursor.edition.table).copied().flatten();
            let choice = segment.and_then(|s| cursor.edition.ranges.choice(s));
            choice.map_or(0, |choice| number(choice) + 1)
        });
        let key: Box<[u32]> = said.collect();
        if let Some(value) = self.known.get(&key) {
            return *value;
        }
        let history = self.answers(cursors, located, v6);
        let value = self.number_of(history);
        self.known.insert(key, value);
        value
    }

    fn number_of(&mut self, history: Vec<Stretch>) -> u32 {
        if let Some(value) = self.histories.get(&history) {
            return *value;
        }
        let held = &mut self.held;
        let value = if let [lone] = history.as_slice() {
            held.lone.push(*lone);
            number(held.lone.len() - 1) << 1
        } else {
            held.histories.push(number(held.stretches.len()));
            held.stretches.extend(&history);
            (number(held.histories.len() - 1) << 1) | 1
        };
        self.histories.insert(history, value);
        value
    }

    /// What holds in a set of segments, from the first day there is.
    fn answers(
        &mut self,
        cursors: &[Cursor<'_>],
        located: &[Option<usize>],
        v6: bool,
    ) -> Vec<Stretch> {
        let atlas = self.atlas;
        let locate = |edition: &Edition| located.get(edition.table).copied().flatten();
        let mut history: Vec<Stretch> = Vec::new();
        for from in atlas.cuts(cursors, located, v6) {
            let asked = atlas.ask(v6, &locate, from);
            let decision = atlas.decide(&asked, &locate, from);
            let deciding = asked.deciding();
            let proof = match (deciding.standing, deciding.told) {
                (Standing::Nobody, _) => Proof::Nobody,
                (Standing::Dated, _) => Proof::Dated,
                (Standing::Disputed, _) => Proof::Disputed,
                (_, None) => Proof::BeforeFirst,
                (_, Some((layer, _))) => {
                    let snapshots = layer.editions.iter().map(|e| e.snapshot).collect();
                    let ages = decision.why.ages();
                    Proof::Snapshots(self.calendar(Calendar { snapshots, ages }))
                }
            };
            let attribution = self.attribution(decision.attribution);
            let same = history
                .last()
                .is_some_and(|s| s.attribution == attribution && s.proof == proof);
            if !same {
                history.push(Stretch { from, attribution, proof });
            }
        }
        history
    }

    fn attribution(&mut self, attribution: Attribution) -> u32 {
        let content = (
            attribution.organisation.clone(),
            attribution.asn,
            attribution.kind,
            attribution.shared,
            [attribution.org_country, attribution.addr_country],
            attribution.confidence.to_bits(),
        );
        let next = number(self.held.attributions.len());
        let known = *self.attributions.entry(content).or_insert(next);
        if known == next {
            self.held.attributions.push(attribution);
        }
        known
    }

    fn calendar(&mut self, calendar: Calendar) -> u16 {
        if let Some(known) = self.calendars.get(&calendar) {
            return *known;
        }
        let next =
            u16::try_from(self.calendars.len()).expect("one a source, at most two");
        self.held.calendars.push(calendar.clone());
        self.calendars.insert(calendar, next);
        next
    }
}

impl Cursor<'_> {
    fn bounds(&self) -> Option<(u128, u128)> {
        self.edition.ranges.bounds(self.segment)
    }

    /// Notes the segment that `address` lies in, and tells where that ends. Addresses
    /// must come in order.
    fn locate(&mut self, address: u128, located: &mut [Option<usize>]) -> Option<u128> {
        if self.bounds().is_some_and(|(_, last)| last < address) {
            self.segment += 1;
        }
        let bounds = self.bounds();
        let inside = bounds.filter(|(first, _)| *first <= address);
        if let Some(slot) = located.get_mut(self.edition.table) {
            *slot = inside.map(|_| self.segment);
        }
        match inside {
            Some((_, last)) => last.checked_add(1),
            None => bounds.map(|(first, _)| first),
        }
    }
}

/// Adds a piece; what a piece of IPv6 has of the mapped block is not IPv6.
fn push(pieces: &mut Vec<Piece>, first: u128, last: u128, value: u32, v6: bool) {
    let mut add = |first: u128, last: u128| {
        if first <= last {
            pieces.push((Address::from_bits(first), Address::from_bits(last), value));
        }
    };
    let begin = Address::from(std::net::Ipv4Addr::UNSPECIFIED).bits();
    let end = Address::from(std::net::Ipv4Addr::BROADCAST).bits();
    if v6 && first <= end && begin <= last {
        add(first, begin - 1);
        add(end + 1, last);
    } else {
        add(first, last);
    }
}

impl Atlas {
    /// The fields that decide.
    fn deciding_layers(&self) -> [&Layers; 6] {
        let Self { holders, providers, registrations, .. } = self;
        let Self { range_tags, origins, countries, .. } = self;
        [holders, providers, registrations, range_tags, origins, countries]
    }

    /// The days on which an answer in these segments may change, the first day there is
    /// before them all.
    fn cuts(
        &self,
        cursors: &[Cursor<'_>],
        located: &[Option<usize>],
        v6: bool,
    ) -> BTreeSet<Day> {
        let segment = |edition: &Edition| located.get(edition.table).copied().flatten();
        let mut cuts = BTreeSet::from([Day(i32::MIN)]);
        for layer in self.deciding_layers().iter().flat_map(|l| l.family(v6)) {
            if layer.editions.iter().all(|edition| segment(edition).is_none()) {
                continue;
            }
            let snapshots = layer.editions.iter().map(|edition| edition.snapshot);
            cuts.extend(snapshots.flat_map(|day| [day, day.plus(1)]));
        }
        for cursor in cursors {
            if let Some(segment) = segment(cursor.edition) {
                cuts.extend(cursor.edition.ranges.changes(segment));
            }
        }
        cuts.extend(self.networks.epochs());
        cuts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::observation::Field;
    use tidegauge_model::{Client, Gap, Holders, Observation};

    use super::super::{HolderMap, Rules};
    use super::*;

    /// Addresses from which tables are made: few, so that ranges meet.
    const V4: u128 = 0xffff_c000_0200;
    const V6: u128 = 0x2001_0db8 << 96;

    prop_compose! {
        fn observation()(
            field in prop::sample::select(vec![
                Field::Origin, Field::Origin, Field::Holder, Field::Provider,
                Field::RangeTag, Field::AddressCountry, Field::Registration,
                Field::Registration,
            ]),
            source in 0u8..2, snapshot in 0i32..4, v6: bool,
            first in 0u128..40, more in 0u128..16, asn in 1u32..5,
            dated in prop::option::weighted(0.3, (0i32..300, 0i32..300)),
        ) -> Observation {
            let base = if v6 { V6 } else { V4 };
            let mut detail = std::collections::BTreeMap::new();
            if let Some((from, days)) = dated.filter(|_| field == Field::Holder) {
                detail.insert("from".to_owned(), Day(20_000 + from).to_string());
                detail.insert("to".to_owned(), Day(20_000 + from + days).to_string());
            }
            let value = match field {
                Field::Holder | Field::Provider => format!("o{asn}"),
                // Two of four handles are those of AS, and one is only lent on.
                Field::Registration => {
                    let status = if asn == 4 { "ALLOCATED PA" } else { "ASSIGNED PI" };
                    detail.insert("status".to_owned(), status.to_owned());
                    format!("H{asn}")
                }
                Field::RangeTag => "vpn".to_owned(),
                Field::AddressCountry => {
                    let codes = [(1, "DE"), (2, "FR"), (3, "US")];
                    let code = codes.into_iter().find(|(of, _)| *of == asn);
                    code.map_or("GB", |(_, code)| code).to_owned()
                }
                _ => String::new(),
            };
            Observation {
                source: format!("s{source}").as_str().into(),
                snapshot: Day(20_000 + 100 * snapshot),
                range: Some((
                    Address::from_bits(base + first),
                    Address::from_bits(base + first + more),
                )),
                asn: (field == Field::Origin).then_some(Asn(asn)),
                field,
                value,
                detail,
            }
        }
    }

    /// An AS is named with a country, and in some snapshots another.
    fn named(asn: u32, snapshot: i32, country: &str) -> Observation {
        Observation {
            source: "names".into(),
            snapshot: Day(20_000 + snapshot),
            range: None,
            asn: Some(Asn(asn)),
            field: Field::AsName,
            value: format!("AS {asn}"),
            detail: [("country".to_owned(), country.to_owned())].into(),
        }
    }

    /// An AS is registered to `H` and its number.
    fn registered(asn: u32, snapshot: i32) -> Observation {
        Observation {
            source: "registry".into(),
            field: Field::Registration,
            value: format!("H{asn}"),
            detail: std::collections::BTreeMap::new(),
            ..named(asn, snapshot, "")
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn the_index_answers_as_asking_every_table_does(
            ranges in prop::collection::vec(observation(), 0..30),
            gaps in prop::sample::select(vec![
                (Gap::Carry, Gap::Carry), (Gap::Disputed, Gap::Unattributed),
                (Gap::Unattributed, Gap::Disputed),
            ]),
            days in prop::collection::vec(19_000i32..22_000, 6),
        ) {
            let (gap, before_first) = gaps;
            let rules = Rules { gap, before_first, ..Rules::built_in() };
            let names = [
                named(1, 50, "SE"), named(1, 150, "NO"), named(2, 50, "FI"),
                registered(1, 50), registered(2, 150),
            ];
            let atlas = Atlas::build(ranges.into_iter().chain(names), &rules);
            let kept = HolderMap::from_bytes(&atlas.map().to_bytes());
            let map = &kept.expect("what was written is read");
            let mut addresses: Vec<_> = (0..60)
                .flat_map(|n| [V4 - 2 + n, V6 - 2 + n])
                .map(Address::from_bits)
                .collect();
            addresses.sort_unstable();
            let snapshots = (0..4).flat_map(|n| [-1, 0, 1].map(|d| 20_000 + 100 * n + d));
            for day in days.into_iter().chain(snapshots).map(Day) {
                let mut each = Vec::new();
                map.held_each(&addresses, day, &mut each);
                let joined: Vec<_> = map
                    .join(&addresses, day)
                    .flat_map(|(run, held)| run.map(move |_| held))
                    .collect();
                prop_assert_eq!((each.len(), joined.len()), (addresses.len(), addresses.len()));
                for ((address, each), joined) in addresses.iter().zip(&each).zip(&joined) {
                    let locate = |e: &Edition| e.ranges.segment(address.bits());
                    let asked = atlas.ask(!address.is_v4(), &locate, day);
                    let decision = atlas.decide(&asked, &locate, day);
                    let held = map.held(*address, day);
                    prop_assert_eq!(held.unaged(), &decision.attribution);
                    prop_assert_eq!(held.standing(), asked.deciding().standing);
                    prop_assert!((0.0..=1.0).contains(&held.confidence()));
                    for other in [each, joined] {
                        prop_assert_eq!(other.unaged(), held.unaged());
                        prop_assert_eq!(other.standing(), held.standing());
                    }
                    let one = DayRange::one(day);
                    let tenures = map.tenures_of(*address, one);
                    let attributed: Vec<_> = tenures.iter().map(|t| &t.attribution).collect();
                    prop_assert_eq!(attributed, [&held.attribution()]);
                }
            }
            let days = DayRange::new(Day(19_900), Day(20_400)).unwrap();
            let mut told = HashMap::new();
            let mut before = 0;
            for address in addresses {
                let run = map.run(address, before);
                before = run.place;
                prop_assert!(address <= run.last);
                let client = Client { address, site: None };
                let standings = map.standings(&client, days);
                prop_assert!(standings.iter().flat_map(|(days, _)| days.days()).eq(days.days()));
                for (of, standing) in &standings {
                    prop_assert!(of.days().all(|day| map.standing(&client, day) == *standing));
                }
                let answer = (map.tenures(&client, days), standings);
                let number = run.answer.expect("a map numbers its answers");
                let known = told.entry(number).or_insert_with(|| answer.clone());
                prop_assert_eq!(&*known, &answer);
            }
        }
    }
}
