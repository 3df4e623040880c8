//! A ServerGroup of a test: what its status says, and what its SQL answers.
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ApiResource, ListParams, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::scene::{Scene, is_ready};
use crate::wait::{eventually, seconds, until};

/// One statement, or a short script.
const STATEMENT: Duration = seconds(60);

pub(crate) struct Group<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) name: String,
}

impl<'a> Group<'a> {
    pub(crate) fn new(scene: &'a Scene, name: &str) -> Self {
        Self { scene, name: name.to_owned() }
    }

    pub(crate) fn kind() -> ApiResource {
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("howdah.dev", "v1alpha1", "ServerGroup"),
            "servergroups",
        )
    }

    pub(crate) async fn until(
        &self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&DynamicObject) -> bool,
    ) -> Result<DynamicObject> {
        let found =
            until(&self.scene.groups(), &self.name, what, deadline, |it| it.is_some_and(&condition)).await?;
        Ok(found.expect("the condition holds for existing ones only"))
    }

    /// Waits until the operator has seen the newest spec and says that it is in force.
    pub(crate) async fn ready_within(&self, deadline: Duration) -> Result<DynamicObject> {
        self.until("is Ready, with its newest spec in force", deadline, |it| {
            let status = &it.data["status"];
            status["phase"] == "Ready" && status["observedGeneration"].as_i64() == it.metadata.generation
        })
        .await
    }

    pub(crate) async fn patch(&self, spec: Value) -> Result<()> {
        let patch = Patch::Merge(serde_json::json!({"spec": spec}));
        self.scene.groups().patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    pub(crate) async fn scale(&self, workers: u32) -> Result<()> {
        let (name, replicas) = (format!("sg/{}", self.name), format!("--replicas={workers}"));
        self.scene.kubectl(&["scale", &name, &replicas]).await.map(drop)
    }

    /// Waits for a condition and an Event of the group that say this, in any case of letters.
    pub(crate) async fn complains(&self, words: &[&str], deadline: Duration) -> Result<()> {
        let what = format!("has a condition that says {words:?}");
        self.until(&what, deadline, |it| {
            let conditions = it.data["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|it| says(&it.to_string(), words)))
        })
        .await?;
        eventually(&format!("an Event that says {words:?}"), seconds(30), async || {
            let events = self.events().await?;
            ensure!(events.iter().any(|it| says(it, words)), "the Events are {events:#?}");
            Ok(())
        })
        .await
    }

    /// Reason and message of each Event about the group.
    pub(crate) async fn events(&self) -> Result<Vec<String>> {
        let about = format!("involvedObject.kind=ServerGroup,involvedObject.name={}", self.name);
        let events = self.scene.api::<Event>().list(&ListParams::default().fields(&about)).await?;
        let text =
            |it: Event| format!("{} {}", it.reason.unwrap_or_default(), it.message.unwrap_or_default());
        Ok(events.items.into_iter().map(text).collect())
    }

    pub(crate) async fn pods(&self) -> Result<Vec<Pod>> {
        self.scene.pods(&format!("howdah.dev/server-group={}", self.name)).await
    }

    /// The pods of the group that are about to go do not count; all others must be ready.
    pub(crate) async fn pods_are_ready(&self, number: usize) -> Result<()> {
        let pods = self.pods().await?;
        let ready = pods.iter().filter(|it| is_ready(it)).count();
        ensure!(ready == number && pods.len() == number, "{ready} of {} pods are ready", pods.len());
        Ok(())
    }

    /// psql by the secret's uri, from inside the cluster: rows by line, columns by `|`.
    pub(crate) async fn sql(&self, script: &str) -> Result<String> {
        let uri = self.scene.secret(&format!("{}-app", self.name), "uri").await?;
        self.sql_by(&uri, script).await
    }

    pub(crate) async fn sql_by(&self, uri: &str, script: &str) -> Result<String> {
        let psql = format!("PGCONNECT_TIMEOUT=5 exec psql -XqAt -v ON_ERROR_STOP=1 '{uri}'");
        let said = self.scene.in_client(&psql, script, STATEMENT).await?;
        if !said.success {
            bail!("psql: {}", said.stderr.trim());
        }
        Ok(said.stdout.trim().to_owned())
    }

    pub(crate) async fn answers(&self, script: &str, expected: &str) -> Result<()> {
        let answer = self.sql(script).await?;
        ensure!(answer == expected, "expected {expected:?}, got {answer:?}: {script}");
        Ok(())
    }

    /// A distributed, a reference and a local table with known rows.
    pub(crate) async fn fill(&self) -> Result<()> {
        self.sql(FILL).await.map(drop).context("filling the tables")
    }

    /// All of it is there, whoever died since.
    pub(crate) async fn has_its_data(&self) -> Result<()> {
        self.answers(COUNT, FILLED).await
    }

    pub(crate) async fn has_its_data_within(&self, deadline: Duration) -> Result<()> {
        eventually("all data", deadline, async || self.has_its_data().await).await
    }
}

fn says(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|it| text.contains(&it.to_lowercase()))
}

const FILL: &str = "
CREATE TABLE kept (tenant_id int, id bigint, PRIMARY KEY (tenant_id, id));
SELECT create_distributed_table('kept', 'tenant_id');
INSERT INTO kept SELECT i % 97, i FROM generate_series(1, 5000) i;
CREATE TABLE codes (code int PRIMARY KEY, name text);
SELECT create_reference_table('codes');
INSERT INTO codes SELECT i, 'code ' || i FROM generate_series(1, 50) i;
CREATE TABLE settings (key text PRIMARY KEY, value text);
INSERT INTO settings VALUES ('theme', 'dark');
";
const COUNT: &str =
    "SELECT count(*), sum(id), (SELECT count(*) FROM codes), (SELECT value FROM settings) FROM kept";
const FILLED: &str = "5000|12502500|50|dark";

#[cfg(test)]
mod tests {
    use super::says;

    #[test]
    fn complaints_are_found_in_any_case() {
        assert!(says("Parameter wrok_mem is Unknown", &["WROK_MEM", "unknown"]));
        assert!(!says("Parameter work_mem", &["work_mem", "unknown"]));
    }
}
