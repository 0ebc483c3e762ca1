//! From observations to the index.
//!
//! **Invariant:** nothing depends on the order of the observations; what cannot be read
//! is counted in [`Notes`], never guessed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tidegauge_model::observation::Field;
use tidegauge_model::{
    Asn, Country, Day, Gap, NetworkKind, Observation, OrgId, Organisation, SectorId,
    Shared, SiteId, SourceId, Vantage,
};

use super::Rules;
use super::identity::Identity;
use super::load::confidence;
use super::map::HolderMap;
use super::networks::{AsFact, DomainFact, Networks, Told};
use super::ranges::{RangeRow, Ranges, Valid};
use super::tags::Network;
use crate::pseudonym;

/// Who held which address when.
#[derive(Debug)]
pub struct Atlas {
    pub(super) holders: Layers,
    pub(super) providers: Layers,
    pub(super) registrations: Layers,
    pub(super) range_tags: Layers,
    pub(super) delegations: Layers,
    pub(super) origins: Layers,
    pub(super) countries: Layers,
    /// Fields that decide nothing, and are shown.
    pub(super) beside: Vec<Layers>,
    pub(super) statements: Vec<Statement>,
    pub(super) networks: Networks,
    pub(super) sites: HashMap<SiteId, OrgId>,
    pub(super) organisations: HashMap<OrgId, Organisation>,
    pub(super) identity: Identity,
    pub(super) gap: Gap,
    pub(super) before_first: Gap,
    /// Made at the first question.
    map: OnceLock<HolderMap>,
    notes: Notes,
}

/// The sources of one field, by address family, each list by source name.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) v4: Vec<Layer>,
    pub(super) v6: Vec<Layer>,
}

/// One source: its snapshots in order, never empty.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) source: SourceId,
    pub(super) editions: Vec<Edition>,
    /// Whether the newest edition dates its rows, and so holds for every day.
    pub(super) dated: bool,
}

/// One snapshot of one source.
#[derive(Debug)]
pub(super) struct Edition {
    /// Numbers the tables of a family.
    pub(super) table: usize,
    pub(super) snapshot: Day,
    pub(super) ranges: Ranges,
}

/// What was said of a range: as it is stored, and as it is read.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) said: Said,
    pub(super) reading: Reading,
}

/// The part of an observation that many ranges share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Said {
    pub(super) field: Field,
    pub(super) asn: Option<Asn>,
    pub(super) value: String,
    pub(super) detail: BTreeMap<String, String>,
}

/// A statement, understood.
#[derive(Debug)]
pub(super) enum Reading {
    Origin(Option<Asn>),
    Country(Option<Country>),
    /// Of a holder row, or of a provider.
    Holder(Holder),
    /// What the tags of a range mean.
    Tagged(Network),
    /// Who a registry has there as its user, and what kind of network that makes it.
    Registered(Registered),
    /// What a registry says, for explanations.
    Shown,
}

/// A row of a registry, understood.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) id: OrgId,
    pub(super) kind: NetworkKind,
    pub(super) country: Option<Country>,
}

/// A holder row, understood.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) id: OrgId,
    pub(super) asn: Option<Asn>,
    pub(super) kind: NetworkKind,
    pub(super) shared: Shared,
    pub(super) country: Option<Country>,
    pub(super) addr_country: Option<Country>,
    pub(super) confidence: f32,
    name: Option<String>,
    parent: Option<OrgId>,
    sectors: Vec<SectorId>,
}

/// What was noticed while building: for a report, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Each table of ranges, by field, source and snapshot.
    pub tables: Vec<Table>,
    /// Observations left out because their snapshot is later than `known`.
    pub forgotten: u64,
    /// Values that could not be read, by what they should have been: a sector that is
    /// not in the list, an observation without its range.
    pub unreadable: BTreeMap<&'static str, u64>,
}

/// One table of ranges in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What it states.
    pub field: Field,
    /// Its source.
    pub source: SourceId,
    /// Its day.
    pub snapshot: Day,
    /// Whether it is the IPv4 or the IPv6 part.
    pub v4: bool,
    /// Disjoint ranges in the index.
    pub ranges: u64,
    /// Rows that began inside an earlier row; the narrower row decides there.
    pub overlapping: u64,
    /// Memory of its index, in bytes.
    pub bytes: u64,
}

