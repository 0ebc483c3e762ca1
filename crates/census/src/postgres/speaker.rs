//! The handlers that every connection is given.
//!
//! **Invariant:** a client is answered from the session of its kind, and no answer is longer
//! under way than [`ANSWER`].

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler,
};
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response};
use datafusion_postgres::pgwire::api::stmt::QueryParser;
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ConnectionHandle, ConnectionManager,
    PgWireServerHandlers, Type,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::{DfSessionService, Parser};
use futures::future::{BoxFuture, Either, Shared, pending, select};
use futures::stream::unfold;
use futures::{FutureExt, Sink, StreamExt};

use super::dialect::bounded;
use super::entry::{Entry, Guest, Porter};

/// How long the rows of an answer may take: far above a count over years.
const ANSWER: Duration = Duration::from_mins(5);
/// SQLSTATE of a statement that was stopped.
const STOPPED: &str = "57014";

/// What a statement is between parsing and running.
type Prepared = (String, Option<(Statement, LogicalPlan)>);

/// Speaks with clients.
pub(super) struct Speaker {
    sessions: Arc<Sessions>,
    porter: Arc<Porter>,
    cancel: Arc<DefaultCancelHandler>,
}

/// A session for each kind of clients.
pub(super) struct Sessions {
    entry: Arc<Entry>,
    readers: Arc<DfSessionService>,
    analysts: Option<Arc<DfSessionService>>,
}

impl Speaker {
    /// All are readers unless `entry` says otherwise.
    pub(super) fn new(
        entry: Entry,
        readers: Arc<DfSessionService>,
        analysts: Option<Arc<DfSessionService>>,
    ) -> Self {
        let entry = Arc::new(entry);
        let connections = Arc::new(ConnectionManager::new());
        Self {
            sessions: Arc::new(Sessions {
                entry: Arc::clone(&entry),
                readers,
                analysts,
            }),
            porter: Arc::new(Porter::new(entry, Arc::clone(&connections))),
            cancel: Arc::new(DefaultCancelHandler::new(connections)),
        }
    }
}

impl PgWireServerHandlers for Speaker {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.sessions)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.sessions)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.porter)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.cancel)
    }
}

impl Sessions {
    /// The session of a client.
    fn of<C: ClientInfo>(&self, client: &C) -> &Arc<DfSessionService> {
        kind(client, &self.readers, self.analysts.as_ref())
    }

    /// Keeps the record of who asks what is internal.
    fn record<C: ClientInfo>(&self, client: &C) {
        let Entry::Gated { gate, .. } = &*self.entry else { return };
        if let Some(guest) = client.session_extensions().get::<Guest>()
            && guest.internal
        {
            gate.saw(&guest);
        }
    }
}

/// What is for analysts, if the client is one; else what is for readers.
fn kind<'a, C: ClientInfo, T>(
    client: &C,
    readers: &'a T,
    analysts: Option<&'a T>,
) -> &'a T {
    match (client.session_extensions().get::<Guest>(), analysts) {
        (Some(guest), Some(analysts)) if guest.internal => analysts,
        _ => readers,
    }
}

/// What ends an answer before its rows do.
type Stop = Shared<BoxFuture<'static, Stopped>>;

/// Why an answer ended early.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    Asked,
    Late,
}

/// Ends when the client asks for it, or when time is over. Called last: what listened for the
/// client before does so no more.
async fn stop<C: ClientInfo>(client: &C) -> Stop {
    let connection = client.session_extensions().get::<Arc<ConnectionHandle>>();
    let asked = match connection {
        Some(connection) => connection.start_query().await.right_future(),
        None => pending().left_future(),
    };
    let stop = async move {
        let late = pin!(tokio::time::sleep(ANSWER));
        match select(asked, late).await {
            Either::Left((Ok(()), _)) => Stopped::Asked,
            // Nobody can ask any more.
            Either::Left((Err(_), late)) => {
                late.await;
                Stopped::Late
            }
            Either::Right(_) => Stopped::Late,
        }
    };
    stop.boxed().shared()
}

/// The answer, with rows until it is stopped.
fn until(stop: &Stop, answer: Response) -> Response {
    let Response::Query(mut query) = answer else { return answer };
    let (schema, tag) = (query.row_schema(), query.command_tag().to_owned());
    let rows = std::mem::replace(query.data_rows(), futures::stream::empty().boxed());
    let rows = unfold(Some((rows, stop.clone())), |open| async {
        let (mut rows, stop) = open?;
        // Asked first, or rows that are always there would never let it speak.
        match select(stop, rows.next()).await {
            Either::Left((why, _)) => Some((Err(why.told()), None)),
            Either::Right((row, stop)) => row.map(|row| (row, Some((rows, stop)))),
        }
    });
    let mut answer = QueryResponse::new(schema, rows);
    answer.set_command_tag(&tag);
    Response::Query(answer)
}

impl Stopped {
    fn told(self) -> PgWireError {
        match self {
            Self::Asked => PgWireError::QueryCanceled,
            Self::Late => {
                let words =
                    format!("the answer took longer than {} s", ANSWER.as_secs());
                let (severity, code) = ("ERROR".to_owned(), STOPPED.to_owned());
                PgWireError::UserError(Box::new(ErrorInfo::new(severity, code, words)))
            }
        }
    }
}

#[async_trait]
impl SimpleQueryHandler for Sessions {
    async fn do_query<C>(
        &self,
        client: &mut C,
        query: &str,
    ) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo
            + ClientPortalStore
            + Sink<PgWireBackendMessage>
            + Unpin
            + Send
            + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        bounded(query)?;
        self.record(client);
        let session = Arc::clone(self.of(client));
        let answers = SimpleQueryHandler::do_query(&*session, client, query).await?;
        let stop = stop(client).await;
        Ok(answers.into_iter().map(|answer| until(&stop, answer)).collect())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Sessions {
    type Statement = Prepared;
    type QueryParser = Parsers;

    fn query_parser(&self) -> Arc<Parsers> {
        Arc::new(Parsers {
            readers: self.readers.query_parser(),
            analysts: self.analysts.as_ref().map(|session| session.query_parser()),
        })
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Prepared>,
        max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo
            + ClientPortalStore
            + Sink<PgWireBackendMessage>
            + Unpin
            + Send
            + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.record(client);
        let session = Arc::clone(self.of(client));
        let answer =
            ExtendedQueryHandler::do_query(&*session, client, portal, max_rows).await?;
        Ok(until(&stop(client).await, answer))
    }
}

/// A parser for each kind of clients: a plan is over the tables of one session.
pub(super) struct Parsers {
    readers: Arc<Parser>,
    analysts: Option<Arc<Parser>>,
}

#[async_trait]
impl QueryParser for Parsers {
    type Statement = Prepared;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        bounded(sql)?;
        kind(client, &self.readers, self.analysts.as_ref())
            .parse_sql(client, sql, types)
            .await
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        self.readers.get_parameter_types(prepared)
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        self.readers.get_result_schema(prepared, format)
    }
}
