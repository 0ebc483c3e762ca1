//! From inputs to a batch in the lake.
//!
//! Names are read first from every input, then flows from every input, so that the order
//! of files decides nothing. Inputs that the lake has already are left out.
//!
//! ```text
//! a thread: inputs ─► Feed ─► Observer ─┬─► pieces ─► files ─┐
//!                                       └─► the rest ────────┴─► one commit
//! ```
//!
//! **Invariant:** either the whole batch gets in or none of it; running it again changes
//! nothing. How many sightings are held does not grow with the inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_enrich::contact::{Observed, Observer, Settings as ObserverSettings};
use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Address, Answer, Flow, Instant, Loss, Reason, Vantage};
use tidegauge_store::import::{self, Mapping};
use tidegauge_store::{Ahead, Appended, Batch, Fingerprint, Lake, RunRecord};
use tidegauge_wire::cloud::aws;
use tidegauge_wire::{Decoder, Format, Sink};

use crate::feed::{Feed, Pieces};
use crate::source::{self, Kind, Source};
use crate::{clock, progress};

/// What to ingest, and how.
pub(crate) struct Plan<'a> {
    pub(crate) paths: &'a [PathBuf],
    pub(crate) vantage: &'a Vantage,
    pub(crate) catalog: &'a Catalog,
    pub(crate) mapping: Option<&'a Mapping>,
    pub(crate) control_sampling: NonZeroU32,
    /// Sightings that are held before they are written: [`PIECE`].
    pub(crate) piece: usize,
}

/// Sightings of a piece: some 300 MB with all that is made of them, and a good size for a
/// file.
pub(crate) const PIECE: usize = 1 << 19;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Inputs read, by kind.
    pub(crate) inputs: BTreeMap<String, u64>,
    /// Inputs left out because the lake has them.
    pub(crate) inputs_known: u64,
    /// Paths that could not be opened.
    pub(crate) unreadable: u64,
    /// Flows read.
    pub(crate) flows: u64,
    /// Pieces of input lost, by reason.
    pub(crate) losses: BTreeMap<Reason, u64>,
    /// Contacts found.
    pub(crate) contacts: u64,
    /// Sightings stored.
    pub(crate) sightings: u64,
    /// Vantage-days covered.
    pub(crate) days: u64,
    /// Microseconds it took.
    pub(crate) took_micros: i64,
}

impl Summary {
    /// Share of the input that was lost, 0 to 1. Frames of link layers that carry no flows
    /// (ARP, spanning tree) are counted as lost, but say nothing about the input's health.
    pub(crate) fn loss_share(&self) -> f64 {
        let harmful =
            self.losses.iter().filter(|(reason, _)| **reason != Reason::LinkType);
        let lost: u64 = harmful.map(|(_, count)| count).sum::<u64>() + self.unreadable;
        let all = self.flows + lost;
        if all == 0 { 0.0 } else { ratio(lost, all) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^53")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Reads everything the plan names and appends it to the lake.
pub(crate) async fn ingest(lake: &Lake, plan: &Plan<'_>) -> anyhow::Result<Summary> {
    let started = clock::now();
    let mut summary = Summary::default();
    let mut sources = open_all(plan, &mut summary).await;
    leave_out_known(lake, plan.vantage, &mut sources, &mut summary).await?;
    if sources.is_empty() {
        return Ok(summary);
    }
    let mut ahead = Ahead::default();
    let done = observe(lake, plan, &sources, started, &mut summary, &mut ahead);
    let (unused, observed) = match done {
        Ok(done) => done,
        Err(error) => {
            lake.abandon(&ahead).await;
            return Err(error);
        }
    };
    for coverage in &observed.coverage {
        summary.contacts += coverage.contacts;
        for (reason, count) in &coverage.losses {
            *summary.losses.entry(*reason).or_default() += count;
        }
    }
    for (reason, count) in &observed.undated_losses {
        *summary.losses.entry(*reason).or_default() += count;
    }
    if observed.settled_early > 0 {
        tracing::warn!(
            "{} flows without a name were matched before every DNS answer was known \
             (hint: ingest in smaller pieces)",
            observed.settled_early
        );
    }
    summary.sightings = ahead.rows() + count(observed.sightings.len());
    summary.days = count(observed.coverage.len());
    let fingerprints = sources.iter().map(|s| s.fingerprint);
    let inputs: Vec<Fingerprint> =
        fingerprints.filter(|fingerprint| !unused.contains(fingerprint)).collect();
    let run = run_record(plan, &sources, started, &summary);
    if inputs.is_empty() {
        return Ok(summary);
    }
    lake.write_vantage(plan.vantage).await?;
    lake.write_catalog(plan.catalog.endpoints(), &plan.catalog.version()).await?;
    let batch = Batch {
        vantage: plan.vantage.id.clone(),
        inputs,
        sightings: observed.sightings,
        coverage: observed.coverage,
        resolutions: observed.resolutions,
        run,
    };
    if lake.append_after(ahead, batch).await? == Appended::AlreadyThere {
        tracing::info!("the lake had all of it already");
    }
    summary.took_micros = clock::now().0 - started.0;
    Ok(summary)
}

/// Reads everything on a thread of its own, and writes pieces of sightings as they come. What
/// has not left in pieces is returned, with the inputs of which nothing could be used.
fn observe(
    lake: &Lake,
    plan: &Plan<'_>,
    sources: &[Source],
    started: Instant,
    summary: &mut Summary,
    ahead: &mut Ahead,
) -> anyhow::Result<(BTreeSet<Fingerprint>, Observed)> {
    let (to, mut pieces) = tokio::sync::mpsc::channel(1);
    let reading = move || {
        let settings = ObserverSettings {
            control_share: plan.control_sampling,
            ..ObserverSettings::default()
        };
        let observer = Observer::new(plan.vantage, plan.catalog, settings);
        let mut feed = Feed::new(observer, Pieces { of: plan.piece, to });
        let unused = read(sources, plan, started, &mut feed, summary)?;
        summary.flows = feed.flows;
        Ok((unused, feed.finish().finish()))
    };
    let writing = async {
        while let Some(piece) = pieces.recv().await {
            lake.write_ahead(ahead, piece).await?;
        }
        anyhow::Ok(())
    };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let reader = scope.spawn(reading);
            let written = runtime.block_on(writing);
            let read =
                reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.and(read)
        })
    })
}

