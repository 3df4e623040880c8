//! The cluster as the person's kubeconfig has it, and errors that say what to do.
use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use howdah_api::ServerGroup;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::Target;

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    pub(crate) async fn connect(target: &Target) -> anyhow::Result<Self> {
        let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
        let config = match &target.kubeconfig {
            Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await,
            None => Config::from_kubeconfig(&options).await,
        };
        let config = config.context("no cluster: set KUBECONFIG, or see `kubectl config get-contexts`")?;
        let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        Ok(Self { client: Client::try_from(config)?, namespace })
    }

    pub(crate) fn groups(&self) -> Api<ServerGroup> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn group(&self, name: &str) -> anyhow::Result<ServerGroup> {
        match self.groups().get_opt(name).await.map_err(|error| self.explain(error))? {
            Some(group) => Ok(group),
            None => Err(self.no_group(name).await),
        }
    }

    pub(crate) async fn all_groups(&self) -> anyhow::Result<Vec<ServerGroup>> {
        let groups = self.groups().list(&ListParams::default()).await;
        Ok(groups.map_err(|error| self.explain(error))?.items)
    }

    async fn no_group(&self, name: &str) -> anyhow::Error {
        let known = match self.all_groups().await {
            Ok(groups) => groups,
            Err(error) => return error,
        };
        let known: Vec<_> = known.iter().map(ServerGroup::name).collect();
        let hint = if known.is_empty() { "has none".into() } else { format!("has {}", known.join(", ")) };
        anyhow!("there is no server group \"{name}\": namespace \"{}\" {hint}", self.namespace)
    }

    /// The pods of one node, or of the whole group, that are there.
    pub(crate) async fn pods_of(&self, group: &str, node: Option<&str>) -> anyhow::Result<Vec<Pod>> {
        let node = node.map(|it| format!(",howdah.dev/node={it}")).unwrap_or_default();
        let selector = format!("howdah.dev/server-group={group}{node}");
        Ok(self.pods().list(&ListParams::default().labels(&selector)).await?.items)
    }

    pub(crate) async fn app_secret(&self, group: &str) -> anyhow::Result<AppSecret> {
        let name = format!("{group}-app");
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let Some(secret) = secrets.get_opt(&name).await? else {
            self.group(group).await?;
            bail!("the secret \"{name}\" is not there yet: see `kubectl howdah status {group}`");
        };
        let data = secret.data.unwrap_or_default().into_iter();
        let data = data.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect();
        Ok(AppSecret { name, data })
    }

    fn explain(&self, error: kube::Error) -> anyhow::Error {
        match error {
            kube::Error::Api(status) if status.code == 404 => {
                anyhow!("this cluster knows no server groups: install Howdah first (docs/installing.md)")
            }
            kube::Error::Api(status) => anyhow!("namespace \"{}\": {}", self.namespace, status.message),
            other => anyhow!(other).context("the API server does not answer"),
        }
    }
}

/// What applications get to connect.
pub(crate) struct AppSecret {
    name: String,
    data: BTreeMap<String, String>,
}

impl AppSecret {
    pub(crate) fn text(&self, key: &str) -> anyhow::Result<&str> {
        let text =
            self.data.get(key).with_context(|| format!("the secret \"{}\" has no \"{key}\"", self.name))?;
        Ok(text)
    }
}
