//! The table of holders that a question joins: every client that has a sighting, with who
//! held it when.
//!
//! **Invariant:** the rows of one client cover the days asked for wholly and without
//! overlap, so that the join neither drops a sighting nor counts one twice. Everything
//! that cells are made of is a small number here; the texts stay in [`Held`].
//!
//! This table is in memory, some 100 bytes for each client and tenure: it is what bounds
//! the number of clients of one question.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::array::{
    Date32Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use tidegauge_model::count::{Dating, Query};
use tidegauge_model::{
    Address, Attribution, Client, Country, DayRange, Holders, NetworkKind, OrgId,
    Organisation, Prefix, SectorId, Shared, SiteId, Tenure,
};
use tidegauge_store::schema::column::{DAY, ENDPOINT, IP_HI, IP_LO, SITE};

use crate::Result;
use crate::evidence::sightings_sql;
use crate::read::Columns;
use crate::session::Engine;

/// Name of the table in a session.
pub(crate) const HOLDERS: &str = "holders";

/// What is so or not so of a client, as bits of one column: a count carries one number
/// for each client and day instead of four.
pub(crate) mod traits {
    /// Its address is IPv4.
    pub(crate) const V4: i32 = 1;
    /// It is in an eyeball or mobile network.
    pub(crate) const CONSUMER: i32 = 2;
    /// The filters of the question let it through.
    pub(crate) const PASSES: i32 = 4;
    /// Nobody is known to hold it.
    pub(crate) const UNATTRIBUTED: i32 = 8;
}

/// What the numbers in the table of holders mean.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) organisations: Codes<OrgId>,
    pub(crate) countries: Codes<Country>,
    pub(crate) sectors: Codes<SectorId>,
    pub(crate) blocks: Codes<Block>,
    known: HashMap<OrgId, Option<Organisation>>,
    _memory: MemoryReservation,
}

/// What a footprint can say about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    /// The /24 or /48 of a global address.
    Global(Prefix),
    /// A private address: seen wherever its vantage looked.
    Private,
}

/// Numbers for values, in order of first appearance.
#[derive(Debug)]
pub(crate) struct Codes<T> {
    codes: HashMap<T, i32>,
    values: Vec<T>,
}

