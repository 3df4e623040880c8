//! Taking the locks: on all workers at once where nobody commits, and one after the other where somebody does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use howdah_catalog::GroupId;
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field};

use super::{Hold, Post, Reader};
use crate::error::{Error, Result};
use crate::pool::PooledConnection;
use crate::router::Router;
use crate::settings::Settings;

const AT_ONCE: &str = "BEGIN; LOCK TABLE howdah.fence IN SHARE MODE NOWAIT";
/// A commit takes milliseconds; one that takes longer may have lost its router, and is looked at.
const IN_TURN: &str = "BEGIN; SET LOCAL lock_timeout = '1s'; LOCK TABLE howdah.fence IN SHARE MODE";
/// After this the reader is told.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn raise(
    router: &Router,
    post: &Arc<Post>,
    reader: &Reader,
    groups: &BTreeSet<GroupId>,
) -> Result<Hold> {
    let started = Instant::now();
    loop {
        let mut connections = Vec::new();
        for group in groups {
            connections.push(connection(router, post, reader, *group).await?);
        }
        let Some(refused) = at_once(&mut connections).await? else {
            return Ok(Hold::new(post.clone(), connections));
        };
        match in_turn(reader, &mut connections[refused..]).await {
            Ok(()) => return Ok(Hold::new(post.clone(), connections)),
            Err((group, Error::Postgres(fields))) if fields.code() == SqlState::LOCK_NOT_AVAILABLE => {
                // Gives the locks back that others may wait for.
                drop(Hold::new(post.clone(), connections));
                if DEADLINE < started.elapsed() {
                    return Err(undecided());
                }
                router.recovery.suspect(group);
                router.recovery.ensure_resolved(router, group).await?;
            }
            Err((_, error)) => return Err(error),
        }
    }
}

/// Asks all workers at once; the first that refused, whose lock and those of all later ones are given back.
async fn at_once(connections: &mut [PooledConnection]) -> Result<Option<usize>> {
    for connection in &mut *connections {
        connection.queue_query(AT_ONCE);
        connection.flush().await?;
    }
    let mut refused = None;
    let mut failed = None;
    for (index, connection) in connections.iter_mut().enumerate() {
        match connection.finish().await {
            Ok(()) => {}
            Err(Error::Postgres(fields)) if fields.code() == SqlState::LOCK_NOT_AVAILABLE => {
                refused.get_or_insert(index);
            }
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(first) = refused {
        for connection in &mut connections[first..] {
            connection.queue_query("ROLLBACK");
            connection.flush().await?;
        }
        for connection in &mut connections[first..] {
            connection.finish().await?;
        }
    }
    Ok(refused)
}

/// Waits for them in the order of the nodes.
async fn in_turn(reader: &Reader, connections: &mut [PooledConnection]) -> Result<(), (GroupId, Error)> {
    for connection in connections {
        if let Some(targets) = &reader.targets {
            connection.attach(targets);
        }
        let locked = connection.run(IN_TURN).await;
        connection.detach();
        locked.map_err(|error| (connection.group(), error))?;
    }
    Ok(())
}

/// One that is idle here, or of the pool.
async fn connection(
    router: &Router,
    post: &Post,
    reader: &Reader,
    group: GroupId,
) -> Result<PooledConnection> {
    let address = router.pools.address(group)?;
    while let Some(mut connection) = post.take_idle(group) {
        let ended = connection.finish().await;
        if ended.is_ok()
            && connection.is_clean()
            && connection.is_alive()
            && connection.target().address == address
        {
            return Ok(connection);
        }
    }
    let mut connection = router.pools.acquire_on(reader.core, group, &router.config.superuser).await?;
    // A superuser's session may have had it.
    connection.queue_settings(&Settings::default());
    if connection.has_prologue() {
        connection.queue_sync();
        connection.flush().await?;
        connection.finish().await?;
    }
    Ok(connection)
}

fn undecided() -> Error {
    let message = "could not read all nodes at one moment";
    let mut fields = ErrorFields::error(SqlState::SERIALIZATION_FAILURE, message);
    fields.set(Field::Detail, "A transaction that commits on several nodes has not ended on all of them.");
    fields.set(
        Field::Hint,
        "Try again later, or read with \"howdah.consistent_reads\" off, which may show a part of it.",
    );
    fields.into()
}
