//! `howdah operator`.
use std::net::SocketAddr;
use std::process::ExitCode;

use howdah_instance::Lifeline;
use howdah_operator::OperatorConfig;

use crate::process;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The operator's own image: init containers bring the binary from it into pods.
    #[arg(long, env = "HOWDAH_IMAGE")]
    image: String,
    #[arg(long, env = "HOWDAH_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    image_pull_policy: String,
    /// For server groups that name no image. {version} in it stands for spec.postgresVersion.
    #[arg(long, env = "HOWDAH_POSTGRES_IMAGE", default_value = "docker.io/library/postgres:{version}")]
    postgres_image: String,
    /// Namespaces whose server groups are looked after; none means all.
    #[arg(long, env = "HOWDAH_WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Where the operator runs, and its lease is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Its name in the lease and in Events.
    #[arg(long, env = "POD_NAME", default_value = "howdah-operator")]
    identity: String,
    /// /livez, /readyz and /metrics.
    #[arg(long, env = "HOWDAH_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    crate::log();
    let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let config = OperatorConfig {
        image: arguments.image,
        image_pull_policy: arguments.image_pull_policy,
        postgres_image: arguments.postgres_image,
        watch_namespaces: arguments.watch_namespaces.into_iter().filter(|it| !it.is_empty()).collect(),
        namespace: arguments.namespace,
        in_cluster,
        identity: arguments.identity,
        listen: arguments.listen,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let operator = async |shutdown| howdah_operator::run(config, shutdown).await;
    runtime.block_on(process::until_told(Lifeline::None, operator))?;
    Ok(ExitCode::SUCCESS)
}
