//! What was published of the lake, and why it is said otherwise today, for the pages.
//!
//! **Invariant:** what a rule for the operator released is shown to the operator alone.

use tidegauge_model::Instant;
use tidegauge_publish::publication::{Causes, Publication};
use tidegauge_publish::serve::CountsError;
use tidegauge_publish::tables::Table;
use tidegauge_store::{Published, RunRecord};

use super::{Live, failed};
use crate::opened::is_internal;
use crate::output::Value;
use crate::verb::releases;

impl Live {
    /// Everything that readers of these pages may see of it, oldest first.
    pub(super) async fn publications(&self) -> Result<Vec<Publication>, CountsError> {
        let kept = self.published().await?;
        let runs = self.opened.lake.runs().await.map_err(failed)?;
        let withdrawn = releases::withdrawn(&runs);
        let shown = |one: Published| {
            let withdrawn = withdrawn.get(&one.id).copied();
            publication(one, withdrawn, &runs)
        };
        Ok(kept.into_iter().map(shown).collect())
    }

    /// Why the figures of a release are other ones today.
    pub(super) async fn why(&self, id: &str) -> Result<Causes, CountsError> {
        self.operator_only()?;
        let kept = self.published().await?;
        let one = kept.iter().find(|one| one.id == id);
        let one = one.ok_or_else(|| CountsError::Refused {
            asked: format!("release {id}"),
            hint: "all are at /releases".to_owned(),
        })?;
        let asked = releases::Asked { internal: is_internal(&one.release), all: false };
        let rows = releases::compared(one, asked, &self.opened, &self.settings).await;
        let rows = rows.map_err(failed)?;
        let mut moved = Table::new(rows.columns);
        for row in &rows.rows {
            moved.push(row.iter().map(Value::plain));
        }
        Ok(Causes { told: rows.notes, moved })
    }

    async fn published(&self) -> Result<Vec<Published>, CountsError> {
        let mut kept = self.opened.lake.releases().await.map_err(failed)?;
        kept.retain(|one| self.evidence.internal || !is_internal(&one.release));
        Ok(kept)
    }
}

/// A release with the versions of what made it, if the run is known: a release is named by its
/// run and a number.
fn publication(
    one: Published,
    withdrawn: Option<Instant>,
    runs: &[RunRecord],
) -> Publication {
    let run = one.id.rsplit_once(':').map_or("", |(run, _)| run);
    let run = runs.iter().find(|record| record.id == run);
    let versions = run.and_then(|run| run.versions.as_object());
    let versions = versions.into_iter().flatten().map(|(name, of)| {
        let of = of.as_str().map_or_else(|| of.to_string(), str::to_owned);
        (name.clone(), of)
    });
    let versions = versions.collect();
    let Published { id, made, release } = one;
    Publication { id, made, withdrawn, release, versions }
}