impl<T> Default for Codes<T> {
    fn default() -> Self {
        Self { codes: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Codes<T> {
    fn code(&mut self, value: &T) -> i32 {
        if let Some(code) = self.codes.get(value) {
            return *code;
        }
        let code = i32::try_from(self.values.len())
            .expect("2^31 distinct values do not fit into memory");
        self.codes.insert(value.clone(), code);
        self.values.push(value.clone());
        code
    }

    /// The value of a code.
    pub(crate) fn value(&self, code: i64) -> Option<&T> {
        self.values.get(usize::try_from(code).ok()?)
    }
}

impl Held {
    /// What is known of an organisation of the table.
    pub(crate) fn organisation(&self, id: &OrgId) -> Option<&Organisation> {
        self.known.get(id).and_then(Option::as_ref)
    }
}

/// Sightings of clients that stand for an organisation and pass the filters, as SQL.
pub(crate) fn stands_and_passes() -> String {
    format!("h.organisation IS NOT NULL AND (h.traits & {}) <> 0", traits::PASSES)
}

/// Asks `holders` about every client of the evidence in `session` and puts the answers
/// into the session as [`HOLDERS`].
pub(crate) async fn hold(
    engine: &Engine,
    session: &SessionContext,
    holders: &dyn Holders,
    query: &Query,
) -> Result<Held> {
    let doing = "collecting clients";
    let mut clients = engine.run(session, doing, &clients_sql(query)).await?;
    let mut rows = Rows::new(query, holders);
    while let Some(batch) = clients.try_next().await.map_err(engine.error(doing))? {
        rows.add(&batch).map_err(engine.error(doing))?;
    }
    let Rows { batches, organisations, countries, sectors, blocks, known, .. } =
        rows.finish().map_err(engine.error(doing))?;
    let memory = engine.add_rows(session, HOLDERS, schema(), batches)?;
    Ok(Held { organisations, countries, sectors, blocks, known, _memory: memory })
}

/// Each distinct client of the evidence.
fn clients_sql(query: &Query) -> String {
    let sightings = sightings_sql(query.days);
    format!(
        "SELECT s.{IP_HI} AS {IP_HI}, s.{IP_LO} AS {IP_LO}, s.{SITE} AS {SITE} \
         FROM catalog c JOIN {sightings} s ON c.{ENDPOINT} = s.{ENDPOINT} \
         AND s.{DAY} BETWEEN c.valid_from AND c.valid_to \
         GROUP BY s.{IP_HI}, s.{IP_LO}, s.{SITE}"
    )
}

fn schema() -> SchemaRef {
    use DataType::{Date32, Int32, Int64, Utf8};
    let must = |name: &str, data_type| Field::new(name, data_type, false);
    let may = |name: &str| Field::new(name, Int32, true);
    Arc::new(Schema::new(vec![
        must(IP_HI, Int64),
        must(IP_LO, Int64),
        must(SITE, Utf8),
        must("valid_from", Date32),
        must("valid_to", Date32),
        // The client as one number; what counts as one address: the IPv4 address or the
        // /64, within a site; and the block by which a footprint knows it.
        must("client", Int64),
        must("network", Int64),
        must("block", Int32),
        // The organisation that the client stands for; null if it stands for none.
        may("organisation"),
        must("traits", Int32),
        may("country"),
        may("sector"),
        may("kind"),
    ]))
}

/// The rows as they are made.
struct Rows<'a> {
    query: &'a Query,
    holders: &'a dyn Holders,
    batches: Vec<RecordBatch>,
    organisations: Codes<OrgId>,
    countries: Codes<Country>,
    sectors: Codes<SectorId>,
    blocks: Codes<Block>,
    known: HashMap<OrgId, Option<Organisation>>,
    clients: i64,
    networks: Networks,
    building: Building,
}

/// Numbers what counts as one address.
#[derive(Default)]
struct Networks {
    next: i64,
    v6: HashMap<(i64, Option<SiteId>), i64>,
}

impl Networks {
    fn number(&mut self, client: &Client) -> i64 {
        let next = self.next;
        let number = if client.address.is_v4() {
            // Clients are distinct, so every IPv4 one is a new number.
            next
        } else {
            let (hi, _) = client.address.halves();
            *self.v6.entry((hi, client.site.clone())).or_insert(next)
        };
        self.next += i64::from(number == next);
        number
    }
}

impl<'a> Rows<'a> {
    fn new(query: &'a Query, holders: &'a dyn Holders) -> Self {
        Self {
            query,
            holders,
            batches: Vec::new(),
            organisations: Codes::default(),
            countries: Codes::default(),
            sectors: Codes::default(),
            blocks: Codes::default(),
            known: HashMap::new(),
            clients: 0,
            networks: Networks::default(),
            building: Building::default(),
        }
    }

    /// Adds a batch of distinct clients.
    fn add(&mut self, batch: &RecordBatch) -> std::result::Result<(), DataFusionError> {
        let columns = Columns(batch);
        let (hi, lo) = (columns.numbers(IP_HI)?, columns.numbers(IP_LO)?);
        let sites = columns.texts(SITE)?;
        for row in 0..batch.num_rows() {
            let (Some(hi), Some(lo)) = (hi.get(row), lo.get(row)) else { continue };
            let site = sites.get(row).filter(|site| !site.is_empty());
            let client = Client {
                address: Address::from_halves(hi, lo),
                site: site.map(SiteId::new),
            };
            self.add_client(&client);
        }
        let full = std::mem::take(&mut self.building).finish()?;
        self.batches.push(full);
        Ok(())
    }

    fn add_client(&mut self, client: &Client) {
        let identity = Identity {
            number: self.clients,
            network: self.networks.number(client),
            block: self.blocks.code(&block(client)),
        };
        self.clients += 1;
        let days = self.query.days;
        let tenures = match self.query.on {
            Dating::EachDay => self.holders.tenures(client, days),
            Dating::Frozen(day) => {
                let on = DayRange::new(day, day).expect("a day is not before itself");
                let held = self.holders.tenures(client, on).into_iter().next();
                held.map(|t| Tenure { days, ..t }).into_iter().collect()
            }
        };
        for tenure in covering(tenures, days) {
            let facts = self.facts(&tenure.attribution);
            self.building.push(client, identity, tenure.days, facts);
        }
    }

    fn facts(&mut self, attribution: &Attribution) -> Facts {
        let organisation = attribution.organisation.as_ref().and_then(|id| {
            let find = || self.holders.organisation(id);
            self.known.entry(id.clone()).or_insert_with(find).clone()
        });
        let org_country = attribution
            .org_country
            .or(organisation.as_ref().and_then(|o| o.country))
            .filter(|_| attribution.organisation.is_some());
        let country = org_country.or(attribution.addr_country);
        let sector = organisation.as_ref().and_then(|o| o.sector.as_ref());
        let others = organisation.as_ref().map_or(&[][..], |o| &o.other_sectors);
        let (countries, sectors) = (&self.query.countries, &self.query.sectors);
        let passes = (countries.is_empty()
            || org_country.is_some_and(|c| countries.contains(&c)))
            && (sectors.is_empty()
                || sector.into_iter().chain(others).any(|s| sectors.contains(s)));
        let consumer =
            matches!(attribution.kind, NetworkKind::Eyeball | NetworkKind::Mobile);
        let traits = bit(traits::CONSUMER, consumer)
            | bit(traits::PASSES, passes)
            | bit(traits::UNATTRIBUTED, attribution.organisation.is_none());
        let stands = stands_for_organisation(attribution, self.query);
        Facts {
            organisation: attribution
                .organisation
                .as_ref()
                .filter(|_| stands)
                .map(|id| self.organisations.code(id)),
            traits,
            country: country.map(|c| self.countries.code(&c)),
            sector: sector.map(|s| self.sectors.code(s)),
            kind: kind_code(attribution.kind),
        }
    }

    fn finish(mut self) -> std::result::Result<Self, DataFusionError> {
        let last = std::mem::take(&mut self.building).finish()?;
        self.batches.push(last);
        Ok(self)
    }
}

/// Whether an address so attributed stands for its organisation.
pub(crate) fn stands_for_organisation(
    attribution: &Attribution,
    query: &Query,
) -> bool {
    attribution.shared == Shared::No
        && query.organisation_kinds.contains(&attribution.kind)
}

fn bit(bit: i32, so: bool) -> i32 {
    if so { bit } else { 0 }
}

/// The number of a kind of network; an unknown one has none.
fn kind_code(kind: NetworkKind) -> Option<i32> {
    let at = NetworkKind::ALL.iter().position(|k| *k == kind)?;
    (kind != NetworkKind::Unknown).then(|| i32::try_from(at).expect("a short list"))
}

/// The block by which a footprint knows a client.
fn block(client: &Client) -> Block {
    if client.site.is_some() || !client.address.is_global() {
        return Block::Private;
    }
    let length = if client.address.is_v4() { 96 + 24 } else { 48 };
    Block::Global(Prefix::containing(client.address, length))
}

/// `tenures` cut to `days`, without overlap (the earlier one stands), with nobody known
/// in what they leave open.
pub(crate) fn covering(tenures: Vec<Tenure>, days: DayRange) -> Vec<Tenure> {
    let nobody = |from, to| {
        let days = DayRange::new(from, to)?;
        Some(Tenure { days, attribution: Attribution::UNATTRIBUTED })
    };
    let mut out = Vec::with_capacity(tenures.len().max(1));
    let mut open = days.first();
    for tenure in tenures {
        let from = tenure.days.first().max(open);
        let to = tenure.days.last().min(days.last());
        let Some(held) = DayRange::new(from, to) else { continue };
        out.extend(nobody(open, from.plus(-1)));
        out.push(Tenure { days: held, attribution: tenure.attribution });
        open = to.plus(1);
    }
    out.extend(nobody(open, days.last()));
    out
}

/// A client as numbers.
#[derive(Clone, Copy)]
struct Identity {
    number: i64,
    network: i64,
    block: i32,
}

/// An attribution as numbers.
#[derive(Clone, Copy)]
struct Facts {
    organisation: Option<i32>,
    traits: i32,
    country: Option<i32>,
    sector: Option<i32>,
    kind: Option<i32>,
}

/// One batch in the making; fields in the order of [`schema`].
#[derive(Default)]
struct Building {
    hi: Int64Builder,
    lo: Int64Builder,
    site: StringBuilder,
    from: Date32Builder,
    to: Date32Builder,
    client: Int64Builder,
    network: Int64Builder,
    block: Int32Builder,
    organisation: Int32Builder,
    traits: Int32Builder,
    country: Int32Builder,
    sector: Int32Builder,
    kind: Int32Builder,
}

impl Building {
    fn push(
        &mut self,
        client: &Client,
        identity: Identity,
        days: DayRange,
        facts: Facts,
    ) {
        let (hi, lo) = client.address.halves();
        self.hi.append_value(hi);
        self.lo.append_value(lo);
        self.site.append_value(client.site.as_ref().map_or("", SiteId::as_str));
        self.from.append_value(days.first().0);
        self.to.append_value(days.last().0);
        self.client.append_value(identity.number);
        self.network.append_value(identity.network);
        self.block.append_value(identity.block);
        self.organisation.append_option(facts.organisation);
        let v4 = bit(traits::V4, client.address.is_v4());
        self.traits.append_value(facts.traits | v4);
        self.country.append_option(facts.country);
        self.sector.append_option(facts.sector);
        self.kind.append_option(facts.kind);
    }

    fn finish(mut self) -> std::result::Result<RecordBatch, DataFusionError> {
        let batch = RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(self.hi.finish()),
                Arc::new(self.lo.finish()),
                Arc::new(self.site.finish()),
                Arc::new(self.from.finish()),
                Arc::new(self.to.finish()),
                Arc::new(self.client.finish()),
                Arc::new(self.network.finish()),
                Arc::new(self.block.finish()),
                Arc::new(self.organisation.finish()),
                Arc::new(self.traits.finish()),
                Arc::new(self.country.finish()),
                Arc::new(self.sector.finish()),
                Arc::new(self.kind.finish()),
            ],
        )?;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(a: &str, b: &str) -> DayRange {
        DayRange::new(a.parse().unwrap(), b.parse().unwrap()).unwrap()
    }

    fn of(days: DayRange, id: &str) -> Tenure {
        let organisation = Some(OrgId::new(id));
        let attribution = Attribution { organisation, ..Attribution::UNATTRIBUTED };
        Tenure { days, attribution }
    }

    #[test]
    fn gaps_are_nobodys_and_overlaps_go_to_the_earlier() {
        let days = range("2024-04-01", "2024-04-30");
        let tenures = vec![
            of(range("2024-03-01", "2024-04-02"), "a"),
            of(range("2024-04-02", "2024-04-05"), "b"),
            of(range("2024-04-10", "2024-04-12"), "c"),
        ];
        let covered: Vec<_> = covering(tenures, days)
            .into_iter()
            .map(|t| {
                let id =
                    t.attribution.organisation.map_or("-".into(), |o| o.to_string());
                format!("{id} {}", t.days)
            })
            .collect();
        assert_eq!(
            covered,
            [
                "a 2024-04-01 to 2024-04-02",
                "b 2024-04-03 to 2024-04-05",
                "- 2024-04-06 to 2024-04-09",
                "c 2024-04-10 to 2024-04-12",
                "- 2024-04-13 to 2024-04-30",
            ]
        );
        assert_eq!(covering(Vec::new(), days).len(), 1);
    }

    #[test]
    fn ipv6_addresses_of_one_network_are_one_number() {
        let mut networks = Networks::default();
        let mut number = |address: &str, site: Option<&str>| {
            let address = address.parse().unwrap();
            networks.number(&Client { address, site: site.map(SiteId::new) })
        };
        let first = number("2001:db8::1", None);
        assert_eq!(number("2001:db8::2", None), first);
        assert_ne!(number("2001:db8:0:1::1", None), first);
        assert_ne!(number("2001:db8::1", Some("lab")), first);
        assert_ne!(number("192.0.2.1", None), number("192.0.2.2", None));
    }
}
