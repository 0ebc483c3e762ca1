//! The lake: a folder of tables.
//!
//! **Invariant:** two tables cannot commit at once. Coverage and resolutions are written
//! first, named after their batch; the commit to `sightings` decides, by carrying the
//! transaction of the batch and of every input. Coverage and resolutions whose batch
//! `sightings` does not know are not there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use deltalake_core::kernel::Action;
use tidegauge_model::count::Release;
use tidegauge_model::finding::Finding;
use tidegauge_model::{
    Day, Endpoint, Instant, Observation, SourceId, Vantage, VantageId,
};
use url::Url;

use crate::batch::{Appended, Batch, Prepared, RunRecord, input_transaction};
use crate::error::{Error, Result};
use crate::log::{Committed, Log, State};
use crate::{Ahead, DataFile, Fingerprint, Snapshot, Table, files, rows};

/// How often an append is tried when others write all the time; picked by hand.
const ATTEMPTS_MAX: u32 = 20;
/// Observations that are turned into a file at once.
const OBSERVATION_ROWS: usize = 1 << 20;

/// A folder with the tables. Cheap to clone; clones share what they know of the logs.
#[derive(Clone, Debug)]
pub struct Lake {
    logs: Arc<BTreeMap<Table, Log>>,
    root: Url,
}

impl Lake {
    /// Opens the lake at a path or `file://` URL. It need not exist yet: the first append
    /// makes it. Fails if a newer program wrote it. Runs within tokio.
    pub async fn open(location: &str) -> Result<Self> {
        Self::opened(location, None).await
    }

    /// Opens the lake as it stood at an instant, by the clocks of those who wrote it. It can
    /// be read and not changed; files that a vacuum has removed since are missing.
    pub async fn open_as_of(location: &str, as_of: Instant) -> Result<Self> {
        Self::opened(location, Some(as_of)).await
    }

    async fn opened(location: &str, as_of: Option<Instant>) -> Result<Self> {
        let root = root(location)?;
        let log = |table| Ok((table, Log::new(table, &root, as_of)?));
        let logs = Table::ALL.into_iter().map(log).collect::<Result<_>>()?;
        let lake = Self { logs: Arc::new(logs), root };
        lake.log(Table::Sightings).load().await?;
        Ok(lake)
    }

    /// Where the lake is: a URL that ends in a slash.
    pub fn url(&self) -> &Url {
        &self.root
    }

    /// The files of the newest version of `table`. A table that nothing was written to
    /// gives a snapshot without files.
    pub async fn snapshot(&self, table: Table) -> Result<Snapshot> {
        self.log(table).snapshot().await
    }

    /// The same of a version whose files are known: for whoever was told by another program
    /// which they are. `None` if one of them does not lie in the table's folder.
    pub fn snapshot_of(
        &self,
        table: Table,
        version: i64,
        files: Vec<DataFile>,
    ) -> Option<Snapshot> {
        let log = self.log(table);
        let ours = files.iter().all(|file| log.has_below(&file.path));
        ours.then(|| log.scan(version, files))
    }

    /// For each input, whether it is in the lake for this vantage.
    pub async fn already(
        &self,
        vantage: &VantageId,
        inputs: &[Fingerprint],
    ) -> Result<Vec<bool>> {
        let state = self.log(Table::Sightings).load().await?;
        let there = |input| {
            state.as_ref().is_some_and(|s| s.has(&input_transaction(vantage, input)))
        };
        Ok(inputs.iter().map(there).collect())
    }

    /// Appends a batch: all of it or none. If its inputs are in already, changes nothing;
    /// if some are, fails with [`Error::PartlyThere`].
    pub async fn append(&self, batch: Batch) -> Result<Appended> {
        self.append_after(Ahead::default(), batch).await
    }

    /// The same of a batch of which some sightings were written ahead. If the batch does not
    /// get in, they are taken away again.
    pub async fn append_after(&self, ahead: Ahead, batch: Batch) -> Result<Appended> {
        let appended = self.append_whole(&ahead, batch).await;
        let useless = matches!(
            appended,
            Ok(Appended::AlreadyThere)
                | Err(Error::PartlyThere { .. } | Error::Conflict { .. })
        );
        if useless {
            self.abandon(&ahead).await;
        }
        appended
    }

    async fn append_whole(&self, ahead: &Ahead, batch: Batch) -> Result<Appended> {
        let batch = Prepared::from(batch);
        let state = self.log(Table::Sightings).load_or_create().await?;
        if is_there(&state, &batch)? {
            return Ok(Appended::AlreadyThere);
        }
        self.append_coverage(&batch).await?;
        self.append_resolutions(&batch).await?;
        self.append_sightings(ahead, batch).await
    }

