//! How a session begins: authentication, the client's settings, and the first ReadyForQuery.

use std::sync::Arc;

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::backend;
use tokio::sync::mpsc;

use super::{Session, state};
use crate::auth;
use crate::client::Client;
use crate::cores::CoreId;
use crate::error::{Error, Result};
use crate::pool::Term;
use crate::router::Router;
use crate::server::SequenceMemory;
use crate::settings::Settings;
use crate::startup::{Wishes, fatal};
use crate::transaction::Transaction;

/// The whole life of a session, from the client's startup packet on.
pub(crate) async fn run(mut client: Client, wishes: Wishes, router: Arc<Router>, core: CoreId) -> Result<()> {
    let timeout = router.config.limits.authentication_timeout;
    let authenticated =
        tokio::time::timeout(timeout, auth::authenticate(&mut client, &wishes.user, &router)).await;
    let authenticated = authenticated
        .unwrap_or_else(|_| Err(fatal(SqlState::QUERY_CANCELED, "canceling authentication due to timeout")));
    if let Err(error) = authenticated {
        return farewell(&mut client, error).await;
    }
    let mut session = Session::new(client, &wishes, router, core);
    let result = match session.begin(&wishes).await {
        Ok(()) => session.serve().await,
        Err(error) => Err(as_fatal(error)),
    };
    match result {
        Ok(()) => Ok(()),
        Err(error) => farewell(&mut session.client, error).await,
    }
}

/// The last message of a session that does not end by the client's wish.
async fn farewell(client: &mut Client, error: Error) -> Result<()> {
    if !matches!(error, Error::ClientGone(_)) {
        let error = as_fatal(error);
        client.push_error(&error.fields());
        client.flush().await?;
        return Err(error);
    }
    Err(error)
}

/// Before the session has begun every error is its end.
fn as_fatal(error: Error) -> Error {
    match error {
        Error::ClientGone(_) | Error::ShuttingDown | Error::Fatal(_) => error,
        other => Error::Fatal(Box::new(other.fields())),
    }
}

impl Session {
    fn new(client: Client, wishes: &Wishes, router: Arc<Router>, core: CoreId) -> Self {
        let cancel = router.cancels.register();
        let (shutdown, deadline) = (router.shutdown.clone(), router.deadline.clone());
        let id = router.next_session();
        // A backend asks one thing at a time; so does each of its parallel workers.
        let (loopback_sender, loopback) = mpsc::channel(16);
        Self {
            router,
            user: wishes.user.as_str().into(),
            database: wishes.database.as_str().into(),
            id,
            sequences: SequenceMemory { session: id, number: 0 },
            core,
            pools: Vec::new(),
            client,
            transaction: Transaction::default(),
            settings: Settings::default(),
            startup_settings: Settings::default(),
            overlay: None,
            overlays: 0,
            pinned: None,
            kept: Default::default(),
            suspect: false,
            custom_settings: Default::default(),
            asks_sequences: false,
            marks: Default::default(),
            missing_shard: None,
            commits: 0,
            statements: Default::default(),
            portals: Default::default(),
            pipeline: Default::default(),
            shape: Default::default(),
            key: Vec::new(),
            scratch: Vec::new(),
            settings_hash: 0,
            standard_strings: true,
            utf8: true,
            live: Default::default(),
            loopback,
            loopback_sender,
            relay: Default::default(),
            cancel,
            shutdown,
            deadline,
        }
    }

    /// Brings a backend to what the client asked for: its errors are the client's (no such database, wrong
    /// setting), and its parameters are what the client is told.
    async fn begin(&mut self, wishes: &Wishes) -> Result<()> {
        let asked = wishes.settings.iter().map(|(name, value)| (state::canonical(name), value.clone()));
        let asked = Settings::new(asked.collect());
        let mut connection = self.acquire(GroupId::COORDINATOR, Term::Open).await?;
        connection.queue_settings(&asked);
        self.startup_settings = if asked.iter().all(|(name, _)| name == "application_name") {
            if connection.has_prologue() {
                connection.queue_sync();
                connection.flush().await?;
                connection.finish().await?;
            }
            asked
        } else {
            state::read_settings(&mut connection, &self.user).await?
        };
        connection.note_settings(self.startup_settings.clone());
        self.set_settings(self.startup_settings.clone());
        for (name, value) in connection.parameters() {
            self.client.push_parameter(name, value);
        }
        drop(connection);
        let buffer = self.client.buffer();
        backend::put_backend_key_data(buffer, &self.cancel.key);
        self.ready_for_query().await
    }
}
