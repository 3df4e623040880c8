//! One turn of one server group: observe, decide, apply, tell.
use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use howdah_api::{ConditionType, RetentionPolicy, ServerGroup, ServerGroupStatus};
use howdah_group::{Action, Decision, Disruption, MemberName, NodeName, Phase, Setup, decide};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use tracing::info;

use crate::build::{self, Blueprint, Images, Login};
use crate::certificates::{Certificates, OperatorCertificate};
use crate::context::Context;
use crate::memory::Memory;
use crate::names::{DEFAULT_IMAGE, Names};
use crate::problem::{self, Problem};
use crate::settings;
use crate::situation;
use crate::snapshot::{PodFacts as _, Snapshot, is_ready, texts};
use crate::status::{self, Doing, Report};
use crate::survey::Survey;
use crate::work::{Work, describe};
use crate::{Error, objects, password, storage};

/// Whether to come back soon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    Soon,
    Later,
}

pub(crate) struct Turn<'a> {
    context: &'a Context,
    group: &'a ServerGroup,
    blueprint: Blueprint<'a>,
    snapshot: Arc<Snapshot>,
    memory: &'a mut Memory,
    /// The status that people see now.
    told: ServerGroupStatus,
    now: Timestamp,
}

impl<'a> Turn<'a> {
    pub(crate) async fn begin(
        context: &'a Context,
        group: &'a ServerGroup,
        memory: &'a mut Memory,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let names = Names { group: group.name_any(), namespace: group.namespace().unwrap_or_default() };
        let snapshot = Arc::new(Snapshot::take(&context.cluster, &names).await?);
        let images = images(context, group, &snapshot);
        let operator_namespace = context.config.in_cluster.then(|| context.config.namespace.clone());
        let blueprint = Blueprint { names, group, images, operator_namespace };
        let told = group.status.clone().unwrap_or_default();
        Ok(Self { context, group, blueprint, snapshot, memory, told, now })
    }

    pub(crate) async fn run(mut self) -> Result<Next, Error> {
        let spec = &self.group.spec;
        let nodes = situation::nodes(spec, &self.snapshot);
        let own_certificate = spec.tls.server_secret_name.is_empty();
        let names = self.blueprint.names.clone();
        let certificates =
            Certificates::ensure(&names, nodes.clone(), own_certificate, &self.snapshot, self.now)?;
        let link = OperatorCertificate::ensure(
            &mut self.memory.certificate,
            &names.group,
            &certificates.authority,
            self.now,
        )?;

        let survey = Survey::take(&link, &names, &spec.database, &self.snapshot).await;
        let settings =
            settings::bring(&link, &names, spec, nodes.iter().copied(), &self.snapshot, &survey).await;
        let (password, mut problems) = self.password().await?;
        problems.extend(settings.problems.iter().cloned());
        problems.extend(self.server_secret().await?);
        problems.extend(self.pod_problems(&nodes));

        let wanted = self.objects(&certificates, password.as_deref(), &nodes, &settings);
        problems.extend(objects::apply(&self.context.cluster, &wanted, &self.snapshot, self.memory).await?);
        problems.extend(self.grow(&nodes).await?);

        let (decision, serving) = self.decide(&survey, &mut problems);
        let (mut disruptions, waiting) = match spec.hibernate {
            true => (Vec::new(), 0),
            false => situation::disruptions(&self.blueprint, &self.snapshot, &survey),
        };
        if problems.iter().any(|it| it.condition == ConditionType::CertificatesReady) {
            // A pod that cannot mount its certificate would not come back.
            disruptions.retain(|it| it.0 != NodeName::Coordinator);
        }
        let mut report = self.report(&decision, &disruptions, waiting, problems);
        report.serving = serving;
        report.settled &= settings.problems.is_empty() && !settings.changed;
        self.tell(&survey, &report).await?;

        let snapshot = self.snapshot.clone();
        let work =
            Work { names: &names, spec, snapshot: &snapshot, link: &link, password: password.as_deref() };
        let mut failed = self.act(&work, &decision).await?;
        failed.extend(self.disrupt(&work, &disruptions).await?);
        if self.is_set_up(NodeName::Coordinator) {
            failed.extend(work.bring_password(self.memory).await.err());
        }
        let news = failed != self.memory.failed;
        self.memory.failed = failed;
        if news {
            let mut report = report.clone();
            report.problems.extend(self.memory.failed.iter().cloned());
            report.settled &= self.memory.failed.is_empty();
            self.tell(&survey, &report).await?;
        }
        if decision.actions.is_empty() {
            objects::prune(&self.context.cluster, &self.blueprint, &wanted, &self.snapshot).await?;
            self.drop_claims(&survey).await?;
        }
        let quiet = report.settled && !settings.changed && self.memory.failed.is_empty();
        Ok(if quiet { Next::Later } else { Next::Soon })
    }

