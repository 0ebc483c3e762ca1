//! What is known before any telemetry: catalog, policies, sectors, vantages.
//!
//! **Invariant:** what is built in is used unless `--data DIR` has a folder of that name;
//! then that folder alone counts. Every mistake in a file is told with file and line.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tidegauge_enrich::atlas::{self, Identity, Rules};
use tidegauge_enrich::built_in;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_model::policy::Timeline;
use tidegauge_model::{Vantage, VantageId};

use crate::settings::Settings;

/// Name and text of a file.
type NamedText = (String, String);

/// The catalog in effect.
pub(crate) fn catalog(settings: &Settings) -> anyhow::Result<Catalog> {
    let files = texts(settings, "catalog", built_in::CATALOG)?;
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Catalog::read(files).map_err(|errors| {
        let lines: Vec<String> =
            errors.iter().map(|e| format!("{e}\n  hint: {}", e.hint())).collect();
        anyhow::anyhow!(
            "the catalog has {} mistakes:\n{}",
            lines.len(),
            lines.join("\n")
        )
    })
}

/// The acts and events in effect.
pub(crate) fn timeline(settings: &Settings) -> anyhow::Result<Timeline> {
    let mut timeline = Timeline::default();
    for (name, text) in texts(settings, "policies", built_in::POLICIES)? {
        timeline.read(&text).with_context(|| format!("reading {name}"))?;
    }
    Ok(timeline)
}

/// How the atlas reads its observations: what sectors there are, what AS tags mean, who is
/// one organisation.
pub(crate) fn rules(settings: &Settings) -> anyhow::Result<Rules> {
    let files = texts(settings, "sectors", built_in::SECTORS)?;
    let text = |wanted: &str| {
        let file = files.iter().find(|(name, _)| name.ends_with(wanted));
        file.map(|(_, text)| text.as_str())
            .with_context(|| format!("there is no {wanted} among the sectors"))
    };
    let read = Rules::read(text(atlas::SECTORS_FILE)?, text(atlas::TAGS_FILE)?);
    let mut rules = read.context("reading the sectors")?;
    if let Some(path) = &settings.organisations {
        let at = || format!("reading {}", path.display());
        let text = std::fs::read_to_string(path).with_context(at)?;
        rules.identity = Identity::read(&text, &rules.sectors).with_context(at)?;
    }
    Ok(rules)
}

/// What the texts are that [`rules`] reads: two machines with the same read the same.
pub(crate) fn rules_fingerprint(
    settings: &Settings,
) -> anyhow::Result<tidegauge_store::Fingerprint> {
    let mut all = String::new();
    for (name, text) in texts(settings, "sectors", built_in::SECTORS)? {
        // Folders differ between machines.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        all.extend([name, "\0".to_owned(), text, "\0".to_owned()]);
    }
    if let Some(path) = &settings.organisations {
        let text = std::fs::read_to_string(path);
        all += &text.with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(tidegauge_store::Fingerprint::of(all.as_bytes()))
}

/// The description of a vantage: from `folder`, else from `--data`, else from
/// `./vantages`; undescribed if there is none.
pub(crate) fn vantage(
    id: &VantageId,
    folder: Option<&Path>,
    settings: &Settings,
) -> anyhow::Result<Vantage> {
    let folder = match (folder, &settings.data) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(data)) => data.join("vantages"),
        (None, None) => PathBuf::from("vantages"),
    };
    let path = folder.join(format!("{id}.toml"));
    if !path.is_file() {
        tracing::info!(
            "vantage {id} is not described: its holder gets its own name \
             (hint: describe it in {})",
            path.display()
        );
        return Ok(Vantage::undescribed(id.clone()));
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("reading {}", path.display()))?;
    Vantage::read(id.clone(), &text)
        .with_context(|| format!("reading {}", path.display()))
}

/// The TOML files of `--data`'s `folder`, or those built in.
fn texts(
    settings: &Settings,
    folder: &str,
    built_in: &[(&str, &str)],
) -> anyhow::Result<Vec<NamedText>> {
    if let Some(data) = &settings.data {
        anyhow::ensure!(data.is_dir(), "--data {} is not a folder", data.display());
    }
    let own =
        settings.data.as_ref().map(|data| data.join(folder)).filter(|f| f.is_dir());
    let Some(own) = own else {
        let owned = |(name, text): &(&str, &str)| {
            (format!("{folder}/{name}"), (*text).to_owned())
        };
        return Ok(built_in.iter().map(owned).collect());
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&own)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
        .with_context(|| format!("listing {}", own.display()))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    if paths.is_empty() {
        bail!(
            "{} has no .toml file (hint: leave the folder away to use what is built in)",
            own.display()
        );
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}