    /// Appends rows that have all columns of `table`, in the order of its schema. With
    /// `once`, an id for what is appended, a second append of the same id does nothing.
    pub async fn append_rows(
        &self,
        table: Table,
        rows: &RecordBatch,
        once: Option<&str>,
    ) -> Result<Appended> {
        let log = self.log(table);
        let state = log.load_or_create().await?;
        if once.is_some_and(|id| state.has(id)) {
            return Ok(Appended::AlreadyThere);
        }
        let added = files::write(log, rows).await?;
        commit_once(log, added, once, count_rows([rows])).await
    }

    /// Appends what `source` said on `snapshot`, made from the input `fingerprint`. The
    /// same three again change nothing.
    pub async fn append_observations(
        &self,
        source: &SourceId,
        snapshot: Day,
        fingerprint: &Fingerprint,
        observations: impl IntoIterator<Item = Observation, IntoIter: Send>,
    ) -> Result<Appended> {
        let log = self.log(Table::Atlas);
        let once = format!("atlas:{source}:{snapshot}:{fingerprint}");
        if log.load_or_create().await?.has(&once) {
            return Ok(Appended::AlreadyThere);
        }
        let mut observations = observations.into_iter();
        let (mut added, mut count) = (Vec::new(), 0);
        loop {
            let mut chunk: Vec<_> =
                observations.by_ref().take(OBSERVATION_ROWS).collect();
            if chunk.is_empty() {
                break;
            }
            chunk.sort_unstable();
            let rows = rows::from_observations(&chunk);
            drop(chunk);
            count += count_rows([&rows]);
            added.extend(files::write(log, &rows).await?);
        }
        commit_once(log, added, Some(&once), count).await
    }

    /// Records a run; the same id again changes nothing.
    pub async fn record_run(&self, run: &RunRecord) -> Result<Appended> {
        let once = format!("run:{}", run.id);
        self.append_rows(Table::Runs, &rows::from_run(run), Some(&once)).await
    }

    /// Records a published release; the same id again changes nothing.
    pub async fn record_release(
        &self,
        id: &str,
        made: Instant,
        release: &Release,
    ) -> Result<Appended> {
        let once = format!("release:{id}");
        let rows = rows::from_release(id, made, release);
        self.append_rows(Table::Releases, &rows, Some(&once)).await
    }

    /// Appends findings as they stood at `recorded`; the same run and instant again change
    /// nothing.
    pub async fn append_findings(
        &self,
        run: &str,
        recorded: Instant,
        findings: &[Finding],
    ) -> Result<Appended> {
        let once = format!("findings:{run}:{}", recorded.0);
        let rows = rows::from_findings(findings, recorded);
        self.append_rows(Table::Findings, &rows, Some(&once)).await
    }

    /// Makes `endpoints` the catalog of the lake. Older catalogs stay readable as older
    /// versions of the table. The same catalog again changes nothing.
    pub async fn write_catalog(
        &self,
        endpoints: &[Endpoint],
        version: &str,
    ) -> Result<Appended> {
        let mut endpoints = endpoints.to_vec();
        endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        let rows = rows::from_endpoints(&endpoints, version);
        self.replace(Table::Catalog, |_| Ok(rows.clone())).await
    }

    /// Describes a vantage, in place of any earlier description of the same id. The same
    /// description again changes nothing.
    pub async fn write_vantage(&self, vantage: &Vantage) -> Result<Appended> {
        self.replace(Table::Vantages, |there| {
            let mut vantages = rows::to_vantages(there)?;
            vantages.retain(|v| v.id != vantage.id);
            vantages.push(vantage.clone());
            vantages.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(rows::from_vantages(&vantages))
        })
        .await
    }

    pub(crate) fn log(&self, table: Table) -> &Log {
        self.logs.get(&table).expect("every table got a log when the lake was opened")
    }

    /// Writes the coverage of a batch, which nobody reads before the batch is in.
    async fn append_coverage(&self, batch: &Prepared) -> Result<()> {
        if batch.coverage.is_empty() {
            return Ok(());
        }
        let rows = rows::from_coverage(&batch.coverage, &batch.id);
        self.append_rows(Table::Coverage, &rows, Some(&batch.transaction())).await?;
        Ok(())
    }

    /// Writes the resolutions of a batch, which nobody reads before the batch is in.
    async fn append_resolutions(&self, batch: &Prepared) -> Result<()> {
        if batch.resolutions.is_empty() {
            return Ok(());
        }
        let rows = rows::from_resolutions(&batch.resolutions, &batch.id);
        self.append_rows(Table::Resolutions, &rows, Some(&batch.transaction())).await?;
        Ok(())
    }

