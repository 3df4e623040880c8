//! A server becomes a node: how `citus_add_node` reaches one that no catalog has yet. All that is done there belongs to the
//! session's own transaction, so that a failure leaves nothing behind.

use howdah_catalog::GroupId;
use howdah_pg::wire::{ErrorFields, Field};
use serde_json::{Value as Json, json};

use super::host::Host;
use super::live::Live;
use crate::config::NodeAddress;
use crate::error::{Error, Result};
use crate::recovery;

impl Live {
    /// Opens the transaction on a server and runs a query of a superuser there.
    pub(super) async fn introduce<H: Host>(
        &mut self,
        host: &mut H,
        group: GroupId,
        address: NodeAddress,
        sql: &str,
    ) -> Result<Json> {
        if !host.may_write() {
            return Err(Error::not_supported("cannot add a node here", "Connect to the router's own port."));
        }
        let named = format!("{}:{}", address.host, address.port);
        host.router().pools.introduce(group, address);
        let rows = match host.worker(group).await {
            Ok(connection) => connection.rows(sql).await?,
            Err(error) => return Err(unreachable(&named, error)),
        };
        Ok(json!({ "rows": rows }))
    }

    /// Puts our SQL there. Only for a server that is no part of another group.
    pub(super) async fn install<H: Host>(&mut self, host: &mut H, group: GroupId) -> Result<Json> {
        let router = host.router();
        recovery::resolve_attempts(&router, group).await?;
        let connection = host.worker(group).await?;
        connection.run("SELECT").await?;
        connection.run(&howdah_metadata::worker_script()).await?;
        router.live.forget(group);
        router.live.learn_key(connection, group).await?;
        host.writes(group);
        Ok(json!({}))
    }
}

/// What kept us from a server that has no number yet that anybody knows.
fn unreachable(node: &str, error: Error) -> Error {
    let reason = match &error {
        Error::Connect { reason, .. } => reason.clone(),
        Error::Postgres(fields) => fields.message().into_owned(),
        _ => return error,
    };
    let message = format!("could not connect to node {node}: {reason}");
    let mut fields = ErrorFields::error(error.sqlstate(), message);
    fields.set(
        Field::Hint,
        "A node must be reachable by the router, accept its certificate, and have the group's database and superuser.",
    );
    fields.into()
}
