//! `kubectl howdah logs`: the containers of a group's pods, each line with where it is from.
use anyhow::bail;
use futures::io::AsyncBufReadExt as _;
use futures::stream::{SelectAll, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;

use crate::cluster::Cluster;

#[derive(clap::Args)]
pub(crate) struct Logs {
    name: String,
    /// Only this node: coordinator, w0, w1, …
    #[arg(long)]
    node: Option<String>,
    /// Only this container: postgres or router.
    #[arg(short, long)]
    container: Option<String>,
    /// Go on with what is written from now on.
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each container to begin with.
    #[arg(long, default_value_t = 50)]
    tail: i64,
}

impl Logs {
    pub(crate) async fn run(&self, cluster: &Cluster) -> anyhow::Result<()> {
        cluster.group(&self.name).await?;
        let pods = cluster.pods_of(&self.name, self.node.as_deref()).await?;
        let mut lines = SelectAll::new();
        for (pod, container) in pods.iter().flat_map(containers).filter(|(_, it)| self.wants(it)) {
            let parameters = LogParams {
                container: Some(container.clone()),
                follow: self.follow,
                tail_lines: Some(self.tail),
                ..LogParams::default()
            };
            match cluster.pods().log_stream(&pod, &parameters).await {
                Ok(stream) => {
                    let source = format!("{pod}/{container}");
                    lines.push(Box::pin(stream.lines().map(move |line| (source.clone(), line))));
                }
                // A container that has not started has no log; the others have.
                Err(kube::Error::Api(status)) => eprintln!("{pod}/{container}: {}", status.message),
                Err(error) => return Err(error.into()),
            }
        }
        if lines.is_empty() {
            bail!("no pod with a log: see `kubectl howdah status {}`", self.name);
        }
        while let Some((source, line)) = lines.next().await {
            println!("{source} | {}", line?);
        }
        Ok(())
    }

    fn wants(&self, container: &str) -> bool {
        self.container.as_deref().is_none_or(|it| it == container)
    }
}

fn containers(pod: &Pod) -> Vec<(String, String)> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let containers = pod.spec.iter().flat_map(|it| &it.containers);
    containers.map(|it| (name.clone(), it.name.clone())).collect()
}
