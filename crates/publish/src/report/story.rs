//! The headline, the standfirst and the key numbers, all computed.
//!
//! **Invariant:** a sentence is left out if one of its numbers is missing.

use serde::Serialize;
use tidegauge_model::estimate::{Estimate, Quantity};

use super::Report;
use super::correction;
use super::figures::{
    apart, dated, pair_in_words, removal_countries, share_in_words, window_months,
};
use super::reading::{self, addresses, estimate};
use crate::country;
use crate::number::{counted, days, grouped, moved, percent, real, windows};

/// Power of the sizes of organisations in the worked example: with it 76 % of
/// organisations have one visible address.
const EXAMPLE_ALPHA: f64 = 2.59;
/// Share of devices still seen in the worked example: 2 million of 7 million addresses.
const EXAMPLE_SEEN: f64 = 2.0 / 7.0;
/// Organisations before, in the worked example.
const EXAMPLE_ORGANISATIONS: f64 = 22_000.0;
/// Sizes summed in the worked example; the rest weighs less than 1e-6.
const EXAMPLE_SIZES: u32 = 20_000;

/// A number in large type and the words around it.
#[derive(Serialize)]
pub(crate) struct Key {
    pub(crate) label: String,
    pub(crate) figure: String,
    pub(crate) note: String,
}

/// The first sentence of the page.
pub(crate) fn headline(report: &Report) -> String {
    let focus = report.focus.as_str();
    let removal =
        |stratum| estimate(&report.estimates, Quantity::CohortRemoval, stratum);
    if reading::equally_long(report.before, report.after).is_err() {
        return fallback(report);
    }
    if let Some(e) = removal(Some(("country", focus))) {
        let place = format!("organisations in {}", country::in_sentence(focus));
        return gone(report, e, &place);
    }
    match removal(None) {
        Some(e) => gone(report, e, "organisations"),
        None => fallback(report),
    }
}

fn gone(report: &Report, e: &Estimate, who: &str) -> String {
    format!(
        "Between {}, {} of {} {who} dropped out of contact with {}’s update servers; {} were \
         still seen",
        windows(e.before, e.after),
        grouped(e.n.saturating_sub(e.k)),
        grouped(e.n),
        report.product_name,
        grouped(e.k)
    )
}

fn fallback(report: &Report) -> String {
    let months = report.months_frozen.as_ref().and_then(|r| window_months(r, report));
    let equal = reading::equally_long(report.before, report.after).is_ok();
    match months.filter(|_| equal) {
        Some((before, after)) => format!(
            "Between {} the number of organisations in contact with {}’s update servers {}",
            windows(report.before, report.after),
            report.product_name,
            moved(real(before.organisations_active), real(after.organisations_active))
        ),
        None => format!(
            "What can and cannot be said about contacts with {}’s update servers",
            report.product_name
        ),
    }
}

/// A few sentences below the headline.
pub(crate) fn standfirst(report: &Report) -> String {
    let mut sentences = Vec::new();
    if let Some(e) = estimate(&report.estimates, Quantity::NetChange, None) {
        sentences.push(format!(
            "Counting whoever was active in each window, the number of organisations {} \
             {}, from {} to {}.",
            if is_narrowed(report) { "in this selection" } else { "everywhere" },
            moved(real(e.n), real(e.k)),
            grouped(e.n),
            grouped(e.k)
        ));
    }
    sentences.extend(correction::in_words(report));
    sentences.push(
        "A contact is a fact; that its absence means the product was removed is not."
            .to_owned(),
    );
    sentences.push(reading::caveat_of_all(report));
    sentences.join(" ")
}

/// Whether the counts are of some countries or sectors only.
fn is_narrowed(report: &Report) -> bool {
    report.months_frozen.as_ref().is_some_and(|r| {
        !(r.query().countries.is_empty() && r.query().sectors.is_empty())
    })
}

/// The sentences of [`told`] about all that the report counted.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    told(report, if is_narrowed(report) { "this selection" } else { "all countries" })
}

/// Three sentences made of the numbers: by how much counts changed, how far that differs,
/// and which dated events lie between. A sentence is left out if its numbers are missing.
pub(crate) fn told(report: &Report, place: &str) -> Vec<String> {
    [changed(report, place), differs(report), between(report)]
        .into_iter()
        .flatten()
        .collect()
}

fn changed(report: &Report, place: &str) -> Option<String> {
    reading::equally_long(report.before, report.after).ok()?;
    let (b, a) =
        report.months_frozen.as_ref().and_then(|r| window_months(r, report))?;
    let (then, now) = (real(b.organisations_active), real(a.organisations_active));
    let expansion = report.expansion.as_ref();
    let (v4_then, v4_now) = (addresses(&b, expansion), addresses(&a, expansion));
    Some(format!(
        "Between {} the number of organisations in {place} in contact with {}’s update \
         servers {}, from {} to {}; that of all IPv4 addresses in contact {}.",
        windows(report.before, report.after),
        report.product_name,
        moved(then, now),
        grouped(b.organisations_active),
        grouped(a.organisations_active),
        moved(v4_then, v4_now)
    ))
}

/// Between which countries removal lies, and whether they differ by more than chance.
fn differs(report: &Report) -> Option<String> {
    reading::equally_long(report.before, report.after).ok()?;
    let mut found = removal_countries(report);
    found.sort_by(|a, b| a.1.value.total_cmp(&b.1.value).then(a.0.cmp(&b.0)));
    let ((low, least), (high, most)) = (found.first()?, found.last()?);
    if low == high {
        return None;
    }
    let verdict = if apart(least, most) {
        "more than chance explains"
    } else {
        "a difference that chance alone can make"
    };
    Some(format!(
        "Of those active before, {} in {} and {} in {} were no longer seen, {verdict}.",
        percent(least.value),
        country::in_sentence(low),
        percent(most.value),
        country::in_sentence(high)
    ))
}

