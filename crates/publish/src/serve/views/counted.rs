//! Distinct counts month by month, and estimates about acts.
//!
//! **Invariant:** all months of a product are counted with one map of holders, that of the
//! pages, so that a row is the number which a page shows.

use tidegauge_model::count::{Counts as Counted, Dimension, Release};
use tidegauge_model::estimate::{Estimate, Identification, ReleasedEstimate};
use tidegauge_model::{DayRange, Month, PolicyId, ProductId};

use super::sheet::{Cell, Sheet};
use super::{Column, Kind, PRODUCT, Reading, View, column};
use crate::serve::selection::Selection;
use crate::serve::{Answer, CountsError};
use crate::tables;

const MONTH: Column = column("month", Kind::Day, "First day of the month, UTC.");
const PRODUCT_ID: Column = column(PRODUCT, Kind::Text, "Product, as in the catalog.");
const SUPPRESSED: Column =
    column("suppressed", Kind::Truth, "The disclosure rule withheld the numbers.");
const NOTE: Column = column(
    "note",
    Kind::Text,
    "Why there are no rows of this product and month, where all were withheld.",
);
const V4: Column = column("addresses_v4", Kind::Whole, "Distinct IPv4 addresses.");
const V6: Column = column("networks_v6", Kind::Whole, "Distinct IPv6 /64 networks.");
const ORGANISATIONS: Column = column(
    "organisations",
    Kind::Whole,
    "Distinct organisations, by networks that stand for them.",
);
const ACTIVE: Column = column(
    "organisations_active",
    Kind::Whole,
    "Those of them with enough days of sightings in the month.",
);
const DAYS: Column = column(
    "address_days",
    Kind::Whole,
    "Pairs of client and day: the one count that adds up over cells.",
);
const CONTACTS: Column = column("contacts", Kind::Whole, "Contacts.");
const CONSUMER: Column = column(
    "addresses_v4_consumer",
    Kind::Whole,
    "IPv4 addresses in eyeball and mobile networks, a part of addresses_v4.",
);

pub(super) const BY_MONTH: View = View {
    name: "census_by_month",
    about: "Distinct counts of a product in a month. They do not add up over months.",
    columns: &[
        PRODUCT_ID,
        MONTH,
        SUPPRESSED,
        NOTE,
        V4,
        V6,
        ORGANISATIONS,
        ACTIVE,
        DAYS,
        CONTACTS,
        CONSUMER,
    ],
    rows: by_month,
};

pub(super) const BY_COUNTRY: View = View {
    name: "census_by_country",
    about: "Distinct counts of a product in a month and country. They do not add up over \
            countries or months.",
    columns: &[
        PRODUCT_ID,
        MONTH,
        column(
            "country",
            Kind::Text,
            "Country of the organisation, or of the address without one: ISO 3166-1 alpha-2; \
             null if not known.",
        ),
        SUPPRESSED,
        NOTE,
        V4,
        V6,
        ORGANISATIONS,
        ACTIVE,
        DAYS,
        CONTACTS,
        CONSUMER,
    ],
    rows: by_country,
};

pub(super) const BY_SECTOR: View = View {
    name: "census_by_sector",
    about: "Distinct counts of a product in a month and sector. They do not add up over \
            sectors or months.",
    columns: &[
        PRODUCT_ID,
        MONTH,
        column("sector", Kind::Text, "Sector of the organisation; null if not known."),
        SUPPRESSED,
        NOTE,
        V4,
        V6,
        ORGANISATIONS,
        ACTIVE,
        DAYS,
        CONTACTS,
        CONSUMER,
    ],
    rows: by_sector,
};

