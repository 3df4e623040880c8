//! What is done to nodes over SQL and the control API.
use howdah_api::{ConditionType, ServerGroupSpec};
use howdah_group::{MemberName, NodeName};
use howdah_instance::pods::{COORDINATOR_PORT, LOOPBACK_DIR, POSTGRES_PORT};
use howdah_metadata::Worker;
use howdah_metadata::setup::{self, Coordinator, Kind, SetUp};
use howdah_pg::scram::Secret;
use tokio_postgres::Client;

use crate::link::{Link, Server, said};
use crate::memory::Memory;
use crate::names::Names;
use crate::problem::Problem;
use crate::snapshot::{PodFacts as _, Snapshot};

/// Everything that work on one group needs.
pub(crate) struct Work<'a> {
    pub(crate) names: &'a Names,
    pub(crate) spec: &'a ServerGroupSpec,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) link: &'a Link,
    /// Of the administrator, if it is known.
    pub(crate) password: Option<&'a str>,
}

impl Work<'_> {
    /// Roles, database, rights and SQL of a node; remembered by its pod.
    pub(crate) async fn set_up(&self, node: NodeName) -> Result<String, Problem> {
        let failed = |error: String| {
            Problem::new(ConditionType::Degraded, "SetUpFailed", format!("{node} cannot be set up: {error}"))
        };
        let pod = self.snapshot.pods.get(&node).ok_or_else(|| failed("its pod is gone".into()))?;
        let plan = SetUp {
            database: self.spec.database.clone(),
            admin_user: self.spec.admin_user.clone(),
            kind: self
                .kind(node)
                .ok_or_else(|| failed("the administrator's password is not known".into()))?,
        };
        let server = self.server(node).ok_or_else(|| failed("its pod has no address".into()))?;
        let client = self.link.connect(&server, "postgres").await.map_err(failed)?;
        setup::prepare_server(&client, &plan).await.map_err(|it| failed(said(&it)))?;
        let client = self.link.connect(&server, &plan.database).await.map_err(failed)?;
        setup::prepare_database(&client, &plan).await.map_err(|it| failed(said(&it)))?;
        Ok(pod.metadata.uid.clone().unwrap_or_default())
    }

    fn kind(&self, node: NodeName) -> Option<Kind> {
        match node {
            NodeName::Worker(_) => Some(Kind::Worker),
            NodeName::Coordinator => Some(Kind::Coordinator(Coordinator {
                admin_password: self.password?.to_owned(),
                superuser_password: None,
                loopback_dir: LOOPBACK_DIR.into(),
                host: self.names.host(node),
                port: COORDINATOR_PORT,
            })),
        }
    }

    /// The server of a node itself.
    fn server(&self, node: NodeName) -> Option<Server> {
        let ip = self.snapshot.pods.get(&node)?.ip()?.to_owned();
        let port = match node {
            NodeName::Coordinator => COORDINATOR_PORT,
            NodeName::Worker(_) => POSTGRES_PORT,
        };
        Some(Server { ip, port, name: self.names.host(node) })
    }

    /// Through the router in the coordinator's pod, which does the work on workers.
    async fn router(&self) -> Result<Client, String> {
        let pod = self.snapshot.pods.get(&NodeName::Coordinator);
        let ip = pod.and_then(|it| it.ip()).ok_or("the coordinator's pod has no address")?;
        self.link.connect(&Server::router(self.names, ip), &self.spec.database).await
    }

    pub(crate) async fn register(&self, node: NodeName) -> Result<(), Problem> {
        let failed = |error: String| {
            let message = format!("{node} cannot be added to the catalog: {error}");
            Problem::new(ConditionType::Degraded, "RegistrationFailed", message)
        };
        let router = self.router().await.map_err(failed)?;
        howdah_metadata::register(&router, &self.worker(node)).await.map_err(|it| failed(said(&it)))
    }

    pub(crate) async fn remove(&self, node: NodeName) -> Result<(), Problem> {
        let failed = |error: String| {
            let message = format!("{node} cannot leave: {error}");
            Problem::new(ConditionType::Degraded, "ScaleInRefused", message)
        };
        let router = self.router().await.map_err(failed)?;
        howdah_metadata::remove(&router, &self.worker(node)).await.map_err(|it| failed(said(&it)))
    }

    fn worker(&self, node: NodeName) -> Worker {
        Worker { host: self.names.host(node), port: POSTGRES_PORT, address: None }
    }

    /// Restarts PostgreSQL in its pod.
    pub(crate) async fn restart(&self, node: NodeName) -> Result<(), Problem> {
        let failed = |error: String| {
            Problem::new(
                ConditionType::Degraded,
                "RestartFailed",
                format!("{node} cannot be restarted: {error}"),
            )
        };
        let pod = self.snapshot.pods.get(&node);
        let ip = pod.and_then(|it| it.ip()).ok_or_else(|| failed("its pod has no address".into()))?;
        self.link.control(self.names, node, ip).restart().await.map_err(|it| failed(it.to_string()))?;
        Ok(())
    }

    /// The administrator logs in with what the Secret says, whatever it said before.
    pub(crate) async fn bring_password(&self, memory: &mut Memory) -> Result<(), Problem> {
        let Some(password) = self.password.filter(|it| memory.password.as_deref() != Some(*it)) else {
            return Ok(());
        };
        let failed = |error: String| {
            let message = format!("the administrator's password cannot be set: {error}");
            Problem::new(ConditionType::Degraded, "PasswordFailed", message)
        };
        let server = self.server(NodeName::Coordinator).ok_or_else(|| failed("no coordinator".into()))?;
        let client = self.link.connect(&server, "postgres").await.map_err(failed)?;
        let role = &self.spec.admin_user;
        let stored = client.query_opt(STORED_PASSWORD, &[role]).await;
        let stored: Option<String> = stored.map_err(|it| failed(said(&it)))?.and_then(|it| it.get(0));
        let fits = stored.and_then(|it| Secret::parse(&it).ok()).is_some_and(|it| it.fits(password));
        if !fits {
            setup::set_password(&client, role, password).await.map_err(|it| failed(said(&it)))?;
            tracing::info!(group = self.names.group, "the administrator has a new password");
        }
        memory.password = Some(password.to_owned());
        Ok(())
    }
}

const STORED_PASSWORD: &str = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1";

/// What a step is called while it is done.
pub(crate) fn describe(action: &howdah_group::Action) -> String {
    match action {
        howdah_group::Action::Start(MemberName::Postgres(node)) => format!("starting {node}"),
        howdah_group::Action::Start(MemberName::Router) => "starting the router".into(),
        howdah_group::Action::SetUp(node) => format!("setting {node} up"),
        howdah_group::Action::Register(node) => format!("adding {node} to the catalog"),
        howdah_group::Action::Remove(node) => format!("taking {node} out of the catalog"),
        howdah_group::Action::Stop(member) => format!("stopping {member}"),
    }
}
