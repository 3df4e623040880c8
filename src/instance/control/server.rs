//! The two servers.
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::tls_listener::TlsListener;
use super::{Failure, SettingsRequest, State};
use crate::shared::{Command, Refusal, Shared};
use crate::{ControlConfig, Error};

pub(crate) struct Server {
    api: TlsListener,
    probes: TcpListener,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) async fn bind(config: &ControlConfig, shared: Arc<Shared>) -> Result<Self, Error> {
        let bind = |address: std::net::SocketAddr| async move {
            TcpListener::bind(address).await.map_err(Error::file("listen on", address.to_string()))
        };
        let api = TlsListener::new(bind(config.api).await?, shared.clone());
        Ok(Self { api, probes: bind(config.probes).await?, shared })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self) -> std::io::Result<()> {
        let probes = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .with_state(self.shared.clone());
        let api = Router::new()
            .route("/v1/status", get(status))
            .route("/v1/settings", put(settings))
            .route("/v1/restart", post(restart))
            .with_state(self.shared);
        tokio::try_join!(axum::serve(self.probes, probes), axum::serve(self.api, api))?;
        Ok(())
    }
}

async fn readyz(Extract(shared): Extract<Arc<Shared>>) -> Response {
    match shared.state() {
        State::Ready => "ok\n".into_response(),
        other => (StatusCode::SERVICE_UNAVAILABLE, format!("{other:?}\n")).into_response(),
    }
}

async fn status(Extract(shared): Extract<Arc<Shared>>) -> Response {
    Json(shared.status().await).into_response()
}

async fn settings(
    Extract(shared): Extract<Arc<Shared>>,
    Json(SettingsRequest { settings }): Json<SettingsRequest>,
) -> Response {
    let (reply, answer) = oneshot::channel();
    let asked = shared.commands.send(Command::Apply { settings, reply }).await.is_ok();
    let answered = async { if asked { answer.await.ok() } else { None } };
    match answered.await {
        Some(Ok(applied)) => Json(applied).into_response(),
        Some(Err(Refusal::Wrong(refused))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response()
        }
        Some(Err(Refusal::NotReady(error))) => failure(StatusCode::CONFLICT, error),
        Some(Err(Refusal::Failed(error))) => failure(StatusCode::INTERNAL_SERVER_ERROR, error),
        None => failure(StatusCode::SERVICE_UNAVAILABLE, "the instance manager is stopping".to_owned()),
    }
}

async fn restart(Extract(shared): Extract<Arc<Shared>>) -> Response {
    let (reply, ready) = oneshot::channel();
    let _ = shared.commands.send(Command::Restart { reply }).await;
    match timeout(RESTART, ready).await {
        Ok(Ok(())) => status(Extract(shared)).await,
        Ok(Err(_)) => failure(StatusCode::SERVICE_UNAVAILABLE, "the instance manager is stopping".to_owned()),
        Err(_) => {
            let reason = shared.status().await.reason;
            let error = reason.unwrap_or_else(|| "the server is still starting".to_owned());
            failure(StatusCode::INTERNAL_SERVER_ERROR, error)
        }
    }
}

fn failure(status: StatusCode, error: String) -> Response {
    (status, Json(Failure { error })).into_response()
}

/// For a last checkpoint, and crash recovery if it took too long.
const RESTART: Duration = Duration::from_secs(300);