async fn open_all(plan: &Plan<'_>, summary: &mut Summary) -> Vec<Source> {
    let (paths, mut unreadable) = source::files(plan.paths);
    if paths.is_empty() {
        tracing::warn!("there are no files to read");
    }
    let bar = progress::steps("opening", count(paths.len()));
    let mut sources = Vec::new();
    for path in bar.wrap_iter(paths.iter()) {
        let (found, failed) = source::open(path, plan.mapping.is_some()).await;
        sources.extend(found);
        unreadable.extend(failed);
    }
    for source::Unreadable { name, error } in &unreadable {
        tracing::error!("{name}: cannot be read: {error}");
    }
    summary.unreadable = count(unreadable.len());
    // The same bytes under two names are one input.
    let mut seen = BTreeSet::new();
    sources.retain(|source| !source.has_bytes() || seen.insert(source.fingerprint));
    sources
}

async fn leave_out_known(
    lake: &Lake,
    vantage: &Vantage,
    sources: &mut Vec<Source>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let fingerprints: Vec<Fingerprint> =
        sources.iter().map(|s| s.fingerprint).collect();
    let known = lake.already(&vantage.id, &fingerprints).await?;
    let mut known = known.into_iter();
    sources.retain(|source| !(known.next().unwrap_or(false) && source.has_bytes()));
    summary.inputs_known = count(fingerprints.len() - sources.len());
    Ok(())
}

/// Reads names, then flows, from every source. Returns the inputs of which nothing could
/// be used: they are not remembered, so that they can be read again, with a mapping or by
/// a newer program.
fn read(
    sources: &[Source],
    plan: &Plan<'_>,
    latest: Instant,
    feed: &mut Feed<'_>,
    summary: &mut Summary,
) -> anyhow::Result<BTreeSet<Fingerprint>> {
    let bytes: u64 = sources.iter().map(|s| s.bytes).sum();
    let bar = progress::bytes("reading", bytes * 2);
    let mut unused = BTreeSet::new();
    let mut decoder = Decoder::new(latest).asked_by(plan.vantage.clients);
    for source in sources {
        if let Kind::Telemetry(format) = source.kind
            && format.has_names()
        {
            feed.begin(&source.name);
            let mut input = source.read()?;
            decoder.names(format, &mut input, feed).with_context(|| at(source))?;
            // What pass 2 reads again is told there.
            if !format.has_flows() {
                input.damage().into_iter().for_each(|damage| feed.loss(damage));
            }
        }
        bar.inc(source.bytes);
    }
    for source in sources {
        anyhow::ensure!(!feed.is_cut_off(), "sightings could not be written");
        feed.begin(&source.name);
        let kind = read_flows(source, plan, latest, &mut decoder, feed)?;
        if !source.has_bytes() || feed.lost_all() {
            unused.insert(source.fingerprint);
        }
        *summary.inputs.entry(kind).or_default() += 1;
        bar.inc(source.bytes);
    }
    feed.begin("all inputs");
    decoder.finish(feed);
    if decoder.repeated() > 0 {
        tracing::info!(
            "{} rows repeat another to the letter and count once",
            decoder.repeated()
        );
    }
    bar.finish_and_clear();
    Ok(unused)
}

