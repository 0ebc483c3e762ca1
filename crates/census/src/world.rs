//! Small worlds for tests: random sightings, a catalog, holders, and the counts and panels
//! that a reader would make of them by hand, in sets.
//!
//! **Invariant:** nothing here uses the engine; the oracle shares no code with what it
//! checks.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tidegauge_model::count::{Cell, Concentration, Counts, Dating, Dimension, Query};
use tidegauge_model::panel::{History, WeekCell};
use tidegauge_model::{
    Address, Attribution, Client, Confidence, Country, Coverage, Day, DayRange,
    Endpoint, Grade, Holders, NetworkKind, OrgId, Organisation, Pattern, Prefix,
    ProductId, Role, Run, SectorId, Shared, Sighting, Signal, SiteId, Standing, Tenure,
    VantageId, Weight,
};
use tidegauge_store::{Batch, Fingerprint, Lake, RunRecord};

use crate::{Counter, Settings};

/// The first day of every world: a Thursday, so that weeks and months are cut.
const FIRST: Day = Day(19_810);
/// Days of a world: over a month's end and three weeks.
const DAYS: i32 = 14;

/// The days of every world.
pub(crate) fn days() -> DayRange {
    DayRange::new(FIRST, FIRST.plus(DAYS - 1)).unwrap()
}

/// A query over the whole world that counts everything in every network.
pub(crate) fn everything(by: &[Dimension]) -> Query {
    Query {
        by: by.to_vec(),
        on: Dating::EachDay,
        roles: Role::ALL.to_vec(),
        weight_min: Weight::Nothing,
        organisation_kinds: vec![NetworkKind::Own, NetworkKind::IspBusiness],
        ..Query::new(days())
    }
}

/// The control product.
pub(crate) fn control() -> ProductId {
    "clock".into()
}

/// Who held what, by table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) tenures: BTreeMap<Client, Vec<Tenure>>,
    pub(crate) organisations: BTreeMap<OrgId, Organisation>,
}

impl Table {
    pub(crate) fn on(&self, client: &Client, day: Day) -> Attribution {
        self.tenures
            .get(client)
            .into_iter()
            .flatten()
            .find(|t| t.days.contains(day))
            .map_or(Attribution::UNATTRIBUTED, |t| t.attribution.clone())
    }
}

impl Holders for Table {
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure> {
        days.days()
            .map(|day| Tenure {
                days: DayRange::one(day),
                attribution: self.on(client, day),
            })
            .collect()
    }

    /// Addresses with the same tenures have the same number.
    fn run(&self, address: Address, _: usize) -> Run {
        let of = self.tenures.get(&Client { address, site: None });
        let same = self.tenures.values().position(|tenures| Some(tenures) == of);
        let number = same.map_or(0, |at| u32::try_from(at + 1).unwrap());
        Run { last: address, answer: Some(number), place: 0 }
    }

    fn standing(&self, client: &Client, day: Day) -> Standing {
        standing(&self.on(client, day))
    }

    fn organisation(&self, id: &OrgId) -> Option<Cow<'_, Organisation>> {
        self.organisations.get(id).map(Cow::Borrowed)
    }
}

/// Runs a test's future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Deletes every other file of state below a lake's folder: counts are the same without it.
fn forget_state(lake: &Path) {
    let months = std::fs::read_dir(lake.join("state/1")).into_iter().flatten();
    let files =
        months.flat_map(|month| std::fs::read_dir(month.unwrap().path()).unwrap());
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().step_by(2) {
        std::fs::remove_file(file).unwrap();
    }
}

/// Made up: the worlds have no snapshots to tell more by.
fn standing(held: &Attribution) -> Standing {
    if *held == Attribution::UNATTRIBUTED { Standing::Nobody } else { Standing::Dated }
}

/// What is said of the address-days of a question.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) unattributed_share: f64,
    pub(crate) standings: BTreeMap<Standing, u64>,
}

