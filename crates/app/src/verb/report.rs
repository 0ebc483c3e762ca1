//! `tidegauge report`: a self-contained document with figures.

use std::collections::BTreeMap;

use anyhow::Context;
use tidegauge_census::Counter;
use tidegauge_effect::occupancy::weekly::{Corrected, Refusal};
use tidegauge_effect::retention::retention;
use tidegauge_effect::{Active, Stratify, Windows};
use tidegauge_model::count::{Dating, Dimension, Query, Release};
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::panel::Panel;
use tidegauge_model::policy::PolicyEvent;
use tidegauge_model::{Country, DayRange, Instant, ProductId, SectorId};
use tidegauge_publish::report::{
    Correction, Expansion, Paired, Provenance, Report, Synthetic, write,
};
use tidegauge_store::{RunRecord, Table};

use crate::opened::{Audience, Opened};
use crate::settings::Settings;
use crate::verb::assess;
use crate::{Outcome, args, clock, knowledge, rank};

/// The sector of figure (e).
const GOVERNMENT: &str = "government";
/// How estimates are split.
const SPLIT: [Stratify; 3] = [Stratify::All, Stratify::Country, Stratify::Sector];

/// What is special about simulated data.
pub(crate) struct Simulated {
    pub(crate) synthetic: Synthetic,
    pub(crate) expansion: Expansion,
    pub(crate) seed: u64,
}

/// Counts, assesses and writes.
pub(crate) async fn run(
    verb: &args::Report,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let simulated = simulated(&opened).await?;
    let report = make(&opened, verb, settings, simulated).await?;
    let written = write(&report, &verb.out)?;
    tracing::info!("{} files; open {}", written.files, written.html.display());
    Ok(Outcome::Done)
}

/// Makes the report that the flags ask for.
pub(crate) async fn make(
    opened: &Opened,
    verb: &args::Report,
    settings: &Settings,
    simulated: Option<Simulated>,
) -> anyhow::Result<Report> {
    let timeline = knowledge::timeline(settings)?;
    let policy = timeline
        .policy(verb.compared.policy.as_str())
        .with_context(|| format!("there is no policy `{}`", verb.compared.policy))?
        .clone();
    let mut desk = Desk::new(opened, verb, &policy).await?;
    opened.require_covered(&[desk.windows.before(), desk.windows.after()]).await?;
    let rank_panel = match &verb.rank_panel {
        Some(path) => Some(rank::read(path, &desk.product, &opened.catalog)?),
        None => None,
    };
    let panel = desk.panel().await?;
    let corrected = desk.corrected(&panel, &policy);
    let product_name = opened
        .catalog
        .product(desk.product.as_str())
        .map_or_else(|| desk.product.to_string(), |p| p.name.clone());
    let started = clock::now();
    let run = format!("report:{}", started.0);
    let months_frozen = desk.months(desk.frozen).await?;
    let countries = desk.paired(Dimension::Country, &[], &[]).await?;
    let all_sectors = desk.paired(Dimension::Sector, &[], &[]).await?;
    let tables: Vec<Release> =
        [&countries, &all_sectors].into_iter().flat_map(|p| both(p.as_ref())).collect();
    let estimates = desk.estimates(&panel, &corrected, &tables).await?;
    let report = Report {
        product: desk.product.clone(),
        product_name,
        focus: desk.focus,
        period: desk.period,
        covered: desk.covered,
        before: desk.windows.before(),
        after: desk.windows.after(),
        months_frozen,
        months_each_day: desk.months(Dating::EachDay).await?,
        countries,
        sectors: desk.paired(Dimension::Sector, &[desk.focus], &[]).await?,
        government: desk
            .paired(Dimension::Country, &[], &[SectorId::new(GOVERNMENT)])
            .await?,
        correction: Some(correction(&corrected, &estimates, verb.evidence.internal)),
        estimates,
        retention: desk.retention(&panel, &tables),
        coverage: opened.lake.coverage(desk.period).await?,
        timeline,
        sector_names: sector_names(settings)?,
        rank_panel,
        provenance: provenance(opened, &desk, simulated.as_ref(), &run),
        synthetic: simulated.as_ref().map(|s| s.synthetic.clone()),
        expansion: simulated.map(|s| s.expansion),
    };
    // A report of the past is none of the present's.
    if settings.as_of.is_none() {
        record(opened, &report, (&run, started)).await?;
    }
    Ok(report)
}

/// Everything one report asks the counter with.
struct Desk<'a> {
    opened: &'a Opened,
    verb: &'a args::Report,
    audience: Audience,
    product: ProductId,
    focus: Country,
    /// Whole calendar months.
    period: DayRange,
    covered: DayRange,
    windows: Windows,
    /// The one map that trends are frozen on.
    frozen: Dating,
}