impl Atlas {
    /// Builds the index of `observations`, read by `rules`.
    pub fn build(
        observations: impl IntoIterator<Item = Observation>,
        rules: &Rules,
    ) -> Self {
        let mut draft = Draft::default();
        for observation in observations {
            draft.add(observation, rules.known);
        }
        draft.finish(rules)
    }

    /// The same atlas, in which private clients belong to the holders of these vantages.
    /// Of two vantages that share a site, the first by id names its holder.
    #[must_use]
    pub fn with_vantages(mut self, vantages: &[Vantage]) -> Self {
        self.map.take();
        let mut vantages: Vec<_> = vantages.iter().collect();
        vantages.sort_by_key(|v| &v.id);
        for vantage in vantages {
            let holder = &vantage.holder;
            self.sites.entry(vantage.site.clone()).or_insert_with(|| holder.id.clone());
            self.organisations
                .entry(holder.id.clone())
                .or_insert_with(|| holder.clone());
        }
        self
    }

    /// What was noticed while building.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Its answers. The first question makes them.
    #[inline]
    pub fn map(&self) -> &HolderMap {
        self.map.get_or_init(|| HolderMap::of(self))
    }

    /// Its answers alone.
    pub fn into_map(mut self) -> HolderMap {
        self.map.take().unwrap_or_else(|| HolderMap::of(&self))
    }
}

/// Observations on their way into the index.
#[derive(Default)]
struct Draft {
    interned: HashMap<Said, usize>,
    tables: BTreeMap<TableKey, Vec<RangeRow>>,
    facts: Vec<(Asn, AsFact)>,
    /// Statements of holder rows, with the snapshots that made them.
    holders: BTreeSet<(Day, usize)>,
    told: Told,
    notes: Notes,
}

/// Field, source, IPv6 or not, snapshot.
type TableKey = (Field, SourceId, bool, Day);

impl Draft {
    fn add(&mut self, observation: Observation, known: Option<Day>) {
        let Observation { source, snapshot, range, asn, field, value, detail } =
            observation;
        if known.is_some_and(|known| snapshot > known) {
            self.notes.forgotten += 1;
            return;
        }
        let of_range = match field {
            Field::Origin
            | Field::AddressCountry
            | Field::Holder
            | Field::Provider
            | Field::RangeTag
            | Field::Frozen
            | Field::Route => true,
            Field::AsName | Field::AsTag => false,
            // A range that names nobody decides nothing.
            Field::Registration if range.is_some() && value.is_empty() => return,
            Field::Registration | Field::Delegation => range.is_some(),
            Field::Organisation => {
                self.told.organisations.push((snapshot, value, detail));
                return;
            }
            Field::Domain => {
                let fact = DomainFact { snapshot, source, domain: value, detail };
                self.told.domains.push(fact);
                return;
            }
        };
        match (of_range, range, asn) {
            (true, Some((first, last)), _) if first <= last => {
                let valid = valid(&detail, &mut self.notes);
                let next = self.interned.len();
                let said = Said { field, asn, value, detail };
                let statement = *self.interned.entry(said).or_insert(next);
                if matches!(field, Field::Holder | Field::Provider) {
                    self.holders.insert((snapshot, statement));
                }
                let (v6, first, last) = (!first.is_v4(), first.bits(), last.bits());
                // Who held a pseudonym holds it: what else is known of them stands elsewhere.
                let field = if field == Field::Frozen { Field::Holder } else { field };
                self.tables
                    .entry((field, source, v6, snapshot))
                    .or_default()
                    .push(RangeRow { first, last, valid, statement });
            }
            (false, None, Some(asn)) => {
                let fact = AsFact { source, field, value, detail, snapshot };
                self.facts.push((asn, fact));
            }
            _ => note(&mut self.notes, "range or AS of an observation"),
        }
    }

