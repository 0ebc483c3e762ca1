//! The Delta log of one table: which files make it up, and which transactions it has seen.
//!
//! **Invariant:** a commit starts from the state on which its transactions were checked.
//! The library stores a transaction id but accepts it twice; here an id that the state
//! knows is never committed, and a racing commit of the same id is a conflict.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use deltalake_core::kernel::transaction::{
    CommitBuilder, CommitProperties, TransactionError,
};
use deltalake_core::kernel::{Action, MetadataExt, StructType, Transaction};
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef};
use deltalake_core::protocol::{DeltaOperation, SaveMode, checkpoints};
use deltalake_core::table::builder::DeltaTableBuilder;
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use tidegauge_model::Instant;
use url::Url;

use crate::error::{Error, Result, access, is_full};
use crate::{DataFile, Snapshot, Table, checkpoint, state};

/// The version of the layout of tables that this program writes.
pub const FORMAT_VERSION: u32 = 1;
/// The table property that holds the format version.
const FORMAT_PROPERTY: &str = "tidegauge.formatVersion";
/// Commits between checkpoints. A reader that starts afresh reads one checkpoint and fewer
/// than this many small JSON files; picked by hand.
const CHECKPOINT_INTERVAL_COMMITS: &str = "20";
/// The folder of the log within a table.
const LOG_FOLDER: &str = "_delta_log";

const HINT_RESTORE: &str =
    "restore the file from a backup; what the table held before it is untouched";
const HINT_PLAIN: &str = "tidegauge reads plain Delta tables that it made itself; undo the \
     feature with the tool that switched it on";

/// The log of one table.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) table: Table,
    store: LogStoreRef,
    /// The table's folder, as a path in the store.
    root: Path,
    /// Only what was committed until then is there, and nothing can be added.
    as_of: Option<Instant>,
    /// The newest state seen, so that the next look reads only what came after it.
    newest: Mutex<Option<Arc<State>>>,
}

/// One version of a table.
#[derive(Clone, Debug)]
pub(crate) struct State {
    version: u64,
    delta: DeltaTableState,
    transactions: HashSet<String>,
}

/// How a commit ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It is this version of the table.
    Version(i64),
    /// Somebody else committed something that it must not stand beside; nothing was done.
    Raced,
}

impl State {
    pub(crate) fn version(&self) -> i64 {
        i64::try_from(self.version).unwrap_or(i64::MAX)
    }

    /// Whether a commit with this transaction id is in the table.
    pub(crate) fn has(&self, transaction: &str) -> bool {
        self.transactions.contains(transaction)
    }

    /// Actions that take every file out of the table, and its rows with them.
    pub(crate) fn remove_all(&self) -> Vec<Action> {
        let data = self.delta.log_data();
        data.iter().map(|file| Action::Remove(file.remove_action(true))).collect()
    }

    /// Actions that take out the files of which `is_gone` says so, by their path in the
    /// table; `change` if their rows are not all in other files now.
    pub(crate) fn remove(
        &self,
        change: bool,
        is_gone: impl Fn(&Path) -> bool,
    ) -> Vec<Action> {
        let data = self.delta.log_data();
        data.iter()
            .filter(|file| is_gone(&file.object_store_path()))
            .map(|file| Action::Remove(file.remove_action(change)))
            .collect()
    }

    /// The files of the version, by their path in the table.
    pub(crate) fn paths(&self) -> Vec<Path> {
        self.delta.log_data().iter().map(|file| file.object_store_path()).collect()
    }
}

