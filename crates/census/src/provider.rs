//! A snapshot of a lake table as a table of the engine.
//!
//! **Invariant:** a scan is a plain `DataSourceExec` over Parquet files that the snapshot
//! lists, so that a plan can be sent elsewhere with the engine's own codec. The Delta log
//! is read by `store`, never here.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DFSchema, Result, ScalarValue, Statistics, project_schema,
};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use tidegauge_store::{DataFile, Snapshot};

/// One version of a table of the lake.
#[derive(Debug)]
pub(crate) struct LakeTable {
    snapshot: Snapshot,
}

impl LakeTable {
    /// The table as `snapshot` lists it.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// The files that may hold a row that `filters` let through, judged by their month.
    fn files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&DataFile>> {
        let mut kept: Vec<_> = self.snapshot.files.iter().collect();
        let Some(month) = self.snapshot.table.partition_columns().first() else {
            return Ok(kept);
        };
        let field = self.snapshot.schema.field_with_name(month)?.clone();
        let months: StringArray =
            kept.iter().map(|f| f.partition_month.as_deref()).collect();
        let mut through = let_through(state, filters, field, &months)?.into_iter();
        kept.retain(|_| through.next().unwrap_or(false));
        Ok(kept)
    }
}

/// Which of the values of a column may stand in a row that all `filters` let through, judged
/// by those filters that look at no other column.
pub(crate) fn let_through(
    state: &dyn Session,
    filters: &[Expr],
    field: Field,
    values: &StringArray,
) -> Result<Vec<bool>> {
    let name = field.name().clone();
    let schema = Arc::new(Schema::new(vec![field]));
    let columns = DFSchema::try_from(Arc::clone(&schema))?;
    let batch = RecordBatch::try_new(schema, vec![Arc::new(values.clone())])?;
    let mut through = vec![true; values.len()];
    let judge = |filter: &&Expr| {
        let names = filter.column_refs();
        !names.is_empty() && names.iter().all(|column| column.name() == name)
    };
    for filter in filters.iter().filter(judge) {
        let judged = state
            .create_physical_expr(unqualified(filter.clone())?, &columns)?
            .evaluate(&batch)?
            .into_array(values.len())?;
        if let Some(judged) = judged.as_any().downcast_ref::<BooleanArray>() {
            for (through, judged) in through.iter_mut().zip(judged) {
                *through &= judged.unwrap_or(false);
            }
        }
    }
    Ok(through)
}

/// The filter with bare column names: it is evaluated on values alone.
fn unqualified(filter: Expr) -> Result<Expr> {
    let bare = |expr| {
        Ok(match expr {
            Expr::Column(column) => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    };
    Ok(filter.transform(bare)?.data)
}

/// A file of the snapshot as the engine wants it. Its month is a value, not a column in it.
fn partitioned_file(file: &DataFile, schema: &SchemaRef) -> PartitionedFile {
    let values = file
        .partition_month
        .iter()
        .map(|month| ScalarValue::Utf8(Some(month.clone())))
        .collect();
    let mut out = PartitionedFile::new(String::new(), file.size);
    out.object_meta.location = file.path.clone();
    // Partition values first: statistics are completed with them.
    out.with_partition_values(values)
        .with_statistics(Arc::new(row_statistics(file.rows, file.size, schema)))
}

fn row_statistics(rows: u64, bytes: u64, schema: &SchemaRef) -> Statistics {
    let inexact = |n| usize::try_from(n).map_or(Precision::Absent, Precision::Inexact);
    Statistics::new_unknown(schema)
        .with_num_rows(inexact(rows))
        .with_total_byte_size(inexact(bytes))
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.snapshot.schema)
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
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.files(state, filters)?;
        if files.is_empty() {
            let schema = project_schema(&self.snapshot.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let table = self.snapshot.table;
        let months = self
            .snapshot
            .schema
            .fields()
            .iter()
            .filter(|f| table.partition_columns().contains(&f.name().as_str()))
            .cloned()
            .collect::<Vec<_>>();
        let schema = TableSchema::builder(table.file_schema())
            .with_table_partition_cols(months)
            .build();
        let rows = files.iter().map(|f| f.rows).sum();
        let bytes = files.iter().map(|f| f.size).sum();
        let group: FileGroup = FileGroup::new(
            files.iter().map(|f| partitioned_file(f, &table.file_schema())).collect(),
        );
        let groups = group.split_files(state.config().target_partitions());
        let source = Arc::new(ParquetSource::new(schema));
        let url = ObjectStoreUrl::parse(&self.snapshot.store_url)?;
        let config = FileScanConfigBuilder::new(url, source)
            .with_statistics(row_statistics(rows, bytes, &self.snapshot.schema))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