/// All that a question can be about.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) sightings: Vec<Sighting>,
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) table: Table,
}

/// A client: an address, with its site if it is private.
pub(crate) fn client(address: &str, site: Option<&str>) -> Client {
    Client { address: address.parse().unwrap(), site: site.map(SiteId::new) }
}

fn clients() -> Vec<Client> {
    vec![
        client("198.51.100.1", None),
        client("198.51.100.2", None),
        client("203.0.113.7", None),
        client("223.255.255.9", None),
        client("2001:db8:0:1::1", None),
        client("2001:db8:0:1::2", None),
        client("2001:db8:0:2::1", None),
        client("10.0.0.1", Some("north")),
        client("10.0.0.1", Some("south")),
        client("fd00::1", Some("north")),
    ]
}

pub(crate) fn organisation(
    id: &str,
    country: Option<&str>,
    sector: Option<&str>,
    others: &[&str],
    parent: Option<&str>,
) -> Organisation {
    Organisation {
        id: OrgId::new(id),
        name: id.to_owned(),
        country: country.map(|c| c.parse().unwrap()),
        parent: parent.map(OrgId::new),
        sector: sector.map(SectorId::new),
        other_sectors: others.iter().map(|s| SectorId::new(*s)).collect(),
    }
}

fn organisations() -> Vec<Organisation> {
    vec![
        organisation("a", Some("DE"), Some("health"), &["education"], Some("b")),
        organisation("b", Some("US"), Some("government"), &[], Some("d")),
        organisation("c", None, None, &["health"], Some("e")),
        organisation("d", Some("FR"), Some("education"), &[], None),
        // A circle of owners.
        organisation("e", Some("US"), None, &[], Some("c")),
    ]
}

/// An endpoint of a product, `product/number`.
pub(crate) fn endpoint(
    product: &str,
    name: &str,
    role: Role,
    weight: Weight,
    valid: DayRange,
) -> Endpoint {
    Endpoint {
        id: format!("{product}/{name}").as_str().into(),
        product: product.into(),
        role,
        pattern: Pattern::Exact(format!("{name}.{product}.example")),
        ports: Vec::new(),
        valid,
        exclusive: true,
        weight,
        source: "test".to_owned(),
        confidence: Confidence::High,
        note: String::new(),
    }
}

/// The catalog of every world.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let part = |from, to| DayRange::new(FIRST.plus(from), FIRST.plus(to)).unwrap();
    let always = part(-1000, 1000);
    vec![
        endpoint("red", "update", Role::Update, Weight::Strong, always),
        endpoint("red", "late", Role::Update, Weight::Medium, part(5, 1000)),
        endpoint("red", "web", Role::Website, Weight::Weak, always),
        endpoint("red", "never", Role::Update, Weight::Nothing, always),
        endpoint("blue", "update", Role::Update, Weight::Medium, part(-1000, 9)),
        endpoint("clock", "time", Role::Time, Weight::Presence, always),
        endpoint("clock", "nothing", Role::Time, Weight::Nothing, always),
    ]
}

/// A sighting with one contact.
pub(crate) fn sighting(
    client: &Client,
    endpoint: &str,
    day: Day,
    vantage: &str,
) -> Sighting {
    Sighting {
        vantage: vantage.into(),
        client: client.clone(),
        endpoint: endpoint.into(),
        grade: Grade::Name,
        signal: Signal::Served,
        day,
        contacts: 1,
        bytes_sent: Some(10),
        packets_sent: None,
        bytes_received: None,
        packets_received: None,
        tcp_flags: 0,
        sampling: 1,
        first: day.start(),
        last: day.start(),
        hours: 1,
    }
}

