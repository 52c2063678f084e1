//! The receivers of events: what the configuration names on this machine, and whether brokers can be reached.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::net::TcpStream;
use url::Url;

use super::finding::{Area, Finding};
use crate::cli::config::machine;
use crate::events::{SinkKind, SinkSettings};

/// The longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Simultaneous connections.
const AT_ONCE: usize = 8;
/// The variables with proxies: a webhook may be reached through one of them only.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// What is wrong with the sinks. Receivers are connected to, and get no event.
pub(super) async fn findings(config: &Path, sinks: &[SinkSettings]) -> Vec<Finding> {
    let here =
        sinks.iter().flat_map(|sink| machine::warnings(sink).into_iter().map(|warning| of(config, sink, warning)));
    let here: Vec<Finding> = here.collect();
    let there: Vec<Option<Finding>> = futures::stream::iter(sinks)
        .map(|sink| async move {
            let found = unreachable(address(&sink.kind)?).await?;
            Some(of(config, sink, found))
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    here.into_iter().chain(there.into_iter().flatten()).collect()
}

/// Whether a sink writes to this file.
pub(super) fn is_file(sink: &SinkSettings, path: &Path) -> bool {
    match &sink.kind {
        SinkKind::File(file) => file.path == path,
        SinkKind::Exec(_) | SinkKind::Amqp(_) | SinkKind::Webhook(_) => false,
    }
}

fn of(config: &Path, sink: &SinkSettings, message: String) -> Finding {
    let mend = format!("vmcatcher-operator events test {} --config {}", sink.name, config.display());
    Finding::wrong(Area::Events, format!("sink {}", sink.name), message, mend)
}

/// The address that is connected to directly; `None` if there is none, or if a proxy may be between.
fn address(sink: &SinkKind) -> Option<&Url> {
    match sink {
        SinkKind::Amqp(amqp) => Some(&amqp.url),
        SinkKind::Webhook(webhook) => {
            let has_proxy = PROXIES.iter().any(|name| std::env::var_os(name).is_some());
            (!has_proxy).then_some(&webhook.url)
        }
        SinkKind::Exec(_) | SinkKind::File(_) => None,
    }
}

/// Why no connection can be made; `None` if one can.
async fn unreachable(url: &Url) -> Option<String> {
    let port = match url.scheme() {
        "amqp" => 5672,
        "amqps" => 5671,
        "https" => 443,
        _ => 80,
    };
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let port = url.port().unwrap_or(port);
    let found = match tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    Some(format!("expected a receiver at {host} port {port}, found: {found}"))
}
