//! Dated acts and events: as they are known, with what was found about each, and as marks
//! for the charts of others.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use tidegauge_model::policy::{PolicyEvent, Timeline, VendorEvent};
use tidegauge_model::{Country, Day, DayRange};

use super::census::estimate_row;
use super::{Named, named};
use crate::assessment::{Assessed, Assessment};
use crate::serve::Shared;
use crate::serve::answer::{Listing, Problem, body, either, fields, ok, value};
use crate::serve::asked::Asked;
use crate::serve::kept::fleeting;
use crate::serve::param::{ANNOTATIONS, LISTED, NONE, TIMELINE};
use crate::tables::Table;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What a timeline is narrowed by.
struct Narrowed {
    products: Vec<tidegauge_model::ProductId>,
    countries: Vec<Country>,
    days: Option<DayRange>,
}

impl Narrowed {
    fn read(asked: &Asked, days: Option<DayRange>) -> Result<Self, Problem> {
        Ok(Self {
            products: asked.products()?,
            countries: asked.list("country")?,
            days,
        })
    }

    fn within(&self, day: Option<Day>) -> bool {
        match (self.days, day) {
            (None, _) => true,
            (Some(days), Some(day)) => days.contains(day),
            (Some(_), None) => false,
        }
    }

    fn of(&self, product: &tidegauge_model::ProductId, country: Country) -> bool {
        (self.products.is_empty() || self.products.contains(product))
            && (self.countries.is_empty() || self.countries.contains(&country))
    }

    fn policies<'a>(&self, timeline: &'a Timeline) -> Vec<&'a PolicyEvent> {
        let dated = |p: &PolicyEvent| {
            let dates = [p.announced, p.effective, p.deadline, p.ended];
            self.days.is_none() || dates.iter().any(|d| d.is_some() && self.within(*d))
        };
        let all = timeline.policies.iter();
        all.filter(|p| self.of(&p.product, p.country) && dated(p)).collect()
    }

    /// Whether any of these days is asked for.
    fn meets(&self, days: DayRange) -> bool {
        let apart = |asked: DayRange| {
            days.last() < asked.first() || asked.last() < days.first()
        };
        !self.days.is_some_and(apart)
    }

    fn vendor<'a>(&self, timeline: &'a Timeline) -> Vec<&'a VendorEvent> {
        let all = timeline.vendor.iter();
        all.filter(|v| self.of(&v.product, v.country) && self.meets(v.days())).collect()
    }
}

#[derive(Serialize)]
struct TimelineAnswer<'a> {
    policies: Vec<&'a PolicyEvent>,
    vendor: Vec<&'a VendorEvent>,
}

/// `GET /api/v1/timeline`.
pub(crate) async fn timeline(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(TIMELINE)?;
    let any = asked.text("from").is_some() || asked.text("to").is_some();
    let all_days = DayRange::new(Day(i32::MIN), Day(i32::MAX));
    let days = if any { Some(asked.days(all_days)?) } else { None };
    let narrowed = Narrowed::read(&asked, days)?;
    let timeline = shared.counts.timeline().await?;
    let (policies, vendor) = (narrowed.policies(&timeline), narrowed.vendor(&timeline));
    let mut table = acts_table(&policies);
    for event in &vendor {
        let days = event.days();
        let last = (days.last() > days.first()).then(|| days.last().to_string());
        table.push([
            event.id.to_string(),
            event.product.to_string(),
            event.country.to_string(),
            "vendor".to_owned(),
            event.date.to_string(),
            String::new(),
            String::new(),
            last.unwrap_or_default(),
            event.event.clone(),
            event.source.clone(),
        ]);
    }
    either(&asked, fields(TimelineAnswer { policies, vendor }), &table)
}

fn acts_table(policies: &[&PolicyEvent]) -> Table {
    let mut table = Table::new([
        "id",
        "product",
        "country",
        "kind",
        "announced",
        "effective",
        "deadline",
        "ended",
        "scope",
        "source",
    ]);
    let or_empty = |day: Option<Day>| day.map(|d| d.to_string()).unwrap_or_default();
    for act in policies {
        table.push([
            act.id.to_string(),
            act.product.to_string(),
            act.country.to_string(),
            act.kind.as_str().to_owned(),
            or_empty(act.announced),
            or_empty(act.effective),
            or_empty(act.deadline),
            or_empty(act.ended),
            act.scope.clone(),
            act.source.clone(),
        ]);
    }
    table
}

