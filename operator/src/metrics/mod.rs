//! Counters of events, and spans. All parts of the program share one set of counters.
//!
//! A clone counts into the same set. The current state (conditions, ages, space) is not counted here: `serve` computes
//! it for each request, so that objects that no longer exist are not included. Every label has a small set of values.

mod span;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use self::span::{failed, traced};

/// The counters of the program. Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Families>);

#[derive(Default)]
struct Families {
    fetched: Counted<1>,
    retries: Counted<2>,
    passes: Passes,
    requests: Counted<2>,
    calls: Counted<2>,
    served: Counted<1>,
    served_bytes: Counter,
}

#[derive(Clone)]
struct Passes(Family<Labels<1>, Histogram, Durations>);

impl Default for Passes {
    fn default() -> Self {
        Self(Family::new_with_constructor(Durations))
    }
}

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counted<const N: usize> = Family<Labels<N>, Counter>;

/// Buckets from a millisecond to about half a minute, which a pass can take that waits for a slow server or cloud.
#[derive(Clone)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.001, 2.0, 16))
    }
}

/// The kind of work: what bytes are fetched for, and what is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Image lists and CRLs.
    List,
    /// Images.
    Image,
    /// Reads of the state of clouds.
    Cloud,
    /// Reconcile passes over resources.
    Resource,
}

impl Work {
    fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Image => "image",
            Self::Cloud => "cloud",
            Self::Resource => "resource",
        }
    }
}

/// Measures the duration of a pass until it is dropped.
#[must_use]
pub struct Timed<'a> {
    metrics: &'a Metrics,
    kind: &'static str,
    began: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let Passes(passes) = &self.metrics.0.passes;
        passes.get_or_create(&[("kind", self.kind.into())]).observe(self.began.elapsed().as_secs_f64());
    }
}

impl Metrics {
    /// Counts bytes that were received from a server.
    pub fn fetched(&self, work: Work, bytes: u64) {
        self.0.fetched.get_or_create(&[("what", work.as_str().into())]).inc_by(bytes);
    }

    /// Counts a failure that will be retried. The reason is the same as in conditions.
    pub fn retried(&self, work: Work, reason: &'static str) {
        self.0.retries.get_or_create(&[("what", work.as_str().into()), ("reason", reason.into())]).inc();
    }

    /// Starts the measurement of a pass over an object of this kind.
    pub fn pass(&self, kind: &'static str) -> Timed<'_> {
        Timed { metrics: self, kind, began: Instant::now() }
    }

    /// Counts a request to the API server, with the status of its response (`None`: no response).
    pub fn request(&self, method: &http::Method, status: Option<u16>) {
        let code = status.map_or(Cow::Borrowed("none"), |status| status.to_string().into());
        self.0.requests.get_or_create(&[("method", known(method).into()), ("code", code)]).inc();
    }

    /// Counts a call of a cloud; `outcome` is `Succeeded` or the reason of a failure.
    pub fn call(&self, method: &'static str, outcome: &'static str) {
        self.0.calls.get_or_create(&[("method", method.into()), ("outcome", outcome.into())]).inc();
    }

    /// Counts a response of the image server.
    pub fn served(&self, status: u16) {
        self.0.served.get_or_create(&[("code", status.to_string().into())]).inc();
    }

    /// Counts bytes of an image that were sent to a client of the image server.
    pub fn served_bytes(&self, bytes: u64) {
        self.0.served_bytes.inc_by(bytes);
    }

    /// Registers all counters.
    pub fn register(&self, registry: &mut Registry) {
        let Families { fetched, retries, passes, requests, calls, served, served_bytes } = &*self.0;
        registry.register_with_unit("fetched", "Bytes that came from servers", Unit::Bytes, fetched.clone());
        registry.register("retries", "Failures that are tried again, by reason", retries.clone());
        let name = "reconcile_duration";
        registry.register_with_unit(name, "How long a pass over an object took", Unit::Seconds, passes.0.clone());
        registry.register("kubernetes_requests", "Requests to the API server", requests.clone());
        registry.register("cloud_calls", "Calls to clouds", calls.clone());
        registry.register("image_server_requests", "Requests to the image server", served.clone());
        let name = "image_server_sent";
        registry.register_with_unit(name, "Bytes of images handed to clouds", Unit::Bytes, served_bytes.clone());
    }
}

/// The method if the API server knows it, otherwise `other`, so that the number of labels is bounded.
fn known(method: &http::Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

crate::text::opaque!(Metrics, "Metrics");
