//! The map of holders of a lake: found again in the lake, or made of its tables.
//!
//! **Invariant:** a map is found again only by what made it: this build of the program, the
//! files of the tables, the texts and the rules that it was read by. Where a table came
//! while it was made, nothing is kept.

use std::sync::Arc;

use futures::TryStreamExt;
use tidegauge_enrich::atlas::{Atlas, HolderMap, Rules};
use tidegauge_store::{Fingerprint, Lake, Table};

use crate::settings::Settings;
use crate::{args, knowledge};

/// Tables of fewer bytes are read as fast as what would be kept of them.
const KEPT_BYTES_MIN: u64 = 64 << 10;

/// A map, and what made it.
pub(crate) struct Made {
    pub(crate) map: Arc<HolderMap>,
    /// All that decides a count beside the question, the catalog and sightings; `None` if a
    /// table came meanwhile.
    pub(crate) by: Option<String>,
}

/// The map of holders of a lake, by these rules.
pub(crate) async fn map(
    lake: &Lake,
    settings: &Settings,
    rules: args::MapRules,
) -> anyhow::Result<Made> {
    let before = By::of(lake, settings, rules).await?;
    if let Some(map) = before.kept(lake).await {
        return Ok(Made { map: Arc::new(map), by: Some(before.text) });
    }
    let map = atlas(lake, settings, rules).await?.into_map();
    // A table that came while the map was made may be in it, or not.
    let after = By::of(lake, settings, rules).await?;
    let by = (before.text == after.text).then_some(before);
    if let Some(by) = &by {
        by.keep(lake, &map).await;
    }
    Ok(Made { map: Arc::new(map), by: by.map(|by| by.text) })
}

/// The atlas of the lake's observations, and of its vantages.
pub(crate) async fn atlas(
    lake: &Lake,
    settings: &Settings,
    rules: args::MapRules,
) -> anyhow::Result<Atlas> {
    let args::MapRules { known, gap, before_first } = rules;
    let rules = Rules { known, gap, before_first, ..knowledge::rules(settings)? };
    let observations: Vec<_> = lake.observations().await?.try_collect().await?;
    let vantages = lake.vantages().await?;
    Ok(Atlas::build(observations, &rules).with_vantages(&vantages))
}

/// What a map is made by.
struct By {
    text: String,
    /// Of the tables.
    bytes: u64,
}

impl By {
    async fn of(
        lake: &Lake,
        settings: &Settings,
        rules: args::MapRules,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().and_then(std::fs::metadata);
        let program = program.map(|file| (file.len(), file.modified().ok())).ok();
        let texts = knowledge::rules_fingerprint(settings)?;
        let (mut files, mut bytes) = (Vec::new(), 0);
        for table in [Table::Atlas, Table::Vantages] {
            for file in lake.snapshot(table).await?.files {
                files.push(file.path.to_string());
                bytes += file.size;
            }
        }
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("{version} {program:?} {rules:?} {texts} {files:?}");
        Ok(Self { text, bytes })
    }

    fn name(&self) -> Fingerprint {
        Fingerprint::of(format!("holders {}", self.text).as_bytes())
    }

    /// What is kept begins with this.
    fn head(&self, map: &[u8]) -> String {
        format!("{} {}\n", Fingerprint::of(map), self.text)
    }

    /// The map, if it is kept. What is damaged is made again.
    async fn kept(&self, lake: &Lake) -> Option<HolderMap> {
        let kept = lake.kept(&self.name()).await.inspect_err(untold).ok()??;
        let end = kept.iter().position(|byte| *byte == b'\n')?;
        let (head, map) = kept.split_at_checked(end + 1)?;
        if head != self.head(map).as_bytes() {
            return None;
        }
        HolderMap::from_bytes(map).ok()
    }

    /// Keeps the map. A lake that cannot be written to is read all the same.
    async fn keep(&self, lake: &Lake, map: &HolderMap) {
        if self.bytes < KEPT_BYTES_MIN {
            return;
        }
        let map = map.to_bytes();
        let kept = [self.head(&map).as_bytes(), &map].concat();
        if let Err(error) = lake.keep(&self.name(), kept).await {
            untold(&error);
        }
    }
}

/// What is kept only saves time: that it cannot be is no warning to anybody.
fn untold(error: &tidegauge_store::Error) {
    tracing::debug!(%error, "the map of holders is not kept");
}