fn any_day() -> impl Strategy<Value = Day> {
    (0..DAYS).prop_map(|d| FIRST.plus(d))
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let ids: Vec<_> = endpoints().into_iter().map(|e| e.id.to_string()).collect();
    let vantages = prop::sample::select(vec!["east", "west"]);
    let signals = prop::sample::select(Signal::ALL.to_vec());
    let clients = prop::sample::select(clients());
    (clients, prop::sample::select(ids), any_day(), vantages, signals, 1u64..5)
        .prop_map(|(client, endpoint, day, vantage, signal, contacts)| Sighting {
            signal,
            contacts,
            ..sighting(&client, &endpoint, day, vantage)
        })
}

fn any_attribution() -> impl Strategy<Value = Attribution> {
    let id =
        prop::option::weighted(0.8, prop::sample::select(vec!["a", "b", "c", "x"]));
    let kind = prop::sample::select(NetworkKind::ALL.to_vec());
    let shared = prop::sample::select(vec![Shared::No, Shared::No, Shared::Cgnat]);
    let country = || {
        let codes = vec!["DE", "US"];
        prop::option::of(prop::sample::select(codes).prop_map(|c| c.parse().unwrap()))
    };
    (id, kind, shared, country(), country()).prop_map(
        |(id, kind, shared, org_country, addr_country)| Attribution {
            organisation: id.map(OrgId::new),
            kind,
            shared,
            org_country: org_country.filter(|_: &Country| id.is_some()),
            addr_country,
            ..Attribution::UNATTRIBUTED
        },
    )
}

/// Two tenures for each client, with a change on some day, and possibly nobody at first.
fn any_table() -> impl Strategy<Value = Table> {
    let one = (any_day(), any_attribution(), any_attribution(), any::<bool>());
    prop::collection::vec(one, clients().len()).prop_map(|all| {
        let tenures = clients().into_iter().zip(all).map(|(client, held)| {
            let (change, before, after, known_before) = held;
            let before = DayRange::new(FIRST.plus(-30), change.plus(-1))
                .filter(|_| known_before)
                .map(|days| Tenure { days, attribution: before });
            let after = DayRange::new(change, FIRST.plus(30))
                .map(|days| Tenure { days, attribution: after });
            (client, before.into_iter().chain(after).collect())
        });
        let organisations =
            organisations().into_iter().map(|o| (o.id.clone(), o)).collect();
        Table { tenures: tenures.collect(), organisations }
    })
}

fn any_coverage() -> impl Strategy<Value = Vec<Coverage>> {
    let seen = prop::sample::subsequence(clients(), 0..=clients().len());
    let one = (0u64..3, seen);
    let all = usize::try_from(DAYS * 2).unwrap();
    prop::collection::vec(one, all).prop_map(|rows| {
        let keys = ["east", "west"]
            .into_iter()
            .flat_map(|v| days().days().map(move |day| (v, day)));
        keys.zip(rows)
            .map(|((vantage, day), (flows, seen))| {
                let mut coverage = Coverage::empty(vantage.into(), day);
                coverage.flows = flows;
                for client in seen {
                    coverage.footprint.insert(client.address);
                }
                coverage
            })
            .collect()
    })
}

/// Any world of up to 60 sightings.
pub(crate) fn any_world() -> impl Strategy<Value = World> {
    let sightings = prop::collection::vec(any_sighting(), 0..60);
    (sightings, any_table(), any_coverage())
        .prop_map(|(sightings, table, coverage)| World { sightings, coverage, table })
}

