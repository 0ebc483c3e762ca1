//! The page of an act: its dates, the verdict, the evidence, and what is refused.
//!
//! **Invariant:** what is not identified is told with its rule, in the place of the
//! figure.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::policy::PolicyEvent;

use super::layout::Page;
use super::{crumbs, drawn, facts, link, respond, served, table, told};
use crate::act;
use crate::assessment::{Assessed, Assessment, Reading};
use crate::country;
use crate::figure::{append, escape};
use crate::number::{day_long, trimmed, whole};
use crate::report::Section;
use crate::serve::answer::Problem;
use crate::serve::api::{Named, named};
use crate::serve::asked::Asked;
use crate::serve::desk::Desk;
use crate::serve::param::NONE;
use crate::serve::{Scope, Shared};
use crate::tables;

/// `GET /policies/{id}`.
pub(crate) async fn page(
    State(shared): State<Shared>,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = act(&shared, name, asked).await;
    respond(&shared, made)
}

async fn act(
    shared: &Shared,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    asked?.only(NONE)?;
    let id = named(name)?;
    let timeline = shared.counts.timeline().await?;
    let act = timeline.policy(&id).ok_or_else(|| {
        Problem::absent("there is no act of this name", "those known are at /policies")
    })?;
    let scope = shared.counts.scope().await?;
    let assessed = shared.counts.assessment(&act.id).await?;
    let body = format!(
        "<h1>{}</h1>\n<p class=\"standfirst\">{}: {}</p>\n{}{}{}",
        escape(&name_of(act)),
        escape(&country::name(act.country.as_str())),
        escape(&act.scope),
        dates(act, &scope),
        verdict(&assessed),
        figures(shared, act, &scope).await?,
    );
    let body = match &assessed {
        Assessed::Ready(found) => {
            format!("{body}{}{}", of_act(shared, act, found).await?, evidence(found))
        }
        _ => body,
    };
    let crumbs = crumbs(&[("/", "Overview"), ("/policies", "Policies")]);
    let passing = assessed.is_passing();
    Ok(Page { title: act.id.to_string(), here: "/policies", crumbs, body, passing })
}

fn name_of(act: &PolicyEvent) -> String {
    match act.label.as_str() {
        "" => act.id.to_string(),
        label => format!("{label} ({})", act.id),
    }
}

fn dates(act: &PolicyEvent, scope: &Scope) -> String {
    let day = |day: Option<tidegauge_model::Day>| {
        day.map_or_else(|| "not known".to_owned(), day_long)
    };
    let who = match act.private_sector.as_str() {
        "yes" => "also private organisations",
        "no" => "no private organisation",
        _ => "some private organisations",
    };
    let product = scope.product_name(&act.product);
    let known = [
        ("Product", product),
        ("Kind", act.kind.as_str().replace('_', " ")),
        ("Binding", if act.binding { "yes" } else { "no" }.to_owned()),
        ("Announced", day(act.announced)),
        ("In force", day(act.effective)),
        ("Deadline", day(act.deadline)),
        ("Ended", act.ended.map_or_else(|| "not ended".to_owned(), day_long)),
        ("Addresses", who.to_owned()),
        ("Instrument", act.instrument.clone()),
        ("Issuer", act.issuer.clone()),
        ("Source", act.source.clone()),
        ("Confidence", act.confidence.as_str().to_owned()),
        ("Note", act.note.clone()),
    ];
    facts(&known)
}

fn verdict(assessed: &Assessed) -> String {
    let words = match assessed {
        Assessed::Ready(found) if found.superseded => format!(
            "{}<p class=\"caveat\">There is newer data, of which the act is being assessed \
             anew.</p>",
            told(&found.verdict)
        ),
        Assessed::Ready(found) => told(&found.verdict),
        Assessed::Working => {
            "<p class=\"absent\">The assessment is being worked out. Load this \
                              page again in a minute.</p>"
                .to_owned()
        }
        Assessed::Absent(why) => format!("<p class=\"absent\">{}</p>", escape(why)),
    };
    format!("<section id=\"verdict\"><h2>Verdict</h2>\n{words}</section>\n")
}

/// The figures of the act's own windows, if they were covered.
async fn figures(
    shared: &Shared,
    act: &PolicyEvent,
    scope: &Scope,
) -> Result<String, Problem> {
    let Some((_, before, after)) = scope.acts.iter().find(|(id, _, _)| *id == act.id)
    else {
        return Ok("<section id=\"figures\" class=\"absent\"><h2>Figures</h2><p>The months \
                   before and after this act were not covered, so nothing is compared.</p>\
                   </section>\n"
            .to_owned());
    };
    let desk = Desk::open(shared).await?;
    let mut selection = desk.usual();
    selection.product = Some(act.product.clone());
    (selection.before, selection.after) = (*before, *after);
    let (_, world) = drawn(&desk, &["removal"], &selection).await?;
    selection.country =
        desk.scope.countries.iter().find(|c| **c == act.country).copied();
    let (_, home) = drawn(&desk, &["over-time"], &selection).await?;
    Ok(format!("{home}{world}"))
}

