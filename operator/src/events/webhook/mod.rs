//! The `webhook` sink: one POST of a CloudEvent for each event.
//!
//! The receiver gets the events in their order, one after the other, over one connection. Redirects are not followed,
//! and there are no cookies. A signed request has the headers of Standard Webhooks: `webhook-id`, `webhook-timestamp`
//! and `webhook-signature`.

mod connections;
mod failure;
mod material;
mod signature;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use self::material::Material;
use self::verdict::{Response, Verdict, shown};
use super::cloud_event;
use super::event::Event;
use super::settings::{ContentMode, WebhookSettings};
use super::sink::{Delivery, Sink, SinkError};

/// The most bytes of a response's body that are read. A longer body ends the connection.
const MOST_BODY: usize = 4096;

/// The longest wait for the body of a response whose head came.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// The shortest value in a query that can be a secret, in bytes. Shorter ones are words, which occur in any text.
const SHORTEST_SECRET: usize = 8;

/// Delivers events to an HTTP receiver. The files of the settings are read anew at each delivery.
pub struct WebhookSink {
    settings: Arc<WebhookSettings>,
    source: String,
    connections: Option<Connections>,
}

/// Connections, and the digest of the files that they were made with.
struct Connections {
    made_with: [u8; 32],
    http: reqwest::Client,
}

impl WebhookSink {
    /// A sink with these settings. `source` is the CloudEvents source of the operator, a URI reference that is not empty.
    pub fn new(settings: WebhookSettings, source: String) -> Self {
        Self { settings: Arc::new(settings), source, connections: None }
    }

    /// Reads the files, and makes new connections if those of TLS changed.
    async fn prepare(&mut self) -> Result<(Material, reqwest::Client), SinkError> {
        let settings = self.settings.clone();
        let read = tokio::task::spawn_blocking(move || Material::read(&settings)).await;
        let material = read.unwrap_or_else(|error| Err(self.unreachable(error.to_string())))?;
        let made_with = material.tls.digest();
        if let Some(connections) = self.connections.as_ref().filter(|connections| connections.made_with == made_with) {
            return Ok((material, connections.http.clone()));
        }
        let http = connections::client(&self.settings, &material.tls)?;
        self.connections = Some(Connections { made_with, http: http.clone() });
        Ok((material, http))
    }

    /// Sends one event and judges the response.
    async fn post(&self, http: &reqwest::Client, material: &Material, event: &Event) -> Verdict {
        let (headers, body) = match self.request(material, event) {
            Ok(request) => request,
            Err(found) => return Verdict::Stopped(self.unreachable(found)),
        };
        let url = &self.settings.url;
        let deadline = Instant::now() + self.settings.timeout;
        let sent = http.post(url.clone()).headers(headers).body(body).send();
        let mut response = match timeout_at(deadline, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Verdict::Stopped(failure::failure(url, error)),
            Err(_) => {
                let (address, after) = (shown(url), self.settings.timeout);
                return Verdict::Stopped(SinkError::TimedOut { address, after });
            }
        };
        let body = read_body(&mut response, deadline.min(Instant::now() + BODY_PATIENCE)).await;
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (retry_after, location) = (header(RETRY_AFTER), header(LOCATION));
        let body = self.without_secrets(&body, material);
        let response = Response { status: response.status(), retry_after, location, body: body.as_bytes() };
        response.verdict(url, Timestamp::now())
    }

    /// The headers and the body of a request. An error has what is wrong.
    fn request(&self, material: &Material, event: &Event) -> Result<(HeaderMap, Vec<u8>), String> {
        let (mut pairs, body) = match self.settings.mode {
            ContentMode::Structured => {
                let content_type = (CONTENT_TYPE.as_str(), cloud_event::STRUCTURED_TYPE.to_owned());
                (vec![content_type], cloud_event::structured(event, &self.source))
            }
            ContentMode::Binary => cloud_event::binary(event, &self.source),
        };
        if let Some(key) = &material.key {
            pairs.extend(key.sign(event.id, Timestamp::now(), &body).map_err(|error| failure::chain(&error))?);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::try_from(value).map_err(|error| format!("{name}: {error}"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(token) = &material.token {
            headers.insert(AUTHORIZATION, token.header().ok_or("the token cannot be in a header")?);
        }
        Ok((headers, body))
    }

    /// What a receiver said, without the token and the query, which it may repeat.
    fn without_secrets(&self, body: &[u8], material: &Material) -> String {
        let mut said = String::from_utf8_lossy(body).into_owned();
        let url = &self.settings.url;
        let values =
            url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() >= SHORTEST_SECRET);
        for secret in url.query().map(str::to_owned).into_iter().chain(values).filter(|secret| !secret.is_empty()) {
            said = said.replace(&secret, "…");
        }
        match &material.token {
            Some(token) => token.remove_from(&said),
            None => said,
        }
    }

    fn unreachable(&self, found: String) -> SinkError {
        SinkError::Unreachable { address: shown(&self.settings.url), found }
    }
}

impl Sink for WebhookSink {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        let mut delivery = Delivery::default();
        if events.is_empty() {
            return delivery;
        }
        let (material, http) = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(error) => return Delivery { stopped: Some(error), ..delivery },
        };
        for event in events {
            match self.post(&http, &material, event).await {
                Verdict::Handled => {}
                Verdict::Refused(said) => delivery.refused.push((event.id, said)),
                Verdict::Stopped(error) => return Delivery { stopped: Some(error), ..delivery },
            }
            delivery.handled += 1;
        }
        delivery
    }
}

/// The beginning of a body: what came until it ended, broke, was too long or the time was over. The status is known, so
/// none of these changes what the response means.
async fn read_body(response: &mut reqwest::Response, deadline: Instant) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() <= MOST_BODY {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk[..chunk.len().min(MOST_BODY + 1 - body.len())]),
            Ok(Ok(None) | Err(_)) | Err(_) => break,
        }
    }
    body.truncate(MOST_BODY);
    body
}