/// Any query over a part of the world.
pub(crate) fn any_query() -> impl Strategy<Value = Query> {
    let all: Vec<Dimension> = Dimension::ALL.to_vec();
    let by = prop::sample::subsequence(all, 0..=Dimension::ALL.len()).prop_shuffle();
    let weights = prop::sample::select(Weight::ALL.to_vec());
    let kinds = prop::sample::subsequence(
        NetworkKind::ALL.to_vec(),
        0..=NetworkKind::ALL.len(),
    );
    let roles = prop::sample::subsequence(vec![Role::Update, Role::Website], 1..=2);
    let on = prop_oneof![Just(Dating::EachDay), any_day().prop_map(Dating::Frozen)];
    let products = prop::sample::subsequence(vec!["red", "blue", "clock"], 0..=2);
    let countries = prop::sample::subsequence(vec!["DE", "US"], 0..=1);
    let sectors = prop::sample::subsequence(vec!["health", "government"], 0..=1);
    let span = (any_day(), any_day());
    let windows = prop::sample::subsequence(vec![0, 1, 2, 3], 2..=3);
    let span = (span, windows);
    (by, weights, kinds, roles, on, products, (countries, sectors, span, 1u32..4))
        .prop_map(
            |(
                by,
                weight_min,
                kinds,
                roles,
                on,
                products,
                (countries, sectors, (span, windows), m),
            )| {
                let days =
                    DayRange::new(span.0.min(span.1), span.0.max(span.1)).unwrap();
                let (by, days, windows) = windowed(by, days, &windows);
                Query {
                    products: products.into_iter().map(ProductId::from).collect(),
                    by,
                    windows,
                    on,
                    roles,
                    weight_min,
                    organisation_kinds: kinds,
                    active_days_min: m,
                    countries: countries.iter().map(|c| c.parse().unwrap()).collect(),
                    sectors: sectors.into_iter().map(SectorId::from).collect(),
                    ..Query::new(days)
                }
            },
        )
}

/// Windows of three days for a question that is split by them, and no other split in time.
fn windowed(
    mut by: Vec<Dimension>,
    span: DayRange,
    numbers: &[i32],
) -> (Vec<Dimension>, DayRange, Vec<DayRange>) {
    if !by.contains(&Dimension::Windows) {
        return (by, span, Vec::new());
    }
    let time = [Dimension::Month, Dimension::Week, Dimension::Day];
    by.retain(|dimension| !time.contains(dimension));
    let window = |n: &i32| {
        let first = days().first().plus(n * 3);
        DayRange::new(first, first.plus(2)).unwrap()
    };
    (by, days(), numbers.iter().map(window).collect())
}

impl World {
    /// A world of these sightings, with nobody known and nothing covered.
    pub(crate) fn of(sightings: Vec<Sighting>) -> Self {
        Self { sightings, coverage: Vec::new(), table: Table::default() }
    }

    /// Notes that an organisation of a fresh id held `client` on `days`.
    pub(crate) fn held(mut self, client: &Client, days: DayRange, id: &str) -> Self {
        let attribution = Attribution {
            organisation: Some(OrgId::new(id)),
            kind: NetworkKind::Own,
            ..Attribution::UNATTRIBUTED
        };
        let tenure = Tenure { days, attribution };
        self.table.tenures.entry(client.clone()).or_default().push(tenure);
        self
    }

    /// Stores the world in a new lake, its sightings in `parts` batches.
    pub(crate) async fn store(&self, parts: usize) -> Stored {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
        for part in 0..parts {
            let sightings =
                self.sightings.iter().skip(part).step_by(parts).cloned().collect();
            // Keys are unique within a batch.
            let coverage = if part == 0 { self.coverage.clone() } else { Vec::new() };
            let batch = batch(&format!("part {part}"), merged(sightings), coverage);
            lake.append(batch).await.unwrap();
        }
        forget_state(folder.path());
        let holders = Arc::new(self.table.clone());
        let settings = Settings { partitions: 2, ..Settings::default() };
        let counter =
            Counter::open(&lake, &endpoints(), &[control()], holders, settings)
                .unwrap();
        Stored { folder, counter }
    }
}

/// A lake with a counter over it.
pub(crate) struct Stored {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) counter: Counter,
}

/// Appends sightings to a lake.
pub(crate) async fn append(lake: &Lake, name: &str, sightings: Vec<Sighting>) {
    lake.append(batch(name, merged(sightings), Vec::new())).await.unwrap();
}