impl Log {
    /// The log of `table` in the lake at `root`, a URL that ends in a slash.
    pub(crate) fn new(
        table: Table,
        root: &Url,
        as_of: Option<Instant>,
    ) -> Result<Self> {
        let failed = |source| log_error(table, source);
        let url = root.join(&format!("{}/", table.name())).map_err(|error| {
            Error::Location {
                location: root.to_string(),
                reason: error.to_string(),
                hint: "give a folder or a file:// URL",
            }
        })?;
        let store = DeltaTableBuilder::from_url(url)
            .and_then(|builder| builder.build_storage())
            .map_err(failed)?;
        let root = Path::from_url_path(store.root_url().path())
            .map_err(|source| access(store.root_url(), source))?;
        Ok(Self { table, store, root, as_of, newest: Mutex::new(None) })
    }

    /// The store with the table's folder as its root.
    pub(crate) fn files(&self) -> Arc<dyn ObjectStore> {
        self.store.object_store(None)
    }

    /// The store that the lake's folder is in.
    pub(crate) fn all_files(&self) -> Arc<dyn ObjectStore> {
        self.store.root_object_store(None)
    }

    /// The lake's folder, as a path in that store.
    pub(crate) fn lake(&self) -> Path {
        let mut parts: Vec<_> = self.root.parts().collect();
        parts.pop();
        parts.into_iter().collect()
    }

    /// Makes a file survive a loss of power, given by its path in that store.
    pub(crate) fn sync_file(&self, path: &Path) -> Result<()> {
        let mut root = self.url().clone();
        root.set_path("/");
        sync(&root, path.as_ref())
    }

    /// Where the table is.
    pub(crate) fn url(&self) -> &Url {
        self.store.root_url()
    }

    /// The newest state, or `None` if the table does not exist.
    pub(crate) async fn load(&self) -> Result<Option<Arc<State>>> {
        let known = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = match known {
            Some(state) if self.as_of.is_some() => state,
            Some(state) => self.advance(state).await?,
            None => match self.load_afresh().await? {
                Some(state) => Arc::new(state),
                None => return Ok(None),
            },
        };
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.as_ref().is_none_or(|n| n.version < state.version) {
            *newest = Some(Arc::clone(&state));
        }
        Ok(Some(state))
    }

    /// The newest state; makes the table if it does not exist.
    pub(crate) async fn load_or_create(&self) -> Result<Arc<State>> {
        self.writable()?;
        if let Some(state) = self.load().await? {
            return Ok(state);
        }
        self.create().await?;
        self.load().await?.ok_or_else(|| Error::Damaged {
            table: self.table.name(),
            path: self.log_path(0),
            reason: "the table was made and is not there".to_owned(),
            hint: "check that nothing else cleans up this folder",
        })
    }

    /// Fails where the past is looked at.
    pub(crate) fn writable(&self) -> Result<()> {
        match self.as_of {
            Some(as_of) => Err(Error::Past { as_of }),
            None => Ok(()),
        }
    }

    /// Commits `actions` with `transactions`. A racing commit of any of them is a conflict.
    /// `info` goes into the log beside them, for people.
    pub(crate) async fn commit(
        &self,
        from: &State,
        actions: Vec<Action>,
        transactions: &[String],
        info: HashMap<String, serde_json::Value>,
    ) -> Result<Committed> {
        let operation = self.operation(&actions);
        // Nothing is ever cleaned out of the log: it is the record of what was stored when.
        let properties = CommitProperties::default()
            .with_metadata(info)
            .with_application_transactions(
                transactions.iter().map(|id| Transaction::new(id, 1)).collect(),
            )
            .with_cleanup_expired_logs(Some(false));
        let commit = CommitBuilder::from(properties).with_actions(actions).build(
            Some(&from.delta),
            self.store.clone(),
            operation,
        );
        match commit.await {
            Ok(done) => {
                let version = done.version();
                self.sync_entry(version)?;
                Ok(Committed::Version(i64::try_from(version).unwrap_or(i64::MAX)))
            }
            Err(error) if is_race(&error) => Ok(Committed::Raced),
            Err(error) => self.after_error(transactions, error).await,
        }
    }

