//! One organisation, for the operator alone: who it is, what it held, when it was in
//! contact; and the way to find it by name.
//!
//! **Invariant:** days on which nothing was known or seen are left empty, and the words
//! beside the figures say which of both an empty stretch means.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::{
    DayRange, NetworkKind, OrgId, Organisation, SectorId, Shared as SharedSpace,
};

use super::layout::Page;
use super::{crumbs, link, respond, table};
use crate::country;
use crate::figure::{Bar, Chart, Figure, SpanChart, SpanRow, Tone, append, escape};
use crate::number::{counted, days as in_words, percent};
use crate::organisation::{Contact, Dossier, Holding, sector};
use crate::report::{self, Beside, Section, section_html};
use crate::serve::Shared;
use crate::serve::answer::Problem;
use crate::serve::api::{Named, named};
use crate::serve::asked::Asked;
use crate::serve::param::{NONE, SEARCH};
use crate::serve::selection::encoded;
use crate::tables::Table;

/// Rows of a figure; the table has all.
const ROWS_MAX: usize = 40;

/// `GET /organisations`.
pub(crate) async fn search(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = found(&shared, asked).await;
    respond(&shared, made)
}

async fn found(
    shared: &Shared,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    let asked = asked?.only(SEARCH)?;
    let words = asked.text("q").unwrap_or_default();
    let found = shared.counts.organisations(words).await?;
    let rows: Vec<Vec<String>> = found.organisations.iter().map(row).collect();
    let shown = rows.len();
    let many = counted(
        u64::try_from(found.total).unwrap_or(u64::MAX),
        "organisation",
        "organisations",
    );
    let rest = if shown < found.total {
        format!(" The first {shown} by name are shown; type more of the name.")
    } else {
        String::new()
    };
    let body = format!(
        "<h1>Organisations</h1>\n<p class=\"standfirst\">For the operator: nothing on these \
         pages passes the disclosure rule.</p>\n<form action=\"/organisations\" \
         class=\"find\"><label>Name or id<input type=\"search\" name=\"q\" \
         value=\"{}\"></label><button>Find</button></form>\n<p role=\"status\">{}.{rest}</p>\n{}",
        escape(words),
        escape(&report::sentence(&many)),
        table("Organisations", &["name", "id", "country", "sector"], 4, &rows)
    );
    let crumbs = crumbs(&[("/", "Overview")]);
    Ok(Page {
        title: "Organisations".to_owned(),
        here: "/organisations",
        crumbs,
        body,
        passing: false,
    })
}

fn row(one: &Organisation) -> Vec<String> {
    let name = if one.name.is_empty() { one.id.as_str() } else { &one.name };
    vec![
        to(&one.id, name),
        escape(one.id.as_str()),
        one.country.map_or_else(String::new, |c| escape(&country::name(c.as_str()))),
        escape(sector(one)),
    ]
}

fn to(id: &OrgId, words: &str) -> String {
    link(&format!("/organisations/{}", encoded(id.as_str())), words)
}

/// `GET /organisations/{id}`.
pub(crate) async fn page(
    State(shared): State<Shared>,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = one(&shared, name, asked).await;
    respond(&shared, made)
}

async fn one(
    shared: &Shared,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    asked?.only(NONE)?;
    let id = OrgId::new(named(name)?);
    let dossier = shared.counts.organisation(&id).await?.ok_or_else(|| {
        Problem::absent(
            "no organisation of this id is known",
            "look for it by its name at /organisations",
        )
    })?;
    let timeline = shared.counts.timeline().await?;
    let events = report::events(&timeline, dossier.days);
    let source = format!("Source: {}; internal.", shared.settings.program);
    let draw = |section: Section| section_html(&section, &source, Beside::Nothing);
    let holdings = draw(holdings(&dossier, events.clone()));
    let contacts = draw(contacts(&dossier, events));
    let name = match dossier.organisation.name.as_str() {
        "" => id.to_string(),
        name => name.to_owned(),
    };
    let body = format!(
        "<h1>{}</h1>\n<p class=\"standfirst\">For the operator: nothing on this page passes \
         the disclosure rule.</p>\n{}{contacts}{holdings}",
        escape(&name),
        facts(&dossier)
    );
    let crumbs = crumbs(&[("/", "Overview"), ("/organisations", "Organisations")]);
    Ok(Page { title: name, here: "/organisations", crumbs, body, passing: false })
}

