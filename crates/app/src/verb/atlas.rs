//! `tidegauge atlas`: who held an address, when.

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::path::Path;

use anyhow::Context;
use futures::TryStreamExt;
use tidegauge_enrich::atlas::{SourceKind, grounds, load};
use tidegauge_model::{Address, Client, Day, Observation, OrgId, SourceId};
use tidegauge_store::fingerprint::Hashing;
use tidegauge_store::{Appended, Lake};
use tidegauge_wire::Inflate;

use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, clock, knowledge, opened};

/// How many lost rows of a table are told one by one; the others are only counted.
const TOLD_MAX: u64 = 3;

/// Imports, looks up or compares.
pub(crate) async fn run(
    verb: &args::Atlas,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let lake = Lake::open(&settings.lake).await?;
    match verb {
        args::Atlas::Import { source, name, snapshot, files } => {
            anyhow::ensure!(
                *snapshot <= clock::today(),
                "a snapshot of {snapshot} cannot have been made yet"
            );
            let kind: SourceKind = source.parse()?;
            let name = SourceId::new(name.as_deref().unwrap_or(source));
            for file in files {
                import(&lake, &kind, &name, *snapshot, file).await?;
            }
            Ok(Outcome::Done)
        }
        args::Atlas::Lookup { address, on, known } => {
            let atlas = opened::atlas(&lake, settings, *known).await?;
            lookup(&atlas, *address, *on, settings)
        }
        args::Atlas::Diff { from, to } => diff(&lake, *from, *to, settings).await,
    }
}

/// Reads one table and stores what it says.
pub(crate) async fn import(
    lake: &Lake,
    kind: &SourceKind,
    name: &SourceId,
    snapshot: Day,
    path: &Path,
) -> anyhow::Result<()> {
    let at = || format!("reading {}", path.display());
    let file = std::fs::File::open(path).with_context(at)?;
    let mut input = BufReader::new(Hashing::new(Inflate::new(file)));
    let mut observations: Vec<Observation> = Vec::new();
    let mut told = 0;
    let loaded = load(
        kind,
        name,
        snapshot,
        &mut input,
        |observation| observations.push(observation),
        |loss| {
            told += 1;
            if told > TOLD_MAX {
                return;
            }
            let line =
                loss.line.map_or_else(String::new, |line| format!("line {line}: "));
            tracing::warn!("{}: {line}lost ({})", path.display(), loss.reason);
        },
    )
    .with_context(at)?;
    if let Some(damage) = input.get_ref().inner().damage() {
        anyhow::bail!(
            "{}: byte {}: the compressed stream is damaged; nothing of it is used",
            path.display(),
            damage.offset
        );
    }
    if told > TOLD_MAX {
        tracing::warn!("{}: {} more rows were lost", path.display(), told - TOLD_MAX);
    }
    anyhow::ensure!(
        !observations.is_empty(),
        "{}: no row is of the form of {kind}; nothing was stored (hint: --source names the \
         form)",
        path.display()
    );
    let fingerprint = input.get_ref().fingerprint();
    let appended =
        lake.append_observations(name, snapshot, &fingerprint, observations).await?;
    if loaded.placeholders > 0 {
        tracing::info!(
            "{}: {} objects stand for what another registry gave away; they say nothing",
            path.display(),
            loaded.placeholders
        );
    }
    let state = match appended {
        Appended::Stored { .. } => "stored",
        Appended::AlreadyThere => "in the lake already",
    };
    tracing::info!(
        "{}: {} observations {state}, {} rows lost",
        path.display(),
        loaded.observations,
        loaded.lost
    );
    Ok(())
}

fn lookup(
    atlas: &tidegauge_enrich::atlas::Atlas,
    address: Address,
    on: Day,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let explained = atlas.lookup(address, on);
    let of = &explained.attribution;
    let organisation = explained.organisation.as_ref();
    let mut rows = Rows::new("atlas_lookup", ["what", "value"]);
    let mut push = |what: &str, value: Value| rows.push(vec![Value::text(what), value]);
    push("address", Value::text(address));
    push("on", Value::text(on));
    push("organisation", Value::optional(of.organisation.as_ref()));
    push("name", Value::optional(organisation.map(|o| &o.name)));
    push("asn", Value::optional(of.asn));
    push("kind", Value::text(of.kind));
    push("shared", Value::text(of.shared));
    push("org_country", Value::optional(of.org_country));
    push("addr_country", Value::optional(of.addr_country));
    push("sector", Value::optional(organisation.and_then(|o| o.sector.as_ref())));
    push("confidence", Value::Float(f64::from(of.confidence), 2));
    push("standing", Value::text(explained.standing));
    for ground in grounds(&explained, &knowledge::rules(settings)?) {
        push("because", Value::text(ground));
    }
    for observation in &explained.observations {
        let range = observation.range.map(|(first, last)| format!(" {first}-{last}"));
        let asn = observation.asn.map(|asn| format!(" {asn}"));
        push(
            "rests on",
            Value::Text(format!(
                "{} of {}: {}{}{} {}",
                observation.source,
                observation.snapshot,
                observation.field,
                range.unwrap_or_default(),
                asn.unwrap_or_default(),
                observation.value
            )),
        );
    }
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

async fn diff(
    lake: &Lake,
    from: Day,
    to: Day,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let atlas = opened::atlas(lake, settings, None).await?;
    let always = tidegauge_model::DayRange::new(Day(i32::MIN / 2), Day(i32::MAX / 2))
        .context("all days are in order")?;
    let mut clients: BTreeSet<Client> = BTreeSet::new();
    let mut sightings = lake.sightings(always).await?;
    while let Some(sighting) = sightings.try_next().await? {
        clients.insert(sighting.client);
    }
    let diff = atlas.diff(from, to, clients);
    let summary = format!(
        "of {} clients between {from} and {to}: {} changed organisation, {} origin AS, {} \
         kind of network, {} country of use",
        diff.clients, diff.organisation, diff.asn, diff.kind, diff.addr_country
    );
    let mut rows = Rows::new("atlas_diff", ["before", "after", "clients"]);
    let name = |id: &Option<OrgId>| Value::optional(id.as_ref());
    for ((before, after), clients) in &diff.moves {
        rows.push(vec![name(before), name(after), Value::Int(*clients)]);
    }
    rows.notes.push(summary);
    rows.print(settings.format)?;
    std::io::stdout().lock().flush()?;
    Ok(Outcome::Done)
}