    /// What the log calls a commit of `actions`.
    fn operation(&self, actions: &[Action]) -> DeltaOperation {
        let removes = |change: bool| {
            let is =
                |a: &Action| matches!(a, Action::Remove(r) if r.data_change == change);
            actions.iter().any(is)
        };
        if removes(false) {
            return DeltaOperation::Optimize { predicate: None, target_size: 0 };
        }
        let mode = if removes(true) { SaveMode::Overwrite } else { SaveMode::Append };
        let partition_by = self.table.partition_columns();
        DeltaOperation::Write {
            mode,
            partition_by: Some(partition_by.iter().map(|c| (*c).to_owned()).collect()),
            predicate: None,
        }
    }

    /// What gives the table of `state` the columns of this program that its log lacks, and
    /// how many those are; `None` if it has them all.
    pub(crate) fn with_columns(&self, state: &State) -> Result<Option<(u64, Action)>> {
        let there = state.delta.snapshot().schema();
        let ours = columns(self.table).map_err(|e| log_error(self.table, e.into()))?;
        let missing: Vec<_> =
            ours.fields().filter(|field| !there.contains(field.name())).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let count = u64::try_from(missing.len()).unwrap_or(u64::MAX);
        let all = there.fields().chain(missing).cloned();
        let metadata = StructType::try_new(all)
            .map_err(DeltaTableError::from)
            .and_then(|all| Ok(state.delta.metadata().clone().with_schema(&all)?))
            .map_err(|error| log_error(self.table, error))?;
        Ok(Some((count, Action::Metadata(metadata))))
    }