fn batch(name: &str, sightings: Vec<Sighting>, coverage: Vec<Coverage>) -> Batch {
    Batch {
        vantage: "east".into(),
        inputs: vec![Fingerprint::of(name.as_bytes())],
        sightings,
        coverage,
        resolutions: Vec::new(),
        run: RunRecord {
            id: name.to_owned(),
            started: FIRST.start(),
            finished: FIRST.start(),
            verb: "ingest".to_owned(),
            arguments: serde_json::Value::Null,
            versions: serde_json::Value::Null,
            inputs: serde_json::Value::Null,
            outcome: "done".to_owned(),
        },
    }
}

/// One sighting for each key, contacts summed.
fn merged(sightings: Vec<Sighting>) -> Vec<Sighting> {
    let mut out: BTreeMap<_, Sighting> = BTreeMap::new();
    for s in sightings {
        let key =
            (s.vantage.clone(), s.client.clone(), s.endpoint.clone(), s.signal, s.day);
        match out.get_mut(&key) {
            Some(known) => known.contacts += s.contacts,
            None => _ = out.insert(key, s),
        }
    }
    out.into_values().collect()
}

/// What a sighting counts as in a query, by hand.
struct Counted<'a> {
    sighting: &'a Sighting,
    endpoint: Endpoint,
    attribution: Attribution,
    organisation: Option<Organisation>,
    org_country: Option<Country>,
}

impl Counted<'_> {
    fn stands(&self, query: &Query) -> Option<&OrgId> {
        let a = &self.attribution;
        let stands =
            a.shared == Shared::No && query.organisation_kinds.contains(&a.kind);
        a.organisation.as_ref().filter(|_| stands)
    }

    fn passes(&self, query: &Query) -> bool {
        let sectors: Vec<_> = self
            .organisation
            .iter()
            .flat_map(|o| o.sector.iter().chain(&o.other_sectors))
            .collect();
        (query.countries.is_empty()
            || self.org_country.is_some_and(|c| query.countries.contains(&c)))
            && (query.sectors.is_empty()
                || query.sectors.iter().any(|s| sectors.contains(&s)))
    }

    fn value(&self, dimension: Dimension) -> Option<String> {
        let s = self.sighting;
        let a = &self.attribution;
        match dimension {
            Dimension::Product => Some(self.endpoint.product.to_string()),
            Dimension::Month => Some(s.day.month().to_string()),
            Dimension::Week => Some(s.day.week().to_string()),
            Dimension::Day => Some(s.day.to_string()),
            Dimension::Country => {
                self.org_country.or(a.addr_country).map(|c| c.to_string())
            }
            Dimension::Sector => {
                self.organisation.as_ref()?.sector.as_ref().map(ToString::to_string)
            }
            Dimension::Kind => {
                Some(a.kind.to_string()).filter(|_| a.kind != NetworkKind::Unknown)
            }
            Dimension::Signal => Some(s.signal.to_string()),
            Dimension::Vantage => Some(s.vantage.to_string()),
            // Known of an address as a whole only: `World::cohorts`.
            Dimension::Windows => Some(String::new()),
        }
    }
}

#[derive(Default)]
struct Sets {
    v4: BTreeSet<Client>,
    v6: BTreeSet<(i64, Option<SiteId>)>,
    consumer: BTreeSet<Client>,
    address_days: BTreeSet<(Client, Day)>,
    organisation_days: BTreeMap<OrgId, BTreeSet<Day>>,
    organisation_address_days: BTreeMap<OrgId, BTreeSet<(Client, Day)>>,
    contacts: BTreeMap<Client, u64>,
}

/// A cell's values in the order of cells: what is not known last.
type Ordered = Vec<(bool, Option<String>)>;

