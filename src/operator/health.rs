//! `/livez`, `/readyz`, `/metrics`.
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Serves until `stop`. One that does not lead is ready too: it waits for its turn.
pub(crate) async fn serve(
    listen: SocketAddr,
    registry: Registry,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()>, Error> {
    let listener = TcpListener::bind(listen).await.map_err(|it| Error::Listen(listen, it))?;
    let registry = Arc::new(registry);
    let routes = Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(async || "ok"))
        .route("/metrics", get(move || std::future::ready(metrics(&registry))));
    Ok(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::warn!(%error, "health endpoints");
        }
    })
}

fn metrics(registry: &Registry) -> impl IntoResponse + use<> {
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