    /// What a reader needs to scan the newest version.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot> {
        match self.load().await? {
            Some(state) => self.snapshot_of(&state),
            None => Ok(self.scan(-1, Vec::new())),
        }
    }

    /// What a reader needs to scan the version of `state`.
    pub(crate) fn snapshot_of(&self, state: &State) -> Result<Snapshot> {
        let mut files = self.data_files(state)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.scan(state.version(), files))
    }

    /// The version of which these are the files.
    pub(crate) fn scan(&self, version: i64, files: Vec<DataFile>) -> Snapshot {
        let mut store_url = self.url().clone();
        store_url.set_path("/");
        Snapshot {
            table: self.table,
            version,
            schema: self.table.schema(),
            files,
            store_url,
            store: self.store.root_object_store(None),
        }
    }

    /// Whether a path within the store of its snapshots is in the table's folder.
    pub(crate) fn has_below(&self, path: &Path) -> bool {
        path.prefix_matches(&self.root)
    }

    /// The path of a file of the table within the store of its snapshots.
    pub(crate) fn absolute(&self, relative: &Path) -> Path {
        self.root.parts().chain(relative.parts()).collect()
    }

    fn data_files(&self, state: &State) -> Result<Vec<DataFile>> {
        let month = self.table.partition_columns().first();
        let mut files = Vec::new();
        for file in state.delta.log_data().iter() {
            if file.deletion_vector_descriptor().is_some() {
                return Err(self.not_readable("a file has a deletion vector"));
            }
            files.push(DataFile {
                path: self.absolute(&file.object_store_path()),
                size: u64::try_from(file.size()).unwrap_or(0),
                partition_month: month.and_then(|month| {
                    file.partition_values_map().get(*month).cloned().flatten()
                }),
                rows: file
                    .num_records()
                    .and_then(|n| u64::try_from(n).ok())
                    .unwrap_or(0),
            });
        }
        Ok(files)
    }

    /// Reads the log entries after `state`.
    async fn advance(&self, state: Arc<State>) -> Result<Arc<State>> {
        let mut found = Vec::new();
        let mut version = state.version;
        while let Some(entry) = self.read_entry(version + 1).await? {
            version += 1;
            found.extend(entry.transactions);
        }
        if version == state.version {
            return Ok(state);
        }
        let mut transactions = state.transactions.clone();
        transactions.extend(found);
        let delta = self.load_delta(Some(state.delta.clone()), version).await?;
        let state = State { version, delta, transactions };
        self.check(&state)?;
        Ok(Arc::new(state))
    }

    /// Reads the log from its newest checkpoint on.
    async fn load_afresh(&self) -> Result<Option<State>> {
        let (entries, mut checkpoints) = self.list().await?;
        let Some(mut last) = entries.last().max(checkpoints.last()).copied() else {
            return Ok(None);
        };
        if let Some(as_of) = self.as_of {
            let Some(then) = self.version_of(as_of, last).await? else {
                return Ok(None);
            };
            last = then;
            checkpoints.retain(|version| *version <= then);
        }
        let checkpoint = checkpoints.last().copied();
        let mut transactions = HashSet::new();
        if let Some(version) = checkpoint {
            let path =
                Path::from(format!("{LOG_FOLDER}/{version:020}.checkpoint.parquet"));
            transactions =
                checkpoint::transactions(&self.files(), &path, self.table).await?;
        }
        let first = checkpoint.map_or(0, |version| version + 1);
        for version in first..=last {
            let Some(entry) = self.read_entry(version).await? else {
                return Err(self.damaged(version, "this log entry is missing"));
            };
            transactions.extend(entry.transactions);
        }
        let delta = self.load_delta(None, last).await?;
        let state = State { version: last, delta, transactions };
        self.check(&state)?;
        Ok(Some(state))
    }

    /// The files of the log that a reader of this version needs, in an order in which they
    /// can be copied: what comes first is nothing by itself.
    pub(crate) async fn entries_until(&self, state: &State) -> Result<Vec<Path>> {
        let (mut entries, mut checkpoints) = self.list().await?;
        entries.retain(|version| *version <= state.version);
        checkpoints.retain(|version| *version <= state.version);
        let file = |version: &u64, kind: &str| {
            Path::from(format!("{LOG_FOLDER}/{version:020}.{kind}"))
        };
        // A checkpoint alone would be a table, of an older version.
        let entries = entries.iter().rev().map(|v| file(v, "json"));
        let checkpoints = checkpoints.iter().map(|v| file(v, "checkpoint.parquet"));
        Ok(entries.chain(checkpoints).collect())
    }

    /// Every data file that an entry of the log has added, by its path in the table.
    pub(crate) async fn ever_named(&self) -> Result<HashSet<Path>> {
        let (entries, _) = self.list().await?;
        let mut named = HashSet::new();
        for version in entries {
            let entry = self.read_entry(version).await?;
            named.extend(entry.into_iter().flat_map(|entry| entry.added));
        }
        Ok(named)
    }

    /// Takes the least and greatest values out of the statistics of every entry, and makes a
    /// checkpoint, the only one that is left. The entries themselves stay: a writer at work
    /// may stand on any of them, and one that did not find the next would write over it.
    pub(crate) async fn scrub(&self) -> Result<()> {
        let failed = |source| log_error(self.table, source);
        let mut delta = DeltaTable::new(self.store.clone());
        delta.load().await.map_err(failed)?;
        checkpoints::create_checkpoint(&delta, None).await.map_err(failed)?;
        let newest = delta.version();
        let (entries, checkpoints) = self.list().await?;
        for version in entries {
            self.scrub_entry(version).await?;
        }
        let old = checkpoints.into_iter().filter(|version| Some(*version) < newest);
        for version in old {
            let path = format!("{LOG_FOLDER}/{version:020}.checkpoint.parquet");
            let deleted = self.files().delete(&Path::from(path)).await;
            deleted.map_err(|source| access(self.url(), source))?;
        }
        Ok(())
    }

    async fn scrub_entry(&self, version: u64) -> Result<()> {
        let relative = format!("{LOG_FOLDER}/{version:020}.json");
        let failed = |source| access(readable(self.url(), &relative), source);
        let path = Path::from(relative.as_str());
        let file = self.files().get(&path).await.map_err(failed)?;
        let text = file.bytes().await.map_err(failed)?;
        let told = |error: serde_json::Error| self.damaged(version, &error.to_string());
        let scrubbed = without_values(&text).map_err(told)?;
        if scrubbed != text {
            self.files().put(&path, scrubbed.into()).await.map_err(failed)?;
            self.sync_entry(version)?;
        }
        Ok(())
    }

    /// The newest version up to `last` that was committed until `as_of`: `None` if the table
    /// was not there yet. The making of a table has no time; it is with the commit after it.
    async fn version_of(&self, as_of: Instant, last: u64) -> Result<Option<u64>> {
        for version in (0..=last).rev() {
            let Some(entry) = self.read_entry(version).await? else {
                return Err(self.damaged(version, "this log entry is missing"));
            };
            if entry.committed.is_some_and(|at| at <= as_of) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    async fn load_delta(
        &self,
        known: Option<DeltaTableState>,
        version: u64,
    ) -> Result<DeltaTableState> {
        let mut delta = DeltaTable::new(self.store.clone());
        delta.state = known;
        delta
            .update_incremental(Some(version))
            .await
            .map_err(|source| log_error(self.table, source))?;
        delta.state.ok_or_else(|| log_error(self.table, DeltaTableError::NoSchema))
    }

    /// Versions that have a log entry, and versions that have a checkpoint.
    async fn list(&self) -> Result<(BTreeSet<u64>, BTreeSet<u64>)> {
        let folder = Path::from(LOG_FOLDER);
        let (mut entries, mut checkpoints) = (BTreeSet::new(), BTreeSet::new());
        let files = self.files();
        let mut list = files.list(Some(&folder));
        let failed = |source| access(self.url(), source);
        while let Some(file) = list.try_next().await.map_err(failed)? {
            let Some((version, rest)) =
                file.location.filename().and_then(|n| n.split_once('.'))
            else {
                continue;
            };
            let Ok(version) = version.parse::<u64>() else { continue };
            match rest {
                "json" => _ = entries.insert(version),
                "checkpoint.parquet" => _ = checkpoints.insert(version),
                _ => {}
            }
        }
        Ok((entries, checkpoints))
    }

    /// A log entry, or `None` if there is no such entry.
    async fn read_entry(&self, version: u64) -> Result<Option<Entry>> {
        let entry = self.store.read_commit_entry(version).await;
        let Some(bytes) = entry.map_err(|source| log_error(self.table, source))? else {
            return Ok(None);
        };
        let mut found = Entry::default();
        let mut lines = 0;
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            lines += 1;
            let line: Line = serde_json::from_slice(line).map_err(|error| {
                self.damaged(version, &format!("line {lines} is not JSON: {error}"))
            })?;
            found.transactions.extend(line.txn.map(|txn| txn.app_id));
            found.added.extend(line.add.map(|add| Path::from(add.path)));
            let at = line.commit_info.and_then(|info| info.timestamp);
            found.committed = at.map(Instant::from_unix_millis).or(found.committed);
        }
        if lines == 0 {
            return Err(self.damaged(version, "the log entry is empty"));
        }
        Ok(Some(found))
    }

    /// Refuses what this program cannot read correctly.
    fn check(&self, state: &State) -> Result<()> {
        let configuration = state.delta.metadata().configuration();
        let Some(found) = configuration.get(FORMAT_PROPERTY) else {
            return Err(Error::NotReadable {
                table: self.table.name(),
                feature: format!("it has no table property `{FORMAT_PROPERTY}`"),
                hint: "the folder holds a Delta table that tidegauge did not make; choose \
                       another folder for the lake",
            });
        };
        if !found.parse::<u32>().is_ok_and(|version| version <= FORMAT_VERSION) {
            return Err(Error::FormatVersion {
                table: self.table.name(),
                found: found.clone(),
                known: FORMAT_VERSION,
            });
        }
        let mapping = configuration.get("delta.columnMapping.mode");
        if mapping.is_some_and(|mode| mode != "none") {
            return Err(self.not_readable("column mapping is switched on"));
        }
        let features = state.delta.protocol().reader_features().unwrap_or_default();
        if let Some(feature) = features.first() {
            return Err(self.not_readable(&format!("it needs the feature `{feature}`")));
        }
        let schema = state.delta.snapshot().arrow_schema();
        for field in self.table.schema().fields() {
            let found = schema.field_with_name(field.name());
            let same = found.as_ref().is_ok_and(|f| f.data_type() == field.data_type());
            let added_later = found.is_err() && field.is_nullable();
            if !(same || added_later) {
                let name = field.name();
                return Err(self.not_readable(&format!(
                    "column `{name}` is absent or has another type"
                )));
            }
        }
        Ok(())
    }

    /// Writes version 0. If somebody else just did, theirs is as good.
    async fn create(&self) -> Result<()> {
        let entry =
            first_entry(self.table).map_err(|e| log_error(self.table, e.into()))?;
        let entry = CommitOrBytes::LogBytes(entry.into());
        let id = uuid::Uuid::new_v4();
        match self.store.write_commit_entry(0, entry, id).await {
            Ok(()) => self.sync_entry(0),
            Err(TransactionError::VersionAlreadyExists(_)) => Ok(()),
            Err(source) => Err(log_error(self.table, source.into())),
        }
    }

    /// A commit can succeed and the work after it (a checkpoint) fail. What counts is
    /// whether the transactions are in.
    async fn after_error(
        &self,
        transactions: &[String],
        error: DeltaTableError,
    ) -> Result<Committed> {
        let error = log_error(self.table, error);
        let Ok(Some(state)) = self.load().await else { return Err(error) };
        if transactions.first().is_some_and(|id| state.has(id)) {
            tracing::warn!(table = self.table.name(), %error, "trouble after a commit");
            return Ok(Committed::Version(state.version()));
        }
        Err(error)
    }

    /// Makes a log entry survive a loss of power, where that is ours to do.
    fn sync_entry(&self, version: u64) -> Result<()> {
        sync(self.url(), &format!("{LOG_FOLDER}/{version:020}.json"))
    }

    fn log_path(&self, version: u64) -> String {
        readable(self.url(), &format!("{LOG_FOLDER}/{version:020}.json"))
    }

    fn damaged(&self, version: u64, reason: &str) -> Error {
        Error::Damaged {
            table: self.table.name(),
            path: self.log_path(version),
            reason: reason.to_owned(),
            hint: HINT_RESTORE,
        }
    }

    fn not_readable(&self, feature: &str) -> Error {
        Error::NotReadable {
            table: self.table.name(),
            feature: feature.to_owned(),
            hint: HINT_PLAIN,
        }
    }

    /// Deletes a data file, and the state that was made of it.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        state::delete(self, &self.absolute(path)).await?;
        match self.files().delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(access(format!("{}{path}", self.url()), source)),
        }
    }

    /// Deletes files that no commit names. Failing to is no harm: nobody reads them.
    pub(crate) async fn discard(&self, added: &[Action]) {
        for action in added {
            let Action::Add(add) = action else { continue };
            let path = Path::from(add.path.as_str());
            if let Err(error) = self.delete(&path).await {
                tracing::warn!(path = add.path, %error, "left a file that nobody reads");
            }
        }
    }
}

