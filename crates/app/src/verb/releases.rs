//! `tidegauge releases`: what was published, and what the same question says today.
//!
//! **Invariant:** what was published is never changed. What is said today is laid beside it
//! in steps, one cause after the other: the program, the catalog, the holders, and then the
//! telemetry that came later; every step but the last reads the lake as it stood when the
//! release was made.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use tidegauge_census::Counter;
use tidegauge_census::disclosure::{Internal, Public};
use tidegauge_model::count::{Counts, Query, Release, ReleasedCell};
use tidegauge_model::{Gap, Instant};
use tidegauge_publish::publication::{UNITS, Unit};
use tidegauge_store::{Lake, Published, RunRecord};

use crate::opened::Opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::verb::census;
use crate::{Outcome, args, clock};

/// Lists, shows or compares.
pub(crate) async fn run(
    verb: &args::Releases,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let lake = settings.open_lake().await?;
    let kept = lake.releases().await?;
    let rows = match verb {
        args::Releases::List => list(&kept, &withdrawn(&lake.runs().await?)),
        args::Releases::Withdraw { ids } => withdraw(&lake, &kept, ids).await?,
        args::Releases::Show { id } => shown(find(&kept, id)?),
        args::Releases::Compare(asked) => {
            let how = Asked { internal: asked.internal, all: asked.all };
            let published = find(&kept, &asked.id)?;
            let now = Opened::open(settings, map(published)).await?;
            compared(published, how, &now, settings).await?
        }
    };
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

fn find<'a>(kept: &'a [Published], id: &str) -> anyhow::Result<&'a Published> {
    kept.iter().find(|published| published.id == id).with_context(|| {
        format!("nothing was published as `{id}` (hint: `tidegauge releases list`)")
    })
}

/// Under which runs are recorded that withdraw a release.
const WITHDRAW: &str = "releases withdraw";

/// The ids of releases that were withdrawn, and when each first was.
pub(crate) fn withdrawn(runs: &[RunRecord]) -> BTreeMap<String, Instant> {
    let mut withdrawn = BTreeMap::new();
    for run in runs.iter().filter(|run| run.verb == WITHDRAW) {
        if let Some(id) = run.arguments.get("release").and_then(|id| id.as_str()) {
            let first = withdrawn.entry(id.to_owned()).or_insert(run.started);
            *first = run.started.min(*first);
        }
    }
    withdrawn
}

/// Records that releases are withdrawn: what they hid no longer binds later tables. They stay
/// where they are, and what they showed stays known.
async fn withdraw(
    lake: &Lake,
    kept: &[Published],
    ids: &[String],
) -> anyhow::Result<Rows> {
    // A report has several tables: its run names them all.
    let meant = |asked: &String, one: &Published| {
        one.id == *asked || one.id.rsplit_once(':').is_some_and(|(run, _)| run == asked)
    };
    for asked in ids.iter().filter(|asked| !kept.iter().any(|one| meant(asked, one))) {
        find(kept, asked)?;
    }
    let chosen: Vec<Published> = kept
        .iter()
        .filter(|one| ids.iter().any(|asked| meant(asked, one)))
        .cloned()
        .collect();
    for Published { id, .. } in &chosen {
        let now = clock::now();
        let run = RunRecord {
            id: format!("withdraw:{id}"),
            started: now,
            finished: now,
            verb: WITHDRAW.to_owned(),
            arguments: serde_json::json!({ "release": id }),
            versions: serde_json::json!({ "program": env!("CARGO_PKG_VERSION") }),
            inputs: serde_json::json!([]),
            outcome: "withdrawn".to_owned(),
        };
        lake.record_run(&run).await?;
    }
    Ok(list(&chosen, &withdrawn(&lake.runs().await?)))
}

