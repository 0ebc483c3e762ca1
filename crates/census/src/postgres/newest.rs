//! A table of the lake in its newest version.
//!
//! **Invariant:** each scan lists the files of one version, the newest when it is planned.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use tidegauge_store::Table;

use crate::Counter;
use crate::provider::LakeTable;
use crate::tables::foreign;

/// A table of a lake.
pub(super) struct Newest {
    counter: Counter,
    table: Table,
    schema: SchemaRef,
}

impl Newest {
    /// The table in whatever version is the newest.
    pub(super) fn of(counter: Counter, table: Table) -> Self {
        Self { counter, table, schema: table.schema() }
    }
}

#[async_trait]
impl TableProvider for Newest {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Every filter is also applied above the scan: here it only skips files.
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
        let snapshot = self.counter.lake.snapshot(self.table).await.map_err(foreign)?;
        self.counter.engine().add_store(&snapshot);
        LakeTable::new(snapshot).scan(state, projection, filters, limit).await
    }
}

impl fmt::Debug for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Newest").field("table", &self.table).finish_non_exhaustive()
    }
}
