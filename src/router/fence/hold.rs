//! Locks that are held, and how they go.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use howdah_pg::SqlState;
use howdah_pg::wire::{ErrorFields, Field};

use super::Post;
use crate::error::{Error, Result};
use crate::pool::PooledConnection;

/// The locks on some workers, until it is dropped.
pub(crate) struct Hold {
    post: Arc<Post>,
    connections: Vec<PooledConnection>,
}

/// A snapshot takes no longer than this, unless it waits for somebody who perhaps waits for the locks in turn: planning a
/// query waits for DDL on partitions and indexes.
const PATIENCE: Duration = Duration::from_secs(5);

impl Hold {
    pub(super) fn new(post: Arc<Post>, connections: Vec<PooledConnection>) -> Self {
        Self { post, connections }
    }

    /// Takes snapshots under these locks, which go as soon as they are there.
    pub(crate) async fn cover<T>(this: Arc<Self>, snapshots: impl Future<Output = Result<T>>) -> Result<T> {
        let mut snapshots = std::pin::pin!(snapshots);
        tokio::select! {
            biased;
            result = &mut snapshots => return result,
            () = tokio::time::sleep(PATIENCE) => {}
        }
        drop(this);
        snapshots.await?;
        Err(too_late())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for mut connection in self.connections.drain(..) {
            connection.queue_query("COMMIT");
            // What cannot be sent at once is closed instead, and the lock goes with it.
            if matches!(connection.flush().now_or_never(), Some(Ok(()))) {
                self.post.put_idle(connection);
            }
        }
    }
}

fn too_late() -> Error {
    let message = "could not read all nodes at one moment";
    let mut fields = ErrorFields::error(SqlState::SERIALIZATION_FAILURE, message);
    fields.set(Field::Detail, "A snapshot had to wait for another transaction.");
    fields.set(Field::Hint, "Run the transaction again.");
    fields.into()
}