/// The dated events between the windows.
fn between(report: &Report) -> Option<String> {
    let within = tidegauge_model::DayRange::new(
        report.before.last().plus(1),
        report.after.first().plus(-1),
    )?;
    let found = dated(&report.timeline, within);
    let (first, last) = (found.first()?, found.last()?);
    let named =
        |e: &crate::figure::EventMark| format!("{} ({})", days(e.days), e.label);
    let span = if found.len() == 1 {
        format!("Between the two lies one dated event, {}", named(first))
    } else {
        format!(
            "Between the two lie {} dated events, from {} to {}",
            found.len(),
            named(first),
            named(last)
        )
    };
    Some(format!("{span}; a change across a date is not yet the effect of the act."))
}

/// The strip of key numbers: at most four.
pub(crate) fn keys(report: &Report) -> Vec<Key> {
    if reading::equally_long(report.before, report.after).is_err() {
        return Vec::new();
    }
    let mut keys = Vec::new();
    let net = estimate(&report.estimates, Quantity::NetChange, None);
    if let Some(e) = net {
        let (figure, note) = pair_in_words(real(e.n), real(e.k));
        keys.push(Key { label: "Net change, organisations".to_owned(), figure, note });
    }
    if let Some((b, a)) =
        report.months_frozen.as_ref().and_then(|r| window_months(r, report))
    {
        let expansion = report.expansion.as_ref();
        let (figure, mut note) =
            pair_in_words(addresses(&b, expansion), addresses(&a, expansion));
        if expansion.is_some() {
            note.push_str(", eyeballs expanded");
        }
        keys.push(Key { label: "Net change, IPv4 addresses".to_owned(), figure, note });
    }
    let focus = report.focus.as_str();
    let stratum = Some(("country", focus));
    if let Some(e) = estimate(&report.estimates, Quantity::CohortRemoval, stratum) {
        let (figure, note) = share_in_words(e);
        let label = format!("Cohort removal, {}", country::name(focus));
        keys.push(Key { label, figure, note });
    }
    keys.extend(fourth(report));
    keys
}

/// Of the focus country: how many stopped using the product, where a model was asked;
/// else by how much its count changed.
fn fourth(report: &Report) -> Option<Key> {
    let focus = report.focus.as_str();
    let place = country::name(focus);
    if report.correction.is_some() {
        let label = format!("Visibility taken out, {place}");
        let found = correction::corrected_of(report, Some(focus));
        let (figure, note) = found.map_or_else(
            || ("not identified".to_owned(), "the rule is told below".to_owned()),
            share_in_words,
        );
        return Some(Key { label, figure, note });
    }
    let stratum = Some(("country", focus));
    let e = estimate(&report.estimates, Quantity::NetChange, stratum)?;
    let (figure, note) = pair_in_words(real(e.n), real(e.k));
    Some(Key { label: format!("Net change, {place}"), figure, note })
}

/// Why a fall of both counts does not prove that anybody left, with the sum done here.
pub(crate) fn visibility_example() -> String {
    let still = EXAMPLE_ORGANISATIONS * still_seen(EXAMPLE_ALPHA, EXAMPLE_SEEN);
    format!(
        "Pure loss of sight produces the same pair of falls. Let nobody leave, let each \
         device be seen with probability {} of before, and let the sizes of organisations \
         follow a power law with exponent {EXAMPLE_ALPHA}: then 7.0 million addresses \
         become 2.0 million and 22,000 organisations become about {} (a fall of {}). \
         Two counts cannot tell this from people leaving. What can: weekly histories of \
         each organisation, the networks that were seen at all, and products that no \
         act addressed, seen by the same sensors.",
        percent(EXAMPLE_SEEN),
        // To the nearest hundred: the example is not more exact than that.
        crate::number::whole((still / 100.0).round() * 100.0),
        percent(1.0 - still / EXAMPLE_ORGANISATIONS)
    )
}

/// Share of organisations of which at least one device is still seen, if sizes follow a
/// discrete power law and each device is seen with probability `seen`.
fn still_seen(alpha: f64, seen: f64) -> f64 {
    let (mut total, mut still) = (0.0, 0.0);
    for size in 1..=EXAMPLE_SIZES {
        let size = f64::from(size);
        let weight = size.powf(-alpha);
        total += weight;
        still += weight * (1.0 - (1.0 - seen).powf(size));
    }
    still / total
}

/// The windows and their lengths, in a sentence.
pub(crate) fn windows_sentence(report: &Report) -> String {
    let length =
        |d: tidegauge_model::DayRange| counted(d.length_days().into(), "day", "days");
    format!(
        "Before: {} ({}). After: {} ({}).",
        days(report.before),
        length(report.before),
        days(report.after),
        length(report.after)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_alone_reproduces_the_published_fall_of_organisations() {
        // The published pair: 22,000 organisations before, 8,000 after.
        let still = 22_000.0 * still_seen(2.59, 2.0 / 7.0);
        assert!((still - 8_000.0).abs() < 60.0, "{still}");
    }

    #[test]
    fn nobody_is_lost_when_everything_is_seen() {
        assert!((still_seen(2.59, 1.0) - 1.0).abs() < 1e-12);
    }
}