/// Reads the flows of one source; returns what kind of input it was.
fn read_flows(
    source: &Source,
    plan: &Plan<'_>,
    latest: Instant,
    decoder: &mut Decoder,
    feed: &mut Feed<'_>,
) -> anyhow::Result<String> {
    let lost = |reason| Loss {
        offset: 0,
        line: None,
        reason,
        day: None,
        count: 1,
        exporter: None,
    };
    match source.kind {
        Kind::Telemetry(format) => {
            if format.has_flows() {
                let mut input = source.read()?;
                decoder.flows(format, &mut input, feed).with_context(|| at(source))?;
                input.damage().into_iter().for_each(|damage| feed.loss(damage));
            }
            Ok(format.as_str().to_owned())
        }
        Kind::Parquet | Kind::Csv => {
            if source.kind == Kind::Parquet
                && plan.mapping.is_none()
                && flows_of_aws(source, decoder, feed).with_context(|| at(source))?
            {
                return Ok(Format::AwsFlow.as_str().to_owned());
            }
            let Some(mapping) = plan.mapping else {
                tracing::warn!(
                    "{}: columns need a mapping (hint: --mapping FILE; see \
                     docs/how-to/import-flows.md)",
                    source.name
                );
                feed.loss(lost(Reason::Format));
                return Ok("unmapped".to_owned());
            };
            import_flows(source, mapping, plan, latest, feed)
                .with_context(|| at(source))?;
            Ok(if source.kind == Kind::Csv { "csv" } else { "parquet" }.to_owned())
        }
        Kind::Empty => {
            tracing::info!("{}: is empty", source.name);
            Ok("empty".to_owned())
        }
        Kind::Damaged => {
            feed.loss(lost(Reason::Compression));
            Ok("damaged".to_owned())
        }
        Kind::Unknown => {
            feed.loss(lost(Reason::Format));
            Ok("unknown".to_owned())
        }
    }
}

/// Reads the flow log of AWS that a Parquet file is; false if it is none. Its rows are
/// decoded as the lines of a text log are, so that both say the same.
fn flows_of_aws(
    source: &Source,
    decoder: &mut Decoder,
    feed: &mut Feed<'_>,
) -> anyhow::Result<bool> {
    let file = File::open(&source.path)?;
    let columns = import::parquet_columns(&file)?;
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let Some(fields) = aws::table(&columns) else { return Ok(false) };
    let fields: Vec<_> = fields.iter().map(|(c, name)| (*c, name.as_str())).collect();
    let mut lines = import::ParquetLines::open(file, &fields)?;
    decoder.flows(Format::AwsFlow, &mut lines, &mut OfRows(feed))?;
    Ok(true)
}

/// Takes what the lines of a table tell: the place of a loss is its row.
struct OfRows<'f, 'o>(&'f mut Feed<'o>);

impl Sink for OfRows<'_, '_> {
    fn flow(&mut self, flow: Flow) {
        self.0.flow(flow);
    }

    fn answer(&mut self, answer: Answer) {
        self.0.answer(answer);
    }

    fn loss(&mut self, loss: Loss) {
        // The first line is the header.
        let line = loss.line.map(|line| line.saturating_sub(1));
        self.0.loss(Loss { offset: 0, line, ..loss });
    }
}

fn at(source: &Source) -> String {
    format!("reading {}", source.name)
}

/// Imports a table of flows; rows that cannot match the catalog only count for coverage.
fn import_flows(
    source: &Source,
    mapping: &Mapping,
    plan: &Plan<'_>,
    latest: Instant,
    feed: &mut Feed<'_>,
) -> anyhow::Result<()> {
    let mut sink = Prefiltered { catalog: plan.catalog, feed };
    if source.kind == Kind::Parquet {
        import::parquet_flows(File::open(&source.path)?, mapping, latest, &mut sink)?;
    } else {
        let mut input = source.read()?;
        import::csv_flows(&mut input, mapping, latest, &mut sink)?;
        if let Some(damage) = input.damage() {
            feed.loss(damage);
        }
    }
    Ok(())
}

/// Takes imported rows; only those that the catalog may know become flows.
struct Prefiltered<'f, 'o> {
    catalog: &'f Catalog,
    feed: &'f mut Feed<'o>,
}

