//! The evidence a question rests on: which sightings, of which product, on which days.
//!
//! **Invariant:** product, role and weight come from the dated catalog at the time of the
//! question; a sighting counts only while its endpoint is valid. Two rows of the same
//! sighting in two batches need no merging here: contacts are summed and everything else
//! is counted distinct.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Date32Array, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::prelude::SessionContext;
use tidegauge_model::count::Query;
use tidegauge_model::{
    Day, DayRange, Endpoint, EndpointId, Month, ProductId, Week, Weight,
};
use tidegauge_store::Table;
use tidegauge_store::schema::column::{
    CONTACTS, DAY, ENDPOINT, IP_HI, IP_LO, MONTH, SIGNAL, SITE, VANTAGE,
};

use crate::session::Engine;
use crate::tenure::HOLDERS;
use crate::{Error, Result};

/// The endpoints that count in a question, and what a sighting of each is.
#[derive(Debug, Default)]
pub(crate) struct Evidence<'a> {
    rows: Vec<Row<'a>>,
    products: Vec<&'a ProductId>,
}

#[derive(Debug)]
struct Row<'a> {
    endpoint: &'a Endpoint,
    product: i32,
    seen: bool,
    control: bool,
}

impl<'a> Evidence<'a> {
    /// The endpoints that count as use in `query`.
    pub(crate) fn of_use(endpoints: &'a [Endpoint], query: &Query) -> Self {
        let wanted = |e: &Endpoint| {
            query.products.is_empty() || query.products.contains(&e.product)
        };
        Self::new(endpoints, |e| (wanted(e) && is_use(e, query), false))
    }

    /// The endpoints of a panel: those that count as use of `product`, and all of the
    /// `controls` that prove anything.
    pub(crate) fn of_panel(
        endpoints: &'a [Endpoint],
        product: &ProductId,
        controls: &[ProductId],
        query: &Query,
    ) -> Self {
        Self::new(endpoints, |e| {
            let control = controls.contains(&e.product) && e.weight > Weight::Nothing;
            (e.product == *product && is_use(e, query), control)
        })
    }

    fn new(endpoints: &'a [Endpoint], is: impl Fn(&Endpoint) -> (bool, bool)) -> Self {
        let mut evidence = Self::default();
        let mut codes = BTreeMap::new();
        for endpoint in endpoints {
            let (seen, control) = is(endpoint);
            if !seen && !control {
                continue;
            }
            let product = *codes.entry(&endpoint.product).or_insert_with(|| {
                evidence.products.push(&endpoint.product);
                i32::try_from(evidence.products.len() - 1)
                    .expect("fewer products than 2^31")
            });
            evidence.rows.push(Row { endpoint, product, seen, control });
        }
        evidence
    }

    /// Whether any endpoint counts as use.
    pub(crate) fn has_use(&self) -> bool {
        self.rows.iter().any(|r| r.seen)
    }

    /// The product of a code.
    pub(crate) fn product(&self, code: i64) -> Option<&ProductId> {
        self.products.get(usize::try_from(code).ok()?).copied()
    }

    /// Puts the endpoints into a session as `catalog`.
    pub(crate) fn add_to(
        &self,
        engine: &Engine,
        session: &SessionContext,
    ) -> Result<MemoryReservation> {
        let rows = &self.rows;
        let day = |of: fn(DayRange) -> Day| {
            rows.iter().map(|r| Some(of(r.endpoint.valid).0)).collect::<Date32Array>()
        };
        let number = |of: fn(&Row<'_>) -> i32| {
            rows.iter().map(|r| Some(of(r))).collect::<Int32Array>()
        };
        let ids: StringArray =
            rows.iter().map(|r| Some(r.endpoint.id.as_str())).collect();
        let batch = RecordBatch::try_new(
            catalog_schema(),
            vec![
                Arc::new(ids),
                Arc::new(number(|r| r.product)),
                Arc::new(number(|r| r.seen.into())),
                Arc::new(number(|r| r.control.into())),
                Arc::new(day(DayRange::first)),
                Arc::new(day(DayRange::last)),
            ],
        )
        .map_err(|e| engine.error("listing endpoints")(e.into()))?;
        engine.add_rows(session, "catalog", catalog_schema(), vec![batch])
    }
}

/// Refuses two entries of one id that hold on the same day: they would count twice.
pub(crate) fn check(endpoints: &[Endpoint]) -> Result<()> {
    let mut by_id: BTreeMap<&EndpointId, Vec<DayRange>> = BTreeMap::new();
    for endpoint in endpoints {
        by_id.entry(&endpoint.id).or_default().push(endpoint.valid);
    }
    for (id, mut ranges) in by_id {
        ranges.sort();
        let overlap = ranges.windows(2).any(
            |pair| matches!(pair, [earlier, later] if later.first() <= earlier.last()),
        );
        if overlap {
            return Err(Error::Catalog { endpoint: id.clone() });
        }
    }
    Ok(())
}

