//! Exposure, for the operator alone: which assets and suppliers are in contact, and one
//! finding with its evidence.
//!
//! **Invariant:** an address of another is a network here too, because findings come masked;
//! that nothing was seen is told with what it can mean.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::finding::FindingState;
use tidegauge_model::{Day, DayRange, Prefix, ProductId, VantageId};

use super::form::select;
use super::layout::Page;
use super::{LISTED_MAX, crumbs, facts, link, more, respond, table, told};
use crate::figure::{Bar, Chart, Figure, SpanChart, SpanRow, Tone, escape};
use crate::finding::{Export, Exposure, Findings, QuietWeek, Sight, Silent};
use crate::number::{counted, day_long, days as in_words, grouped, percent};
use crate::report::{self, Beside, Section, section_html};
use crate::serve::Shared;
use crate::serve::answer::Problem;
use crate::serve::api::{Named, finding_state, named, one_finding};
use crate::serve::asked::Asked;
use crate::serve::param::{FINDINGS_PAGE, NONE};
use crate::serve::selection::encoded;
use crate::tables::Table;

const HERE: &str = "/exposure";
const STANDFIRST: &str =
    "For the operator: nothing on these pages passes the disclosure rule.";
/// Where all findings are.
const ALL: &str = "/api/v1/findings";
/// Rows of a figure; the table has all.
const ROWS_MAX: usize = 40;

/// `GET /exposure`.
pub(crate) async fn list(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = listed(&shared, asked).await;
    respond(&shared, made)
}

async fn listed(
    shared: &Shared,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    let asked = asked?.only(FINDINGS_PAGE)?;
    let state = finding_state(&asked)?;
    let products = asked.products()?;
    let words = asked.text("q").unwrap_or_default();
    let all = shared.counts.findings().await?;
    let shown = all.narrowed(state, &products, words);
    let rows: Vec<Vec<String>> =
        shown.iter().take(LISTED_MAX).map(|e| row(e)).collect();
    let header =
        ["row", "kind", "tier", "product", "state", "last contact", "confidence"];
    let found = match all.as_of {
        None => "<p class=\"absent\">Nothing is known yet: <code>tidegauge exposure</code> \
                 has not been run with this ledger.</p>\n"
            .to_owned(),
        Some(_) if all.exposures.is_empty() => "<p class=\"absent\">There is no finding: \
             nothing that counts was seen of any row of the portfolio. The rows below say what \
             that can mean.</p>\n"
            .to_owned(),
        as_of => format!(
            "{}{}<p role=\"status\">{}.</p>\n{}{}",
            told(&summed_up(&all)),
            narrow(&all, state, &products, words),
            escape(&report::sentence(&format!(
                "{} of {}{}",
                grouped(len(shown.len())),
                counted(len(all.exposures.len()), "finding", "findings"),
                as_of.map(|d| format!(", as of {}", day_long(d))).unwrap_or_default()
            ))),
            table("Findings", &header, 6, &rows),
            more(shown.len(), ALL),
        ),
    };
    let body = format!(
        "<h1>Exposure</h1>\n<p class=\"standfirst\">{STANDFIRST}</p>\n{found}{}{}",
        silent(&all),
        exports(&all)
    );
    Ok(Page {
        title: "Exposure".to_owned(),
        here: HERE,
        crumbs: crumbs(&[("/", "Overview")]),
        body,
        passing: true,
    })
}

/// How many stand where, in sentences.
fn summed_up(all: &Findings) -> Vec<String> {
    use FindingState as S;
    let count = |states: &[FindingState]| {
        let of = |e: &&Exposure| states.contains(&e.finding.state);
        len(all.exposures.iter().filter(of).count())
    };
    let open = count(&[S::Open, S::Reappeared]);
    let open = format!(
        "{} to be worked on{}",
        counted(open, "finding is", "findings are"),
        match count(&[S::Reappeared]) {
            0 => String::new(),
            back => format!(", {} of them seen again after silence", grouped(back)),
        }
    );
    let mut told = vec![format!("{}.", report::sentence(&open))];
    let rest = [
        (
            S::Quiet,
            "quiet: not seen for four weeks, which does not show that it is gone",
        ),
        (S::VerifiedRemoved, "verified removed: looked for long enough, and not seen"),
        (S::Disputed, "disputed, to be decided"),
        (S::NotOurs, "decided to be of somebody else"),
    ];
    for (state, words) in rest {
        let count = count(&[state]);
        if count > 0 {
            let words = format!("{} {words}", counted(count, "is", "are"));
            told.push(format!("{}.", report::sentence(&words)));
        }
    }
    told
}

