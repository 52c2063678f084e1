//! Health and metrics: `/healthz`, `/readyz`, `/metrics`.
//!
//! A program that waits for its turn (another one leads, or owns the volume) is alive and ready, and has no resources to
//! tell of.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::figures::{LastUsage, register};
use super::plain;
use crate::metrics::Metrics;
use crate::reconcile::{Cluster, Context};

/// What the answer of `/metrics` is (OpenMetrics 1.0).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What every name begins with.
const PREFIX: &str = "vmcatcher";

/// What is told of one program. Cheap to clone.
#[derive(Clone, Default)]
pub struct Monitor {
    metrics: Metrics,
    watched: Arc<OnceLock<Box<dyn Watched>>>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitor")
    }
}

impl Monitor {
    /// Where the program counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on the resources of this context are told of, for as long as somebody else holds it. The first one
    /// counts.
    pub fn watch<C: Cluster>(&self, context: &Arc<Context<C>>) {
        let watched = Watching { context: Arc::downgrade(context), usage: LastUsage::default() };
        self.watched.get_or_init(|| Box::new(watched));
    }

    /// All metrics as OpenMetrics text.
    pub fn text(&self, now: Timestamp) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        self.metrics.register(&mut registry);
        if let Some(watched) = self.watched.get() {
            watched.register(&mut registry, now);
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    /// What keeps the program from its work.
    fn trouble(&self) -> Option<String> {
        self.watched.get().and_then(|watched| watched.trouble())
    }
}

/// A context, wherever its resources live.
trait Watched: Send + Sync {
    fn register(&self, registry: &mut Registry, now: Timestamp);
    fn trouble(&self) -> Option<String>;
}

/// The context is not held: who owns the volume lets go of it when the work ends.
struct Watching<C: Cluster> {
    context: Weak<Context<C>>,
    usage: LastUsage,
}

impl<C: Cluster> Watched for Watching<C> {
    fn register(&self, registry: &mut Registry, now: Timestamp) {
        if let Some(context) = self.context.upgrade() {
            register(&context, &self.usage, registry, now);
        }
    }

    fn trouble(&self) -> Option<String> {
        let context = self.context.upgrade()?;
        context.cluster.awaits().or_else(|| context.volume.available().err().map(|error| error.to_string()))
    }
}

/// The routes: `/healthz`, `/readyz`, `/metrics`.
pub fn monitor_router(monitor: Monitor) -> Router {
    Router::new()
        .route("/healthz", get(async || plain(StatusCode::OK, "alive")))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(monitor)
}

async fn ready(State(monitor): State<Monitor>) -> Response<Body> {
    // A volume that hangs must not hold the other answers.
    match tokio::task::spawn_blocking(move || monitor.trouble()).await {
        Ok(None) => plain(StatusCode::OK, "ready"),
        Ok(Some(trouble)) => plain(StatusCode::SERVICE_UNAVAILABLE, &trouble),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn metrics(State(monitor): State<Monitor>) -> Response<Body> {
    let text = tokio::task::spawn_blocking(move || monitor.text(Timestamp::now())).await;
    match text.map_err(|error| error.to_string()).and_then(|text| text.map_err(|error| error.to_string())) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            response
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}