    /// The commit that decides.
    async fn append_sightings(
        &self,
        ahead: &Ahead,
        mut batch: Prepared,
    ) -> Result<Appended> {
        let log = self.log(Table::Sightings);
        let mut added = Vec::new();
        let mut count = ahead.rows();
        for (_, sightings) in std::mem::take(&mut batch.months) {
            let rows = rows::from_sightings(&sightings);
            drop(sightings);
            count += count_rows([&rows]);
            added.extend(files::write(log, &rows).await?);
        }
        let transactions: Vec<_> = std::iter::once(batch.transaction())
            .chain(batch.input_transactions())
            .collect();
        // The table of runs commits on its own; this copy cannot be lost between the two.
        let run = serde_json::to_value(&batch.run).expect("a run is plain data");
        let info = HashMap::from([("tidegauge.run".to_owned(), run)]);
        for _ in 0..ATTEMPTS_MAX {
            let state = log.load_or_create().await?;
            match is_there(&state, &batch) {
                Ok(false) => {}
                known => {
                    log.discard(&added).await;
                    return known.map(|_| Appended::AlreadyThere);
                }
            }
            let all = [ahead.added.as_slice(), &added].concat();
            let commit = log.commit(&state, all, &transactions, info.clone());
            if let Committed::Version(version) = commit.await? {
                if let Err(error) = self.record_run(&batch.run).await {
                    tracing::warn!(%error, "stored, but not listed among the runs");
                }
                return Ok(Appended::Stored { version, rows: count });
            }
        }
        log.discard(&added).await;
        Err(Error::Conflict { table: log.table.name(), attempts: ATTEMPTS_MAX })
    }

    /// Replaces all rows of a small table by what `change` makes of them.
    async fn replace(
        &self,
        table: Table,
        change: impl Fn(&RecordBatch) -> std::result::Result<RecordBatch, String>,
    ) -> Result<Appended> {
        let log = self.log(table);
        for _ in 0..ATTEMPTS_MAX {
            let state = log.load_or_create().await?;
            let there = self.all_rows(table).await?;
            let rows = change(&there).map_err(|reason| Error::Damaged {
                table: table.name(),
                path: log.url().to_string(),
                reason,
                hint: "restore the table from a backup",
            })?;
            if rows == there {
                return Ok(Appended::AlreadyThere);
            }
            let added = files::write(log, &rows).await?;
            let actions = state.remove_all().into_iter().chain(added.clone()).collect();
            // Two that start from one version must not both win, even where there is no
            // file yet that both would remove.
            let once = [format!("replaced:{}", state.version())];
            let commit = log.commit(&state, actions, &once, HashMap::new());
            if let Committed::Version(version) = commit.await? {
                return Ok(Appended::Stored { version, rows: count_rows([&rows]) });
            }
            log.discard(&added).await;
        }
        Err(Error::Conflict { table: table.name(), attempts: ATTEMPTS_MAX })
    }
}

/// Whether all inputs of the batch are in the table; fails if only some are.
fn is_there(state: &State, batch: &Prepared) -> Result<bool> {
    if state.has(&batch.transaction()) {
        return Ok(true);
    }
    let there: Vec<_> = batch
        .input_transactions()
        .zip(&batch.inputs)
        .filter(|(transaction, _)| state.has(transaction))
        .map(|(_, input)| *input)
        .collect();
    match there.len() {
        0 => Ok(false),
        all if all == batch.inputs.len() => Ok(true),
        _ => Err(Error::PartlyThere { there, all: batch.inputs.len() }),
    }
}

/// Commits files that are written; takes them away again if `once` is in already.
async fn commit_once(
    log: &Log,
    added: Vec<Action>,
    once: Option<&str>,
    rows: u64,
) -> Result<Appended> {
    let transactions: Vec<_> = once.map(str::to_owned).into_iter().collect();
    for _ in 0..ATTEMPTS_MAX {
        let state = log.load_or_create().await?;
        if once.is_some_and(|id| state.has(id)) {
            log.discard(&added).await;
            return Ok(Appended::AlreadyThere);
        }
        let commit = log.commit(&state, added.clone(), &transactions, HashMap::new());
        if let Committed::Version(version) = commit.await? {
            return Ok(Appended::Stored { version, rows });
        }
    }
    log.discard(&added).await;
    Err(Error::Conflict { table: log.table.name(), attempts: ATTEMPTS_MAX })
}

