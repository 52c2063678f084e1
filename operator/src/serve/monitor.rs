//! Health and metrics: `/healthz`, `/readyz`, `/metrics`.
//!
//! A program that waits for its turn (another one leads, or owns the volume) is alive and ready, and has no resources to
//! tell of.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use jiff::Timestamp;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::exposition::Exposition;
use super::figures::{LastUsage, register};
use super::listening::App;
use super::{plain, process};
use crate::metrics::Metrics;
use crate::reconcile::Context;
use crate::store::Cluster;

/// Pages of figures that are made at once: each takes a thread, and a while where there are many objects.
const PAGES: usize = 2;
/// Whoever asks may wait so long for a page, or for the page before it.
const PATIENCE: Duration = Duration::from_secs(30);
/// A volume that does not answer within this is not there: a probe waits for 5 s.
const PROMPT: Duration = Duration::from_secs(3);
/// What every name begins with.
const PREFIX: &str = "vmcatcher";

/// What is told of one program. Cheap to clone.
#[derive(Clone)]
pub struct Monitor {
    metrics: Metrics,
    watched: Arc<OnceLock<Box<dyn Watched>>>,
    /// Who may make a page of figures.
    pages: Arc<Semaphore>,
    /// Who may look at the volume.
    looks: Arc<Semaphore>,
}

impl Default for Monitor {
    fn default() -> Self {
        let (pages, looks) = (Arc::new(Semaphore::new(PAGES)), Arc::new(Semaphore::new(1)));
        Self { metrics: Metrics::default(), watched: Arc::default(), pages, looks }
    }
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

    /// All figures.
    pub fn text(&self, form: Exposition, now: Timestamp) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        self.metrics.register(&mut registry);
        if let Some(watched) = self.watched.get() {
            watched.register(&mut registry, now);
        }
        let mut of_process = Registry::default();
        process::register(&mut of_process);
        let mut text = String::new();
        encode_registry(&mut text, &registry)?;
        encode_registry(&mut text, &of_process)?;
        encode_eof(&mut text)?;
        Ok(form.of_open_metrics(text))
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

/// `/healthz` and `/readyz`, which are probes, and `/metrics`.
pub fn monitor_app(monitor: Monitor) -> App {
    let probes =
        Router::new().route("/healthz", get(async || plain(StatusCode::OK, "alive"))).route("/readyz", get(ready));
    let everything = probes.clone().route("/metrics", get(metrics));
    App::new(everything.with_state(monitor.clone()), probes.with_state(monitor))
}

/// A volume that hangs must not hold the other answers, nor one thread for each who asks.
async fn ready(State(monitor): State<Monitor>) -> Response<Body> {
    let looks = monitor.looks.clone();
    let look = in_turn(looks, PROMPT, move || monitor.trouble()).await;
    match look {
        Ok(None) => plain(StatusCode::OK, "ready"),
        Ok(Some(trouble)) => plain(StatusCode::SERVICE_UNAVAILABLE, &trouble),
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("the volume cannot be looked at: {error}")),
    }
}

async fn metrics(State(monitor): State<Monitor>, headers: HeaderMap) -> Response<Body> {
    let (form, pages) = (Exposition::accepted(&headers), monitor.pages.clone());
    let text = in_turn(pages, PATIENCE, move || monitor.text(form, Timestamp::now())).await;
    match text.and_then(|text| text.map_err(|error| error.to_string())) {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
            response
        }
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

/// Does something on a thread of its own when it may, or says that it did not end in time. It goes on then, and holds
/// its turn.
async fn in_turn<T: Send + 'static>(
    turns: Arc<Semaphore>,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = async {
        let turn = turns.acquire_owned().await.map_err(|error| error.to_string())?;
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
    };
    let late = |_| format!("expected an answer within {} s, found none", patience.as_secs());
    tokio::time::timeout(patience, done).await.map_err(late)?
}
