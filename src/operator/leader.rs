//! Drives [`crate::lease`] against a Lease object, and lets others ask whether this process leads.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::Error;
use crate::lease::{Action, Claim, Election, Event, Record};

/// Whether this process may act; cheap to ask before every write.
#[derive(Clone)]
pub(crate) struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Leadership {
    pub(crate) fn new() -> Self {
        Self { until: Arc::default() }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let until = *self.until.lock().expect("nobody panics while holding it");
        if until.is_some_and(|it| Instant::now() < it) { Ok(()) } else { Err(Error::NotLeader) }
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().expect("nobody panics while holding it") = until;
    }
}

/// Takes part in elections until `shutdown`, then lets go. `leads` follows.
pub(crate) struct Candidate {
    api: Api<Lease>,
    election: Election,
    leadership: Leadership,
    leads: watch::Sender<bool>,
    begin: Instant,
}

impl Candidate {
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        identity: String,
        leadership: Leadership,
        leads: watch::Sender<bool>,
    ) -> Self {
        let election = Election::new(identity, DURATION);
        Self { api: Api::namespaced(client, namespace), election, leadership, leads, begin: Instant::now() }
    }

    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut event = Event::Tick;
        while !shutdown.is_cancelled() {
            let action = self.election.handle(event, self.begin.elapsed());
            self.publish();
            event = match action {
                Action::Wait(wait) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = self.lapse() => {}
                        () = shutdown.cancelled() => {}
                    }
                    self.publish();
                    Event::Tick
                }
                action => self.perform(&action).await,
            };
        }
        if let Some(action) = self.election.release(self.begin.elapsed()) {
            self.publish();
            self.perform(&action).await;
            info!("released the lease");
        }
    }

    /// When the lease ends that was not renewed.
    async fn lapse(&self) {
        match self.election.leading_until() {
            Some(until) if self.election.leads(self.begin.elapsed()) => {
                tokio::time::sleep_until(self.begin + until).await;
            }
            _ => std::future::pending().await,
        }
    }

    fn publish(&self) {
        let now = self.begin.elapsed();
        let until = self.election.leading_until().filter(|_| self.election.leads(now));
        self.leadership.set(until.map(|it| self.begin + it));
        let leads = until.is_some();
        if self.leads.send_if_modified(|it| std::mem::replace(it, leads) != leads) {
            info!(leads, "leadership");
        }
    }

    async fn perform(&self, action: &Action) -> Event {
        let sent = self.begin.elapsed();
        // An answer that takes as long as the lease lasts is worth nothing.
        let asked = timeout(DURATION / 3, self.ask(action, sent));
        match asked.await {
            Ok(Ok(event)) => event,
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
                debug!(message = status.message, "somebody else was faster");
                Event::Conflict
            }
            Ok(Err(error)) => {
                warn!(%error, "the lease");
                Event::Failed
            }
            Err(_) => {
                warn!("the lease: no answer from the API server");
                Event::Failed
            }
        }
    }

    async fn ask(&self, action: &Action, sent: Duration) -> Result<Event, kube::Error> {
        let lease = match action {
            Action::Read => {
                let lease = self.api.get_opt(NAME).await?;
                return Ok(Event::Read(lease.as_ref().map(record)));
            }
            Action::Create(claim) => self.api.create(&PostParams::default(), &object(claim, None)).await?,
            Action::Replace(claim, version) => {
                self.api.replace(NAME, &PostParams::default(), &object(claim, Some(version))).await?
            }
            Action::Wait(_) => unreachable!("waiting needs no server"),
        };
        Ok(Event::Written { record: record(&lease), sent })
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|it| u64::try_from(it).ok());
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: seconds.map_or(DURATION, Duration::from_secs),
        transitions: spec.lease_transitions.unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn object(claim: &Claim, version: Option<&str>) -> Lease {
    let now = Some(MicroTime(Timestamp::now()));
    Lease {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            resource_version: version.map(str::to_owned),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(claim.holder.clone()),
            lease_duration_seconds: i32::try_from(claim.duration.as_secs()).ok(),
            lease_transitions: Some(claim.transitions),
            acquire_time: now.clone(),
            renew_time: now,
            ..LeaseSpec::default()
        }),
    }
}

const NAME: &str = "howdah-operator";
const DURATION: Duration = Duration::from_secs(15);
