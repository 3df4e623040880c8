//! The router's way into `howdah.open` and its like on the workers: their keys, and which owners' functions exist.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use howdah_catalog::GroupId;

use crate::error::{Error, Result};
use crate::pool::Pools;
use crate::server::ServerConnection;

/// Shared by all sessions of a router. A worker's key is read once, with superuser rights.
#[derive(Default)]
pub(crate) struct WorkerAccess {
    keys: Mutex<HashMap<GroupId, Arc<str>>>,
    owners: Mutex<HashSet<(GroupId, String)>>,
}

impl WorkerAccess {
    pub(crate) async fn key(&self, pools: &Pools, superuser: &str, group: GroupId) -> Result<Arc<str>> {
        let known = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&group).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let mut connection = pools.acquire(group, superuser).await?;
        self.learn_key(&mut connection, group).await
    }

    /// Reads the key over a connection of a superuser, which may be the transaction that has just made it.
    pub(super) async fn learn_key(
        &self,
        connection: &mut ServerConnection,
        group: GroupId,
    ) -> Result<Arc<str>> {
        let rows = connection.rows("SELECT key FROM howdah.live_key").await?;
        let key = rows.into_iter().next().and_then(|it| it.into_iter().next()).flatten();
        let key: Arc<str> = key
            .ok_or_else(|| Error::Internal(format!("node group {group} has no key for live tables")))?
            .into();
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(group, key.clone());
        Ok(key)
    }

    /// Makes sure that shards of this owner can be read on a worker. False if that is for the caller's transaction to do: the
    /// role, or what is to be made for it, may be its own work that has not committed.
    pub(crate) async fn own(
        &self,
        pools: &Pools,
        superuser: &str,
        group: GroupId,
        owner: &str,
    ) -> Result<bool> {
        let entry = (group, owner.to_owned());
        if self.owners.lock().unwrap_or_else(PoisonError::into_inner).contains(&entry) {
            return Ok(true);
        }
        let mut connection = pools.acquire(group, superuser).await?;
        // The key must not be in the text: roles that may monitor read it in pg_stat_activity.
        // It does not wait: the transaction that it would wait for may be the caller's own, which makes them itself then.
        let own = format!(
            "SET LOCAL lock_timeout = '100ms'; SELECT howdah.own(key, {}) FROM howdah.live_key",
            howdah_sql::quote_literal(owner)
        );
        match connection.run(&own).await {
            Ok(()) => {
                self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(entry);
                Ok(true)
            }
            // Nor has it seen what the caller's transaction has made of a new node.
            Err(error) if matches!(error.sqlstate().as_str(), "42704" | "55P03" | "42P01" | "3F000") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// After a worker has refused the key, or did not know an owner: it was made anew, or the owner changed.
    pub(crate) fn forget(&self, group: GroupId) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).retain(|it| it.0 != group);
    }
}