pub(super) const ESTIMATES: View = View {
    name: "estimates",
    about: "What the windows before and after an act say, for all organisations, for those of \
            each country and of each sector. Before and after alone do not tell the effect of \
            an act.",
    columns: &[
        column("act", Kind::Text, "Id of the act, as in acts."),
        PRODUCT_ID,
        column("quantity", Kind::Text, "cohort_removal, net_change, retention."),
        column("country", Kind::Text, "Only organisations of it; null for all."),
        column("sector", Kind::Text, "Only organisations of it; null for all."),
        SUPPRESSED,
        column("before_first", Kind::Day, "First day of the window before."),
        column("before_last", Kind::Day, "Last day of the window before."),
        column("after_first", Kind::Day, "First day of the window after."),
        column("after_last", Kind::Day, "Last day of the window after."),
        column("value", Kind::Number, "The estimate as a share: 0.58 is 58 %."),
        column("low", Kind::Number, "Lower end of the interval."),
        column("high", Kind::Number, "Upper end of the interval."),
        column("level", Kind::Number, "Nominal coverage of the interval."),
        column("interval_method", Kind::Text, "How the interval was made."),
        column("n", Kind::Whole, "Organisations in the denominator."),
        column("k", Kind::Whole, "Organisations in the numerator."),
        column("method", Kind::Text, "The estimator and its settings."),
        column("identified", Kind::Truth, "Whether the data can tell the quantity."),
        column(
            "caveat",
            Kind::Text,
            "What it is mixed with, or why it is not identified.",
        ),
    ],
    rows: estimates,
};

fn by_month(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(async move {
        let mut sheet = Sheet::new(BY_MONTH.columns);
        for product in reading.products {
            let Some(selection) = selection(reading, product) else { continue };
            let query = selection.query(selection.period(), Dimension::Month);
            match released(reading.counts.release(&query).await)? {
                Ok(release) => {
                    for row in release.rows() {
                        let month = row.key.first().cloned().flatten();
                        let month = month.and_then(|text| text.parse().ok());
                        sheet.push(row_of(product, month, None, row.counts));
                    }
                }
                Err(why) => sheet.push(withheld(product, None, false, &why)),
            }
        }
        Ok(sheet)
    })
}

fn by_country(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(by_month_and(reading, &BY_COUNTRY, Dimension::Country))
}

fn by_sector(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(by_month_and(reading, &BY_SECTOR, Dimension::Sector))
}

/// Each month by itself: a table by both would give hidden cells away beside those of the
/// pages.
async fn by_month_and(
    reading: Reading<'_>,
    view: &View,
    by: Dimension,
) -> Result<Sheet, CountsError> {
    let mut sheet = Sheet::new(view.columns);
    for product in reading.products {
        let Some(selection) = selection(reading, product) else { continue };
        for month in selection.period().months() {
            let query = selection.query(DayRange::month(month), by);
            match released(reading.counts.release(&query).await)? {
                Ok(release) => {
                    for row in release.rows() {
                        let value = row.key.first().cloned().flatten();
                        let value = value.map_or(Cell::Unattributed, Cell::Text);
                        sheet.push(row_of(
                            product,
                            Some(month),
                            Some(value),
                            row.counts,
                        ));
                    }
                }
                Err(why) => sheet.push(withheld(product, Some(month), true, &why)),
            }
        }
    }
    Ok(sheet)
}

/// The release, or in words why the rule refused it. What failed is a failure of the view.
fn released(
    answer: Result<Release, CountsError>,
) -> Result<Result<Release, String>, CountsError> {
    match answer {
        Ok(release) => Ok(Ok(release)),
        Err(CountsError::Refused { asked, hint }) => {
            Ok(Err(format!("{asked}: {hint}")))
        }
        Err(failed) => Err(failed),
    }
}

fn row_of(
    product: &ProductId,
    month: Option<Month>,
    value: Option<Cell>,
    counts: Option<Counted>,
) -> Vec<Cell> {
    let mut row = head(product, month, value);
    row.extend([Cell::Truth(counts.is_none()), Cell::None]);
    row.extend(count_cells(counts));
    row
}