fn is_use(endpoint: &Endpoint, query: &Query) -> bool {
    query.roles.contains(&endpoint.role)
        && endpoint.weight >= query.weight_min
        && endpoint.weight > Weight::Nothing
}

fn catalog_schema() -> SchemaRef {
    let must = |name: &str, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        must(ENDPOINT, DataType::Utf8),
        must("product", DataType::Int32),
        must("seen", DataType::Int32),
        must("control", DataType::Int32),
        must("valid_from", DataType::Date32),
        must("valid_to", DataType::Date32),
    ]))
}

/// Days with their months and weeks, as numbers: the engine does no calendar arithmetic.
#[derive(Debug)]
pub(crate) struct Calendar {
    months: Vec<Month>,
    weeks: Vec<Week>,
    days: DayRange,
}

impl Calendar {
    /// The days of a question.
    pub(crate) fn new(days: DayRange) -> Self {
        Self { months: days.months().collect(), weeks: days.weeks().collect(), days }
    }

    /// Puts the days into a session as `calendar`.
    pub(crate) fn add_to(
        &self,
        engine: &Engine,
        session: &SessionContext,
    ) -> Result<MemoryReservation> {
        let code = |at: std::result::Result<usize, usize>| {
            i32::try_from(at.unwrap_or(0)).expect("fewer months and weeks than days")
        };
        let days: Vec<_> = self.days.days().collect();
        let numbers = |of: &dyn Fn(&Day) -> i32| {
            days.iter().map(|d| Some(of(d))).collect::<Int32Array>()
        };
        let dates: Date32Array = days.iter().map(|d| Some(d.0)).collect();
        let must = |name: &str, data_type| Field::new(name, data_type, false);
        let schema = Arc::new(Schema::new(vec![
            must(DAY, DataType::Date32),
            must("day_code", DataType::Int32),
            must("month_code", DataType::Int32),
            must("week_code", DataType::Int32),
        ]));
        let month = |d: &Day| code(self.months.binary_search(&d.month()));
        let week = |d: &Day| code(self.weeks.binary_search(&d.week()));
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(dates),
                Arc::new(numbers(&|d| d.0)),
                Arc::new(numbers(&month)),
                Arc::new(numbers(&week)),
            ],
        )
        .map_err(|e| engine.error("listing days")(e.into()))?;
        engine.add_rows(session, "calendar", schema, vec![batch])
    }

    /// The month of a code.
    pub(crate) fn month(&self, code: i64) -> Option<Month> {
        self.months.get(usize::try_from(code).ok()?).copied()
    }

    /// The week of a code.
    pub(crate) fn week(&self, code: i64) -> Option<Week> {
        self.weeks.get(usize::try_from(code).ok()?).copied()
    }
}

/// The sightings of `days`, as SQL. The month skips whole files.
pub(crate) fn sightings_sql(days: DayRange) -> String {
    let (first, last) = (days.first(), days.last());
    let (first_month, last_month) = (first.month(), last.month());
    let table = Table::Sightings.name();
    format!(
        "(SELECT {IP_HI}, {IP_LO}, COALESCE({SITE}, '') AS {SITE}, {ENDPOINT}, {DAY}, \
         {CONTACTS}, {SIGNAL}, {VANTAGE} FROM {table} \
         WHERE {DAY} BETWEEN DATE '{first}' AND DATE '{last}' \
         AND {MONTH} BETWEEN '{first_month}' AND '{last_month}')"
    )
}

/// The sightings of the catalog in the session, with period and holder, as SQL: `s` the
/// sighting, `c` its endpoint, `k` its calendar day, `h` its holder that day. The small
/// side of each join stands first: the engine builds its hash table from it.
pub(crate) fn evidence_sql(days: DayRange, columns: &str, filter: &str) -> String {
    let sightings = sightings_sql(days);
    format!(
        "SELECT {columns} FROM {HOLDERS} h JOIN (\
           calendar k JOIN (\
             catalog c JOIN {sightings} s ON c.{ENDPOINT} = s.{ENDPOINT} \
               AND s.{DAY} BETWEEN c.valid_from AND c.valid_to\
           ) ON k.{DAY} = s.{DAY}\
         ) ON h.{IP_HI} = s.{IP_HI} AND h.{IP_LO} = s.{IP_LO} AND h.{SITE} = s.{SITE} \
           AND s.{DAY} BETWEEN h.valid_from AND h.valid_to \
         WHERE {filter}"
    )
}
