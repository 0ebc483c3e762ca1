//! What there is to read: views in the schema `public`, raw tables in `lake`, and the
//! catalog that clients of `PostgreSQL` look into.
//!
//! **Invariant:** one session serves all connections of a kind, so nothing in it may be
//! changed by one of them: the guard sees to that, and schemas take no table once they are
//! filled.

use std::sync::Arc;

use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::{Result, TableReference, internal_datafusion_err};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::{DfSessionService, QueryHook};
use futures::{FutureExt, StreamExt};

use super::guard::Guard;
use super::newest::Newest;
use super::{View, described, functions};
use crate::Counter;
use crate::made::MadeTable;
use crate::session::Engine;
use crate::tables::{AS_STORED, Version, made};

/// Name of the database.
pub(super) const DATABASE: &str = "tidegauge";
/// Schema of the views.
const PUBLIC: &str = "public";
/// Schema of the raw tables.
const LAKE: &str = "lake";

/// What answers the queries of a kind of clients: those who read `views`, and the raw tables
/// of `raw` if it is given.
pub(super) async fn session(
    engine: &Engine,
    views: Vec<View>,
    raw: Option<&Counter>,
) -> Result<Arc<DfSessionService>> {
    let config = engine
        .config()
        .with_default_catalog_and_schema(DATABASE, PUBLIC)
        .with_create_default_catalog_and_schema(true);
    let context = engine.session_with(config);
    let comments = described::comments(&views)?;
    for view in views {
        let name = TableReference::partial(PUBLIC, view.name);
        drop(context.register_table(name, Arc::new(table(view)))?);
    }
    if let Some(counter) = raw {
        add_raw(&context, counter)?;
    }
    setup_pg_catalog(&context, DATABASE, EmptyContextProvider)
        .map_err(|error| *error)?;
    described::add(&context, comments).await?;
    functions::fit(&context);
    for schema in [PUBLIC, LAKE] {
        described::seal(&context, schema)?;
    }
    let hooks: Vec<Arc<dyn QueryHook>> = vec![
        Arc::new(Guard),
        Arc::new(SetShowHook),
        Arc::new(TransactionStatementHook),
    ];
    Ok(Arc::new(DfSessionService::new_with_hooks(Arc::new(context), hooks)))
}

fn add_raw(context: &SessionContext, counter: &Counter) -> Result<()> {
    let catalog = context
        .catalog(DATABASE)
        .ok_or_else(|| internal_datafusion_err!("a session has its catalog"))?;
    drop(catalog.register_schema(LAKE, Arc::new(MemorySchemaProvider::new()))?);
    for table in AS_STORED {
        let newest = Arc::new(Newest::of(counter.clone(), table));
        drop(
            context
                .register_table(TableReference::partial(LAKE, table.name()), newest)?,
        );
    }
    for (name, table) in made(counter, &Version::Newest)? {
        let name = TableReference::partial(LAKE, name);
        drop(context.register_table(name, table)?);
    }
    Ok(())
}

fn table(view: View) -> MadeTable {
    let rows = view.rows;
    let make = move |parts| {
        let made = rows(parts);
        let made = made.map(|rows| rows.map_err(DataFusionError::External));
        made.into_stream().boxed()
    };
    match view.parts {
        Some((column, values)) => {
            MadeTable::in_parts(view.schema, column, values, make)
        }
        None => MadeTable::new(view.schema, move || make(None)),
    }
}