/// The figures of what was found about the act.
async fn of_act(
    shared: &Shared,
    act: &PolicyEvent,
    found: &Assessment,
) -> Result<String, Problem> {
    let desk = Desk::open(shared).await?;
    let about = desk.about(act, found).await?;
    let html = act::figures(found, &about).into_iter().map(|figure| {
        let place = desk.place_of_act(&act.id, &figure);
        served(&desk, &Section::Drawn(Box::new(figure)), &place)
    });
    Ok(html.collect::<Vec<_>>().concat())
}

fn evidence(found: &Assessment) -> String {
    let mut html = String::new();
    let mut sections: Vec<&str> =
        found.readings.iter().map(|r| r.section.as_str()).collect();
    sections.dedup();
    let tables: Vec<String> = sections
        .iter()
        .map(|section| {
            let of = found.readings.iter().filter(|r| r.section == **section);
            readings(section, &of.collect::<Vec<_>>())
        })
        .collect();
    html.push_str(&questions(found));
    html.push_str(&checks(found));
    if !tables.is_empty() {
        html.push_str("<section id=\"evidence\"><h2>Evidence</h2>\n");
        html.push_str(&tables.concat());
        html.push_str("</section>\n");
    }
    html.push_str(&refusals(found));
    append(
        &mut html,
        format_args!(
            "<section id=\"numbers\"><h2>Estimates</h2>\n<details><summary>The numbers</summary>\
         {}</details></section>\n",
            tables::estimates(&found.estimates).html("Every estimate of this act")
        ),
    );
    html
}

fn readings(section: &str, readings: &[&Reading]) -> String {
    let number = |value: Option<f64>| value.map(figured).unwrap_or_default();
    let rows: Vec<Vec<String>> = readings
        .iter()
        .filter(|r| r.refused.is_none())
        .map(|r| {
            vec![
                escape(&r.what),
                escape(&r.of),
                number(r.value),
                number(r.low),
                number(r.high),
                escape(&r.unit),
                number(r.p),
                r.n.to_string(),
            ]
        })
        .collect();
    let refused = readings.len() - rows.len();
    let words = if refused > 0 {
        format!("<p class=\"caveat\">{refused} more are refused: see below.</p>")
    } else {
        String::new()
    };
    if rows.is_empty() {
        return format!(
            "<h3>{}</h3><p>Nothing may be said.</p>{words}",
            escape(section)
        );
    }
    let header = ["what", "of", "value", "low", "high", "unit", "p", "n"];
    format!(
        "<h3>{}</h3>{}{words}",
        escape(section),
        table(&format!("What {section} says"), &header, 2, &rows)
    )
}

/// A figure to about four digits, a large one to the unit.
fn figured(value: f64) -> String {
    match value.abs() {
        a if a >= 1_000.0 => whole(value),
        a if a >= 100.0 => trimmed(value, 1),
        a if a >= 10.0 => trimmed(value, 2),
        _ => trimmed(value, 3),
    }
}

fn questions(found: &Assessment) -> String {
    let items: Vec<String> = found
        .questions
        .iter()
        .map(|q| {
            format!("<dt>{}</dt><dd>{}</dd>", escape(&q.question), escape(&q.answer))
        })
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"questions\"><h2>Questions</h2>\n<dl>{}</dl></section>\n",
        items.concat()
    )
}

fn checks(found: &Assessment) -> String {
    let rows: Vec<Vec<String>> = found
        .checks
        .iter()
        .map(|check| {
            let passed = match check.passed {
                Some(true) => "passed",
                Some(false) => "failed",
                None => "not carried out",
            };
            vec![escape(&check.name), passed.to_owned(), escape(&check.detail)]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let table = table("What was checked", &["check", "outcome", "detail"], 3, &rows);
    format!("<section id=\"checks\"><h2>Checks</h2>\n{table}</section>\n")
}

fn refusals(found: &Assessment) -> String {
    let of_readings = found.readings.iter().filter_map(|r| r.refused.as_ref());
    let mut all: Vec<_> = found.refusals.iter().chain(of_readings).collect();
    all.sort_by(|a, b| (&a.rule, &a.reason).cmp(&(&b.rule, &b.reason)));
    all.dedup_by(|a, b| a.rule == b.rule);
    let mut items: Vec<String> = all
        .iter()
        .map(|r| {
            format!(
                "<dt><code>{}</code></dt><dd>{}</dd>",
                escape(&r.rule),
                escape(&r.reason)
            )
        })
        .collect();
    items.extend(
        found
            .alarms
            .iter()
            .map(|alarm| format!("<dt>Visibility</dt><dd>{}</dd>", escape(alarm))),
    );
    if items.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"refusals\"><h2>What is refused, and by which rule</h2>\n<dl>{}</dl>\
         <p>{}</p></section>\n",
        items.concat(),
        link("/methods", "How it is counted")
    )
}
