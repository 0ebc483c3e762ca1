//! What views and their columns say, where clients of `PostgreSQL` look for it.
//!
//! **Invariant:** a comment is the one that the view was made with. `pg_description` has what
//! the engine's catalog has in it, and those.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Int32Builder, RecordBatch, StringBuilder};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::ViewTable;
use datafusion::prelude::SessionContext;

use super::View;
use super::session::DATABASE;

/// Name of the table of comments.
const COMMENTS: &str = "comments";
/// Schema of the catalog.
const CATALOG: &str = "pg_catalog";
/// Where clients look for comments.
const DESCRIPTION: &str = "pg_description";

/// The comments with the numbers by which the catalog knows tables; 1259 is `pg_class`.
const JOINED: &str = "
    SELECT objoid, classoid, objsubid, description FROM pg_catalog.pg_description
    UNION ALL
    SELECT c.oid, 1259, m.place, m.comment
    FROM public.comments m
    JOIN pg_catalog.pg_class c ON c.relname = m.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'";

/// What `views` and their columns say: a row for each, the column's place from 1 on, 0 for
/// the view itself.
pub(super) fn comments(views: &[View]) -> Result<RecordBatch> {
    let mut texts: [StringBuilder; 3] = Default::default();
    let mut places = Int32Builder::new();
    let mut add = |relation: &str, place: i32, name: Option<&str>, comment: &str| {
        let [relations, names, comments] = &mut texts;
        relations.append_value(relation);
        names.append_option(name);
        comments.append_value(comment);
        places.append_value(place);
    };
    for view in views {
        add(view.name, 0, None, view.about);
        for (place, field) in (1..).zip(view.schema.fields()) {
            if let Some(comment) = field.metadata().get(super::COMMENT) {
                add(view.name, place, Some(field.name()), comment);
            }
        }
    }
    let [relations, names, comments] =
        texts.map(|mut column| Arc::new(column.finish()));
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("relation", relations as _, false),
        ("place", Arc::new(places.finish()) as _, false),
        ("column_name", names as _, true),
        ("comment", comments as _, false),
    ])?)
}

/// Adds `comments` to a session, and makes `pg_description` have them too.
pub(super) async fn add(context: &SessionContext, comments: RecordBatch) -> Result<()> {
    let table = MemTable::try_new(comments.schema(), vec![vec![comments]])?;
    drop(context.register_table(COMMENTS, Arc::new(table))?);
    let missing = || internal_datafusion_err!("a session has its catalog");
    let catalog = context.catalog(DATABASE).ok_or_else(missing)?;
    let inner = catalog.schema(CATALOG).ok_or_else(missing)?;
    let joined = context.state().create_logical_plan(JOINED).await?;
    let description = Arc::new(ViewTable::new(joined, None));
    let sealed = Sealed { inner, description: Some(description) };
    drop(catalog.register_schema(CATALOG, Arc::new(sealed))?);
    Ok(())
}

/// From here on a schema takes no table more. One that is not there stays so.
pub(super) fn seal(context: &SessionContext, schema: &str) -> Result<()> {
    let missing = || internal_datafusion_err!("a session has its catalog");
    let catalog = context.catalog(DATABASE).ok_or_else(missing)?;
    let Some(inner) = catalog.schema(schema) else { return Ok(()) };
    let sealed = Sealed { inner, description: None };
    drop(catalog.register_schema(schema, Arc::new(sealed))?);
    Ok(())
}

/// A schema that takes no table; that of the catalog with more comments.
#[derive(Debug)]
struct Sealed {
    inner: Arc<dyn SchemaProvider>,
    description: Option<Arc<ViewTable>>,
}

#[async_trait]
impl SchemaProvider for Sealed {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match &self.description {
            Some(description) if name == DESCRIPTION => {
                Ok(Some(Arc::clone(description) as _))
            }
            _ => self.inner.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}
