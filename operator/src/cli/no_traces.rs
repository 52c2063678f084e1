//! No traces: what a build without the feature `opentelemetry` has in the place of `traces.rs`.

use tracing_subscriber::{Layer, Registry};

/// What would take the spans.
pub(super) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// No traces.
pub(super) struct Traces;

impl Traces {
    /// Nothing is started, and nothing fails.
    pub(super) fn start() -> (Self, Option<String>) {
        (Self, None)
    }

    /// Nothing takes the spans.
    #[expect(clippy::unused_self, reason = "as in the builds that have traces")]
    pub(super) fn layer(&self) -> Option<SpanLayer> {
        None
    }

    /// Nothing is left.
    #[expect(clippy::unused_self, reason = "as in the builds that have traces")]
    pub(super) fn end(self) {}
}