impl World {
    fn counted(&self, query: &Query) -> Vec<Counted<'_>> {
        let catalog: BTreeMap<_, _> =
            endpoints().into_iter().map(|e| (e.id.clone(), e)).collect();
        self.sightings
            .iter()
            .filter(|s| query.counted().iter().any(|days| days.contains(s.day)))
            .map(|sighting| {
                let on = match query.on {
                    Dating::Frozen(day) => day,
                    Dating::EachDay => sighting.day,
                };
                let attribution = self.table.on(&sighting.client, on);
                let id = attribution.organisation.clone();
                let organisation = id
                    .as_ref()
                    .and_then(|id| self.table.organisations.get(id))
                    .cloned();
                let registered = organisation.as_ref().and_then(|o| o.country);
                Counted {
                    sighting,
                    endpoint: catalog[&sighting.endpoint].clone(),
                    org_country: id.and(attribution.org_country.or(registered)),
                    attribution,
                    organisation,
                }
            })
            .filter(|c| c.endpoint.valid.contains(c.sighting.day))
            .collect()
    }

    /// The cells of `query` and what is said of its address-days, by hand.
    pub(crate) fn census(&self, query: &Query) -> (Vec<Cell>, Told) {
        let (cells, told) = self.sets(query);
        let counts = if query.windows.is_empty() {
            let both = |sets: Sets| {
                let of = sets.organisation_address_days.values();
                (sets.counts(query), concentration(of.map(BTreeSet::len)))
            };
            cells.into_iter().map(|(key, sets)| (key, both(sets))).collect()
        } else {
            self.cohorts(query)
        };
        let cells = counts.into_iter().map(|(key, (counts, concentration))| Cell {
            key: key.into_iter().map(|(_, v)| v).collect(),
            counts,
            concentration,
        });
        (cells.collect(), told)
    }

    /// The counts of each cell and set of windows: what is in those and in no other.
    fn cohorts(&self, query: &Query) -> BTreeMap<Ordered, (Counts, Concentration)> {
        let of_window = |days: &DayRange| {
            self.sets(&Query { windows: vec![*days], ..query.clone() }).0
        };
        let windows: Vec<_> = query.windows.iter().map(of_window).collect();
        let keys: BTreeSet<_> = windows.iter().flat_map(BTreeMap::keys).collect();
        let mut out = BTreeMap::new();
        for key in keys {
            let cell: Vec<_> = windows.iter().map(|w| w.get(key)).collect();
            for bits in 1u32..1 << windows.len() {
                let counts = exactly(&cell, bits, query);
                if counts.0 == Counts::default() {
                    continue;
                }
                let numbers: Vec<_> = (0..windows.len())
                    .filter(|at| bits >> at & 1 == 1)
                    .map(|at| (at + 1).to_string())
                    .collect();
                let mut key = key.clone();
                let at = query.by.iter().position(|d| *d == Dimension::Windows);
                key[at.unwrap()].1 = Some(numbers.join("+"));
                out.insert(key, counts);
            }
        }
        out
    }

    /// What is in each cell, and what is said of all address-days.
    fn sets(&self, query: &Query) -> (BTreeMap<Ordered, Sets>, Told) {
        let mut cells: BTreeMap<Ordered, Sets> = BTreeMap::new();
        let mut days = BTreeMap::new();
        for counted in self.counted(query).iter().filter(|c| is_use(&c.endpoint, query))
        {
            let s = counted.sighting;
            let key: Vec<_> = query.by.iter().map(|d| counted.value(*d)).collect();
            let day = (key.clone(), s.client.clone(), s.day);
            days.insert(day, counted.attribution.clone());
            if !counted.passes(query) {
                continue;
            }
            let order = key.into_iter().map(|v| (v.is_none(), v)).collect();
            let sets = cells.entry(order).or_default();
            if s.client.address.is_v4() {
                sets.v4.insert(s.client.clone());
                let kind = counted.attribution.kind;
                if matches!(kind, NetworkKind::Eyeball | NetworkKind::Mobile) {
                    sets.consumer.insert(s.client.clone());
                }
            } else {
                sets.v6.insert((s.client.address.halves().0, s.client.site.clone()));
            }
            sets.address_days.insert((s.client.clone(), s.day));
            *sets.contacts.entry(s.client.clone()).or_default() += s.contacts;
            if let Some(id) = counted.stands(query) {
                sets.organisation_days.entry(id.clone()).or_default().insert(s.day);
                let of = sets.organisation_address_days.entry(id.clone()).or_default();
                of.insert((s.client.clone(), s.day));
            }
        }
        let nobody = days.values().filter(|held| held.organisation.is_none()).count();
        let number = |n: usize| f64::from(u32::try_from(n).unwrap());
        let mut told = Told::default();
        if !days.is_empty() {
            told.unattributed_share = number(nobody) / number(days.len());
        }
        for held in days.values() {
            *told.standings.entry(standing(held)).or_default() += 1;
        }
        (cells, told)
    }

    /// The histories of `product`, by hand.
    pub(crate) fn histories(&self, product: &ProductId, query: &Query) -> Vec<History> {
        let all: Vec<_> = self
            .counted(query)
            .into_iter()
            .filter(|c| c.passes(query) && c.stands(query).is_some())
            .map(|c| {
                let seen = c.endpoint.product == *product && is_use(&c.endpoint, query);
                let control = c.endpoint.product == control()
                    && c.endpoint.weight > Weight::Nothing;
                (c, seen, control)
            })
            .filter(|(_, seen, control)| *seen || *control)
            .collect();
        let keys: BTreeSet<(OrgId, VantageId)> = all
            .iter()
            .filter(|(_, seen, _)| *seen)
            .map(|(c, ..)| {
                (c.stands(query).unwrap().clone(), c.sighting.vantage.clone())
            })
            .collect();
        keys.into_iter()
            .map(|(id, vantage)| {
                let own: Vec<_> =
                    all.iter().filter(|(c, ..)| c.stands(query) == Some(&id)).collect();
                let cell = |monday: Day| {
                    let mut cell = WeekCell::default();
                    for d in 0..7u8 {
                        let day = monday.plus(i32::from(d));
                        if !query.days.contains(day) {
                            continue;
                        }
                        let here = own.iter().filter(|(c, ..)| {
                            c.sighting.day == day && c.sighting.vantage == vantage
                        });
                        for (_, seen, control) in here {
                            cell.seen |= u8::from(*seen) << d;
                            cell.control |= u8::from(*control) << d;
                        }
                        let visible = own.iter().any(|(c, ..)| {
                            self.could_see(
                                &c.sighting.client,
                                &vantage,
                                day,
                                c.sighting,
                            )
                        });
                        cell.visible |= u8::from(visible) << d;
                    }
                    cell
                };
                let known = self.table.organisations.get(&id);
                History {
                    family: self.family(&id),
                    country: known.and_then(|o| o.country),
                    sector: known.and_then(|o| o.sector.clone()),
                    organisation: id.clone(),
                    weeks: query.days.weeks().map(|w| cell(w.monday())).collect(),
                    vantage,
                }
            })
            .collect()
    }

    fn could_see(
        &self,
        client: &Client,
        at: &VantageId,
        day: Day,
        by: &Sighting,
    ) -> bool {
        self.coverage.iter().filter(|c| c.vantage == *at && c.day == day).any(|c| {
            if client.site.is_some() {
                return by.vantage == *at && c.flows > 0;
            }
            let length = if client.address.is_v4() { 120 } else { 48 };
            let block: Prefix = Prefix::containing(client.address, length);
            let first: Address = block.first();
            c.footprint.prefixes().any(|p| p.contains(first))
        })
    }

    /// Heads of the fixed organisations: a and b belong to d; c and e own each other.
    fn family(&self, id: &OrgId) -> OrgId {
        let known = self.table.organisations.contains_key(id);
        match id.as_str() {
            "a" | "b" if known => "d".into(),
            "e" if known => "c".into(),
            other => other.into(),
        }
    }
}

