//! `kubectl howdah status`.
use howdah_api::{Condition, NodeStatus, Phase, ServerGroup};
use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::table::{or_none, table};

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    Json,
    Yaml,
}

pub(crate) async fn one(cluster: &Cluster, name: &str, format: Option<Format>) -> anyhow::Result<()> {
    let group = cluster.group(name).await?;
    print!("{}", text(&group, format, || overview(&group, Timestamp::now()))?);
    Ok(())
}

pub(crate) async fn all(cluster: &Cluster, format: Option<Format>) -> anyhow::Result<()> {
    let groups = cluster.all_groups().await?;
    if groups.is_empty() && format.is_none() {
        eprintln!("No server groups in namespace \"{}\".", cluster.namespace);
        return Ok(());
    }
    print!("{}", text(&groups, format, || list(&groups))?);
    Ok(())
}

fn text<T: Serialize>(
    value: &T,
    format: Option<Format>,
    people: impl Fn() -> String,
) -> anyhow::Result<String> {
    Ok(match format {
        None => people(),
        Some(Format::Json) => serde_json::to_string_pretty(value)? + "\n",
        Some(Format::Yaml) => serde_yaml::to_string(value)?,
    })
}

fn list(groups: &[ServerGroup]) -> String {
    let row = |group: &ServerGroup| {
        let status = group.status.clone().unwrap_or_default();
        [
            group.name().to_owned(),
            phase(status.phase),
            or_none(status.workers.map(|it| it.summary)),
            or_none(status.ha.map(|it| it.summary)),
            or_none(status.postgres_version),
            or_none(status.endpoint),
        ]
    };
    table(["NAME", "PHASE", "WORKERS", "HA", "PG", "ENDPOINT"], groups.iter().map(row))
}

/// Everything about one group on a page.
fn overview(group: &ServerGroup, now: Timestamp) -> String {
    let status = group.status.clone().unwrap_or_default();
    let mut text = format!("{}  {}\n", group.name(), phase(status.phase));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|it| !it.is_empty()) {
            text += &format!("  {name:<12}{value}\n");
        }
    };
    line("Endpoint", status.endpoint);
    line("PostgreSQL", status.postgres_version);
    line("Workers", status.workers.map(|it| it.summary));
    line("HA", status.ha.map(|it| it.summary));
    line("Rebalance", status.rebalance.and_then(|it| Some(format!("{:?}", it.state?))));
    line("Not seen yet", unseen(group, status.observed_generation));
    if !status.nodes.is_empty() {
        let header = ["NODE", "PHASE", "READY", "PRIMARY", "SHARDS", "DISK", "LAG"];
        text += &format!("\n{}", table(header, status.nodes.iter().map(node)));
    }
    if !status.conditions.is_empty() {
        let header = ["CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"];
        let rows = status.conditions.iter().map(|it| condition(it, now));
        text += &format!("\n{}", table(header, rows));
    }
    text
}

fn phase(phase: Option<Phase>) -> String {
    phase.map_or_else(|| "<not seen by an operator yet>".into(), |it| format!("{it:?}"))
}

/// The spec is newer than what the status tells about.
fn unseen(group: &ServerGroup, observed: Option<i64>) -> Option<String> {
    let (written, observed) = (group.metadata.generation?, observed?);
    (observed < written)
        .then(|| format!("the last change of the spec (generation {written}, seen {observed})"))
}

fn node(node: &NodeStatus) -> [String; 7] {
    let number = |it: Option<i64>| or_none(it.map(|it| it.to_string()));
    [
        node.name.clone(),
        format!("{:?}", node.phase),
        or_none(Some(node.ready.clone())),
        or_none(node.primary.clone()),
        number(node.shards.map(i64::from)),
        or_none(node.disk_used_percent.map(|it| format!("{it}%"))),
        number(node.lag),
    ]
}

fn condition(condition: &Condition, now: Timestamp) -> [String; 5] {
    [
        condition.type_.clone(),
        condition.status.clone(),
        age(now.duration_since(condition.last_transition_time.0).as_secs()),
        condition.reason.clone(),
        condition.message.clone(),
    ]
}

/// As kubectl writes ages: the largest unit.
fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{}s", seconds.max(0)),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
