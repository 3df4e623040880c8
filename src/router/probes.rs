//! Plain HTTP for the kubelet and for Prometheus: whether the router lives, whether it serves, and what it has in hand.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::router::Router;

/// Answers until `shutdown`.
pub(crate) async fn run(listener: TcpListener, router: Arc<Router>, shutdown: CancellationToken) {
    let service = axum::Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(router);
    let serving = axum::serve(listener, service).into_future();
    tokio::select! {
        result = serving => if let Err(error) = result {
            tracing::error!(%error, "probes are not answered any more");
        },
        () = shutdown.cancelled() => {}
    }
}

pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Ready from the first catalog on. While the coordinator is away it stays so: clients rather wait than find nobody.
async fn readyz(State(router): State<Arc<Router>>) -> Response {
    let why = if router.shutdown.is_cancelled() {
        "stopping\n"
    } else if router.catalog.borrow().version().0 == 0 {
        "waiting for the coordinator\n"
    } else {
        return "ok\n".into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn metrics(State(router): State<Arc<Router>>) -> Response {
    let version = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (version, text(&router)).into_response()
}

/// In Prometheus' text format.
fn text(router: &Router) -> String {
    let catalog = router.catalog.borrow().clone();
    let open = router.cancels.count() as u64;
    let all = router.sessions.load(std::sync::atomic::Ordering::Relaxed);
    let mut text = String::new();
    for (name, kind, help, value) in [
        ("howdah_router_sessions", "gauge", "Sessions of clients.", open),
        ("howdah_router_sessions_total", "counter", "Sessions since the router began.", all),
        (
            "howdah_router_session_limit",
            "gauge",
            "Sessions that are allowed.",
            router.config.limits.clients as u64,
        ),
        (
            "howdah_router_tables",
            "gauge",
            "Distributed and reference tables.",
            catalog.tables().count() as u64,
        ),
        ("howdah_router_workers", "gauge", "Workers in the catalog.", catalog.workers().count() as u64),
        (
            "howdah_router_catalog_version",
            "gauge",
            "Version of the catalog.",
            catalog.version().0.cast_unsigned(),
        ),
    ] {
        put(&mut text, name, kind, help, [(String::new(), value)]);
    }
    let open = router.pools.open_connections();
    let open = open.into_iter().map(|(group, count)| (format!("{{group=\"{group}\"}}"), count as u64));
    put(
        &mut text,
        "howdah_router_server_connections",
        "gauge",
        "Connections to nodes, by their group.",
        open,
    );
    text
}

fn put(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, u64)>,
) {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a String cannot fail");
    for (labels, value) in values {
        writeln!(text, "{name}{labels} {value}").expect("writing to a String cannot fail");
    }
}