    fn finish(mut self, rules: &Rules) -> Atlas {
        let mut saids: Vec<_> = self.interned.into_iter().collect();
        saids.sort_unstable_by_key(|(_, index)| *index);
        let mut statements: Vec<_> = saids
            .into_iter()
            .map(|(said, _)| Statement::read(said, rules, &mut self.notes))
            .collect();
        let origins = statements.iter().filter_map(|s| match s.reading {
            Reading::Origin(Some(asn)) => Some((asn, s.said.value.as_str())),
            Reading::Holder(Holder { asn: Some(asn), .. }) => Some((asn, "")),
            _ => None,
        });
        let mut networks = Networks::build(self.facts, self.told, origins, rules);
        for statement in &mut statements {
            statement.name_registered(&mut networks, rules);
        }
        let mut layers = layers(self.tables, &statements, &mut self.notes);
        let organisations = organisations(&self.holders, &statements);
        let mut take = |field| layers.remove(&field).unwrap_or_default();
        Atlas {
            holders: take(Field::Holder),
            providers: take(Field::Provider),
            registrations: take(Field::Registration),
            range_tags: take(Field::RangeTag),
            delegations: take(Field::Delegation),
            origins: take(Field::Origin),
            countries: take(Field::AddressCountry),
            beside: layers.into_values().collect(),
            networks,
            sites: HashMap::new(),
            organisations,
            identity: rules.identity.clone(),
            gap: rules.gap,
            before_first: rules.before_first,
            map: OnceLock::new(),
            notes: self.notes,
            statements,
        }
    }
}

/// Indexes the tables and puts the editions of each source together.
fn layers(
    tables: BTreeMap<TableKey, Vec<RangeRow>>,
    statements: &[Statement],
    notes: &mut Notes,
) -> BTreeMap<Field, Layers> {
    let said = |at: usize| statements.get(at).map(|s| &s.said);
    let mut layers: BTreeMap<Field, Layers> = BTreeMap::new();
    let mut numbers = [0, 0];
    for ((field, source, v6, snapshot), rows) in tables {
        let ranges = Ranges::build(rows, |a, b| said(a).cmp(&said(b)));
        // What was kept of pseudonyms is no table of somebody's.
        if source.as_str() != pseudonym::SOURCE {
            notes.tables.push(Table {
                field,
                source: source.clone(),
                snapshot,
                v4: !v6,
                ranges: wide(ranges.len()),
                overlapping: ranges.overlapping(),
                bytes: wide(ranges.bytes()),
            });
        }
        let of_field = layers.entry(field).or_default();
        let family = if v6 { &mut of_field.v6 } else { &mut of_field.v4 };
        let [of_v4, of_v6] = &mut numbers;
        let number = if v6 { of_v6 } else { of_v4 };
        let edition = Edition { table: *number, snapshot, ranges };
        *number += 1;
        match family.last_mut().filter(|layer| layer.source == source) {
            Some(layer) => layer.editions.push(edition),
            None => {
                family.push(Layer { source, editions: vec![edition], dated: false });
            }
        }
    }
    for of_field in layers.values_mut() {
        of_field.mark_dated();
    }
    layers
}

impl Layers {
    /// A source is a history if its newest snapshot has a dated row in either family.
    fn mark_dated(&mut self) {
        let mut newest: BTreeMap<SourceId, (Day, bool)> = BTreeMap::new();
        for layer in self.v4.iter().chain(&self.v6) {
            let Some(edition) = layer.editions.last() else { continue };
            let found = (edition.snapshot, edition.ranges.dated());
            newest
                .entry(layer.source.clone())
                .and_modify(|known| *known = found.max(*known))
                .or_insert(found);
        }
        for layer in self.v4.iter_mut().chain(&mut self.v6) {
            layer.dated = newest.get(&layer.source).is_some_and(|(_, dated)| *dated);
        }
    }
}

impl Statement {
    fn read(said: Said, rules: &Rules, notes: &mut Notes) -> Self {
        let reading = match said.field {
            Field::AddressCountry => {
                Reading::Country(read_or_note(Some(&said.value), "country", notes))
            }
            Field::Holder | Field::Frozen | Field::Provider
                if !said.value.is_empty() =>
            {
                Reading::Holder(Holder::read(&said, rules, notes))
            }
            Field::RangeTag => {
                let tags: Vec<_> = said.value.split(';').map(str::trim).collect();
                Reading::Tagged(rules.tags.network(&tags, None))
            }
            Field::Registration
            | Field::Delegation
            | Field::Route
            | Field::Organisation
            | Field::Domain => Reading::Shown,
            Field::Holder
            | Field::Frozen
            | Field::Provider
            | Field::Origin
            | Field::AsName
            | Field::AsTag => Reading::Origin(said.asn),
        };
        Self { said, reading }
    }

