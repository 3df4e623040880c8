//! What a statement left behind in the coordinator's backend: settings, and state that cannot be replayed.
//!
//! PostgreSQL is asked, with one query behind the statement in the same flight; see [`Session::refresh`].

use std::collections::BTreeMap;

use howdah_catalog::{CatalogVersion, GroupId};

use super::Session;
use crate::error::{Error, Result};
use crate::server::{RowsAnswer, ServerConnection};
use crate::settings::{Settings, literal};
use crate::transaction::Block;

/// `pg_settings` spells these with capitals; everything else is lower case there.
pub(super) fn canonical(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "datestyle" => "DateStyle".to_owned(),
        "intervalstyle" => "IntervalStyle".to_owned(),
        "timezone" => "TimeZone".to_owned(),
        _ => lower,
    }
}

/// Every setting of the session, role included. Settings of the transaction itself are not the session's.
pub(super) fn settings_query(user: &str) -> String {
    format!(
        "SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' \
         AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable') \
         UNION ALL SELECT 'role', pg_catalog.current_setting('role') \
         WHERE pg_catalog.current_setting('role') <> 'none' \
         UNION ALL SELECT 'session_authorization', session_user WHERE session_user <> {}",
        literal(user)
    )
}

pub(super) async fn read_settings(connection: &mut ServerConnection, user: &str) -> Result<Settings> {
    let rows = connection.rows(&settings_query(user)).await?;
    Ok(settings_of(rows))
}

pub(super) fn settings_of(rows: Vec<Vec<Option<String>>>) -> Settings {
    let mut values = BTreeMap::new();
    for row in rows {
        if let Ok([Some(name), Some(value)]) = <[Option<String>; 2]>::try_from(row) {
            values.insert(name, value);
        }
    }
    Settings::new(values)
}

impl Session {
    /// Asks, behind a statement, for everything it may have changed: settings, what cannot be replayed, and
    /// whether the catalog is another.
    pub(super) fn refresh_query(&self) -> String {
        let mut sql = settings_query(&self.user);
        let catalog = self.catalog();
        let mentioned =
            catalog.objects().custom_settings.iter().filter(|it| !self.custom_settings.contains(*it));
        for name in self.custom_settings.iter().chain(mentioned) {
            let name = literal(name);
            sql.push_str(&format!(
                " UNION ALL SELECT {name}, pg_catalog.current_setting({name}, true) \
                 WHERE pg_catalog.current_setting({name}, true) IS NOT NULL"
            ));
        }
        sql.push_str(KEPT);
        if self.router.catalog.borrow().version() != CatalogVersion(0) && !self.is_passthrough() {
            sql.push_str(" UNION ALL SELECT '', 'catalog ' || howdah.catalog_version()");
        }
        sql
    }

    /// Reads the answer to [`Self::refresh_query`], and acts on it.
    pub(super) async fn take_refresh(&mut self) -> Result<()> {
        if self.transaction.opened(GroupId::COORDINATOR).is_none() {
            return Ok(());
        }
        let rows = match self.take_coordinator_rows().await {
            Ok(rows) => rows,
            // The statement failed in a block: what it did is seen after the rollback.
            Err(Error::Postgres(_)) => {
                self.suspect = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (kept, settings): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.first().is_some_and(|it| it.as_deref() == Some("")));
        self.kept = Kept::of(kept);
        let reported = settings_of(settings);
        if let Some(connection) = self.transaction.opened(GroupId::COORDINATOR) {
            connection.note_settings(reported.clone());
        }
        self.suspect = self.transaction.is_in_progress();
        let keeps = self.must_keep() || self.suspect;
        if let Some(connection) = self.transaction.opened(GroupId::COORDINATOR) {
            connection.taint(keeps);
        }
        self.set_settings(reported.or(&self.startup_settings));
        self.follow_catalog(self.kept.catalog).await
    }

    /// The rows of a query sent behind another. The portal of the one before it ends only now, and closes its
    /// cursors on live tables: the loopback must be served.
    pub(super) async fn take_coordinator_rows(&mut self) -> Result<Vec<Vec<Option<String>>>> {
        let mut answer = RowsAnswer::default();
        while self.transaction.opened(GroupId::COORDINATOR).is_some_and(|it| it.is_busy()) {
            answer.take(&self.next_coordinator_message().await?);
        }
        answer.rows()
    }

    /// What a block did to the session is certain only after its end.
    pub(super) async fn refresh_after_block(&mut self) -> Result<()> {
        if self.transaction.block() != Block::None {
            return Ok(());
        }
        // What is committed is seen by all, what is not by nobody.
        self.overlay = None;
        if !std::mem::take(&mut self.suspect) {
            return Ok(());
        }
        self.participant(GroupId::COORDINATOR).await?;
        self.refresh().await?;
        self.end_statement().await
    }

    /// Asks in a flight of its own, where the coordinator takes part already.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        let refresh = self.refresh_query();
        let Some(connection) = self.transaction.opened(GroupId::COORDINATOR) else { return Ok(()) };
        connection.queue_query(&refresh);
        connection.flush().await?;
        self.take_refresh().await
    }

    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.hash_settings();
    }

    /// Databases other than the group's are an ordinary PostgreSQL behind a relay: one backend per session.
    pub(super) fn is_passthrough(&self) -> bool {
        *self.database != *self.router.config.database
    }
}

/// State of a backend that no other backend can be given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Kept {
    /// Why the backend stays with the session.
    reasons: Vec<String>,
    /// Names of temporary relations: they come before others of the same name.
    pub(super) temporary: Vec<String>,
    /// The version of the catalog that the session sees.
    catalog: Option<CatalogVersion>,
}

impl Kept {
    fn of(rows: Vec<Vec<Option<String>>>) -> Self {
        let mut kept = Self::default();
        for row in rows {
            let Some(Some(value)) = row.into_iter().nth(1) else { continue };
            match value.split_once(' ') {
                Some(("temporary", name)) => kept.temporary.push(name.to_owned()),
                Some(("catalog", version)) => kept.catalog = version.parse().ok().map(CatalogVersion),
                _ => kept.reasons.push(value),
            }
        }
        kept
    }

    /// Whether there is something that SQL's PREPARE made.
    pub(super) fn has_statements(&self) -> bool {
        self.reasons.iter().any(|it| it == "statement")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reasons.is_empty() && self.temporary.is_empty()
    }
}

/// Rows with an empty name say what must be kept.
const KEPT: &str = " UNION ALL SELECT '', 'temporary ' || relname FROM pg_catalog.pg_class \
     WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND pg_catalog.pg_my_temp_schema() <> 0 \
     UNION ALL SELECT '', 'function' FROM pg_catalog.pg_proc \
     WHERE pronamespace = pg_catalog.pg_my_temp_schema() AND pg_catalog.pg_my_temp_schema() <> 0 \
     UNION ALL SELECT '', 'cursor' FROM pg_catalog.pg_cursors WHERE is_holdable \
     UNION ALL SELECT '', 'statement' FROM pg_catalog.pg_prepared_statements WHERE from_sql \
     UNION ALL SELECT '', 'listen' FROM pg_catalog.pg_listening_channels() \
     UNION ALL SELECT '', 'lock' FROM pg_catalog.pg_locks \
     WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()";