    /// The administrator's password: of the user's Secret, or ours.
    async fn password(&self) -> Result<(Option<String>, Vec<Problem>), Error> {
        match password::find(&self.context.cluster, &self.blueprint.names, &self.group.spec, &self.snapshot)
            .await?
        {
            Ok(password) => Ok((Some(password), Vec::new())),
            Err(problem) => Ok((None, vec![problem])),
        }
    }

    /// A pod whose volume names a Secret that is not there waits for it without a word.
    async fn server_secret(&self) -> Result<Option<Problem>, Error> {
        let name = &self.group.spec.tls.server_secret_name;
        if name.is_empty() {
            return Ok(None);
        }
        let secret =
            self.context.cluster.api::<Secret>(&self.blueprint.names.namespace).get_opt(name).await?;
        let complete = secret.is_some_and(|it| {
            let data = texts(&it);
            data.contains_key("tls.crt") && data.contains_key("tls.key")
        });
        Ok((!complete).then(|| {
            let message = format!(
                "there is no Secret \"{name}\" with tls.crt and tls.key (spec.tls.serverSecretName). Create it, or leave the field empty."
            );
            Problem::new(ConditionType::CertificatesReady, "SecretMissing", message)
        }))
    }

    fn pod_problems(&self, nodes: &BTreeSet<NodeName>) -> Vec<Problem> {
        let pods = nodes.iter().filter_map(|node| Some((*node, self.snapshot.pods.get(node)?)));
        pods.filter_map(|(node, pod)| problem::of_pod(node, pod)).collect()
    }

    /// All objects but the StatefulSets of nodes that are yet to start; those come with their action.
    fn objects(
        &self,
        certificates: &Certificates,
        password: Option<&str>,
        nodes: &BTreeSet<NodeName>,
        settings: &settings::Outcome,
    ) -> Vec<DynamicObject> {
        let blueprint = &self.blueprint;
        let names = &blueprint.names;
        let authority = certificates.authority.as_issued();
        // The authority first: nothing may be signed by one that a crash makes forget.
        let mut objects = vec![build::certificate_secret(blueprint, &names.ca_secret(), &authority)];
        let issued = certificates.issued.iter();
        objects.extend(issued.map(|(name, it)| build::certificate_secret(blueprint, name, it)));
        if let Some(password) = password {
            let ca = &certificates.authority.certificate;
            objects.push(build::app_secret(blueprint, &Login { password, ca }));
        }
        objects.extend(build::services(blueprint, nodes.iter().copied()));
        let node_config = |node: &NodeName| {
            let settings = settings.settings.get(node).cloned();
            let settings = settings.unwrap_or_else(|| build::instance_settings(blueprint.spec(), *node));
            build::node_config(blueprint, *node, &settings)
        };
        objects.extend(nodes.iter().map(node_config));
        objects.extend(build::router_config(blueprint));
        objects.extend(build::network_policies(blueprint));
        objects.extend(build::routers(blueprint, self.snapshot.deployment.as_ref()));
        objects.extend(build::router_budget(blueprint));
        objects.extend(build::pod_monitor(blueprint));
        let existing = self.snapshot.stateful_sets.iter().filter(|it| nodes.contains(it.0));
        objects.extend(existing.map(|(node, it)| build::stateful_set(blueprint, *node, Some(it))));
        objects
    }

    async fn grow(&self, nodes: &BTreeSet<NodeName>) -> Result<Vec<Problem>, Error> {
        storage::grow(&self.context.cluster, &self.group.spec, nodes.iter().copied(), &self.snapshot).await
    }