fn count_rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> u64 {
    batches.into_iter().map(|b| u64::try_from(b.num_rows()).unwrap_or(u64::MAX)).sum()
}

/// The URL of a location: a path, absolute or not, or a `file://` URL.
fn root(location: &str) -> Result<Url> {
    let bad = |reason: &str, hint| Error::Location {
        location: location.to_owned(),
        reason: reason.to_owned(),
        hint,
    };
    let folder = match location.split_once("://") {
        Some(("file", _)) => Url::parse(location)
            .ok()
            .and_then(|url| url.to_file_path().ok())
            .ok_or_else(|| {
                bad("this is not a file URL", "write file:///absolute/path")
            })?,
        Some((scheme, _)) => {
            return Err(bad(
                &format!("object stores of kind `{scheme}` are not built in"),
                "give a folder, or a file:// URL; a mounted bucket is a folder",
            ));
        }
        None => std::path::absolute(location)
            .map_err(|error| bad(&error.to_string(), "give the path of a folder"))?,
    };
    if is_escaped(&folder.to_string_lossy()) {
        return Err(bad(
            "the path has a % before two hexadecimal digits",
            "rename the folder",
        ));
    }
    Url::from_directory_path(folder).map_err(|()| {
        bad("the path cannot be written as a URL", "choose another folder")
    })
}

/// Whether a path has what looks like an escape of URLs. The table format's library
/// decodes paths once more than they were encoded and would look elsewhere.
fn is_escaped(path: &str) -> bool {
    let digits =
        |pair: &[u8]| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
    path.as_bytes()
        .split(|b| *b == b'%')
        .skip(1)
        .any(|rest| rest.get(..2).is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(flows: u64) -> Batch {
        let day = Day::from_date(2024, 4, 1).unwrap();
        let vantage = VantageId::new("probe");
        let mut coverage = tidegauge_model::Coverage::empty(vantage.clone(), day);
        coverage.flows = flows;
        Batch {
            vantage,
            inputs: vec![Fingerprint::of(b"a")],
            sightings: Vec::new(),
            coverage: vec![coverage],
            resolutions: vec![tidegauge_model::ResolvedDay {
                vantage: "probe".into(),
                endpoint: "kaspersky/update".into(),
                client: None,
                day,
                count: flows,
                first: day.start(),
                last: day.start(),
            }],
            run: RunRecord {
                id: "run".to_owned(),
                started: Instant(0),
                finished: Instant(0),
                verb: "ingest".to_owned(),
                arguments: serde_json::Value::Null,
                versions: serde_json::Value::Null,
                inputs: serde_json::Value::Null,
                outcome: "done".to_owned(),
            },
        }
    }

    async fn flows(lake: &Lake) -> Vec<u64> {
        let month = tidegauge_model::DayRange::month("2024-04".parse().unwrap());
        lake.coverage(month).await.unwrap().iter().map(|c| c.flows).collect()
    }

    async fn look_ups(lake: &Lake) -> Vec<u64> {
        let month = tidegauge_model::DayRange::month("2024-04".parse().unwrap());
        lake.resolutions(Some(month)).await.unwrap().iter().map(|r| r.count).collect()
    }

    /// Stops between the two commits, then tries again: once with what was made before,
    /// once with what a corrected program makes of the same input.
    #[tokio::test]
    async fn a_crash_between_the_two_commits_leaves_nothing_twice() {
        for retried in [100, 101] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_str().unwrap();
            let crashed = Lake::open(path).await.unwrap();
            crashed.log(Table::Sightings).load_or_create().await.unwrap();
            let half = Prepared::from(batch(100));
            crashed.append_coverage(&half).await.unwrap();
            crashed.append_resolutions(&half).await.unwrap();
            drop(crashed);

            let lake = Lake::open(path).await.unwrap();
            assert!(
                flows(&lake).await.is_empty(),
                "nothing is in before the second commit"
            );
            assert_eq!(lake.covered().await.unwrap(), None);
            assert!(look_ups(&lake).await.is_empty());
            let inputs = batch(0).inputs;
            assert_eq!(lake.already(&"probe".into(), &inputs).await.unwrap(), [false]);
            let appended = lake.append(batch(retried)).await.unwrap();
            assert!(matches!(appended, Appended::Stored { .. }));
            assert_eq!(flows(&lake).await, [retried]);
            assert_eq!(look_ups(&lake).await, [retried]);
            assert_eq!(
                lake.append(batch(retried)).await.unwrap(),
                Appended::AlreadyThere
            );
            assert_eq!(flows(&lake).await, [retried]);
        }
    }
}
