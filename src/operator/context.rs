//! What all turns share.
use howdah_api::{ServerGroup, ServerGroupStatus};
use kube::api::DynamicObject;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{debug, info};

use crate::cluster::Cluster;
use crate::config::OperatorConfig;
use crate::memory::Memories;
use crate::metrics::Metrics;
use crate::{Error, events};

pub(crate) struct Context {
    pub(crate) cluster: Cluster,
    pub(crate) config: OperatorConfig,
    pub(crate) memories: Memories,
    pub(crate) metrics: Metrics,
    reporter: Reporter,
}

impl Context {
    pub(crate) fn new(cluster: Cluster, config: OperatorConfig, metrics: Metrics) -> Self {
        let reporter =
            Reporter { controller: "howdah-operator".into(), instance: Some(config.identity.clone()) };
        Self { cluster, config, memories: Memories::default(), metrics, reporter }
    }

    /// Writes the status if it says something else than before, and Events about what is different.
    pub(crate) async fn tell(
        &self,
        group: &ServerGroup,
        before: &ServerGroupStatus,
        now: &ServerGroupStatus,
    ) -> Result<(), Error> {
        if before == now {
            return Ok(());
        }
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": ServerGroup::api_version(&()),
            "kind": ServerGroup::kind(&()),
            "metadata": {"name": group.name_any(), "namespace": group.namespace()},
            "status": now,
        }))
        .expect("a status has only text keys");
        self.cluster.apply_status(&object).await?;
        let reference = group.object_ref(&());
        // A recorder takes an Event of the same reason for the one before, and would go on showing the old note.
        let recorder = Recorder::new(self.cluster.client(), self.reporter.clone());
        for event in events::between(before, now) {
            info!(group = group.name_any(), reason = event.reason, note = event.note, "event");
            // People can read the condition as well; an Event that is lost is no reason to stop.
            if let Err(error) = recorder.publish(&event, &reference).await {
                debug!(%error, "cannot write an Event");
            }
        }
        Ok(())
    }
}