    /// What to do, and whether all that should be there serves, whatever else is to change.
    fn decide(&self, survey: &Survey, problems: &mut Vec<Problem>) -> (Decision, bool) {
        let spec = &self.group.spec;
        let was_ready = self.group.status.as_ref().is_some_and(status::was_ready);
        let names = &self.blueprint.names;
        let observed = situation::observed(names, spec, &self.snapshot, survey, self.memory, was_ready);
        let mut decision = decide(&situation::desired(spec), &observed, situation::NOW);
        if let Some(problem) = situation::refused_removal(names, &observed, survey) {
            decision.actions.retain(|it| !matches!(it, Action::Remove(_)));
            problems.push(problem);
        }
        if spec.hibernate {
            // Sleeping nodes are there; what is not there yet begins to sleep with the rest.
            decision.actions.retain(|it| matches!(it, Action::Start(_)));
        }
        // What is in the catalog was set up once. That this process looks after it again stops nobody.
        let known = situation::known_nodes(names, spec, survey);
        let mut staying = observed;
        staying.setup.extend(known.into_iter().map(|it| (it, Setup::Done)));
        decision.phase = decide(&situation::desired(spec), &staying, situation::NOW).phase;
        staying.leaving.clear();
        let serving = decide(&situation::desired(spec), &staying, situation::NOW).phase == Phase::Ready;
        (decision, serving)
    }

    fn report(
        &self,
        decision: &Decision,
        disruptions: &[(NodeName, Disruption)],
        waiting: usize,
        mut problems: Vec<Problem>,
    ) -> Report {
        let mut doing: Vec<String> = decision.actions.iter().map(describe).collect();
        doing.extend(disruptions.iter().map(|(node, disruption)| match disruption {
            Disruption::ReplacePod => format!("replacing the pod of {node}"),
            Disruption::RestartPostgres => format!("restarting {node}"),
        }));
        if disruptions.is_empty() && waiting > 0 {
            doing.push(format!("{waiting} nodes wait for their turn to be replaced or restarted"));
        }
        let leaving = self.snapshot.stateful_sets.len() > self.blueprint.nodes().count();
        let scaling = leaving
            || self.has_leftovers()
            || decision.actions.iter().any(|it| {
                matches!(it, Action::Register(_) | Action::Remove(_) | Action::Stop(_) | Action::Start(_))
            })
            || self.new_worker_is_on_its_way();
        let kind = match (scaling, waiting > 0) {
            (true, _) => Doing::Scaling,
            (false, true) => Doing::Updating,
            (false, false) => Doing::Nothing,
        };
        problems.extend(self.memory.failed.iter().cloned());
        problems.sort();
        problems.dedup();
        let settled = decision.phase == Phase::Ready
            && waiting == 0
            && !self.group.spec.hibernate
            && situation::routers_serve(&self.group.spec, &self.snapshot)
            && !self.has_leftovers();
        Report { settled, serving: settled, doing, kind, problems }
    }

    /// Pods, and volumes that are to go, of workers that have left.
    fn has_leftovers(&self) -> bool {
        let wanted: BTreeSet<NodeName> = self.blueprint.nodes().collect();
        self.snapshot.pods.keys().any(|it| !wanted.contains(it)) || self.claims_to_drop().next().is_some()
    }

    /// Volumes of workers that the spec does not want any more. One that is older than the group was kept when another
    /// of the same name was deleted: it is not this group's to delete.
    fn claims_to_drop(&self) -> impl Iterator<Item = (NodeName, &PersistentVolumeClaim)> {
        let drops = self.group.spec.persistent_volume_claim_retention.when_scaled == RetentionPolicy::Delete;
        let wanted: BTreeSet<NodeName> = self.blueprint.nodes().collect();
        let born = self.group.metadata.creation_timestamp.clone();
        let claims = self.snapshot.claims.iter().map(|(node, claim)| (*node, claim));
        claims.filter(move |(node, claim)| {
            let made = &claim.metadata.creation_timestamp;
            drops && !wanted.contains(node) && claim.metadata.deletion_timestamp.is_none() && *made >= born
        })
    }

    /// A worker that the last status did not have in the catalog.
    fn new_worker_is_on_its_way(&self) -> bool {
        let Some(status) = &self.group.status else { return false };
        let known = |node: NodeName| {
            status.nodes.iter().any(|it| it.name == node.to_string() && it.group_id.is_some())
        };
        self.blueprint.nodes().any(|it| it != NodeName::Coordinator && !known(it))
    }

    async fn tell(&mut self, survey: &Survey, report: &Report) -> Result<(), Error> {
        let status =
            status::status(self.group, &self.blueprint.names, &self.snapshot, survey, report, self.now);
        self.context.tell(self.group, &self.told, &status).await?;
        self.told = status;
        Ok(())
    }