/// Flushes a file of the table at `table` to disk and its folder with it. Object stores do
/// this by themselves.
pub(crate) fn sync(table: &Url, relative: &str) -> Result<()> {
    let Ok(folder) = table.to_file_path() else { return Ok(()) };
    let path = folder.join(relative);
    let flush = |path: &std::path::Path| std::fs::File::open(path)?.sync_all();
    flush(&path)
        .and_then(|()| path.parent().map_or(Ok(()), flush))
        .map_err(|source| access(path.display(), source))
}

/// The path or URL of a file of the table at `table`, for people.
pub(crate) fn readable(table: &Url, relative: &str) -> String {
    match table.to_file_path() {
        Ok(folder) => folder.join(relative).display().to_string(),
        Err(()) => format!("{table}{relative}"),
    }
}

fn is_race(error: &DeltaTableError) -> bool {
    match error {
        DeltaTableError::VersionAlreadyExists(_) => true,
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::CommitConflict(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::VersionAlreadyExists(_)
        ),
        _ => false,
    }
}

fn log_error(table: Table, source: DeltaTableError) -> Error {
    match source {
        DeltaTableError::ObjectStore { source } => access(table.name(), source),
        source if is_full(&source) => access(table.name(), source),
        source => Error::Log { table: table.name(), source: Box::new(source) },
    }
}

