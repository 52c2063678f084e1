//! Health, metrics and progress: `/healthz`, `/readyz`, `/metrics`, `/progress`.
//!
//! A process that waits for its turn (another one leads, or owns the volume) is alive and ready, but has no metrics of
//! resources and no progress.

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
use super::progress::{ProgressPage, page};
use super::{plain, process};
use crate::events::register_metrics;
use crate::metrics::Metrics;
use crate::reconcile::Context;
use crate::store::ResourceStore;

/// Simultaneous requests for metrics and progress: each needs a thread, and takes a while if there are many objects.
const PAGES: usize = 2;
/// The longest wait for metrics or progress, including the wait for earlier requests.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait for the volume in a readiness check. A probe waits for 5 s.
const PROMPT: Duration = Duration::from_secs(3);
/// Prefix of the metric names.
const PREFIX: &str = "vmcatcher";

/// Health, metrics and progress of one program. Cheap to clone.
#[derive(Clone)]
pub struct Monitor {
    metrics: Metrics,
    watched: Arc<OnceLock<Box<dyn Watched>>>,
    /// Limits simultaneous requests for metrics and progress.
    pages: Arc<Semaphore>,
    /// Limits simultaneous readiness checks.
    looks: Arc<Semaphore>,
}

impl Default for Monitor {
    fn default() -> Self {
        let (pages, looks) = (Arc::new(Semaphore::new(PAGES)), Arc::new(Semaphore::new(1)));
        Self { metrics: Metrics::default(), watched: Arc::default(), pages, looks }
    }
}

crate::text::opaque!(Monitor, "Monitor");

impl Monitor {
    /// The counters of the program.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on metrics and readiness include the resources of this context, while another owner keeps it alive.
    /// Only the first call has an effect.
    pub fn watch<S: ResourceStore>(&self, context: &Arc<Context<S>>) {
        let watched = Watching { context: Arc::downgrade(context), usage: LastUsage::default() };
        self.watched.get_or_init(|| Box::new(watched));
    }

    /// All metrics as text.
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

    /// The work that runs; `None` while the program waits for its turn, and when it ends.
    fn progress(&self) -> Option<ProgressPage> {
        self.watched.get().and_then(|watched| watched.progress())
    }

    /// Why the program is not ready; `None` if it is.
    fn trouble(&self) -> Option<String> {
        self.watched.get().and_then(|watched| watched.trouble())
    }
}

/// A context with any kind of cluster.
trait Watched: Send + Sync {
    fn register(&self, registry: &mut Registry, now: Timestamp);
    fn trouble(&self) -> Option<String>;
    /// `None` when the program ends.
    fn progress(&self) -> Option<ProgressPage>;
}

/// A weak reference to the context, so that the volume is released when the owner of the context drops it.
struct Watching<S: ResourceStore> {
    context: Weak<Context<S>>,
    usage: LastUsage,
}

impl<S: ResourceStore> Watched for Watching<S> {
    fn register(&self, registry: &mut Registry, now: Timestamp) {
        if let Some(context) = self.context.upgrade() {
            register(&context, &self.usage, registry, now);
            match context.events.figures() {
                Some((Ok(spool), sinks)) => register_metrics(&spool, &sinks, registry),
                Some((Err(error), _)) => tracing::warn!(%error, "the figures of events are missing"),
                None => {}
            }
        }
    }

    fn trouble(&self) -> Option<String> {
        let context = self.context.upgrade()?;
        context.store.awaits().or_else(|| context.volume.available().err().map(|error| error.to_string()))
    }

    fn progress(&self) -> Option<ProgressPage> {
        self.context.upgrade().map(|context| page(&context))
    }
}

/// The routes `/healthz` and `/readyz`, which are probes, `/metrics` and `/progress`.
pub fn monitor_app(monitor: Monitor) -> App {
    let probes =
        Router::new().route("/healthz", get(async || plain(StatusCode::OK, "alive"))).route("/readyz", get(ready));
    let everything = probes.clone().route("/metrics", get(metrics)).route("/progress", get(progress));
    App::new(everything.with_state(monitor.clone()), probes.with_state(monitor))
}

/// The check runs in a thread of its own, one at a time, so that a hanging volume neither blocks other responses nor
/// uses up threads.
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

async fn progress(State(monitor): State<Monitor>) -> Response<Body> {
    let pages = monitor.pages.clone();
    let page = in_turn(pages, PATIENCE, move || monitor.progress()).await;
    match page.map(|page| page.map(|page| serde_json::to_string(&page))) {
        Ok(Some(Ok(text))) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Ok(None) => plain(StatusCode::SERVICE_UNAVAILABLE, "the program waits for its turn, or ends"),
        Ok(Some(Err(error))) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

/// Runs `work` in a blocking thread when a permit is free. Returns an error if it is not done in time; then `work`
/// continues in the background and keeps its permit.
pub(super) async fn in_turn<T: Send + 'static>(
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