    async fn act(&mut self, work: &Work<'_>, decision: &Decision) -> Result<Vec<Problem>, Error> {
        let mut failed = Vec::new();
        for action in &decision.actions {
            if !matches!(action, Action::SetUp(_)) {
                info!(group = self.blueprint.names.group, action = describe(action), "acting");
            }
            match action {
                Action::Start(MemberName::Postgres(node)) => {
                    let object = build::stateful_set(&self.blueprint, *node, None);
                    failed.extend(
                        objects::apply(&self.context.cluster, &[object], &self.snapshot, self.memory).await?,
                    );
                }
                // It comes with the coordinator's pod.
                Action::Start(MemberName::Router) | Action::SetUp(_) => {}
                Action::Register(node) => failed.extend(work.register(*node).await.err()),
                Action::Remove(node) => failed.extend(work.remove(*node).await.err()),
                Action::Stop(MemberName::Postgres(node)) => self.stop(*node).await?,
                Action::Stop(MemberName::Router) => {}
            }
        }
        failed.extend(self.set_up(work, decision).await);
        Ok(failed)
    }

    /// Nodes do not wait for each other.
    async fn set_up(&mut self, work: &Work<'_>, decision: &Decision) -> Vec<Problem> {
        let nodes = decision.actions.iter().filter_map(|it| match it {
            Action::SetUp(node) => Some(*node),
            _ => None,
        });
        let mut failed = Vec::new();
        for (node, result) in join_all(nodes.map(|node| async move { (node, work.set_up(node).await) })).await
        {
            match result {
                Ok(pod) => {
                    info!(group = work.names.group, %node, "set up");
                    self.memory.set_up.insert(node, pod);
                }
                Err(problem) => failed.push(problem),
            }
        }
        failed
    }

    async fn stop(&self, node: NodeName) -> Result<(), Error> {
        match self.snapshot.stateful_sets.get(&node) {
            Some(it) => self.context.cluster.delete(it).await,
            None => Ok(()),
        }
    }

    async fn disrupt(
        &mut self,
        work: &Work<'_>,
        disruptions: &[(NodeName, Disruption)],
    ) -> Result<Vec<Problem>, Error> {
        let mut failed = Vec::new();
        for (node, disruption) in disruptions {
            info!(group = self.blueprint.names.group, %node, ?disruption, "interrupting");
            match disruption {
                Disruption::RestartPostgres => failed.extend(work.restart(*node).await.err()),
                Disruption::ReplacePod => {
                    if let Some(pod) = self.snapshot.pods.get(node) {
                        self.context.cluster.delete(pod).await?;
                    }
                }
            }
        }
        Ok(failed)
    }

    fn is_set_up(&self, node: NodeName) -> bool {
        let pod = self.snapshot.pods.get(&node);
        pod.is_some_and(|it| {
            self.memory.set_up.get(&node) == it.metadata.uid.as_ref()
                && is_ready(it, node)
                && !it.is_leaving()
        })
    }

    /// Volumes of workers that have left, if the spec lets go of them.
    async fn drop_claims(&self, survey: &Survey) -> Result<(), Error> {
        let Some(catalog) = &survey.catalog else { return Ok(()) };
        for (node, claim) in self.claims_to_drop() {
            // Whatever became of its pods: shards that the catalog still sees there are somebody's rows.
            let used = self.snapshot.stateful_sets.contains_key(&node)
                || self.snapshot.pods.contains_key(&node)
                || catalog.node(&self.blueprint.names.host(node)).is_some();
            if !used {
                info!(claim = claim.name_any(), "deleting the volume of a worker that has left");
                self.context.cluster.delete(claim).await?;
            }
        }
        Ok(())
    }
}

/// The spec's image; else the one that was the default when the group was made.
fn images(context: &Context, group: &ServerGroup, snapshot: &Snapshot) -> Images {
    let config = &context.config;
    let kept = snapshot
        .stateful_sets
        .get(&NodeName::Coordinator)
        .and_then(|it| it.annotations().get(DEFAULT_IMAGE).cloned());
    let default_postgres = kept.unwrap_or_else(|| config.postgres_image_of(&group.spec.postgres_version));
    let postgres = match group.spec.image.as_str() {
        "" => default_postgres.clone(),
        image => image.to_owned(),
    };
    Images {
        howdah: config.image.clone(),
        pull_policy: config.image_pull_policy.clone(),
        postgres,
        default_postgres,
    }
}

/// For groups that are left alone.
pub(crate) fn paused_status(group: &ServerGroup, now: Timestamp) -> ServerGroupStatus {
    status::paused(group, now)
}