fn list(kept: &[Published], withdrawn: &BTreeMap<String, Instant>) -> Rows {
    let columns = [
        "id",
        "made",
        "products",
        "by",
        "days",
        "holders",
        "cells",
        "suppressed",
        "withdrawn",
    ];
    let mut rows = Rows::new("releases", columns);
    for Published { id, made, release } in kept {
        let query = release.query();
        let products = query.products.iter().map(ToString::to_string);
        let by = query.by.iter().map(ToString::to_string);
        rows.push(vec![
            Value::text(id),
            Value::text(made),
            Value::text(products.collect::<Vec<_>>().join(",")),
            Value::text(by.collect::<Vec<_>>().join(",")),
            Value::text(query.days),
            Value::text(query.on),
            Value::Int(crate::pipeline::count(release.rows().len())),
            Value::Int(crate::pipeline::count(release.suppressed())),
            Value::text(if withdrawn.contains_key(id) { "yes" } else { "no" }),
        ]);
    }
    rows
}

fn shown(published: &Published) -> Rows {
    let mut rows = census::rows(&published.release);
    rows.notes.insert(0, format!("as published {}", published.made));
    rows
}

/// A step from what was published to what is said today.
struct Step {
    column: &'static str,
    /// What changed between the step before and this one.
    cause: &'static str,
    cells: Option<Cells>,
}

/// Counts by cell; `None` where they are suppressed.
type Cells = BTreeMap<Vec<Option<String>>, Option<Counts>>;

/// How a release is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Every cell is counted, as for the operator.
    pub(crate) internal: bool,
    /// What did not move is told too.
    pub(crate) all: bool,
}

/// The figures of each step, side by side.
pub(crate) async fn compared(
    published: &Published,
    asked: Asked,
    now: &Opened,
    settings: &Settings,
) -> anyhow::Result<Rows> {
    let query = published.release.query();
    let steps = steps(published, asked.internal, now, settings).await?;
    let mut keys: BTreeSet<&Vec<Option<String>>> = BTreeSet::new();
    keys.extend(steps.iter().flat_map(|step| &step.cells).flat_map(BTreeMap::keys));
    let hidden = |row: &&ReleasedCell| row.counts.is_none();
    for row in published.release.rows().iter().filter(hidden) {
        keys.remove(&row.key);
    }
    let columns = query.by.iter().map(ToString::to_string);
    let columns = columns.chain(["unit".to_owned()]);
    let columns = columns.chain(steps.iter().map(|step| step.column.to_owned()));
    let mut rows = Rows::new("releases_compare", columns);
    let mut moved = vec![0u64; steps.len()];
    let (mut figures, mut others) = (0, 0);
    for key in keys {
        for Unit { column: unit, of, .. } in &UNITS {
            let values: Vec<Value> =
                steps.iter().map(|step| step.value(key, *of)).collect();
            figures += 1;
            let pairs = values.iter().zip(values.iter().skip(1));
            for (moved, (before, after)) in moved.iter_mut().skip(1).zip(pairs) {
                *moved += u64::from(before != after);
            }
            let mut known = values.iter().filter(|value| **value != Value::Unknown);
            let first = known.next();
            let other = known.any(|value| Some(value) != first);
            others += u64::from(values.first() != values.last());
            if asked.all || other {
                let key = key
                    .iter()
                    .map(|key| key.as_ref().map_or(Value::Unattributed, Value::text));
                rows.push(key.chain([Value::text(unit)]).chain(values).collect());
            }
        }
    }
    let told = if steps.iter().all(|step| step.cells.is_some()) {
        causes(&steps, &moved, figures)
    } else {
        format!(
            "of {figures} figures {others} are other ones today; by what cannot be told, for \
             the lake of then is gone"
        )
    };
    rows.notes = notes(published, told);
    Ok(rows)
}

impl Step {
    fn value(&self, key: &[Option<String>], of: fn(&Counts) -> u64) -> Value {
        match self.cells.as_ref().map(|cells| cells.get(key)) {
            None => Value::Unknown,
            Some(None) => Value::Int(0),
            Some(Some(None)) => Value::Suppressed,
            Some(Some(Some(counts))) => Value::Int(of(counts)),
        }
    }
}