    /// Understands a row of a registry, once it is known what handles stand for: who is
    /// named holds the range where the registry's word for it says so.
    fn name_registered(&mut self, networks: &mut Networks, rules: &Rules) {
        let Said { field, value, detail, .. } = &self.said;
        let status = detail.get("status").and_then(|word| rules.tags.status(word));
        let Some(status) = status.filter(|status| status.holds) else { return };
        if *field != Field::Registration || value.is_empty() {
            return;
        }
        let id = networks.registered(value, detail.get("name").map(String::as_str));
        networks.tell(&id, detail);
        let country = detail.get("country").and_then(|country| country.parse().ok());
        let kind = status.kind.unwrap_or(NetworkKind::Unknown);
        self.reading = Reading::Registered(Registered { id, kind, country });
    }
}

impl Holder {
    fn read(said: &Said, rules: &Rules, notes: &mut Notes) -> Self {
        let sectors = &rules.sectors;
        let get = |key: &str| said.detail.get(key);
        let mut known_sectors = Vec::new();
        let named = get("sector").into_iter().flat_map(|s| s.split(';')).map(str::trim);
        for name in named.filter(|name| !name.is_empty()) {
            match sectors.get(name) {
                Some(sector) => known_sectors.push(sector.id.clone()),
                None => note(notes, "sector of the list"),
            }
        }
        Self {
            id: rules
                .identity
                .of(OrgId::new(&said.value), get("name").map(String::as_str)),
            asn: said.asn,
            kind: read_or_note(get("kind"), "network kind", notes)
                .unwrap_or(NetworkKind::Own),
            shared: read_or_note(get("shared"), "kind of sharing", notes)
                .unwrap_or(Shared::No),
            country: read_or_note(get("country"), "country", notes),
            addr_country: read_or_note(get("addr_country"), "country", notes),
            confidence: get("confidence")
                .and_then(|text| confidence(text).ok())
                .unwrap_or(1.0),
            name: get("name").cloned(),
            parent: get("parent").filter(|p| !p.is_empty()).map(OrgId::new),
            sectors: known_sectors,
        }
    }
}

/// Sorts holder rows: the newest snapshot first, then by content.
type HolderRow<'a> = (Reverse<Day>, &'a Said, &'a Holder);

/// One organisation a holder id. Of each fact, the newest snapshot decides in which a
/// row tells it; of rows in one snapshot, the first by content.
fn organisations(
    made: &BTreeSet<(Day, usize)>,
    statements: &[Statement],
) -> HashMap<OrgId, Organisation> {
    let mut by_id: HashMap<&OrgId, Vec<HolderRow<'_>>> = HashMap::new();
    for &(snapshot, at) in made {
        if let Some(Statement { said, reading: Reading::Holder(holder) }) =
            statements.get(at)
        {
            let row = (Reverse(snapshot), said, holder);
            by_id.entry(&holder.id).or_default().push(row);
        }
    }
    let organisation = |(id, mut rows): (&OrgId, Vec<HolderRow<'_>>)| {
        rows.sort_unstable_by_key(|(snapshot, said, _)| (*snapshot, *said));
        let holders = || rows.iter().map(|(_, _, holder)| holder);
        let sectors = holders().map(|h| &h.sectors).find(|s| !s.is_empty());
        let mut sectors = sectors.into_iter().flatten().cloned();
        let organisation = Organisation {
            id: id.clone(),
            name: holders()
                .find_map(|h| h.name.clone())
                .unwrap_or_else(|| id.to_string()),
            country: holders().find_map(|h| h.country),
            parent: holders().find_map(|h| h.parent.clone()),
            sector: sectors.next(),
            other_sectors: sectors.collect(),
        };
        (id.clone(), organisation)
    };
    by_id.into_iter().map(organisation).collect()
}

/// The days that a row's own dates name. Dates the wrong way round hold on no day.
fn valid(detail: &BTreeMap<String, String>, notes: &mut Notes) -> Valid {
    let Valid { from, to } = Valid::ALWAYS;
    Valid {
        from: read_or_note(detail.get("from"), "date", notes).unwrap_or(from),
        to: read_or_note(detail.get("to"), "date", notes).unwrap_or(to),
    }
}

/// A value that is there and can be read. The loaders let none pass that cannot; the
/// lake may hold what others wrote.
fn read_or_note<T: std::str::FromStr>(
    text: Option<&String>,
    what: &'static str,
    notes: &mut Notes,
) -> Option<T> {
    let read = text?.parse().ok();
    if read.is_none() {
        note(notes, what);
    }
    read
}

fn note(notes: &mut Notes, what: &'static str) {
    *notes.unreadable.entry(what).or_default() += 1;
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).expect("usize is at most 64 bits")
}
