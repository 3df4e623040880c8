//! What the members say: instance managers about their servers, the coordinator about the catalog.
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use howdah_group::NodeName;
use howdah_instance::control::{State, Status};
use howdah_instance::pods::COORDINATOR_PORT;
use howdah_metadata::RegisteredNode;
use tokio::time::timeout;

use crate::link::{Link, Server};
use crate::names::{Names, POSTGRES};
use crate::snapshot::{PodFacts as _, Snapshot};

#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// Of nodes that answered.
    pub(crate) status: BTreeMap<NodeName, Status>,
    /// Unknown while the coordinator does not answer, or has no catalog yet.
    pub(crate) catalog: Option<Catalog>,
}

#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) nodes: Vec<RegisteredNode>,
    pub(crate) version: i64,
}

impl Catalog {
    pub(crate) fn node(&self, host: &str) -> Option<&RegisteredNode> {
        self.nodes.iter().find(|it| it.host == host)
    }
}

impl Survey {
    pub(crate) async fn take(link: &Link, names: &Names, database: &str, snapshot: &Snapshot) -> Self {
        let asked = snapshot.pods.iter().filter(|it| !it.1.is_leaving()).filter_map(|(node, pod)| {
            let control = link.control(names, *node, pod.ip()?);
            Some(async move {
                let asked = timeout(PATIENCE, control.status()).await;
                Some((*node, asked.ok()?.ok()?))
            })
        });
        let status = join_all(asked).await.into_iter().flatten().collect();
        Self { status, catalog: catalog(link, names, database, snapshot).await }
    }

    pub(crate) fn is_ready(&self, node: NodeName) -> bool {
        self.status.get(&node).is_some_and(|it| it.state == State::Ready)
    }
}

async fn catalog(link: &Link, names: &Names, database: &str, snapshot: &Snapshot) -> Option<Catalog> {
    let node = NodeName::Coordinator;
    let pod = snapshot.pods.get(&node).filter(|it| it.is_container_ready(POSTGRES))?;
    let server = Server { ip: pod.ip()?.to_owned(), port: COORDINATOR_PORT, name: names.host(node) };
    let client = link.connect(&server, database).await.ok()?;
    let nodes = howdah_metadata::registered_nodes(&client).await.ok()?;
    let version = howdah_metadata::catalog_version(&client).await.ok()?;
    Some(Catalog { nodes, version })
}

/// A server that does not answer holds up nobody else's turn.
const PATIENCE: Duration = Duration::from_secs(5);