fn withheld(
    product: &ProductId,
    month: Option<Month>,
    split: bool,
    why: &str,
) -> Vec<Cell> {
    let mut row = head(product, month, split.then_some(Cell::None));
    row.extend([Cell::Truth(true), Cell::text(why)]);
    row.extend(count_cells(None));
    row
}

fn head(product: &ProductId, month: Option<Month>, value: Option<Cell>) -> Vec<Cell> {
    let month = Cell::from(month.map(Month::first));
    [Cell::text(product), month].into_iter().chain(value).collect()
}

fn count_cells(counts: Option<Counted>) -> [Cell; 7] {
    let Some(c) = counts else { return [const { Cell::Suppressed }; 7] };
    [
        c.addresses_v4,
        c.networks_v6,
        c.organisations,
        c.organisations_active,
        c.address_days,
        c.contacts,
        c.addresses_v4_consumer,
    ]
    .map(Cell::Whole)
}

/// What the pages of a product show unless they are asked for something else.
fn selection(reading: Reading<'_>, product: &ProductId) -> Option<Selection> {
    let usual = Selection::default_of(reading.scope, reading.scope.days?);
    Some(Selection { product: Some(product.clone()), ..usual })
}

fn estimates(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(async move {
        let mut sheet = Sheet::new(ESTIMATES.columns);
        let timeline = reading.counts.timeline().await?;
        for (act, before, after) in &reading.scope.acts {
            let Some(policy) = timeline.policy(act.as_str()) else { continue };
            if !reading.products.contains(&policy.product) {
                continue;
            }
            let Some(selection) = selection(reading, &policy.product) else { continue };
            let selection = Selection { before: *before, after: *after, ..selection };
            let Some(mut asked) = selection.comparison() else { continue };
            for by in [Dimension::Country, Dimension::Sector] {
                asked.by = Some(by);
                let found = reading.counts.estimates(&asked).await?;
                // Both have the estimate for all.
                let of_this = found
                    .iter()
                    .filter(|e| by == Dimension::Country || !e.stratum().is_empty());
                for estimate in of_this {
                    sheet.push(estimate_row(act, &policy.product, estimate));
                }
            }
        }
        Ok(sheet)
    })
}

fn estimate_row(
    act: &PolicyId,
    product: &ProductId,
    estimate: &ReleasedEstimate,
) -> Vec<Cell> {
    let of = |dimension: Dimension| {
        let found =
            estimate.stratum().iter().find(|(name, _)| name == dimension.as_str());
        found.map_or(Cell::None, |(_, value)| Cell::text(value))
    };
    let mut row = vec![
        Cell::text(act),
        Cell::text(product),
        Cell::text(tables::quantity(estimate.quantity())),
        of(Dimension::Country),
        of(Dimension::Sector),
        Cell::Truth(estimate.shown().is_none()),
    ];
    match estimate.shown() {
        Some(shown) => row.extend(shown_cells(shown)),
        None => row.extend([const { Cell::Suppressed }; 14]),
    }
    row
}

fn shown_cells(e: &Estimate) -> [Cell; 14] {
    let interval = e.intervals.first();
    let (identified, caveat) = match &e.identified {
        Identification::Identified => (true, Cell::None),
        Identification::Mixed(why) | Identification::NotIdentified(why) => {
            (false, Cell::text(why))
        }
    };
    [
        Cell::Day(e.before.first()),
        Cell::Day(e.before.last()),
        Cell::Day(e.after.first()),
        Cell::Day(e.after.last()),
        Cell::Number(e.value),
        interval.map_or(Cell::None, |i| Cell::Number(i.low)),
        interval.map_or(Cell::None, |i| Cell::Number(i.high)),
        interval.map_or(Cell::None, |i| Cell::Number(i.level)),
        interval.map_or(Cell::None, |i| Cell::text(&i.method)),
        Cell::Whole(e.n),
        Cell::Whole(e.k),
        Cell::text(&e.method),
        Cell::Truth(identified),
        caveat,
    ]
}
