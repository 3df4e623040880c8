//! A cluster of three k8s nodes that kind makes in docker.
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Access, Faults, Provider, Side, ask, perform};
use crate::images::{Images, Tagged, stripped};

const NAME: &str = "howdah-e2e";
const CONTROL_PLANE: &str = "howdah-e2e-control-plane";
const NETWORK: &str = "kind";
const CONFIG: &str = "kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}, {role: worker}]
";
/// What the binary is put on: the C library that it was linked with, or a newer one.
const DOCKERFILE: &str = "FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 && rm -rf /var/lib/apt/lists/*
COPY howdah /usr/local/bin/howdah
USER 65532
ENTRYPOINT [\"/usr/local/bin/howdah\"]
";
const POSTGRES: [&str; 2] = ["postgres:16", NEWEST];
const NEWEST: &str = "postgres:17";
/// The same by another name.
const UPDATE: &str = "postgres:17-update";

pub(super) struct Kind;

impl Provider for Kind {
    fn check(&self) -> Result<()> {
        for command in [["docker", "info"], ["kind", "version"], ["kubectl", "help"], ["helm", "version"]] {
            let output = Command::new(command[0]).arg(command[1]).output();
            let answers = output.is_ok_and(|it| it.status.success());
            if !answers {
                bail!("`{}` does not answer", command.join(" "));
            }
        }
        Ok(())
    }

    fn up(&self) -> Result<Access> {
        let kubeconfig = std::env::temp_dir().join("howdah-e2e-kind.kubeconfig");
        if !ask(Command::new("kind").args(["get", "clusters"]))?.lines().any(|it| it == NAME) {
            let mut config = tempfile::NamedTempFile::new()?;
            config.write_all(CONFIG.as_bytes())?;
            let mut create = Command::new("kind");
            create
                .args(["create", "cluster", "--name", NAME, "--wait", "120s", "--config"])
                .arg(config.path());
            perform(create.arg("--kubeconfig").arg(&kubeconfig))?;
        }
        let mut export = Command::new("kind");
        perform(export.args(["export", "kubeconfig", "--name", NAME, "--kubeconfig"]).arg(&kubeconfig))?;
        Ok(Access { kubeconfig, programs: None })
    }

    fn down(&self) -> Result<()> {
        perform(Command::new("kind").args(["delete", "cluster", "--name", NAME]))
    }

    fn images(&self, binary: &Path) -> Result<Images> {
        let directory = tempfile::tempdir()?;
        let stripped = stripped(binary, directory.path())?;
        let image = Tagged::of_binary("howdah.test/howdah", &stripped)?;
        std::fs::write(directory.path().join("Dockerfile"), DOCKERFILE)?;
        let mut build = Command::new("docker");
        perform(build.args(["build", "--tag", &image.to_string()]).arg(directory.path()))?;
        for postgres in POSTGRES {
            perform(Command::new("docker").args(["pull", "--quiet", postgres]))?;
        }
        perform(Command::new("docker").args(["tag", NEWEST, UPDATE]))?;
        let mut load = Command::new("kind");
        load.args(["load", "docker-image", "--name", NAME, &image.to_string(), UPDATE]);
        perform(load.args(POSTGRES))?;
        Images::new(image, POSTGRES.into_iter().chain([UPDATE]))
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }
}

impl Faults for Kind {
    /// The cable first, so that no connection is closed.
    fn power_off(&self, k8s_node: &str) -> Result<()> {
        disconnect(k8s_node)?;
        docker(&["kill", k8s_node])
    }

    fn power_on(&self, k8s_node: &str) -> Result<()> {
        docker(&["start", k8s_node])?;
        docker(&["network", "connect", NETWORK, k8s_node])
    }

    fn partition(&self, k8s_node: &str, from: Side) -> Result<()> {
        match from {
            Side::All => disconnect(k8s_node),
            Side::Api => drop_packets(k8s_node, &[CONTROL_PLANE.to_owned()]),
            Side::Peers => {
                let nodes = ask(Command::new("kind").args(["get", "nodes", "--name", NAME]))?;
                let peers = nodes.lines().filter(|it| *it != k8s_node && *it != CONTROL_PLANE);
                drop_packets(k8s_node, &peers.map(str::to_owned).collect::<Vec<_>>())
            }
        }
    }

    fn heal(&self, k8s_node: &str) -> Result<()> {
        // Only one of the two was done; the other has nothing to undo.
        let _ = docker(&["exec", k8s_node, "nft", "delete", "table", "inet", "howdah-partition"]);
        let connected = ask(Command::new("docker").args([
            "inspect",
            "--format",
            "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}",
            k8s_node,
        ]))?;
        if connected.split_whitespace().any(|it| it == NETWORK) {
            return Ok(());
        }
        docker(&["network", "connect", NETWORK, k8s_node])
    }

    fn pause_control_plane(&self) -> Result<()> {
        docker(&["kill", CONTROL_PLANE])
    }

    fn resume_control_plane(&self) -> Result<()> {
        docker(&["start", CONTROL_PLANE])
    }
}

fn docker(arguments: &[&str]) -> Result<()> {
    perform(Command::new("docker").args(arguments))
}

fn disconnect(k8s_node: &str) -> Result<()> {
    docker(&["network", "disconnect", "--force", NETWORK, k8s_node])
}

/// A filter in the k8s node itself, before its pods' packets are forwarded.
fn drop_packets(k8s_node: &str, others: &[String]) -> Result<()> {
    let mut rules = String::from("table inet howdah-partition {\n");
    let addresses = others.iter().map(|it| address(it)).collect::<Result<Vec<_>>>()?.join(", ");
    for hook in ["input", "output", "forward"] {
        rules.push_str(&format!(
            "chain {hook} {{ type filter hook {hook} priority -300; ip saddr {{ {addresses} }} drop; ip daddr {{ {addresses} }} drop; }}\n"
        ));
    }
    rules.push_str("}\n");
    let mut child = Command::new("docker")
        .args(["exec", "-i", k8s_node, "nft", "-f", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    child.stdin.take().context("it is piped")?.write_all(rules.as_bytes())?;
    if !child.wait()?.success() {
        bail!("nft failed on {k8s_node}");
    }
    Ok(())
}

fn address(k8s_node: &str) -> Result<String> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    ask(Command::new("docker").args(["inspect", "--format", format, k8s_node]))
}