/// A log entry whose statistics have counts of rows alone (Delta protocol, "Per-file
/// Statistics").
fn without_values(entry: &[u8]) -> serde_json::Result<Vec<u8>> {
    use serde_json::Value;
    let mut out = Vec::new();
    for line in entry.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let mut action: Value = serde_json::from_slice(line)?;
        if let Some(stats) = action.get_mut("add").and_then(|add| add.get_mut("stats"))
        {
            let all: Value = serde_json::from_str(stats.as_str().unwrap_or("null"))?;
            let rows = all.get("numRecords").cloned().unwrap_or(Value::Null);
            *stats = serde_json::json!({ "numRecords": rows }).to_string().into();
        }
        serde_json::to_writer(&mut out, &action)?;
        out.push(b'\n');
    }
    Ok(out)
}

/// What is read of a log entry.
#[derive(Default)]
struct Entry {
    transactions: Vec<String>,
    /// Data files, by their path in the table.
    added: Vec<Path>,
    /// When it was committed, by the clock of who committed.
    committed: Option<Instant>,
}

/// What is read of a line of a log entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<Txn>,
    add: Option<Added>,
    commit_info: Option<CommitInfo>,
}

#[derive(Deserialize)]
struct Added {
    path: String,
}

#[derive(Deserialize)]
struct CommitInfo {
    /// Milliseconds since 1970 (Delta protocol, "Commit Provenance Information").
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
}