/// The form that narrows the list.
fn narrow(
    all: &Findings,
    state: Option<FindingState>,
    asked: &[ProductId],
    words: &str,
) -> String {
    let states = FindingState::ALL
        .iter()
        .filter(|s| all.exposures.iter().any(|e| e.finding.state == **s));
    let states = states.map(|s| (s.to_string(), worded(*s)));
    let chosen = state.map(|s| s.to_string()).unwrap_or_default();
    let mut products: Vec<(String, String)> = all
        .exposures
        .iter()
        .map(|e| (e.finding.product.to_string(), e.product_name.clone()))
        .collect();
    products.sort();
    products.dedup();
    let product = asked.iter().map(ProductId::as_str).collect::<Vec<_>>().join(",");
    if asked.len() > 1 {
        // Only an address can ask for several: the form keeps what it asked for.
        products.push((product.clone(), product.replace(',', ", ")));
    }
    format!(
        "<form class=\"ask\" method=\"get\" action=\"{HERE}\">{}{}<label>Name or tag<input \
         type=\"search\" name=\"q\" value=\"{}\"></label><button>Show</button></form>\n",
        select("state", "State", Some("All states"), states, &chosen),
        select(
            "product",
            "Product",
            Some("All products"),
            products.into_iter(),
            &product
        ),
        escape(words)
    )
}

fn row(exposure: &Exposure) -> Vec<String> {
    let found = &exposure.finding;
    vec![
        link(&address(exposure), &found.subject),
        escape(&exposure.about.kind),
        exposure.about.tier.map(|t| t.to_string()).unwrap_or_default(),
        escape(&exposure.product_name),
        escape(&worded(found.state)),
        found.last_seen.map(day_long).unwrap_or_default(),
        percent(f64::from(found.confidence)),
    ]
}

fn address(exposure: &Exposure) -> String {
    format!("{HERE}/{}", encoded(&exposure.finding.id))
}

/// A state for readers.
fn worded(state: FindingState) -> String {
    state.as_str().replace('_', " ")
}

/// Rows without a finding, and what that can mean.
fn silent(all: &Findings) -> String {
    // Before the first run nothing was compared with what was seen.
    if all.silent.is_empty() || all.as_of.is_none() {
        return String::new();
    }
    let means = |row: &Silent| match row.state {
        FindingState::NotSeen => {
            "its networks were looked at and nothing was seen; quiet use is possible"
        }
        FindingState::NotVisible if row.placed => {
            "no vantage ever saw its networks: nothing is known"
        }
        FindingState::NotVisible => {
            "it is known by organisation or AS alone, and what was looked at by networks: \
             nothing is known"
        }
        _ => "the portfolio has nothing of it that can be matched: nothing is known",
    };
    let rows: Vec<Vec<String>> = all
        .silent
        .iter()
        .take(LISTED_MAX)
        .map(|row| {
            vec![
                escape(&row.subject),
                escape(&row.kind),
                escape(&worded(row.state)),
                means(row).to_owned(),
            ]
        })
        .collect();
    format!(
        "<section id=\"silent\"><h2>Rows without a contact</h2>\n{}{}</section>\n",
        table("Rows without a contact", &["row", "kind", "state", "meaning"], 4, &rows),
        more(all.silent.len(), ALL)
    )
}

/// The forms for other programs.
fn exports(all: &Findings) -> String {
    if all.exposures.is_empty() {
        return String::new();
    }
    let links: Vec<String> = Export::ALL
        .iter()
        .map(|form| link(&format!("/api/v1/exports/{}", form.as_str()), form.name()))
        .collect();
    format!(
        "<p class=\"links\">All findings as {}. STIX and MISP are masked, fit for others.</p>\n",
        links.join(", ")
    )
}

/// `GET /exposure/{id}`.
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
    let id = named(name)?;
    let all = shared.counts.findings().await?;
    let exposure = one_finding(&all, &id, HERE)?;
    let timeline = shared.counts.timeline().await?;
    let title = format!("{} and {}", exposure.finding.subject, exposure.product_name);
    let figure = match figure(exposure, all.as_of) {
        Some((figure, period)) => {
            let events = report::events(&timeline, period);
            let chart = match figure.chart {
                Chart::Spans(chart) => Chart::Spans(SpanChart { events, ..chart }),
                other => other,
            };
            let source = format!("Source: {}; internal.", shared.settings.program);
            let drawn = Section::Drawn(Box::new(Figure { chart, ..figure }));
            section_html(&drawn, &source, Beside::Nothing)
        }
        None => String::new(),
    };
    let body = format!(
        "<h1>{}</h1>\n<p class=\"standfirst\">{STANDFIRST}</p>\n{}{}{figure}{}{}{}",
        escape(&title),
        known(exposure, all.as_of),
        steps(exposure),
        sights(exposure),
        quiet(exposure),
        history(exposure),
    );
    Ok(Page {
        title,
        here: HERE,
        crumbs: crumbs(&[("/", "Overview"), (HERE, "Exposure")]),
        body,
        passing: true,
    })
}

