//! Who may talk to a worker: only who holds a certificate of the group, from a pod that may reach it at all.
use anyhow::{Result, ensure};
use serde_json::json;

use crate::group::Group;
use crate::scene::Scene;
use crate::wait::{eventually, seconds};

const WORKER: &str = "demo-w0-0.demo-w0";

pub(super) async fn workers_talk_to_certificates_only(scene: &Scene) -> Result<()> {
    let spec = json!({"workers": {"count": 1}, "networking": {"networkPolicy": "Off"}});
    let group = scene.group("demo", spec).await?;
    group.ready_within(seconds(120)).await?;
    group.fill().await?;
    let password = scene.secret("demo-app", "password").await?;
    let user = scene.secret("demo-app", "username").await?;
    for (who, setting) in
        [("postgres", "sslmode=require"), ("postgres", "sslmode=disable"), (&user, "sslmode=require")]
    {
        refused(
            scene,
            &format!("PGPASSWORD='{password}'"),
            &format!("user={who} {setting}"),
            "pg_hba|certificate",
        )
        .await?;
    }
    // A certificate that says the right name, of an authority that the group does not know.
    let forge = "cd /tmp && openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=postgres -keyout forged.key -out forged.crt 2>/dev/null && chmod 600 forged.key && ";
    let forged = format!("{forge} PGPASSWORD='{password}'");
    let settings = "user=postgres sslmode=require sslcert=/tmp/forged.crt sslkey=/tmp/forged.key";
    refused(scene, &forged, settings, "unknown ca|certificate|alert").await?;
    // Nor does the instance manager obey strangers.
    let control = format!(
        "openssl s_client -connect {WORKER}:8009 -brief </dev/null; echo; exec 3<>/dev/tcp/{WORKER}/8009 && printf 'GET /v1/status HTTP/1.0\\r\\n\\r\\n' >&3 && timeout 5 cat <&3"
    );
    let said = scene.in_client(&control, "", seconds(30)).await?;
    ensure!(!said.stdout.contains("postgresVersion"), "the control API answers a stranger: {}", said.stdout);
    group.has_its_data().await
}

/// A connection to the worker's Postgres is refused, and by the reason that is meant.
async fn refused(scene: &Scene, before: &str, settings: &str, reasons: &str) -> Result<()> {
    let psql = format!(
        "{before} PGCONNECT_TIMEOUT=5 psql -XqAt -c 'SELECT 1' 'host={WORKER} port=5432 dbname=app {settings}'"
    );
    let said = scene.in_client(&psql, "", seconds(30)).await?;
    ensure!(!said.success, "a worker lets {settings} in");
    let expected = reasons.split('|').any(|it| said.stderr.contains(it));
    ensure!(expected, "refused for another reason ({settings}): {}", said.stderr);
    Ok(())
}

pub(super) async fn network_policy_keeps_strangers_out(scene: &Scene) -> Result<()> {
    let group = scene.group("demo", json!({"workers": {"count": 1}})).await?;
    group.ready_within(seconds(120)).await?;
    group.answers("SELECT 1", "1").await?;
    eventually("the worker is out of reach", seconds(30), async || {
        ensure!(!reaches(&group, WORKER, 5432).await?, "a stranger reaches the worker");
        ensure!(!reaches(&group, WORKER, 8009).await?, "a stranger reaches the worker's instance manager");
        ensure!(
            !reaches(&group, "demo-c-0.demo-c", 6432).await?,
            "a stranger reaches the coordinator's Postgres"
        );
        Ok(())
    })
    .await?;
    ensure!(reaches(&group, "demo", 5432).await?, "the Service is out of reach");
    Ok(())
}

async fn reaches(group: &Group<'_>, host: &str, port: u16) -> Result<bool> {
    let knock = format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{host}/{port}'");
    Ok(group.scene.in_client(&knock, "", seconds(20)).await?.success)
}
