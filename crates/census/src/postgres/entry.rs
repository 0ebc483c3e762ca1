//! Who comes in: everybody, or who shows a password that is known.
//!
//! **Invariant:** before a password is known nothing is answered but the question for it; who
//! a connection belongs to is kept where the client cannot write.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication,
    protocol_negotiation, save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ConnectionGuard, ConnectionHandle, ConnectionManager, METADATA_USER,
    PgWireConnectionState, PidSecretKeyGenerator, RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::startup::Authentication;
use datafusion_postgres::pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage,
};
use futures::{Sink, SinkExt};

use super::refusal::{NOT_LET_IN, dismissal};

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Whose password it was.
    pub name: String,
    /// Whether what is internal is shown.
    pub internal: bool,
}

/// Knows passwords, and keeps the record.
pub trait Gate: Send + Sync {
    /// Who has this password; `None` if nobody has.
    fn admit(&self, password: &str) -> Option<Guest>;

    /// A guest asked something of what is internal.
    fn saw(&self, guest: &Guest);
}

/// How one comes in.
pub(super) enum Entry {
    /// Everybody does.
    Open,
    /// By password; if `tls_only`, by TLS alone.
    Gated { gate: Arc<dyn Gate>, tls_only: bool },
}

/// Lets clients in.
pub(super) struct Porter {
    entry: Arc<Entry>,
    connections: Arc<ConnectionManager>,
    keys: RandomPidSecretKeyGenerator,
}

impl Porter {
    pub(super) fn new(entry: Arc<Entry>, connections: Arc<ConnectionManager>) -> Self {
        Self { entry, connections, keys: RandomPidSecretKeyGenerator::default() }
    }

    /// Tells the client that it is in.
    async fn let_in<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (process, key) = self.keys.generate(client);
        client.set_pid_and_secret_key(process, key.clone());
        let (handle, guard) = self.connections.register(process, key);
        client.session_extensions().insert::<Arc<ConnectionHandle>>(handle);
        client.session_extensions().insert::<ConnectionGuard>(guard);
        let mut told = DefaultServerParameterProvider::default();
        told.is_superuser = false;
        told.default_transaction_read_only = true;
        finish_authentication(client, &told).await
    }
}

#[async_trait]
impl StartupHandler for Porter {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match (message, &*self.entry) {
            (PgWireFrontendMessage::Startup(startup), entry) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                match entry {
                    Entry::Open => return self.let_in(client).await,
                    Entry::Gated { tls_only: true, .. } if !client.is_secure() => {
                        let said = "this door is open by TLS alone";
                        let hint = "connect with sslmode=verify-full";
                        return Err(dismissal(NOT_LET_IN, said, hint));
                    }
                    Entry::Gated { .. } => {}
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let ask = Authentication::CleartextPassword;
                client.send(PgWireBackendMessage::Authentication(ask)).await?;
                Ok(())
            }
            (
                PgWireFrontendMessage::PasswordMessageFamily(shown),
                Entry::Gated { gate, .. },
            ) => {
                let shown = shown.into_password()?;
                let Some(guest) = gate.admit(&shown.password) else {
                    let user = client.metadata().get(METADATA_USER).cloned();
                    return Err(PgWireError::InvalidPassword(user.unwrap_or_default()));
                };
                client.session_extensions().insert(guest);
                self.let_in(client).await
            }
            _ => Ok(()),
        }
    }
}
