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
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::{DfSessionService, Parser};
use futures::future::{BoxFuture, Either, Shared, pending, select};
use futures::stream::unfold;
use futures::{FutureExt, Sink, StreamExt};

use super::dialect::bounded;
use super::entry::{Entry, Guest, Porter};
use super::refusal::{STOPPED, refusal};

/// How long the rows of an answer may take: far above a count over years.
const ANSWER: Duration = Duration::from_mins(5);

/// What a statement is between parsing and running.
type Prepared = (String, Option<(Statement, LogicalPlan)>);

/// Speaks with clients.
pub(super) struct Speaker {
    sessions: Arc<Sessions>,
    porter: Arc<Porter>,
    cancel: Arc<DefaultCancelHandler>,
}

/// A session for each kind of clients.
struct Sessions {
    entry: Arc<Entry>,
    kinds: Kinds<Arc<DfSessionService>>,
}

/// One for readers, and one for analysts if they are told apart.
struct Kinds<T> {
    readers: T,
    analysts: Option<T>,
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
                kinds: Kinds { readers, analysts },
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

impl<T> Kinds<T> {
    /// What is for analysts, if the client is one; else what is for readers.
    fn of<C: ClientInfo>(&self, client: &C) -> &T {
        match (client.session_extensions().get::<Guest>(), &self.analysts) {
            (Some(guest), Some(analysts)) if guest.internal => analysts,
            _ => &self.readers,
        }
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
                let said =
                    format!("the answer took longer than {} s", ANSWER.as_secs());
                refusal(STOPPED, &said, "")
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
        let session = Arc::clone(self.kinds.of(client));
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
        let Kinds { readers, analysts } = &self.kinds;
        let parser = |session: &Arc<DfSessionService>| session.query_parser();
        Arc::new(Parsers(Kinds {
            readers: parser(readers),
            analysts: analysts.as_ref().map(parser),
        }))
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
        let session = Arc::clone(self.kinds.of(client));
        let answer =
            ExtendedQueryHandler::do_query(&*session, client, portal, max_rows).await?;
        Ok(until(&stop(client).await, answer))
    }
}

/// A parser for each kind of clients: a plan is over the tables of one session.
struct Parsers(Kinds<Arc<Parser>>);

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
        self.0.of(client).parse_sql(client, sql, types).await
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        self.0.readers.get_parameter_types(prepared)
    }

    fn get_result_schema(
        &self,
        prepared: &Prepared,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        self.0.readers.get_result_schema(prepared, format)
    }
}
