//! `/metrics` and `/healthz`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use birl_logsource::{HealthState, LogSource};
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::failure::Failure;

/// What the endpoints show.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) registry: Registry,
    pub(crate) sources: Vec<Arc<dyn LogSource>>,
    /// `observe`, `act` or `tail`.
    pub(crate) mode: &'static str,
}

/// Binds at once, so that a port in use is an error at the start; serves until the runtime ends.
pub(crate) async fn serve(listen: &str, served: Served) -> Result<std::net::SocketAddr, Failure> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "stop what listens there, or choose another `listen` address"
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege; choose a higher one"
            }
            _ => "write it as HOST:PORT, such as 127.0.0.1:9464",
        };
        Failure::input(format!("cannot listen on `{listen}`: {error}\n  = help: {remedy}"))
    })?;
    let address = listener.local_addr().map_err(Failure::own)?;
    let app = axum::Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .with_state(served);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the metrics endpoint ended");
        }
    });
    tracing::info!(%address, "serving /metrics and /healthz");
    Ok(address)
}

async fn metrics(State(served): State<Served>) -> Response {
    match TextEncoder::new().encode_to_string(&served.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// 200 while every source is ready, waiting or degraded; 503 when one has failed.
async fn healthz(State(served): State<Served>) -> Response {
    let mut failed = false;
    let mut sources = serde_json::Map::new();
    for source in &served.sources {
        let (state, reason, lag_bytes) = match source.health_check().await {
            Ok(health) => {
                failed |= health.state == HealthState::Failed;
                (format!("{:?}", health.state).to_lowercase(), health.reason, health.lag_bytes)
            }
            Err(error) => {
                failed = true;
                ("failed".to_owned(), Some(error.to_string()), None)
            }
        };
        let shown = json!({ "state": state, "reason": reason, "lag_bytes": lag_bytes });
        sources.insert(source.origin().id().to_owned(), shown);
    }
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body: Value = json!({ "mode": served.mode, "sources": sources });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body:#}\n")).into_response()
}
