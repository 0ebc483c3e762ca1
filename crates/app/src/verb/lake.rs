//! `tidegauge lake`: what is in it, whether it is whole, and tidying it.

use tidegauge_model::Day;
use tidegauge_store::{Forgetting, Forgotten, Lake, RunRecord, Table};

use crate::output::{Rows, Value};
use crate::pipeline::count;
use crate::settings::Settings;
use crate::verb::retention;
use crate::{Outcome, args, clock};

/// States, checks, merges or removes.
pub(crate) async fn run(
    verb: &args::Lake,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if let args::Lake::Key { file } = verb {
        retention::key(file, &settings.lake)?.print(settings.format)?;
        return Ok(Outcome::Done);
    }
    let lake = settings.open_lake().await?;
    anyhow::ensure!(
        lake.snapshot(Table::Sightings).await?.version >= 0
            || lake.snapshot(Table::Atlas).await?.version >= 0,
        "there is no lake at {} (hint: --lake DIR; `tidegauge ingest` makes one)",
        lake.url()
    );
    match verb {
        args::Lake::Stat => stat(&lake).await?.print(settings.format)?,
        args::Lake::Check => return check(&lake, settings).await,
        args::Lake::Compact => compact(&lake).await?.print(settings.format)?,
        args::Lake::Upgrade => upgrade(&lake).await?.print(settings.format)?,
        args::Lake::Backup { to } => backup(&lake, to).await?.print(settings.format)?,
        args::Lake::Forget { prefix, before } => {
            let what = Forgetting { prefixes: prefix.clone(), before: *before };
            forget(&lake, &what).await?.print(settings.format)?;
        }
        args::Lake::Retention(asked) => {
            retention::run(&lake, asked, settings).await?.print(settings.format)?;
        }
        // Needs no lake, and is done.
        args::Lake::Key { .. } => {}
        args::Lake::Vacuum { before } => {
            vacuum(&lake, *before).await?.print(settings.format)?;
        }
    }
    Ok(Outcome::Done)
}

async fn stat(lake: &Lake) -> anyhow::Result<Rows> {
    let mut rows = Rows::new("lake", ["table", "version", "files", "rows", "bytes"]);
    for table in Table::ALL {
        let snapshot = lake.snapshot(table).await?;
        let version = match u64::try_from(snapshot.version) {
            Ok(version) => Value::Int(version),
            Err(_) => Value::Unknown,
        };
        rows.push(vec![
            Value::text(table.name()),
            version,
            Value::Int(count(snapshot.files.len())),
            Value::Int(snapshot.rows()),
            Value::Int(snapshot.files.iter().map(|f| f.size).sum()),
        ]);
    }
    let [state, kept] = lake.beside().await?;
    rows.notes.push(format!(
        "beside the tables: {} files of state ({} bytes), {} kept counts ({} bytes); all of \
         them can be made again",
        state.files, state.bytes, kept.files, kept.bytes
    ));
    Ok(rows)
}

/// Reads every row of every table; each damage is one row.
async fn check(lake: &Lake, settings: &Settings) -> anyhow::Result<Outcome> {
    let wrong = lake.check().await;
    let mut rows = Rows::new("lake_check", ["damage"]);
    for error in &wrong {
        rows.push(vec![Value::Text(told(error))]);
    }
    rows.print(settings.format)?;
    anyhow::ensure!(wrong.is_empty(), "{} pieces of the lake are damaged", wrong.len());
    tracing::info!("the lake is whole");
    Ok(Outcome::Done)
}

/// An error with everything that caused it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn compact(lake: &Lake) -> anyhow::Result<Rows> {
    let columns = ["table", "files_merged", "files_made", "states_made"];
    by_table(Rows::new("lake_compact", columns), async |table| {
        let done = lake.compact(table).await?;
        Ok([done.merged, done.made, done.folded])
    })
    .await
}

async fn upgrade(lake: &Lake) -> anyhow::Result<Rows> {
    let columns = ["table", "columns_added", "files_rewritten", "states_made"];
    by_table(Rows::new("lake_upgrade", columns), async |table| {
        let done = lake.upgrade(table).await?;
        Ok([done.columns, done.rewritten, done.folded])
    })
    .await
}

/// What was done to each table, in numbers: a row for each, into `rows`.
async fn by_table<const N: usize>(
    mut rows: Rows,
    done: impl AsyncFn(Table) -> anyhow::Result<[u64; N]>,
) -> anyhow::Result<Rows> {
    for table in Table::ALL {
        let counts = done(table).await?.map(Value::Int);
        rows.push([vec![Value::text(table.name())], counts.to_vec()].concat());
    }
    Ok(rows)
}

async fn backup(lake: &Lake, to: &str) -> anyhow::Result<Rows> {
    let done = lake.backup(&Lake::open(to).await?).await?;
    let mut rows = Rows::new("lake_backup", ["tables", "files", "bytes"]);
    rows.push([done.tables, done.files, done.bytes].map(Value::Int).to_vec());
    Ok(rows)
}

/// Forgets, and notes that it was done and how much: never whose addresses they were.
async fn forget(lake: &Lake, what: &Forgetting) -> anyhow::Result<Rows> {
    let started = clock::now();
    let done = lake.forget(what).await?;
    let columns = ["table", "rows", "files_rewritten", "files_unnamed"];
    let mut rows = Rows::new("lake_forget", columns);
    for Forgotten { table, rows: gone, files, unnamed } in &done {
        let counts = [*gone, *files, *unnamed].map(Value::Int);
        rows.push([vec![Value::text(table.name())], counts.to_vec()].concat());
        rows.notes.extend(unnamed_files(*table, *unnamed));
    }
    let gone: u64 = done.iter().map(|f| f.rows).sum();
    let run = RunRecord {
        id: format!("forget:{}", started.0),
        started,
        finished: clock::now(),
        verb: "lake forget".to_owned(),
        arguments: serde_json::json!({
            "before": what.before,
            "blocks": what.prefixes.len(),
        }),
        versions: serde_json::json!({ "program": env!("CARGO_PKG_VERSION") }),
        inputs: serde_json::json!([]),
        outcome: format!("{gone} rows"),
    };
    lake.record_run(&run).await?;
    rows.notes.push(
        "coverage keeps the networks (/24 and /48) that were seen on each day; findings, \
         reports and backups are files of their own"
            .to_owned(),
    );
    Ok(rows)
}

/// That files may have what was to go, if there are any that no version names.
pub(crate) fn unnamed_files(table: Table, unnamed: u64) -> Option<String> {
    (unnamed > 0).then(|| {
        format!(
            "{unnamed} files of {} that no version names may still have such rows: they are of a \
             writer at work, or of one that died (hint: `tidegauge lake vacuum`)",
            table.name()
        )
    })
}

async fn vacuum(lake: &Lake, before: Day) -> anyhow::Result<Rows> {
    anyhow::ensure!(
        before < clock::today(),
        "only files written before today can be removed: a writer at work has files that no \
         version names yet (hint: --before with an earlier date)"
    );
    let columns = ["table", "files_removed", "bytes_freed"];
    by_table(Rows::new("lake_vacuum", columns), async |table| {
        let done = lake.vacuum(table, before.start()).await?;
        Ok([done.files, done.bytes])
    })
    .await
}