impl<'a> Desk<'a> {
    async fn new(
        opened: &'a Opened,
        verb: &'a args::Report,
        policy: &PolicyEvent,
    ) -> anyhow::Result<Self> {
        let mut asked = verb.evidence.product.clone();
        if asked.is_empty() {
            asked.push(policy.product.clone());
        }
        let product = opened.one_product(&asked)?;
        let covered = opened.days(None, None).await?;
        let period = DayRange::new(
            covered.first().month().first(),
            covered.last().month().last(),
        )
        .context("the days covered are in order")?;
        let windows = assess::windows(&verb.compared, policy)?;
        let frozen =
            verb.evidence.on.unwrap_or(Dating::Frozen(windows.before().first()));
        Ok(Self {
            opened,
            verb,
            audience: Audience::asked(verb.evidence.internal),
            product,
            focus: verb.focus.unwrap_or(policy.country),
            period,
            covered,
            windows,
            frozen,
        })
    }

    fn counter(&self) -> &Counter {
        &self.opened.counter
    }

    fn query(&self, days: DayRange, by: Dimension) -> anyhow::Result<Query> {
        Ok(Query {
            by: vec![by],
            products: vec![self.product.clone()],
            on: self.frozen,
            ..self.opened.query(&self.verb.evidence, days)?
        })
    }

    /// A table, unless it would give away what others hide.
    async fn release(&mut self, query: &Query) -> anyhow::Result<Option<Release>> {
        let census = self.opened.counter.census(query).await?;
        let released = self.audience.release(self.opened, census).await?;
        let told =
            released.inspect_err(|withheld| tracing::warn!("left out: {withheld}"));
        Ok(told.ok())
    }

    async fn months(&mut self, on: Dating) -> anyhow::Result<Option<Release>> {
        let query = Query { on, ..self.query(self.period, Dimension::Month)? };
        self.release(&query).await
    }

    async fn paired(
        &mut self,
        by: Dimension,
        countries: &[Country],
        sectors: &[SectorId],
    ) -> anyhow::Result<Option<Paired>> {
        let of = |days| -> anyhow::Result<Query> {
            Ok(Query {
                countries: countries.to_vec(),
                sectors: sectors.to_vec(),
                ..self.query(days, by)?
            })
        };
        let (before, after) = (of(self.windows.before())?, of(self.windows.after())?);
        // The total of the same population is published too, and so the rule must know of it
        // first: with it, a table with one cell hidden hides none.
        for query in [&before, &after] {
            self.release(&Query { by: vec![Dimension::Month], ..query.clone() })
                .await?;
        }
        let (before, after) =
            (self.release(&before).await?, self.release(&after).await?);
        Ok(before.zip(after).map(|(before, after)| Paired { before, after }))
    }

    async fn panel(&self) -> anyhow::Result<Panel> {
        let query = self.query(self.period, Dimension::Product)?;
        Ok(self.counter().panel(&self.product, &query).await?)
    }

    fn corrected(
        &self,
        panel: &Panel,
        policy: &PolicyEvent,
    ) -> Result<Corrected, Refusal> {
        let (evidence, compared) = (&self.verb.evidence, &self.verb.compared);
        assess::corrected(panel, self.windows, policy, evidence, compared, &SPLIT)
    }

    async fn estimates(
        &self,
        panel: &Panel,
        corrected: &Result<Corrected, Refusal>,
        tables: &[Release],
    ) -> anyhow::Result<Vec<ReleasedEstimate>> {
        let (evidence, compared) = (&self.verb.evidence, &self.verb.compared);
        let of = |stratify| {
            assess::estimates_by(panel, self.windows, evidence, compared, stratify)
        };
        let mut estimates: Vec<_> = SPLIT.into_iter().flat_map(of).collect();
        if let Ok(corrected) = corrected {
            let query = self.query(self.period, Dimension::Product)?;
            let made_of = (corrected, panel);
            let seed = compared.seed;
            let (opened, windows) = (self.opened, self.windows);
            estimates.extend(
                assess::doubted_estimates(
                    opened, made_of, &query, windows, &SPLIT, seed,
                )
                .await?,
            );
        }
        Ok(self.audience.estimates(estimates, tables))
    }

    fn retention(&self, panel: &Panel, tables: &[Release]) -> Vec<ReleasedEstimate> {
        let active = Active { days_min: self.verb.evidence.active_days };
        let baseline = self.windows.before();
        let focus = [("country".to_owned(), self.focus.to_string())];
        let all = retention(panel, baseline, active, &[], |_| true);
        let of_focus = retention(panel, baseline, active, &focus, |h| {
            h.country == Some(self.focus)
        });
        self.audience.estimates(all.into_iter().chain(of_focus), tables)
    }
}

