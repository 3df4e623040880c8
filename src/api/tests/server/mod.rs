//! A Kubernetes API server and its etcd, and nothing else: what validates objects.
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client, Config};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::programs;

/// Both end when this is dropped.
pub(crate) struct Server {
    pub(crate) client: Client,
    _processes: Vec<Child>,
    _directory: tempfile::TempDir,
}

impl Server {
    /// `None` where there are no programs.
    pub(crate) async fn start() -> Option<Self> {
        let programs = programs::directory_with(&["etcd", "kube-apiserver"])?;
        let server = Self::start_from(&programs).await;
        server.install_crds().await;
        Some(server)
    }

    async fn start_from(programs: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        std::fs::write(path("key.pub"), key.public_key_pem()).unwrap();
        std::fs::write(path("tokens"), format!("{TOKEN},admin,1,system:masters\n")).unwrap();
        let etcd_url = format!("http://127.0.0.1:{}", free_port());
        let port = free_port();
        let etcd = start(
            &programs.join("etcd"),
            &path("etcd.log"),
            &[
                format!("--data-dir={}", path("etcd")),
                "--unsafe-no-fsync".into(),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls=http://127.0.0.1:{}", free_port()),
            ],
        );
        let mut api_server = start(
            &programs.join("kube-apiserver"),
            &path("api.log"),
            &[
                format!("--etcd-servers={etcd_url}"),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={port}"),
                format!("--cert-dir={}", path("certificates")),
                format!("--token-auth-file={}", path("tokens")),
                "--authorization-mode=RBAC".into(),
                "--disable-admission-plugins=ServiceAccount".into(),
                "--service-cluster-ip-range=10.96.0.0/16".into(),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-key-file={}", path("key.pub")),
                format!("--service-account-signing-key-file={}", path("key")),
            ],
        );
        let mut config = Config::new(format!("https://127.0.0.1:{port}").parse().unwrap());
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(TOKEN.to_owned().into());
        let client = Client::try_from(config).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = has_default_namespace(&client).await {
            let log = || std::fs::read_to_string(path("api.log")).unwrap_or_default();
            let alive = Instant::now() < deadline && api_server.try_wait().unwrap().is_none();
            assert!(alive, "the API server does not answer: {error:?}\n{}", log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Self { client, _processes: vec![etcd, api_server], _directory: directory }
    }

    async fn install_crds(&self) {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        for (name, crd) in howdah_api::crds() {
            let crd: CustomResourceDefinition = serde_json::from_value(crd).unwrap();
            if let Err(error) = api.create(&PostParams::default(), &crd).await {
                panic!("{name} is refused: {error}");
            }
        }
        let deadline = Instant::now() + PATIENCE;
        for kind in ["ServerGroup", "ServerGroupNode", "ServerGroupOperation"] {
            while let Err(error) = self.objects(kind).list(&kube::api::ListParams::default()).await {
                assert!(Instant::now() < deadline, "{kind} is not served: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Objects as the API server sees them, not as our structs would write them.
    pub(crate) fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let kind = kube::core::GroupVersionKind::gvk("howdah.dev", "v1alpha1", kind);
        Api::namespaced_with(self.client.clone(), "default", &ApiResource::from_gvk(&kind))
    }

    /// What the API server says to this new object; nothing is stored.
    pub(crate) async fn try_create(&self, object: &Value) -> Result<Value, String> {
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        self.send(object, &parameters).await
    }

    pub(crate) async fn create(&self, object: &Value) -> Result<Value, String> {
        self.send(object, &PostParams::default()).await
    }

    async fn send(&self, object: &Value, parameters: &PostParams) -> Result<Value, String> {
        let api = self.objects(object["kind"].as_str().unwrap());
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let stored = api.create(parameters, &object).await.map_err(|error| message(&error))?;
        Ok(serde_json::to_value(stored).unwrap())
    }

    /// What it says to this object in the place of the one of that name.
    pub(crate) async fn try_replace(&self, object: &Value) -> Result<(), String> {
        let api = self.objects(object["kind"].as_str().unwrap());
        let mut object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let name = object.metadata.name.clone().unwrap();
        object.metadata.resource_version = api.get(&name).await.unwrap().metadata.resource_version;
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        api.replace(&name, &parameters, &object).await.map(drop).map_err(|error| message(&error))
    }
}

fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("the API server is away: {other}"),
    }
}

async fn has_default_namespace(client: &Client) -> Result<(), kube::Error> {
    let namespaces = Api::<k8s_openapi::api::core::v1::Namespace>::all(client.clone());
    namespaces.get("default").await.map(drop)
}

fn start(program: &Path, log: &str, arguments: &[String]) -> Child {
    let log = std::fs::File::create(log).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.kill_on_drop(true).spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const TOKEN: &str = "a-token-of-this-test";
const PATIENCE: Duration = Duration::from_secs(120);