fn facts(dossier: &Dossier) -> String {
    let who = &dossier.organisation;
    let others: Vec<&str> = who.other_sectors.iter().map(SectorId::as_str).collect();
    let country = who.country.map(|c| country::name(c.as_str())).unwrap_or_default();
    let mut html = String::from("<dl class=\"facts\">");
    let plain = [
        ("Id", who.id.to_string()),
        ("Registered in", country),
        ("Sector", sector(who).to_owned()),
        ("Other sectors", others.join(", ")),
    ];
    for (name, value) in plain.iter().filter(|(_, value)| !value.is_empty()) {
        append(&mut html, format_args!("<dt>{name}</dt><dd>{}</dd>", escape(value)));
    }
    let parent = who.parent.iter().map(|id| to(id, id.as_str())).collect::<Vec<_>>();
    let family = dossier.family.iter().map(|id| to(id, id.as_str()));
    for (name, links) in [("Parent", parent), ("Same family", family.collect())] {
        if !links.is_empty() {
            append(
                &mut html,
                format_args!("<dt>{name}</dt><dd>{}</dd>", links.join(", ")),
            );
        }
    }
    html.push_str("</dl>\n");
    html
}

/// Addresses over time, one row for each range.
fn holdings(dossier: &Dossier, events: Vec<crate::figure::EventMark>) -> Section {
    let title = "Addresses over time".to_owned();
    if dossier.holdings.is_empty() {
        let why = format!(
            "No table says that it held any address on {}.",
            in_words(dossier.days)
        );
        return Section::Absent { id: "holdings", title, why };
    }
    let mut rows: Vec<SpanRow> = Vec::new();
    let mut table = Table::new([
        "range",
        "first",
        "last",
        "from",
        "to",
        "kind",
        "shared",
        "used_in",
        "confidence",
    ]);
    for held in &dossier.holdings {
        let name = held.range();
        match rows.last_mut().filter(|row| row.name == name) {
            Some(row) => row.bars.push(bar(held)),
            None => rows.push(SpanRow { name, bars: vec![bar(held)] }),
        }
        table.push([
            held.range(),
            held.first.to_string(),
            held.last.to_string(),
            held.days.first().to_string(),
            held.days.last().to_string(),
            held.kind.as_str().to_owned(),
            held.shared.as_str().to_owned(),
            held.country.map(|c| c.to_string()).unwrap_or_default(),
            format!("{:.2}", held.confidence),
        ]);
    }
    let total = rows.len();
    rows.truncate(ROWS_MAX);
    let mut notes = vec![
        "Blue: addresses that stand for the organisation (its own networks, not shared). \
         Grey: addresses that are counted and do not stand for it. Empty: another held the \
         range, or nothing is known."
            .to_owned(),
    ];
    if total > rows.len() {
        notes.push(format!(
            "The first {ROWS_MAX} of {total} ranges; the table has all."
        ));
    }
    Section::Drawn(Box::new(Figure {
        id: "holdings",
        description: format!(
            "{total} ranges of addresses with the days each was held."
        ),
        title,
        subtitle: format!("Ranges of addresses held, {}", in_words(dossier.days)),
        caveat: String::new(),
        source: None,
        notes,
        chart: Chart::Spans(SpanChart { period: dossier.days, rows, events }),
        table,
    }))
}

fn bar(held: &Holding) -> Bar {
    let stands = held.kind == NetworkKind::Own && held.shared == SharedSpace::No;
    Bar {
        days: held.days,
        tone: if stands { Tone::Strong } else { Tone::Quiet },
        words: format!(
            "{}, {}: {}, confidence {}",
            held.range(),
            in_words(held.days),
            held.kind,
            percent(f64::from(held.confidence))
        ),
    }
}

/// Weeks in contact, one row for each product.
fn contacts(dossier: &Dossier, events: Vec<crate::figure::EventMark>) -> Section {
    let title = "Contacts over time".to_owned();
    let seen: Vec<&Contact> =
        dossier.contacts.iter().filter(|c| !c.weeks.is_empty()).collect();
    if seen.is_empty() {
        let why = "It was not seen in contact with any product.".to_owned();
        return Section::Absent { id: "contacts", title, why };
    }
    let mut table = Table::new(["product", "from", "to", "days"]);
    let mut rows = Vec::new();
    for contact in seen {
        let bars =
            contact.weeks.iter().map(|(week, days)| week_bar(contact, *week, *days));
        rows.push(SpanRow { name: contact.name.clone(), bars: bars.collect() });
        for (week, days) in &contact.weeks {
            table.push([
                contact.product.to_string(),
                week.first().to_string(),
                week.last().to_string(),
                days.to_string(),
            ]);
        }
    }
    Section::Drawn(Box::new(Figure {
        id: "contacts",
        description: format!("Weeks in contact, for {} products.", rows.len()),
        title,
        subtitle: format!(
            "Weeks with a contact that counts, {}",
            in_words(dossier.days)
        ),
        caveat:
            "A week without a bar had no contact that was seen; that is not the end of \
                 use."
                .to_owned(),
        source: None,
        notes: Vec::new(),
        chart: Chart::Spans(SpanChart { period: dossier.days, rows, events }),
        table,
    }))
}

fn week_bar(contact: &Contact, week: DayRange, days: u32) -> Bar {
    Bar {
        days: week,
        tone: Tone::Strong,
        words: format!(
            "{}, {}: {} with contact",
            contact.name,
            in_words(week),
            counted(u64::from(days), "day", "days")
        ),
    }
}
