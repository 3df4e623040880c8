//! The router's configuration, its process, and when it counts as ready.
use std::num::NonZeroUsize;
use std::process::Stdio;
use std::time::Duration;

use howdah_group::{MemberName, NodeName};
use howdah_instance::processes::{self, Program};
use serde_json::json;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Event;
use super::child::{Child, ended, spawn};
use super::plan::Plan;
use crate::connect::{RouterLogin, Server};
use crate::record::{Login, SUPERUSER};
use crate::{Error, ports};

/// Starts the router; it is ready when it answers a query of the administrator.
pub(super) fn start(plan: &Plan, events: &Sender<Event>, tasks: &mut JoinSet<()>) -> Result<Child, Error> {
    // A router whose supervisor was killed ends by itself; this one must not find its port taken.
    processes::kill_all(&plan.layout.member(MemberName::Router), Program::Howdah);
    let config = serde_json::to_string_pretty(&config(plan)).expect("a JSON value has only text keys");
    let (mut process, child) = spawn(plan, MemberName::Router, "router", &config, Stdio::null())?;
    let sender = events.clone();
    let login = plan.router_login(Login::Admin);
    let health = plan.router_login(Login::Superuser);
    let coordinator = plan.server(NodeName::Coordinator);
    let log = plan.layout.member_log(MemberName::Router);
    tasks.spawn(async move {
        let answers = async {
            while !login.answers().await {
                sleep(PROBE).await;
            }
            let _ = sender.send(Event::Ready(MemberName::Router, None)).await;
        };
        let watched = async {
            answers.await;
            watch(&health, &coordinator).await;
        };
        let reason = tokio::select! {
            status = process.wait() => last_line(&log).unwrap_or_else(|| ended(status)),
            () = watched => {
                let _ = process.kill().await;
                format!("it did not answer for {} s", 2 * DEADLINE.as_secs())
            }
        };
        let _ = sender.send(Event::Ended(MemberName::Router, reason)).await;
    });
    Ok(child)
}

/// Waits until the router hangs: it leaves a cheap query unanswered, and then the same one over a new connection too,
/// although the coordinator answers at once. One processor that is busy with one large statement does not make a router
/// that is to be killed with all its sessions. Errors are answers too, of a router that lives.
async fn watch(health: &RouterLogin, coordinator: &Server) {
    let mut session = None;
    let mut unanswered = 0;
    while unanswered < 2 {
        if unanswered == 0 {
            sleep(INTERVAL).await;
        }
        let asked = timeout(DEADLINE, async {
            let client = match session.take() {
                Some(client) => client,
                None => health.connect().await.ok()?,
            };
            client.simple_query("SELECT 1").await.is_ok().then_some(client)
        });
        match asked.await {
            Ok(client) => (session, unanswered) = (client, 0),
            Err(_) if coordinator_answers(coordinator).await => unanswered += 1,
            Err(_) => unanswered = 0,
        }
    }
}

async fn coordinator_answers(coordinator: &Server) -> bool {
    let asked = async { coordinator.connect("postgres").await?.simple_query("SELECT 1").await };
    matches!(timeout(DEADLINE, asked).await, Ok(Ok(_)))
}

/// What `howdah router --config` reads.
fn config(plan: &Plan) -> serde_json::Value {
    let (server, client) = (plan.pki.identity("router-server"), plan.pki.identity("router-client"));
    let coordinator = plan.server(NodeName::Coordinator);
    let pool = &plan.spec().router.pool;
    json!({
        "listen": ports::loopback_addresses(plan.record.port),
        "tls": {"certificate": server.certificate, "key": server.key},
        "coordinator": {"host": coordinator.socket_dir, "port": coordinator.port},
        "database": plan.record.database,
        "superuser": SUPERUSER,
        "loopback_socket": plan.run_dir.router_loopback(),
        "node_tls": {"ca": plan.pki.ca(), "certificate": client.certificate, "key": client.key},
        "pool": {"max_per_node": pool.default_pool_size, "busy_per_node": busy_per_node()},
        "limits": {"clients": pool.max_client_connections},
        "shutdown_grace": 1,
    })
}

/// All nodes are on this machine. Fewer statements at a time would leave processors idle between two of them.
fn busy_per_node() -> usize {
    4 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Why a router ended is what it wrote last.
fn last_line(log: &std::path::Path) -> Option<String> {
    let text = std::fs::read(log).ok()?;
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    tail.lines().rfind(|it| !it.trim().is_empty()).map(str::to_owned)
}

const PROBE: Duration = Duration::from_millis(30);
/// How often the router is asked whether it lives, and how long it may take to say so on a machine that is busy.
const INTERVAL: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(8);
