//! Which statements run.
//!
//! **Invariant:** what was judged is what runs: the plan, never the text again. It is a query
//! over the tables of the session, or is about the connection alone. No file is read or
//! written, no table made, and no setting changed that other connections share.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Expr, Set, Statement};
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::datatypes::df::encode_dataframe;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::types::format::FormatOptions;

use super::dialect::known;
use super::refusal::{NOT_THERE, READ_ONLY, WRONG, refusal};
use crate::Error;
use crate::sql::read_only;

/// Settings that a connection has for itself, as the hook after this one keeps them.
const OWN_SETTINGS: [&str; 6] = [
    "application_name",
    "bytea_output",
    "datestyle",
    "extra_float_digits",
    "intervalstyle",
    "search_path",
];

/// Stands before the other hooks.
#[derive(Debug)]
pub(super) struct Guard;

/// What is to be done with a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is a query, and runs if its plan changes nothing.
    Query,
    /// It is about the connection alone, and other hooks answer it.
    Own,
    /// It is done by doing nothing, with this tag.
    Nothing(&'static str),
    /// This server has no such thing.
    NotThere,
    /// It does not run.
    Refused,
}

fn verdict(statement: &Statement) -> Verdict {
    match statement {
        Statement::Query(_)
        | Statement::Explain { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. } => Verdict::Query,
        // The library reads the text of a cursor's query again, which is not what was judged.
        Statement::Declare { .. }
        | Statement::Fetch { .. }
        | Statement::Close { .. } => Verdict::NotThere,
        Statement::ShowVariable { .. }
        | Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. } => Verdict::Own,
        Statement::Set(set) => setting(set),
        Statement::Savepoint { .. } => Verdict::Nothing("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Verdict::Nothing("RELEASE"),
        // Of pools that hand a connection on.
        Statement::Discard { .. } => Verdict::Nothing("DISCARD ALL"),
        Statement::Deallocate { .. } => Verdict::Nothing("DEALLOCATE"),
        _ => Verdict::Refused,
    }
}

/// Drivers set much when they connect, and take an error for the end.
fn setting(set: &Set) -> Verdict {
    match set {
        Set::SingleAssignment { variable, scope, values, .. } => {
            let name = variable.to_string().to_lowercase();
            let plain = scope.is_none() && matches!(values[..], [Expr::Value(_)]);
            if plain && OWN_SETTINGS.contains(&name.as_str()) {
                Verdict::Own
            } else if name.contains('.') {
                Verdict::Refused
            } else {
                Verdict::Nothing("SET")
            }
        }
        Set::SetTimeZone { .. }
        | Set::SetNames { .. }
        | Set::SetNamesDefault { .. }
        | Set::SetTransaction { .. } => Verdict::Nothing("SET"),
        _ => Verdict::Refused,
    }
}

/// The plan of a query that changes nothing.
async fn planned(
    statement: &Statement,
    session: &SessionContext,
) -> PgWireResult<LogicalPlan> {
    let statement = Parsed::Statement(Box::new(known(statement.clone())));
    read_only(&session.state(), statement).await.map_err(told)
}

/// The rows of a query. What was judged is run, and not its text: that reads otherwise where a
/// quote follows a backslash.
async fn run(
    statement: &Statement,
    session: &SessionContext,
    client: &dyn HookClient,
) -> PgWireResult<Response> {
    let plan = planned(statement, session).await?;
    let frame = session.execute_logical_plan(plan).await;
    let frame = frame.map_err(|error| PgWireError::ApiError(Box::new(error)))?;
    let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
    let rows = encode_dataframe(frame, &Format::UnifiedText, Some(options)).await?;
    Ok(Response::Query(rows))
}

fn refused(statement: &Statement) -> PgWireError {
    let words = statement.to_string();
    let verb = words.split_whitespace().next().unwrap_or_default().to_uppercase();
    let said = format!("{verb} is not allowed: this door is for reading");
    refusal(READ_ONLY, &said, "begin with SELECT, WITH or EXPLAIN")
}

fn no_cursor() -> PgWireError {
    refusal(NOT_THERE, "there are no cursors here", "read the rows as they come")
}

/// An error of the engine or of ours, as clients show it.
fn told(error: Error) -> PgWireError {
    let words = error.to_string();
    let (message, hint) = words.split_once("\nhint: ").unwrap_or((&words, ""));
    match &error {
        Error::ReadOnly { .. } => refusal(READ_ONLY, message, hint),
        Error::Sql { source } => refusal(WRONG, &source.strip_backtrace(), hint),
        _ => PgWireError::ApiError(Box::new(error)),
    }
}

fn done(tag: &'static str) -> Response {
    Response::Execution(Tag::new(tag))
}

/// The plan of a statement that is answered without one.
fn no_plan() -> LogicalPlan {
    let schema = Arc::new(DFSchema::empty());
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })
}

#[async_trait]
impl QueryHook for Guard {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match verdict(statement) {
            Verdict::Query if failed(client) => None,
            Verdict::Query => Some(run(statement, session, client).await),
            Verdict::Own => None,
            Verdict::Nothing(tag) => Some(Ok(done(tag))),
            Verdict::NotThere => Some(Err(no_cursor())),
            Verdict::Refused => Some(Err(refused(statement))),
        }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match verdict(statement) {
            Verdict::Query => Some(planned(statement, session).await),
            Verdict::Own => None,
            Verdict::Nothing(_) => Some(Ok(no_plan())),
            Verdict::NotThere => Some(Err(no_cursor())),
            Verdict::Refused => Some(Err(refused(statement))),
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        // Judged when it was parsed; what is left is to do nothing.
        match verdict(statement) {
            Verdict::Nothing(tag) => Some(Ok(done(tag))),
            _ => None,
        }
    }
}

/// In a transaction that failed, the hook of transactions answers.
fn failed(client: &dyn HookClient) -> bool {
    client.transaction_status() == TransactionStatus::Error
}
