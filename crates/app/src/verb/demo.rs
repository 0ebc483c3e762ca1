//! `tidegauge demo`: the whole way on a synthetic 2024, with one command.
//!
//! The world is written as telemetry, read back like any other, counted, assessed and
//! reported. Nothing here knows the truth folder.
//!
//! **Invariant:** a folder that is not a demo's is never touched.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tidegauge_enrich::atlas::SourceKind;
use tidegauge_model::count::{Counts, Release};
use tidegauge_model::estimate::{Estimate, Quantity};
use tidegauge_model::{Day, SourceId, VantageId};
use tidegauge_publish::report::{Report, drawn_interval, write};
use tidegauge_store::{Lake, RunRecord};

use crate::opened::Opened;
use crate::pipeline::{self, Plan};
use crate::settings::Settings;
use crate::verb::{atlas, ingest, report, simulate};
use crate::{Outcome, args, clock, knowledge, targets};

/// The file that says a folder is a demo's and may be made anew.
const MARK: &str = ".tidegauge-demo";
/// One client in so many keeps its sightings of control products.
const CONTROL_SAMPLING: NonZeroU32 = NonZeroU32::new(4).expect("4 is not 0");

/// Runs the whole way.
pub(crate) async fn run(
    verb: &args::Demo,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let started = clock::now();
    prepare(&verb.out)?;
    let world = verb.out.join("world");
    let params = simulate::params(&verb.world);
    let written = simulate::write(&params, &world)?;
    tracing::info!("simulated: {}", simulate::told(&written));

    let lake_path = verb.out.join("lake");
    let lake_path = lake_path.to_str().context("the output path is not UTF-8")?;
    let settings = Settings { lake: lake_path.to_owned(), ..settings.clone() };
    let lake = settings.open_lake().await?;
    lake.record_run(&world_record(verb, started)).await?;
    import_registry(&lake, &world.join("registry")).await?;
    ingest_world(&lake, &world, &settings).await?;
    drop(lake);

    let asked = report_arguments(verb);
    let opened = Opened::open(&settings, args::MapRules::DEFAULT).await?;
    let simulated = report::describe("A", verb.world.eyeball, verb.world.seed);
    let made = report::make(&opened, &asked, &settings, Some(simulated)).await?;
    let page = write(&made, &asked.out)?;
    let figures = Figures::of(&made)?;
    let took = clock::now().0 - started.0;
    tell(&figures, &page.html, took)?;
    if verb.check_targets {
        let compared = targets::compare(&made, verb.world.organisations);
        compared.rows.print(settings.format)?;
        anyhow::ensure!(
            compared.missed == 0,
            "{} targets were missed",
            compared.missed
        );
    }
    Ok(Outcome::Done)
}

/// Makes an empty folder, in place of an earlier demo.
fn prepare(out: &Path) -> anyhow::Result<()> {
    let is_empty = || out.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    if out.join(MARK).is_file() {
        std::fs::remove_dir_all(out).with_context(|| {
            format!("removing the earlier demo in {}", out.display())
        })?;
    } else if out.exists() && !is_empty() {
        bail!("{} holds something else than a demo (hint: --out DIR)", out.display());
    }
    std::fs::create_dir_all(out)
        .with_context(|| format!("making {}", out.display()))?;
    std::fs::write(
        out.join(MARK),
        "Made by `tidegauge demo`; made anew by the next one.\n",
    )
    .with_context(|| format!("writing in {}", out.display()))
}

/// The record by which every later page knows that the lake holds a synthetic world.
fn world_record(verb: &args::Demo, started: tidegauge_model::Instant) -> RunRecord {
    RunRecord {
        id: format!("simulate:{}", verb.world.seed),
        started,
        finished: clock::now(),
        verb: report::SIMULATED_VERB.to_owned(),
        arguments: serde_json::json!({
            "world": "A",
            "organisations": verb.world.organisations,
            "eyeball": verb.world.eyeball,
            "seed": verb.world.seed,
        }),
        versions: serde_json::json!({ "program": env!("CARGO_PKG_VERSION") }),
        inputs: serde_json::json!([]),
        outcome: "done".to_owned(),
    }
}

/// Imports every `holders-DATE.csv`, oldest first.
async fn import_registry(lake: &Lake, folder: &Path) -> anyhow::Result<()> {
    for path in sorted(folder, "csv")? {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let snapshot: Day = stem
            .strip_prefix("holders-")
            .and_then(|date| date.parse().ok())
            .with_context(|| format!("{} has no date in its name", path.display()))?;
        let source = SourceId::new("registry");
        atlas::import(lake, &SourceKind::Holders, &source, snapshot, &path).await?;
    }
    Ok(())
}