fn known(exposure: &Exposure, as_of: Option<Day>) -> String {
    let (found, about) = (&exposure.finding, &exposure.about);
    let day = |day: Option<Day>| day.map(day_long).unwrap_or_default();
    let state = format!(
        "{} since {}: {}",
        worded(found.state),
        day_long(exposure.since),
        exposure.why
    );
    let kind = if about.listed {
        about.kind.clone()
    } else {
        "no longer in the portfolio".to_owned()
    };
    let plain = [
        ("State", state),
        ("As of", day(as_of)),
        ("Confidence that it is there today", percent(f64::from(found.confidence))),
        ("First contact", day(found.first_seen)),
        ("Last contact", day(found.last_seen)),
        ("Days with contacts", grouped(found.days.into())),
        ("Kind", kind),
        ("Tier", about.tier.map(|t| t.to_string()).unwrap_or_default()),
        ("Tags", about.tags.join(", ")),
        ("Through", about.through.join(", through ")),
        ("Who is written to", about.contact.clone().unwrap_or_default()),
        ("Id", found.id.clone()),
    ];
    facts(&plain)
}

fn steps(exposure: &Exposure) -> String {
    let items: Vec<String> = exposure
        .next_steps
        .iter()
        .map(|step| format!("<li>{}.</li>", escape(&report::sentence(step))))
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"next\"><h2>What to do next</h2>\n<ol>{}</ol></section>\n",
        items.concat()
    )
}

/// When it was seen from where, and when it was looked for in vain.
fn figure(exposure: &Exposure, as_of: Option<Day>) -> Option<(Figure, DayRange)> {
    let first = exposure.finding.first_seen?;
    let last = as_of.or(exposure.finding.last_seen)?;
    let period = DayRange::new(first.month().first(), last.month().last())?;
    let mut rows: Vec<SpanRow> = Vec::new();
    let mut numbers = Table::new(["row", "from", "to", "days", "what"]);
    for sight in &exposure.sights {
        let Some(days) = DayRange::new(sight.first, sight.last) else { continue };
        let name = format!("{} at {}", network(sight.network), sight.vantage);
        let words = format!("{name}, {}: {}", in_words(days), sight.signal);
        let bar = Bar { days, tone: Tone::Strong, words };
        numbers.push([
            name.clone(),
            days.first().to_string(),
            days.last().to_string(),
            sight.days.to_string(),
            sight.signal.clone(),
        ]);
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.bars.push(bar),
            None => rows.push(SpanRow { name, bars: vec![bar] }),
        }
    }
    let looked = looked(exposure, &mut numbers);
    let total = rows.len();
    rows.truncate(ROWS_MAX);
    rows.extend(looked);
    let mut notes = vec![
        "Blue: from the first contact to the last that are alike; not every day between had \
         one. Grey: a week after the last contact that was looked at."
            .to_owned(),
    ];
    if total > ROWS_MAX {
        notes.push(format!(
            "The first {ROWS_MAX} of {total} networks; the table has all."
        ));
    }
    let figure = Figure {
        id: "evidence-over-time",
        title: "Evidence over time".to_owned(),
        subtitle: format!("Contacts and weeks without, {}", in_words(period)),
        caveat: "An empty stretch is not the end of use.".to_owned(),
        source: None,
        notes,
        description: format!("{total} networks with the time each was in contact."),
        chart: Chart::Spans(SpanChart { period, rows, events: Vec::new() }),
        table: numbers,
    };
    Some((figure, period))
}

/// The row of weeks that were looked at in vain.
fn looked(exposure: &Exposure, numbers: &mut Table) -> Option<SpanRow> {
    let bar = |quiet: &QuietWeek| {
        let days = DayRange::new(quiet.week, quiet.week.plus(6))?;
        let words = format!(
            "{}: looked at on {}, nothing seen",
            in_words(days),
            counted(quiet.looked_days.into(), "day", "days")
        );
        Some(Bar { days, tone: Tone::Quiet, words })
    };
    let bars: Vec<Bar> = exposure.quiet.iter().filter_map(bar).collect();
    for quiet in &exposure.quiet {
        numbers.push([
            "looked for in vain".to_owned(),
            quiet.week.to_string(),
            quiet.week.plus(6).to_string(),
            quiet.looked_days.to_string(),
            "nothing seen".to_owned(),
        ]);
    }
    (!bars.is_empty()).then(|| SpanRow { name: "looked for in vain".to_owned(), bars })
}