impl Sets {
    fn counts(&self, query: &Query) -> Counts {
        let size = |n: usize| u64::try_from(n).unwrap();
        let least = usize::try_from(query.active_days_min).unwrap();
        let active = self.organisation_days.values().filter(|d| d.len() >= least);
        Counts {
            addresses_v4: size(self.v4.len()),
            networks_v6: size(self.v6.len()),
            organisations: size(self.organisation_days.len()),
            organisations_active: size(active.count()),
            address_days: size(self.address_days.len()),
            contacts: self.contacts.values().sum(),
            addresses_v4_consumer: size(self.consumer.len()),
        }
    }
}

/// The counts of what is in the windows of `bits` and in no other.
fn exactly(
    windows: &[Option<&Sets>],
    bits: u32,
    query: &Query,
) -> (Counts, Concentration) {
    fn members<T: Ord + Clone>(
        windows: &[Option<&Sets>],
        bits: u32,
        of: impl Fn(&Sets) -> BTreeSet<T>,
    ) -> BTreeSet<T> {
        let sets: Vec<_> =
            windows.iter().map(|w| w.map(&of).unwrap_or_default()).collect();
        let all: BTreeSet<T> = sets.iter().flatten().cloned().collect();
        let is = |value: &T| {
            (0..)
                .zip(&sets)
                .all(|(at, set)| set.contains(value) == (bits >> at & 1 == 1))
        };
        all.into_iter().filter(is).collect()
    }
    let size = |n: usize| u64::try_from(n).unwrap();
    let least = usize::try_from(query.active_days_min).unwrap();
    let v4 = members(windows, bits, |s| s.v4.clone());
    let v6 = members(windows, bits, |s| s.v6.clone());
    let here = |client: &Client| {
        let network = (client.address.halves().0, client.site.clone());
        v4.contains(client) || v6.contains(&network) && !client.address.is_v4()
    };
    let sets = || windows.iter().copied().flatten();
    let days = sets().flat_map(|s| &s.address_days).filter(|(client, _)| here(client));
    let contacts = sets().flat_map(|s| &s.contacts).filter(|(client, _)| here(client));
    let consumers: BTreeSet<_> = sets().flat_map(|s| &s.consumer).collect();
    let active = |s: &Sets| {
        let days = s.organisation_days.iter();
        days.filter(|(_, d)| d.len() >= least).map(|(id, _)| id.clone()).collect()
    };
    let organisations = |s: &Sets| s.organisation_days.keys().cloned().collect();
    let organisations = members(windows, bits, organisations);
    let address_days = |id| {
        sets()
            .filter_map(move |s| Some(s.organisation_address_days.get(id)?.len()))
            .sum()
    };
    let concentration = concentration(organisations.iter().map(address_days));
    let counts = Counts {
        addresses_v4: size(v4.len()),
        networks_v6: size(v6.len()),
        organisations: size(organisations.len()),
        organisations_active: size(members(windows, bits, active).len()),
        address_days: size(days.count()),
        contacts: contacts.map(|(_, contacts)| contacts).sum(),
        addresses_v4_consumer: size(
            v4.iter().filter(|c| consumers.contains(c)).count(),
        ),
    };
    (counts, concentration)
}

/// Of the address-days of each organisation.
fn concentration(each: impl Iterator<Item = usize> + Clone) -> Concentration {
    let size = |n: usize| u64::try_from(n).unwrap();
    Concentration {
        address_days: size(each.clone().sum()),
        largest: size(each.max().unwrap_or(0)),
    }
}

fn is_use(endpoint: &Endpoint, query: &Query) -> bool {
    (query.products.is_empty() || query.products.contains(&endpoint.product))
        && query.roles.contains(&endpoint.role)
        && endpoint.weight >= query.weight_min
        && endpoint.weight != Weight::Nothing
}