impl import::Sink for Prefiltered<'_, '_> {
    fn wants_host(&self, host: &str) -> bool {
        canonical_host(host).is_some_and(|host| self.catalog.knows(&host))
    }

    fn wants_responder(&self, responder: Address) -> bool {
        self.feed.may_match(responder)
    }

    fn flow(&mut self, flow: Flow) {
        self.feed.flow(flow);
    }

    fn other(&mut self, other: import::Other) {
        self.feed.other(other.originator, other.start, other.sampling);
    }

    fn loss(&mut self, loss: Loss) {
        self.feed.loss(loss);
    }
}

fn run_record(
    plan: &Plan<'_>,
    sources: &[Source],
    started: Instant,
    summary: &Summary,
) -> RunRecord {
    let names: Vec<_> = sources
        .iter()
        .map(|s| serde_json::json!({ "name": s.name, "sha256": s.fingerprint.to_string() }))
        .collect();
    let losses: BTreeMap<&str, u64> = summary
        .losses
        .iter()
        .map(|(reason, count)| (reason.as_str(), *count))
        .collect();
    RunRecord {
        id: format!("ingest:{}:{}", plan.vantage.id, started.0),
        started,
        finished: clock::now(),
        verb: "ingest".to_owned(),
        arguments: serde_json::json!({
            "vantage": plan.vantage.id,
            "control_sampling": plan.control_sampling,
        }),
        versions: serde_json::json!({
            "program": env!("CARGO_PKG_VERSION"),
            "catalog": plan.catalog.version(),
        }),
        inputs: names.into(),
        outcome: format!(
            "{} flows, {} contacts, {} sightings, losses {}",
            summary.flows,
            summary.contacts,
            summary.sightings,
            serde_json::json!(losses)
        ),
    }
}

pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

/// A folder that must exist, for messages that say so.
pub(crate) fn existing(path: &Path) -> anyhow::Result<&Path> {
    anyhow::ensure!(path.exists(), "{} does not exist", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use futures::TryStreamExt;
    use tidegauge_model::{Client, Day, DayRange};

    use super::*;

    /// Four clients on three days, each with as many contacts as its number, from one log of
    /// Zeek a day.
    fn logs(folder: &Path) {
        for day in 0..3u32 {
            let mut log = "#separator \\x09\n#path\tssl\n#fields\tts\tuid\tid.orig_h\t\
                           id.orig_p\tid.resp_h\tid.resp_p\tserver_name\n"
                .to_owned();
            for (client, contact) in
                (1..=4u32).flat_map(|c| (0..c).map(move |n| (c, n)))
            {
                let at = 1_712_059_200 + 86_400 * day + 60 * contact;
                writeln!(
                    log,
                    "{at}.5\tC{day}{client}{contact}\t198.51.100.{client}\t40000\t\
                     203.0.113.5\t443\ts07.upd.kaspersky.com"
                )
                .unwrap();
            }
            std::fs::write(folder.join(format!("{day}.log")), log).unwrap();
        }
    }

    /// Contacts by client and day, what was told, and how many rows and files there are.
    async fn ingested(
        piece: usize,
    ) -> (BTreeMap<(Client, Day), u64>, Summary, [usize; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let logs_of = folder.path().join("logs");
        std::fs::create_dir(&logs_of).unwrap();
        logs(&logs_of);
        let lake =
            Lake::open(folder.path().join("lake").to_str().unwrap()).await.unwrap();
        let plan = Plan {
            paths: &[logs_of],
            vantage: &Vantage::undescribed("probe".into()),
            catalog: &Catalog::built_in(),
            mapping: None,
            control_sampling: NonZeroU32::MIN,
            piece,
        };
        let summary = ingest(&lake, &plan).await.unwrap();
        let month = DayRange::month("2024-04".parse().unwrap());
        let sightings = lake.sightings(month).await.unwrap();
        let sightings: Vec<_> = sightings.try_collect().await.unwrap();
        let mut contacts = BTreeMap::new();
        for s in &sightings {
            *contacts.entry((s.client.clone(), s.day)).or_default() += s.contacts;
        }
        let files =
            lake.snapshot(tidegauge_store::Table::Sightings).await.unwrap().files;
        (contacts, summary, [sightings.len(), files.len()])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pieces_are_the_same_contacts() {
        let (all, whole, there) = ingested(usize::MAX).await;
        assert_eq!((all.len(), whole.contacts, there), (12, 30, [12, 1]));
        let (contacts, pieces, [rows, files]) = ingested(4).await;
        assert_eq!(contacts, all);
        assert_eq!((pieces.contacts, pieces.sightings), (30, count(rows)));
        assert!(files > 3 && rows > 12, "{files} files, {rows} rows");
    }
}