fn sights(exposure: &Exposure) -> String {
    let row = |sight: &Sight| {
        let holder = [
            sight.organisation.as_ref().map(ToString::to_string),
            sight.asn.map(|asn| format!("AS{}", asn.0)),
        ];
        vec![
            escape(&sight.signal),
            long(&format!("{}, recognised by {}", sight.endpoint, sight.grade)),
            escape(&network(sight.network)),
            escape(sight.vantage.as_str()),
            long(&sight.matched),
            escape(&holder.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            whole(&sight.first.to_string()),
            whole(&sight.last.to_string()),
            grouped(sight.days.into()),
            grouped(sight.contacts),
            percent(sight.probability),
        ]
    };
    let rows: Vec<Vec<String>> =
        exposure.sights.iter().take(ROWS_MAX).map(row).collect();
    let rest = match exposure.sights.len().saturating_sub(ROWS_MAX) {
        0 => String::new(),
        rest => format!(
            "<p class=\"caveat\">{rest} more are in {}.</p>",
            link(&document(exposure), "the JSON of the finding")
        ),
    };
    let header = [
        "what it proves",
        "server",
        "network",
        "vantage",
        "why it is this row's",
        "holder",
        "first",
        "last",
        "days",
        "contacts",
        "chance of use",
    ];
    format!(
        "<section id=\"evidence\"><h2>What was seen</h2>\n{}{rest}</section>\n",
        table("What was seen, strongest first", &header, 8, &rows)
    )
}

fn quiet(exposure: &Exposure) -> String {
    if exposure.quiet.is_empty() {
        return String::new();
    }
    let row = |quiet: &QuietWeek| {
        let vantages: Vec<&str> =
            quiet.vantages.iter().map(VantageId::as_str).collect();
        let chance = match &quiet.detection {
            Ok(chance) => percent(*chance),
            Err(why) => escape(why),
        };
        vec![
            day_long(quiet.week),
            escape(&vantages.join(", ")),
            chance,
            quiet.looked_days.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = exposure.quiet.iter().map(row).collect();
    let header =
        ["week from", "who looked", "chance to see a user in it", "days looked at"];
    format!(
        "<section id=\"quiet\"><h2>Looked for in vain</h2>\n{}</section>\n",
        table("Weeks since the last contact", &header, 3, &rows)
    )
}

/// How it came to its state, and what was said.
fn history(exposure: &Exposure) -> String {
    let moves: Vec<Vec<String>> = exposure
        .moves
        .iter()
        .map(|step| {
            vec![
                day_long(step.on),
                worded(step.to),
                escape(&step.by.replace('_', " ")),
                escape(step.said.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    let said: Vec<Vec<String>> = exposure
        .said
        .iter()
        .map(|said| {
            vec![
                day_long(said.on),
                escape(&said.who),
                escape(&said.verdict.replace('_', " ")),
                escape(&said.why),
            ]
        })
        .collect();
    let words = if said.is_empty() {
        String::new()
    } else {
        table("What was said", &["from", "who", "what", "in their words"], 4, &said)
    };
    format!(
        "<section id=\"history\"><h2>How it came here</h2>\n{}{words}<p>A dispute, its end \
         or a note: <code>tidegauge exposure say {} disputed --who NAME --why WORDS</code>. \
         {}</p></section>\n",
        table(
            "Moves from state to state",
            &["on", "to", "by", "who said so"],
            4,
            &moves
        ),
        escape(&exposure.finding.id),
        link(&document(exposure), "All of it as JSON")
    )
}

/// Where all of a finding is.
fn document(exposure: &Exposure) -> String {
    format!("/api/v1/findings/{}", encoded(&exposure.finding.id))
}

/// A network, or the one address that it is.
fn network(of: Prefix) -> String {
    if of.first() == of.last() { of.first().to_string() } else { of.to_string() }
}

/// A cell of many words.
fn long(words: &str) -> String {
    format!("<span class=\"long\">{}</span>", escape(words))
}

/// A cell that is not broken.
fn whole(words: &str) -> String {
    format!("<span class=\"whole\">{}</span>", escape(words))
}

fn len(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