/// The map that a release was counted on, but for what was not known yet.
fn map(published: &Published) -> args::MapRules {
    let known = published.release.query().known;
    args::MapRules { known, gap: Gap::Carry, before_first: Gap::Carry }
}

/// What was published, and the same question asked again with one thing after the other as
/// it is today.
async fn steps(
    published: &Published,
    internal: bool,
    now: &Opened,
    settings: &Settings,
) -> anyhow::Result<Vec<Step>> {
    let query = published.release.query();
    let then = match recounted(published, internal, now, settings).await {
        Ok(cells) => cells.map(Some),
        Err(error) => {
            tracing::warn!(
                "the lake of {} cannot be read any more (hint: `lake vacuum` and `lake \
                 forget` remove what older versions need): {error:#}",
                published.made
            );
            [None, None, None]
        }
    };
    let [same, catalog, holders] = then;
    let today = counted(&now.counter, query, internal).await?;
    let step = |column, cause, cells| Step { column, cause, cells };
    Ok(vec![
        step("published", "", Some(cells(&published.release))),
        step("recounted", "the program or its settings", same),
        step("with_catalog", "the catalog", catalog),
        step("with_holders", "who held the addresses", holders),
        step("today", "telemetry that came later", Some(today)),
    ])
}

/// What the lake of then says: with the catalog and the holders of then, with today's
/// catalog, and with today's holders too.
async fn recounted(
    published: &Published,
    internal: bool,
    now: &Opened,
    settings: &Settings,
) -> anyhow::Result<[Cells; 3]> {
    let query = published.release.query();
    let [same, catalog, holders] =
        past(published, map(published), now, settings).await?;
    Ok([
        counted(&same, query, internal).await?,
        counted(&catalog, query, internal).await?,
        counted(&holders, query, internal).await?,
    ])
}

/// Counters over the lake of then: with the catalog and the holders of then, with today's
/// catalog, and with today's holders too.
async fn past(
    published: &Published,
    map: args::MapRules,
    now: &Opened,
    settings: &Settings,
) -> anyhow::Result<[Counter; 3]> {
    let past = Settings { as_of: Some(published.made), ..settings.clone() };
    let then = Opened::open(&past, map).await?;
    let mut endpoints = then.lake.endpoints().await?;
    if endpoints.is_empty() {
        tracing::warn!("the lake of then has no catalog: today's is used in its place");
        endpoints = then.catalog.endpoints().to_vec();
    }
    let same = then.counter_with(&endpoints, settings)?;
    let holders = then.counter.clone().with_holders(now.holders());
    Ok([same, then.counter, holders])
}

/// The same question, asked of a counter.
async fn counted(
    counter: &Counter,
    query: &Query,
    internal: bool,
) -> anyhow::Result<Cells> {
    let census = counter.census(query).await?;
    Ok(if internal {
        cells(&Release::by(&Internal, census))
    } else {
        cells(&Release::by(&Public::default(), census))
    })
}

fn cells(release: &Release) -> Cells {
    release.rows().iter().map(|row| (row.key.clone(), row.counts)).collect()
}

/// Which cause moved how many figures.
fn causes(steps: &[Step], moved: &[u64], figures: u64) -> String {
    let told: Vec<String> = steps
        .iter()
        .zip(moved)
        .filter(|(_, moved)| **moved > 0)
        .map(|(step, moved)| format!("{moved} by {}", step.cause))
        .collect();
    if told.is_empty() {
        return format!("each of {figures} figures is today what it was");
    }
    format!("of {figures} figures were moved: {}", told.join(", "))
}

/// What a reader must know.
fn notes(Published { made, release, .. }: &Published, told: String) -> Vec<String> {
    let mut notes = vec![format!("published {made}: {}", release.query().days)];
    notes.push(format!("rule of then: {}", release.rule()));
    if release.suppressed() > 0 {
        let hidden = release.suppressed();
        notes.push(format!("{hidden} cells were suppressed then, and are left out"));
    }
    notes.push(told);
    notes.push(
        "what changed between two releases can tell of single organisations: for the \
         operator's eyes"
            .to_owned(),
    );
    notes
}
