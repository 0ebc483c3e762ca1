//! `tidegauge atlas`: who held an address, when.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use futures::TryStreamExt;
use tidegauge_enrich::atlas::{
    Confidence, Explained, Ground, HolderMap, Opinion, SourceKind, Turnover, grounds,
    load,
};
use tidegauge_model::{
    Attribution, Client, Day, DayRange, Holders, Observation, OrgId, SourceId, Tenure,
};
use tidegauge_store::fingerprint::Hashing;
use tidegauge_store::{Appended, Lake};
use tidegauge_wire::Inflate;

use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, clock, holders, knowledge};

/// How many lost rows of a table are told one by one; the others are only counted.
const TOLD_MAX: u64 = 3;

/// Imports, looks up, compares or writes out.
pub(crate) async fn run(
    verb: &args::Atlas,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let lake = settings.open_lake().await?;
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
        args::Atlas::Lookup { address, on, map } => {
            let atlas = holders::atlas(&lake, settings, *map).await?;
            let explained = atlas.lookup(*address, *on);
            let grounds = grounds(&explained, &knowledge::rules(settings)?);
            rows_of(&explained, &grounds).print(settings.format)?;
            Ok(Outcome::Done)
        }
        args::Atlas::Diff { from, to, space, map } => {
            let map = holders::map(&lake, settings, *map).await?.map;
            let rows = if *space {
                turnover(&map.turnover(*from, *to), *from, *to)
            } else {
                diff(&lake, &map, *from, *to).await?
            };
            rows.print(settings.format)?;
            Ok(Outcome::Done)
        }
        args::Atlas::Export { from, to, map } => {
            let days = DayRange::new(*from, *to)
                .with_context(|| format!("{to} is before {from}"))?;
            let map = holders::map(&lake, settings, *map).await?.map;
            exported(&map, days).print(settings.format)?;
            Ok(Outcome::Done)
        }
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

/// The answer, why, what it rests on, what every source says, who came before and after.
fn rows_of(explained: &Explained, grounds: &[Ground]) -> Rows {
    let of = &explained.attribution;
    let organisation = explained.organisation.as_ref();
    let mut rows = Rows::new("atlas_lookup", ["what", "value"]);
    let mut push = |what: &str, value: Value| rows.push(vec![Value::text(what), value]);
    push("address", Value::text(explained.address));
    push("on", Value::text(explained.day));
    push("organisation", Value::optional(of.organisation.as_ref()));
    push("name", Value::optional(organisation.map(|o| &o.name)));
    push("asn", Value::optional(of.asn));
    push("kind", Value::text(of.kind));
    push("shared", Value::text(of.shared));
    push("org_country", Value::optional(of.org_country));
    push("addr_country", Value::optional(of.addr_country));
    push("sector", Value::optional(organisation.and_then(|o| o.sector.as_ref())));
    push("confidence", Value::Float(f64::from(of.confidence), 2));
    push("why", Value::text(explained.why));
    push("confidence of", Value::Text(parts(explained.confidence)));
    push("standing", Value::text(explained.standing));
    for ground in grounds {
        push("because", Value::text(ground));
    }
    push("before", Value::Text(neighbour(explained.before.as_ref())));
    push("after", Value::Text(neighbour(explained.after.as_ref())));
    for observation in &explained.observations {
        push("rests on", Value::Text(said(observation)));
    }
    for opinion in &explained.opinions {
        let what = if opinion.decides { "opinion, decides" } else { "opinion" };
        push(what, Value::Text(told(opinion)));
    }
    rows
}

fn parts(confidence: Confidence) -> String {
    format!(
        "{:.2} by kind, {} sources agree, {} disagree, {:.2} left by the rule for gaps, \
         {:.2} by age",
        confidence.base,
        confidence.agreeing,
        confidence.disagreeing,
        confidence.gap,
        confidence.age
    )
}

/// Who held it in a stretch beside the one asked for.
fn neighbour(tenure: Option<&Tenure>) -> String {
    let Some(tenure) = tenure else { return "the same throughout".to_owned() };
    let who = tenure.attribution.organisation.as_ref();
    let who = who.map_or_else(|| "nobody known".to_owned(), ToString::to_string);
    // A stretch without a beginning or an end goes on as far as days do.
    let end = |day: Day, open: bool| {
        if open { "ever".to_owned() } else { day.to_string() }
    };
    let (first, last) = (tenure.days.first(), tenure.days.last());
    let from = end(first, first.0 == i32::MIN);
    format!("{who}, {from} to {}", end(last, last.0 == i32::MAX))
}

fn said(observation: &Observation) -> String {
    let range = observation.range.map(|(first, last)| format!(" {first}-{last}"));
    let asn = observation.asn.map(|asn| format!(" {asn}"));
    format!(
        "{} of {}: {}{}{} {}",
        observation.source,
        observation.snapshot,
        observation.field,
        range.unwrap_or_default(),
        asn.unwrap_or_default(),
        observation.value
    )
}

fn told(opinion: &Opinion) -> String {
    let organisation = opinion.organisation.as_ref();
    let names = organisation.map_or_else(String::new, |id| format!(" = {id}"));
    match &opinion.said {
        Some(observation) => {
            format!("{}: {}{names}", opinion.relation, said(observation))
        }
        None => format!(
            "{}: {} of {} leaves the address out",
            opinion.relation, opinion.source, opinion.snapshot
        ),
    }
}

/// Every range of the map with its tenures; what nobody is known to have held is left out.
fn exported(map: &HolderMap, days: DayRange) -> Rows {
    let mut rows = Rows::new(
        "atlas_export",
        [
            "first",
            "last",
            "valid_from",
            "valid_to",
            "organisation",
            "name",
            "country",
            "addr_country",
            "sector",
            "kind",
            "shared",
            "confidence",
        ],
    );
    for (first, last, tenures) in map.ranges(days) {
        for Tenure { days, attribution: who } in tenures {
            if who == Attribution::UNATTRIBUTED {
                continue;
            }
            let organisation = who.organisation.as_ref();
            let known = organisation.and_then(|id| map.organisation(id));
            let country = who.org_country.or(known.as_ref().and_then(|o| o.country));
            rows.push(vec![
                Value::text(first),
                Value::text(last),
                Value::text(days.first()),
                Value::text(days.last()),
                Value::optional(organisation),
                Value::optional(known.as_ref().map(|o| &o.name)),
                Value::optional(country.filter(|_| organisation.is_some())),
                Value::optional(who.addr_country),
                Value::optional(known.as_ref().and_then(|o| o.sector.as_ref())),
                Value::text(who.kind),
                Value::text(who.shared),
                Value::Float(f64::from(who.confidence), 3),
            ]);
        }
    }
    rows
}

/// What changed hands among the lake's clients.
async fn diff(
    lake: &Lake,
    map: &HolderMap,
    from: Day,
    to: Day,
) -> anyhow::Result<Rows> {
    let always = DayRange::new(Day(i32::MIN / 2), Day(i32::MAX / 2))
        .context("all days are in order")?;
    let mut clients: BTreeSet<Client> = BTreeSet::new();
    let mut sightings = lake.sightings(always).await?;
    while let Some(sighting) = sightings.try_next().await? {
        clients.insert(sighting.client);
    }
    let diff = map.diff(from, to, clients);
    let summary = format!(
        "of {} clients between {from} and {to}: {} changed organisation, {} origin AS, {} \
         kind of network, {} country of use",
        diff.clients, diff.organisation, diff.asn, diff.kind, diff.addr_country
    );
    let mut rows = Rows::new("atlas_diff", ["before", "after", "clients"]);
    for ((before, after), clients) in &diff.moves {
        rows.push(vec![
            name(before.as_ref()),
            name(after.as_ref()),
            Value::Int(*clients),
        ]);
    }
    rows.notes.push(summary);
    Ok(rows)
}

/// What changed hands of all address space, the largest move first.
fn turnover(turnover: &Turnover, from: Day, to: Day) -> Rows {
    let mut rows =
        Rows::new("atlas_turnover", ["before", "after", "addresses_v4", "networks_v6"]);
    let mut moves: Vec<_> = turnover.moves.iter().collect();
    moves.sort_by_key(|(of, size)| (std::cmp::Reverse(**size), *of));
    for ((before, after), (v4, v6)) in moves {
        rows.push(vec![
            name(before.as_ref()),
            name(after.as_ref()),
            Value::Int(*v4),
            Value::Int(*v6),
        ]);
    }
    rows.notes.push(format!(
        "between {from} and {to}: of {} IPv4 addresses {} changed organisation, of {} \
         IPv6 networks of /64 {}",
        turnover.v4.held, turnover.v4.moved, turnover.v6.held, turnover.v6.moved
    ));
    rows
}

fn name(id: Option<&OrgId>) -> Value {
    Value::optional(id)
}
