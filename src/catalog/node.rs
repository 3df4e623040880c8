//! Nodes as `pg_dist_node` knows them.

use crate::{GroupId, NodeId};

/// The primary of one node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    pub id: NodeId,
    pub group: GroupId,
    /// `nodename`, as users see it.
    pub name: String,
    pub port: u16,
    /// Where to connect if not to `name`; one that starts with `/` is the directory of a Unix socket.
    pub address: Option<String>,
    pub active: bool,
    pub should_have_shards: bool,
}

impl Node {
    /// The host to connect to.
    pub fn host(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.name)
    }
}
