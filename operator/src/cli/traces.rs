//! Traces: spans are sent to a collector of OpenTelemetry, where the environment names one. This file is a part of the
//! builds with the feature `opentelemetry`; others have `no_traces.rs` in its place.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

/// What takes the spans.
pub(super) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// How long the end of the program waits for a collector that does not take the last spans.
const LAST: Duration = Duration::from_secs(5);
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The spans that wait to be sent.
pub(super) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Reads the environment: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/> and
    /// <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>. The error says why nothing
    /// is sent although a collector is named.
    pub(super) fn start() -> (Self, Option<String>) {
        if !is_wanted() {
            return (Self(None), None);
        }
        match SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build() {
            Ok(exporter) => {
                let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource());
                (Self(Some(provider.build())), None)
            }
            Err(error) => (Self(None), Some(error.to_string())),
        }
    }

    /// What takes the spans of this program. Those of libraries are left out.
    pub(super) fn layer(&self) -> Option<SpanLayer> {
        let tracer = self.0.as_ref()?.tracer(PROGRAM);
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        let own = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("vmcatcher_operator"));
        Some(Box::new(layer.with_filter(own)))
    }

    /// Sends what is left.
    pub(super) fn end(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown_with_timeout(LAST)) {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Whether the environment names a collector, and does not turn the traces off.
fn is_wanted() -> bool {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found.eq_ignore_ascii_case(value));
    let names = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    let is_named = names.into_iter().any(|name| std::env::var(name).is_ok_and(|value| !value.is_empty()));
    is_named && !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none")
}

/// What the spans are of. A name in the environment has priority.
fn resource() -> Resource {
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|all| all.contains("service.name="));
    if named || std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty()) {
        return resource.build();
    }
    resource.with_service_name(PROGRAM).build()
}