/// Ingests the flows and logs of each vantage of the world.
async fn ingest_world(
    lake: &Lake,
    world: &Path,
    settings: &Settings,
) -> anyhow::Result<()> {
    let catalog = knowledge::catalog(settings)?;
    let mapping = ingest::read_mapping(&world.join("mapping.toml"))?;
    let vantages = world.join("vantages");
    for path in sorted(&vantages, "toml")? {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let vantage =
            knowledge::vantage(&VantageId::new(stem), Some(&vantages), settings)?;
        let folders = ["flows", "zeek"].map(|kind| world.join(kind).join(stem));
        let paths: Vec<PathBuf> = folders.into_iter().filter(|f| f.is_dir()).collect();
        let plan = Plan {
            paths: &paths,
            vantage: &vantage,
            catalog: &catalog,
            mapping: Some(&mapping),
            control_sampling: CONTROL_SAMPLING,
            piece: pipeline::PIECE,
        };
        let summary = pipeline::ingest(lake, &plan).await?;
        tracing::info!(
            "vantage {stem}: {} flows, {} contacts, {} sightings, {:.0} flows/s",
            summary.flows,
            summary.contacts,
            summary.sightings,
            pipeline::ratio(
                summary.flows * 1_000_000,
                u64::try_from(summary.took_micros).unwrap_or(0).max(1)
            )
        );
    }
    Ok(())
}

fn sorted(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(pipeline::existing(folder)?)
        .and_then(|entries| {
            entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("listing {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .collect();
    paths.sort();
    Ok(paths)
}

/// What `tidegauge report` would be asked for by hand.
fn report_arguments(verb: &args::Demo) -> args::Report {
    args::Report {
        out: verb.out.join("report"),
        evidence: args::Evidence::default(),
        compared: args::Compared::default(),
        focus: None,
        rank_panel: verb.rank_panel.clone(),
    }
}

/// The figures that matter.
struct Figures {
    organisations: (u64, u64),
    addresses: (f64, f64),
    focus: String,
    removal: Estimate,
    net: Estimate,
    /// Visibility taken out, or why that cannot be told.
    corrected: Result<Estimate, String>,
}

impl Figures {
    fn of(report: &Report) -> anyhow::Result<Self> {
        let months =
            report.months_frozen.as_ref().context("the report has no months")?;
        let at = |day: Day| month_counts(months, day);
        let (before, after) = (at(report.before.first())?, at(report.after.first())?);
        let factor = report.expansion.as_ref().map_or(1.0, |e| e.factor);
        let focus = report.focus.to_string();
        let estimate = |quantity: Quantity| {
            let wanted = |e: &&Estimate| {
                e.quantity == quantity
                    && e.stratum == [("country".to_owned(), focus.clone())]
            };
            let mut shown = report.estimates.iter().filter_map(|e| e.shown());
            shown.find(wanted).cloned().with_context(|| {
                format!("no figure for {focus} may be shown at this size of the world")
            })
        };
        Ok(Self {
            organisations: (before.organisations_active, after.organisations_active),
            addresses: (expanded(&before, factor), expanded(&after, factor)),
            removal: estimate(Quantity::CohortRemoval)?,
            net: estimate(Quantity::NetChange)?,
            corrected: estimate(Quantity::RemovalCorrected)
                .map_err(|hidden| refusal(report).unwrap_or(hidden.to_string())),
            focus,
        })
    }
}

/// The rule that forbids the corrected figure of the focus country.
fn refusal(report: &Report) -> Option<String> {
    let stratum = [("country".to_owned(), report.focus.to_string())];
    let mut refused = report.correction.as_ref()?.refused.iter();
    refused.find(|(s, _)| *s == stratum).map(|(_, reason)| reason.clone())
}

fn month_counts(months: &Release, day: Day) -> anyhow::Result<Counts> {
    let month = day.month().to_string();
    let row = months
        .rows()
        .iter()
        .find(|r| r.key.first().is_some_and(|k| k.as_ref() == Some(&month)));
    row.and_then(|r| r.counts)
        .with_context(|| format!("nothing may be shown for {month}"))
}

/// Addresses with consumer addresses expanded to their true number.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of addresses are far below 2^53"
)]
fn expanded(counts: &Counts, factor: f64) -> f64 {
    let consumer = counts.addresses_v4_consumer as f64;
    (counts.addresses_v4 as f64 - consumer) + consumer * factor
}

#[expect(clippy::cast_precision_loss, reason = "a duration in microseconds")]
fn tell(figures: &Figures, page: &Path, took_micros: i64) -> anyhow::Result<()> {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let interval = |e: &Estimate| {
        drawn_interval(e).map_or_else(String::new, |i| {
            format!(" (95 %: {} to {})", percent(i.low), percent(i.high))
        })
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "SYNTHETIC DATA: what the method shows, not what anybody did.\n")?;
    writeln!(
        out,
        "organisations in contact, April to November 2024:  {} -> {}",
        figures.organisations.0, figures.organisations.1
    )?;
    writeln!(
        out,
        "addresses in contact, consumer space expanded:     {:.2} M -> {:.2} M",
        figures.addresses.0 / 1e6,
        figures.addresses.1 / 1e6
    )?;
    writeln!(
        out,
        "{} organisations, as seen: cohort removal {}{}, net change {}{}",
        figures.focus,
        percent(figures.removal.value),
        interval(&figures.removal),
        percent(figures.net.value),
        interval(&figures.net),
    )?;
    match &figures.corrected {
        Ok(corrected) => writeln!(
            out,
            "{} organisations, visibility taken out: {}{} stopped using it",
            figures.focus,
            percent(corrected.value),
            interval(corrected)
        )?,
        Err(reason) => writeln!(
            out,
            "{} organisations, visibility taken out: not identified ({reason})",
            figures.focus
        )?,
    }
    writeln!(out, "report: {}", page.display())?;
    tracing::info!("took {:.0} s", took_micros as f64 / 1e6);
    Ok(())
}
