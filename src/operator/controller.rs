//! Calls a turn whenever something of a group has changed, and now and then.
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use howdah_api::{ServerGroup, ServerGroupOperation};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::NamespaceResourceScope;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, watcher};
use kube::{Api, Resource, ResourceExt as _};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::context::Context;
use crate::names::{GROUP, MANAGED_BY};
use crate::turn::{Next, Turn, paused_status};
use crate::{Error, operation};

/// Controls all groups in all namespaces that are to be watched, until `stop`; turns that have begun are ended.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let namespaces = &context.config.watch_namespaces;
    let scopes: Vec<Option<&str>> = match namespaces.as_slice() {
        [] => vec![None],
        named => named.iter().map(|it| Some(it.as_str())).collect(),
    };
    let groups = scopes.iter().map(|it| groups(&context, *it, &stop));
    let operations = scopes.iter().map(|it| operations(&context, *it, &stop));
    tokio::join!(join_all(groups), join_all(operations));
}

async fn groups(context: &Arc<Context>, namespace: Option<&str>, stop: &CancellationToken) {
    let labelled = watcher::Config::default().labels(&format!("{MANAGED_BY}=howdah"));
    Controller::new(api::<ServerGroup>(context, namespace), watcher::Config::default())
        .with_config(Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY))
        .owns(api::<StatefulSet>(context, namespace), labelled.clone())
        .owns(api::<Deployment>(context, namespace), labelled.clone())
        .owns(api::<Service>(context, namespace), labelled.clone())
        .owns(api::<ConfigMap>(context, namespace), labelled.clone())
        .owns(api::<Secret>(context, namespace), labelled.clone())
        .owns(api::<NetworkPolicy>(context, namespace), labelled.clone())
        // These two belong to StatefulSets; their label says which group is meant.
        .watches(api::<Pod>(context, namespace), labelled.clone(), |it| group_of(&it))
        .watches(api::<PersistentVolumeClaim>(context, namespace), labelled, |it| group_of(&it))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile, on_error, context.clone())
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(%error, "controller");
            }
        })
        .await;
}

async fn operations(context: &Arc<Context>, namespace: Option<&str>, stop: &CancellationToken) {
    Controller::new(api::<ServerGroupOperation>(context, namespace), watcher::Config::default())
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(operation::reconcile, |_, error, _| retry("operation", error), context.clone())
        .for_each(|_| std::future::ready(()))
        .await;
}

fn api<K>(context: &Context, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(context.cluster.client(), namespace),
        None => Api::all(context.cluster.client()),
    }
}

fn group_of<K: Resource>(object: &K) -> Option<ObjectRef<ServerGroup>> {
    let name = object.labels().get(GROUP)?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

async fn reconcile(group: Arc<ServerGroup>, context: Arc<Context>) -> Result<Action, Error> {
    let uid = group.uid().unwrap_or_default();
    if group.metadata.deletion_timestamp.is_some() {
        // All that belongs to it goes with it, by its owner references.
        context.memories.forget(&uid);
        return Ok(Action::await_change());
    }
    context.cluster.leadership().check()?;
    let begin = Instant::now();
    let result = turn(&group, &context, &uid).await;
    context.metrics.turn(begin.elapsed(), result.is_ok());
    match result? {
        Next::Soon => Ok(Action::requeue(SOON)),
        Next::Later => Ok(Action::requeue(LATER)),
    }
}

async fn turn(group: &ServerGroup, context: &Context, uid: &str) -> Result<Next, Error> {
    let now = Timestamp::now();
    if group.spec.paused {
        let before = group.status.clone().unwrap_or_default();
        context.tell(group, &before, &paused_status(group, now)).await?;
        return Ok(Next::Later);
    }
    let mut memory = context.memories.of(uid).await;
    // On the heap: turns of many groups run at once.
    Box::pin(Turn::begin(context, group, &mut memory, now).await?.run()).await
}

#[allow(clippy::needless_pass_by_value)] // as kube calls it
fn on_error(group: Arc<ServerGroup>, error: &Error, _: Arc<Context>) -> Action {
    retry(&group.name_any(), error)
}

fn retry(name: &str, error: &Error) -> Action {
    warn!(name, %error, "a turn could not be ended");
    Action::requeue(RETRY)
}

/// Changes come in bursts: one turn sees them all.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Turns at once; one may wait long for a server that copies tables.
const CONCURRENCY: u16 = 64;
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(5);
