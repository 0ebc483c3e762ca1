//! SQL for the operator, read-only.
//!
//! **Invariant:** a statement that would change anything is refused before it runs. The
//! tables are listed at [`Counter::sql`](crate::Counter::sql).

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;
use futures::TryStreamExt;
use tidegauge_model::{Day, DayRange};
use tidegauge_store::schema::column as c;
use tidegauge_store::{Snapshot, Table};

use crate::read::Columns;
use crate::session::Engine;
use crate::tables::{AS_STORED, Version, made};
use crate::{Counter, Error, Result};

/// Runs one query over one version of the lake.
pub(crate) async fn run(counter: &Counter, text: &str) -> Result<Vec<RecordBatch>> {
    let wrong = |source| Error::Sql { source: Box::new(source) };
    let engine = counter.engine();
    let session = engine.session();
    for table in AS_STORED {
        let snapshot = counter.lake.snapshot(table).await?;
        if table == Table::Sightings {
            let made = made(counter, &Version::Of(snapshot.clone()));
            for (name, table) in made.map_err(engine.error("making a table"))? {
                engine.add(&session, name, table)?;
            }
        }
        engine.add_lake(&session, &snapshot)?;
    }
    let state = session.state();
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(text, &dialect).map_err(wrong)?;
    let plan = read_only(&state, statement).await?;
    let frame = session.execute_logical_plan(plan).await.map_err(wrong)?;
    let columns = Arc::new(frame.schema().as_arrow().clone());
    let rows = frame.collect().await.map_err(engine.error("running the query"))?;
    // Without rows there are columns still.
    Ok(if rows.is_empty() { vec![RecordBatch::new_empty(columns)] } else { rows })
}

/// The plan of a statement that changes nothing. Whatever else is an error.
pub(crate) async fn read_only(
    state: &SessionState,
    statement: Statement,
) -> Result<LogicalPlan> {
    let plan = state.statement_to_plan(statement).await;
    let plan = plan.map_err(|source| Error::Sql { source: Box::new(source) })?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(|source| Error::ReadOnly { source: Box::new(source) })?;
    Ok(plan)
}

/// The first and last day with a sighting in `snapshot`.
pub(crate) async fn days(
    engine: &Engine,
    snapshot: &Snapshot,
) -> Result<Option<DayRange>> {
    let doing = "reading the days of the lake";
    let session = engine.session();
    engine.add_lake(&session, snapshot)?;
    let (table, day) = (Table::Sightings.name(), c::DAY);
    let sql = format!("SELECT MIN({day}) AS first, MAX({day}) AS last FROM {table}");
    let mut rows = engine.run(&session, doing, &sql).await?;
    let mut found = None;
    while let Some(batch) = rows.try_next().await.map_err(engine.error(doing))? {
        let columns = Columns(&batch);
        let at = |name| -> Result<Option<Day>> {
            let numbers = columns.numbers(name).map_err(engine.error(doing))?;
            Ok(numbers.get(0).and_then(|n| i32::try_from(n).ok()).map(Day))
        };
        if let (Some(first), Some(last)) = (at("first")?, at("last")?) {
            found = DayRange::new(first, last);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, client, days, sighting};

    async fn numbers(world: &World, sql: &str) -> Vec<Option<i64>> {
        let stored = world.store(1).await;
        let batches = stored.counter.sql(sql).await.unwrap();
        let mut out = Vec::new();
        for batch in &batches {
            let column = Columns(batch).numbers("n").unwrap();
            out.extend((0..batch.num_rows()).map(|row| column.get(row)));
        }
        out
    }

    fn world() -> World {
        let (a, b) = (client("198.51.100.1", None), client("2001:db8::1", None));
        World::of(vec![
            sighting(&a, "red/update", days().first(), "east"),
            sighting(&b, "clock/time", days().last(), "east"),
        ])
        .held(&a, days(), "first")
    }

    #[tokio::test]
    async fn the_tables_can_be_joined() {
        let sql = "SELECT COUNT(*) AS n FROM sightings s \
                   JOIN catalog c ON c.endpoint = s.endpoint \
                   JOIN holders h ON h.ip_hi = s.ip_hi AND h.ip_lo = s.ip_lo \
                   AND s.day BETWEEN h.valid_from AND h.valid_to \
                   WHERE c.control = false AND h.organisation = 'first' \
                   AND h.address = '198.51.100.1'";
        assert_eq!(numbers(&world(), sql).await, [Some(1)]);
    }

    #[tokio::test]
    async fn a_month_skips_the_files_of_others() {
        let months = days().months().collect::<Vec<_>>();
        assert_eq!(months.len(), 2);
        let sql = format!(
            "SELECT COUNT(*) AS n FROM sightings WHERE month = '{}'",
            months.last().unwrap()
        );
        assert_eq!(numbers(&world(), &sql).await, [Some(1)]);
        let stored = world().store(1).await;
        let plan = stored.counter.sql(&format!("EXPLAIN {sql}")).await.unwrap();
        let text = Columns(plan.first().unwrap()).texts("plan").unwrap();
        let text: String = (0..2).filter_map(|row| text.get(row)).collect();
        assert_eq!(text.matches(".parquet").count(), 1, "{text}");
    }

    #[tokio::test]
    async fn every_table_opens_in_an_empty_lake() {
        let stored = World::of(Vec::new()).store(0).await;
        let tables = AS_STORED.iter().map(|t| t.name());
        for table in tables.chain([
            "coverage",
            "resolutions",
            "catalog",
            "holders",
            "attributed",
        ]) {
            stored.counter.sql(&format!("SELECT * FROM {table}")).await.unwrap();
        }
        let look_ups =
            "SELECT day, network, SUM(count) FROM resolutions GROUP BY day, network";
        stored.counter.sql(look_ups).await.unwrap();
    }

    #[tokio::test]
    async fn whatever_would_change_something_is_refused() {
        let stored = world().store(1).await;
        for sql in [
            "CREATE TABLE t AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/'",
            "DROP TABLE sightings",
            "INSERT INTO catalog SELECT * FROM catalog",
            "COPY sightings TO 'out.csv'",
            "SET datafusion.execution.batch_size = 1",
        ] {
            let refused = stored.counter.sql(sql).await.unwrap_err();
            assert!(matches!(refused, Error::ReadOnly { .. }), "{sql}: {refused:?}");
        }
        let wrong =
            stored.counter.sql("SELECT nothing FROM nowhere").await.unwrap_err();
        assert!(matches!(wrong, Error::Sql { .. }), "{wrong:?}");
    }
}
