//! What is known besides counts: products, acts, events of vendors, and what was looked at.

use tidegauge_model::Coverage;
use tidegauge_model::policy::{PolicyEvent, VendorEvent};

use super::sheet::{Cell, Sheet};
use super::{Column, Kind, PRODUCT, Reading, View, column};
use crate::serve::Answer;

const SOURCE: Column = column("source", Kind::Text, "Where this is known from.");

pub(super) const PRODUCTS: View = View {
    name: "products",
    about: "A product with at least one sighting.",
    columns: &[
        column(PRODUCT, Kind::Text, "Product, as in the catalog."),
        column("name", Kind::Text, "Its name for readers."),
    ],
    rows: products,
};

pub(super) const ACTS: View = View {
    name: "acts",
    about: "A dated act of a state about a product.",
    columns: &[
        column("act", Kind::Text, "Stable id."),
        column(PRODUCT, Kind::Text, "Whose products."),
        column("country", Kind::Text, "ISO 3166-1 alpha-2, or EU."),
        column("kind", Kind::Text, "Ban, restriction, warning and so on."),
        column("announced", Kind::Day, "When it was made public."),
        column("effective", Kind::Day, "When it began to hold."),
        column("deadline", Kind::Day, "When it had to be done."),
        column("ended", Kind::Day, "When it ended."),
        column("binding", Kind::Truth, "Whether those addressed must follow it."),
        column("scope", Kind::Text, "Who is addressed."),
        column("label", Kind::Text, "A few words for charts."),
        SOURCE,
    ],
    rows: acts,
};

pub(super) const VENDOR_EVENTS: View = View {
    name: "vendor_events",
    about: "A dated act of a vendor, or another event that charts must show.",
    columns: &[
        column("event", Kind::Text, "Stable id."),
        column(PRODUCT, Kind::Text, "Whose products."),
        column("country", Kind::Text, "Where: ISO 3166-1 alpha-2."),
        column("day", Kind::Day, "When; the first day that sources give."),
        column("latest", Kind::Day, "The last day they give, where they disagree."),
        column("what", Kind::Text, "What happened."),
        column("label", Kind::Text, "A few words for charts; null if it is not drawn."),
        SOURCE,
    ],
    rows: vendor_events,
};

pub(super) const COVERAGE: View = View {
    name: "coverage",
    about: "What a vantage saw on a day. Without it nobody can tell gone from not looked.",
    columns: &[
        column("vantage", Kind::Text, "The vantage."),
        column("day", Kind::Day, "The day, UTC."),
        column("flows", Kind::Whole, "Flows read, contact or not."),
        column("contacts", Kind::Whole, "Flows that matched an endpoint."),
        column(
            "losses",
            Kind::Whole,
            "Records that could not be used, for any reason.",
        ),
        column(
            "sampling_min",
            Kind::Whole,
            "The finest sampling, one packet in so many; null without flows.",
        ),
        column(
            "sampling_max",
            Kind::Whole,
            "The coarsest sampling, one packet in so many; null without flows.",
        ),
        column(
            "control_sampling",
            Kind::Whole,
            "Sightings of control products are kept for one client in so many.",
        ),
        column("hours", Kind::Whole, "Hours of the day with any flow, 0 to 24."),
        column("footprint_v4_24", Kind::Whole, "IPv4 /24 networks seen at all."),
        column("footprint_v6_48", Kind::Whole, "IPv6 /48 networks seen at all."),
    ],
    rows: coverage,
};

fn products(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(async move {
        let mut sheet = Sheet::new(PRODUCTS.columns);
        let all = reading.scope.products.iter();
        for (id, name) in all.filter(|(id, _)| reading.products.contains(id)) {
            sheet.push(vec![Cell::text(id), Cell::text(name)]);
        }
        Ok(sheet)
    })
}

/// Acts about any product, sighted or not: that nothing was seen is worth knowing.
fn acts(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(async move {
        let mut sheet = Sheet::new(ACTS.columns);
        for act in &reading.counts.timeline().await?.policies {
            sheet.push(act_row(act));
        }
        Ok(sheet)
    })
}

fn act_row(act: &PolicyEvent) -> Vec<Cell> {
    vec![
        Cell::text(&act.id),
        Cell::text(&act.product),
        Cell::text(act.country),
        Cell::text(act.kind.as_str()),
        Cell::from(act.announced),
        Cell::from(act.effective),
        Cell::from(act.deadline),
        Cell::from(act.ended),
        Cell::Truth(act.binding),
        Cell::known(&act.scope),
        Cell::known(&act.label),
        Cell::known(&act.source),
    ]
}

fn vendor_events(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(async move {
        let mut sheet = Sheet::new(VENDOR_EVENTS.columns);
        for event in &reading.counts.timeline().await?.vendor {
            sheet.push(event_row(event));
        }
        Ok(sheet)
    })
}

fn event_row(event: &VendorEvent) -> Vec<Cell> {
    vec![
        Cell::text(&event.id),
        Cell::text(&event.product),
        Cell::text(event.country),
        Cell::Day(event.date),
        Cell::from(event.latest),
        Cell::known(&event.event),
        Cell::known(&event.label),
        Cell::known(&event.source),
    ]
}

fn coverage(reading: Reading<'_>) -> Answer<'_, Sheet> {
    Box::pin(async move {
        let mut sheet = Sheet::new(COVERAGE.columns);
        if let Some(days) = reading.scope.days {
            for row in &reading.counts.coverage(days).await? {
                sheet.push(coverage_row(row));
            }
        }
        Ok(sheet)
    })
}

fn coverage_row(row: &Coverage) -> Vec<Cell> {
    let seen = |n: u32| if row.flows > 0 { Cell::Whole(n.into()) } else { Cell::None };
    vec![
        Cell::text(&row.vantage),
        Cell::Day(row.day),
        Cell::Whole(row.flows),
        Cell::Whole(row.contacts),
        Cell::Whole(row.losses.values().sum()),
        seen(row.sampling_min),
        seen(row.sampling_max),
        Cell::Whole(row.control_sampling.into()),
        Cell::Whole(row.hours.count_ones().into()),
        Cell::Whole(row.footprint.v4.len()),
        Cell::Whole(row.footprint.v6.len()),
    ]
}