/// What the page shows of the model: nothing of strata whose removal as seen is hidden.
fn correction(
    corrected: &Result<Corrected, Refusal>,
    estimates: &[ReleasedEstimate],
    internal: bool,
) -> Correction {
    let survival = assess::curves(corrected, estimates, internal);
    let refused = assess::not_identified(corrected, estimates);
    match corrected {
        Ok(found) => Correction {
            visibility: found.visibility.clone(),
            alarms: found.alarms.clone(),
            survival,
            refused,
            method: found.method.clone(),
        },
        Err(_) => Correction { refused, ..Correction::default() },
    }
}

fn sector_names(settings: &Settings) -> anyhow::Result<BTreeMap<SectorId, String>> {
    let rules = knowledge::rules(settings)?;
    Ok(rules.sectors.iter().map(|s| (s.id.clone(), s.label.clone())).collect())
}

fn provenance(
    opened: &Opened,
    desk: &Desk<'_>,
    simulated: Option<&Simulated>,
    run: &str,
) -> Provenance {
    let tables: Vec<String> = opened
        .map
        .tables()
        .iter()
        .map(|t| format!("{} of {} ({})", t.source, t.snapshot, t.field))
        .collect();
    Provenance {
        program: format!("tidegauge {}", env!("CARGO_PKG_VERSION")),
        catalog: opened.catalog.version(),
        atlas: if tables.is_empty() { "empty".to_owned() } else { tables.join("; ") },
        run: run.to_owned(),
        seed: simulated.map(|s| s.seed),
        more: vec![
            ("lake".to_owned(), opened.lake.url().to_string()),
            ("policy".to_owned(), desk.verb.compared.policy.to_string()),
            (
                "bootstrap".to_owned(),
                format!(
                    "{} resamples, seed {}",
                    desk.verb.compared.replicates, desk.verb.compared.seed
                ),
            ),
        ],
    }
}

fn both(paired: Option<&Paired>) -> Vec<Release> {
    paired.into_iter().flat_map(|p| [p.before.clone(), p.after.clone()]).collect()
}

/// Keeps every published count as it was published, and what it was made with.
async fn record(
    opened: &Opened,
    report: &Report,
    (run, started): (&str, Instant),
) -> anyhow::Result<()> {
    let months = [&report.months_frozen, &report.months_each_day];
    let mut releases: Vec<Release> = months.into_iter().flatten().cloned().collect();
    for paired in [&report.countries, &report.sectors, &report.government] {
        releases.extend(both(paired.as_ref()));
    }
    let made = clock::now();
    for (index, release) in releases.iter().enumerate() {
        opened.lake.record_release(&format!("{run}:{index}"), made, release).await?;
    }
    let sightings = opened.lake.snapshot(Table::Sightings).await?.version;
    let Provenance { catalog, atlas, .. } = &report.provenance;
    opened
        .lake
        .record_run(&RunRecord {
            id: run.to_owned(),
            started,
            finished: clock::now(),
            verb: "report".to_owned(),
            arguments: serde_json::json!({
                "product": report.product,
                "before": report.before,
                "after": report.after,
            }),
            versions: serde_json::json!({
                "program": env!("CARGO_PKG_VERSION"),
                "catalog": catalog,
                "atlas": atlas,
                "sightings": sightings,
            }),
            inputs: serde_json::json!([]),
            outcome: format!("{} releases", releases.len()),
        })
        .await?;
    Ok(())
}

/// The mark that `simulate` leaves beside its vantages, read back from the lake's runs:
/// a lake that was fed by the demo says so on every page.
pub(crate) async fn simulated(opened: &Opened) -> anyhow::Result<Option<Simulated>> {
    let runs = opened.lake.runs().await?;
    Ok(runs.iter().rev().find(|run| run.verb == SIMULATED_VERB).and_then(|run| {
        let number = |key: &str| run.arguments.get(key);
        let eyeball = number("eyeball")?.as_f64()?;
        let seed = number("seed")?.as_u64()?;
        Some(describe(number("world")?.as_str()?, eyeball, seed))
    }))
}

/// The verb under which the demo records its world.
pub(crate) const SIMULATED_VERB: &str = "simulate";

/// What to say of a simulated world.
pub(crate) fn describe(world: &str, eyeball: f64, seed: u64) -> Simulated {
    Simulated {
        synthetic: Synthetic {
            world: world.to_owned(),
            note: "Every organisation, address and contact in this document was made by a \
                   program. The world is calibrated to published figures of 2024; it shows \
                   what the method does, not what anybody did."
                .to_owned(),
        },
        expansion: Expansion {
            factor: 1.0 / eyeball,
            note: format!(
                "Consumer addresses are simulated at a share of {eyeball}; their count is \
                 multiplied by {}.",
                1.0 / eyeball
            ),
        },
        seed,
    }
}
