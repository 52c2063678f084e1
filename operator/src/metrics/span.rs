//! Spans: work with a beginning and an end, which a build with the feature `opentelemetry` sends to a collector. The log
//! does not have them. Without a collector they cost nothing.

use std::fmt::Display;

use tracing::{Instrument as _, Span};

/// Does work in a span. If it fails, the span has the error: a span declares the field `otel.status_description`, which
/// the bridge to OpenTelemetry takes as the status
/// (<https://docs.rs/tracing-opentelemetry/latest/tracing_opentelemetry/#special-fields>).
pub async fn traced<T, E: Display>(span: Span, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let result = work.instrument(span.clone()).await;
    if let Err(error) = &result {
        failed(&span, error);
    }
    result
}

/// Records that the work of a span has failed.
pub fn failed(span: &Span, error: &dyn Display) {
    span.record("otel.status_description", tracing::field::display(error));
}