/// `GET /api/v1/policies`.
pub(crate) async fn policies(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(LISTED)?;
    let timeline = shared.counts.timeline().await?;
    let acts: Vec<&PolicyEvent> = timeline.policies.iter().collect();
    let listing = Listing {
        head: fields(json!({})),
        key: "rows",
        rows: acts.iter().map(value).collect(),
        table: acts_table(&acts),
    };
    listing.answer(&asked, "/api/v1/policies")
}

/// `GET /api/v1/policies/{id}`.
pub(crate) async fn policy(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.only(NONE)?;
    let (act, assessed) = assessed(&shared, name).await?;
    let (state, why, found) = match &assessed {
        Assessed::Ready(found) => ("ready", None, Some(assessment(found))),
        Assessed::Working => ("working", None, None),
        Assessed::Absent(why) => ("absent", Some(why), None),
    };
    let answer = ok(fields(json!({
        "act": act,
        "state": state,
        "why": why,
        "assessment": found,
    })));
    // What is being worked out must not be kept as the answer.
    Ok(if assessed.is_passing() { fleeting(answer) } else { answer })
}

/// The act of this name, and what was found about it.
pub(super) async fn assessed(
    shared: &Shared,
    name: Named,
) -> Result<(PolicyEvent, Assessed), Problem> {
    let id = named(name)?;
    let timeline = shared.counts.timeline().await?;
    let act = timeline.policy(&id).cloned().ok_or_else(|| {
        Problem::absent("there is no act of this name", "see /api/v1/policies")
    })?;
    let assessed = shared.counts.assessment(&act.id).await?;
    Ok((act, assessed))
}

fn assessment(found: &Assessment) -> Value {
    let estimates: Vec<Value> = found.estimates.iter().map(estimate_row).collect();
    json!({
        "before": found.before,
        "after": found.after,
        "verdict": found.verdict,
        "estimates": estimates,
        "readings": found.readings,
        "checks": found.checks,
        "questions": found.questions,
        "alarms": found.alarms,
        "refusals": found.refusals,
        "superseded": found.superseded,
    })
}

/// `GET /api/v1/annotations`: marks as Grafana draws them, times in milliseconds.
pub(crate) async fn annotations(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(ANNOTATIONS)?;
    let narrowed = Narrowed::read(&asked, None)?;
    let (from, to) = (moment(&asked, "from", false)?, moment(&asked, "to", true)?);
    let within =
        |time: i64| from.is_none_or(|f| f <= time) && to.is_none_or(|t| time <= t);
    let timeline = shared.counts.timeline().await?;
    let mut marks: Vec<(i64, Value)> = Vec::new();
    for act in narrowed.policies(&timeline) {
        let dates = [
            ("announced", act.announced),
            ("effective", act.effective),
            ("deadline", act.deadline),
            ("ended", act.ended),
        ];
        for (what, day) in dates {
            let Some(time) = day.map(milliseconds).filter(|t| within(*t)) else {
                continue;
            };
            let title = if act.label.is_empty() { act.id.as_str() } else { &act.label };
            marks.push((time, json!({
                "time": time,
                "title": format!("{title} ({what})"),
                "text": act.scope,
                "tags": [act.product.as_str(), act.country.as_str(), act.kind.as_str(), what],
            })));
        }
    }
    for event in narrowed.vendor(&timeline) {
        let time = milliseconds(event.date);
        if within(time) {
            let title =
                if event.label.is_empty() { event.id.as_str() } else { &event.label };
            let mut mark = json!({
                "time": time,
                "title": title,
                "text": event.event,
                "tags": [event.product.as_str(), event.country.as_str(), "vendor"],
            });
            if let Some(latest) = event.latest {
                mark["timeEnd"] = milliseconds(latest.plus(1)).into();
            }
            marks.push((time, mark));
        }
    }
    marks.sort_by_key(|(time, _)| *time);
    let marks: Vec<Value> = marks.into_iter().map(|(_, mark)| mark).collect();
    Ok(body("application/json", Value::Array(marks).to_string()))
}

fn milliseconds(day: Day) -> i64 {
    i64::from(day.0) * DAY_MS
}

/// A day, a month or milliseconds since 1970; of a day the last millisecond if `end`.
fn moment(asked: &Asked, key: &str, end: bool) -> Result<Option<i64>, Problem> {
    let Some(text) = asked.text(key) else { return Ok(None) };
    if let Ok(time) = text.parse::<i64>() {
        return Ok(Some(time));
    }
    let day = asked.day(key, end)?;
    Ok(day.map(|d| milliseconds(d) + if end { DAY_MS - 1 } else { 0 }))
}