/// The columns of a table as its log says them (Delta protocol, "Schema Serialization
/// Format").
fn columns(table: Table) -> serde_json::Result<StructType> {
    use arrow::datatypes::DataType;
    let fields: Vec<_> = table
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Int64 => "long",
                DataType::Int32 => "integer",
                DataType::Float64 => "double",
                DataType::Boolean => "boolean",
                DataType::Date32 => "date",
                DataType::Binary => "binary",
                DataType::Timestamp(..) => "timestamp",
                _ => "string",
            };
            serde_json::json!({
                "name": field.name(), "type": data_type,
                "nullable": field.is_nullable(), "metadata": {},
            })
        })
        .collect();
    serde_json::from_value(serde_json::json!({ "type": "struct", "fields": fields }))
}

/// Version 0 of a table: its protocol and columns (Delta protocol, "Change Metadata").
fn first_entry(table: Table) -> serde_json::Result<String> {
    let columns = serde_json::to_string(&columns(table)?)?;
    let format_version = FORMAT_VERSION.to_string();
    let lines = [
        serde_json::json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } }),
        serde_json::json!({ "metaData": {
            "id": uuid::Uuid::new_v4().to_string(),
            "name": table.name(),
            "format": { "provider": "parquet", "options": {} },
            "schemaString": columns,
            "partitionColumns": table.partition_columns(),
            "configuration": {
                FORMAT_PROPERTY: format_version,
                "delta.checkpointInterval": CHECKPOINT_INTERVAL_COMMITS,
                "delta.enableExpiredLogCleanup": "false",
            },
        } }),
    ];
    Ok(lines.map(|line| line.to_string()).join("\n"))
}
