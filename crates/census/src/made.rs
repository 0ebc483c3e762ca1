//! Tables that are made when they are read.
//!
//! **Invariant:** to plan a query costs nothing; rows are made when the plan runs, and only of
//! the parts that the query lets through.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, project_schema};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::BoxStream;

use crate::provider::let_through;

/// Rows while they are made.
pub(crate) type Made = BoxStream<'static, Result<RecordBatch>>;

/// Makes the rows, of these parts alone; of all without.
type Make = Arc<dyn Fn(Option<Vec<String>>) -> Made + Send + Sync>;

/// A table whose rows are made anew for each query.
pub(crate) struct MadeTable {
    schema: SchemaRef,
    parts: Option<Parts>,
    make: Make,
}

/// A column of texts, and all its values: rows of each can be made by themselves.
#[derive(Clone, Debug)]
struct Parts {
    column: String,
    values: Vec<String>,
}

impl MadeTable {
    /// A table of `schema`.
    pub(crate) fn new(
        schema: SchemaRef,
        make: impl Fn() -> Made + Send + Sync + 'static,
    ) -> Self {
        Self { schema, parts: None, make: Arc::new(move |_| make()) }
    }

    /// A table whose rows can be made for some `values` of `column` alone: those that it has
    /// at all.
    #[cfg(feature = "postgres")]
    pub(crate) fn in_parts(
        schema: SchemaRef,
        column: &str,
        values: Vec<String>,
        make: impl Fn(Option<Vec<String>>) -> Made + Send + Sync + 'static,
    ) -> Self {
        let parts = Some(Parts { column: column.to_owned(), values });
        Self { schema, parts, make: Arc::new(make) }
    }

    /// The parts that may have a row which `filters` let through; `None` for all there are.
    fn kept(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> Result<Option<Vec<String>>> {
        let Some(Parts { column, values }) = &self.parts else { return Ok(None) };
        let field: Field = self.schema.field_with_name(column)?.clone();
        let texts: StringArray = values.iter().map(Some).collect();
        let through = let_through(state, filters, field, &texts)?;
        let pairs = values.iter().zip(&through).filter(|(_, through)| **through);
        let kept: Vec<String> = pairs.map(|(value, _)| value.clone()).collect();
        Ok((kept.len() < values.len()).then_some(kept))
    }
}

#[async_trait]
impl TableProvider for MadeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// Every filter is also applied above: here it only saves making rows.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let parts = self.kept(state, filters)?;
        if parts.as_ref().is_some_and(Vec::is_empty) {
            let schema = project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let schema = Arc::clone(&self.schema);
        let rows = Rows { schema, parts, make: Arc::clone(&self.make) };
        let schema = Arc::clone(&self.schema);
        let rows: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(rows)];
        let plan =
            StreamingTableExec::try_new(schema, rows, projection, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// The rows of one query.
struct Rows {
    schema: SchemaRef,
    parts: Option<Vec<String>>,
    make: Make,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = (self.make)(self.parts.clone());
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

impl fmt::Debug for MadeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeTable").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("parts", &self.parts).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "postgres")]
mod tests {
    use std::sync::Mutex;

    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::prelude::SessionContext;
    use futures::StreamExt;
    use futures::future::ready;

    use super::*;

    /// What was asked of a table with the parts `a`, `b` and `c`, and how many rows came.
    async fn asked(sql: &str) -> (Vec<Option<Vec<String>>>, i64) {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let rows = |names: &[String]| {
            let texts: StringArray = names.iter().map(Some).collect();
            RecordBatch::try_from_iter_with_nullable([(
                "name",
                Arc::new(texts) as _,
                true,
            )])
        };
        let schema = rows(&names).unwrap().schema();
        let log: Arc<Mutex<Vec<Option<Vec<String>>>>> = Arc::default();
        let (kept, all) = (Arc::clone(&log), names.clone());
        let make = move |parts: Option<Vec<String>>| {
            kept.lock().unwrap().push(parts.clone());
            let made = rows(&parts.unwrap_or_else(|| all.clone()));
            futures::stream::once(ready(made.map_err(Into::into))).boxed()
        };
        let session = SessionContext::new();
        let table = MadeTable::in_parts(schema, "name", names, make);
        session.register_table("t", Arc::new(table)).unwrap();
        let frame = session.sql(sql).await.unwrap();
        assert!(log.lock().unwrap().is_empty(), "to plan makes nothing");
        let batches = frame.collect().await.unwrap();
        let count = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        let log = log.lock().unwrap().clone();
        (log, count)
    }

    #[tokio::test]
    async fn only_the_parts_that_a_query_lets_through_are_made() {
        let some = |names: &[&str]| {
            vec![Some(names.iter().map(ToString::to_string).collect::<Vec<_>>())]
        };
        for (filter, made, count) in [
            ("", vec![None], 3),
            ("WHERE name = 'a'", some(&["a"]), 1),
            ("WHERE name IN ('a', 'c')", some(&["a", "c"]), 2),
            ("WHERE name > 'a' AND length(name) = 1", some(&["b", "c"]), 2),
            ("WHERE name = 'a' OR length(name) > 1", some(&["a"]), 1),
            ("WHERE name LIKE '%'", vec![None], 3),
            ("WHERE name = 'x'", vec![], 0),
        ] {
            let sql = format!("SELECT count(*) FROM t {filter}");
            assert_eq!(asked(&sql).await, (made, count), "{filter}");
        }
        let twice =
            "SELECT count(*) FROM t x JOIN t y ON x.name = y.name WHERE x.name = 'b'";
        let (made, count) = asked(twice).await;
        assert!(made.iter().all(|parts| *parts == some(&["b"])[0]), "{made:?}");
        assert_eq!(count, 1);
    }
}
