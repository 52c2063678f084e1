//! One HTTP POST to `…/RPC2`, limited in time and size.

use std::fmt;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::error::OneError;
use crate::cloud::http::{self, last_cause};

/// The connection settings of a cloud.
#[derive(Debug, Clone)]
pub struct Connection {
    /// `https://one.example.org:2633/RPC2`; http or https, without user information.
    pub endpoint: Url,
    /// `user:password`, the line of a `one_auth` file.
    pub session: SecretString,
    /// The only certificate authorities that are trusted for the server (PEM, one or more); `None` means those of the system.
    pub authorities: Option<Vec<u8>>,
    /// A client certificate and its key (PEM, PKCS #8), if a proxy in front of the server requires one.
    pub identity: Option<(Vec<u8>, SecretString)>,
    /// The timeouts of calls.
    pub timeouts: Timeouts,
    /// The maximum size of a response in bytes. A pool of 1,000 images has about 2 MiB.
    pub answer_limit: usize,
}

/// Timeouts of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The timeout for a connection.
    pub connect: Duration,
    /// The timeout of a whole call, except allocate.
    pub call: Duration,
    /// The timeout of `one.image.allocate`, which reads the head of the image before it responds.
    pub allocate: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), call: Duration::from_mins(1), allocate: Duration::from_mins(2) }
    }
}

impl Connection {
    /// Settings with the default limits: 64 MiB for a response, 10 s to connect, 60 s for a call, 120 s for allocate.
    pub fn new(endpoint: Url, session: SecretString) -> Self {
        Self {
            endpoint,
            session,
            authorities: None,
            identity: None,
            timeouts: Timeouts::default(),
            answer_limit: 64 << 20,
        }
    }
}

/// An HTTP client for one endpoint. `Debug` shows neither session nor user information.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    connection: Connection,
    endpoint: String,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.endpoint)
    }
}

impl Transport {
    pub(super) fn new(connection: Connection) -> Result<Self, OneError> {
        let endpoint = shown(&connection.endpoint);
        let refuse = |message: String| OneError::Configuration { endpoint: endpoint.clone(), message };
        if !matches!(connection.endpoint.scheme(), "http" | "https") {
            return Err(refuse(format!("expected http or https, found {:?}", connection.endpoint.scheme())));
        }
        if !connection.endpoint.username().is_empty() || connection.endpoint.password().is_some() {
            return Err(refuse("expected no user:password@ in the endpoint, found one".to_owned()));
        }
        if !connection.session.expose_secret().contains(':') {
            return Err(refuse("expected a session of the form user:password, found no colon".to_owned()));
        }
        if let Some(pem) = &connection.authorities
            && Certificate::from_pem_bundle(pem).is_ok_and(|authorities| authorities.is_empty())
        {
            return Err(refuse("expected at least one certificate authority in PEM, found none".to_owned()));
        }
        let http = build(&connection).map_err(|error| refuse(last_cause(&error)))?;
        Ok(Self { http, connection, endpoint })
    }

    pub(super) fn session(&self) -> &str {
        self.connection.session.expose_secret()
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.connection.timeouts
    }

    /// Sends a body and returns that of the response. The server closes the connection after each response
    /// (`Connection: close`).
    pub(super) async fn post(&self, method: &'static str, body: String, limit: Duration) -> Result<String, OneError> {
        let request = self.http.post(self.connection.endpoint.clone()).header(CONTENT_TYPE, "text/xml").body(body);
        let exchange = async {
            let mut response = request.send().await.map_err(|error| self.unreachable(method, &error))?;
            if response.status() != reqwest::StatusCode::OK {
                return Err(self.not_opennebula(method, format!("HTTP status {}", response.status())));
            }
            let mut answer = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(method, &error))? {
                if answer.len() + chunk.len() > self.connection.answer_limit {
                    return Err(OneError::TooLarge { method, limit: self.connection.answer_limit });
                }
                answer.extend_from_slice(&chunk);
            }
            String::from_utf8(answer).map_err(|_| self.not_opennebula(method, "a body that is not UTF-8".to_owned()))
        };
        tokio::time::timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(OneError::TimedOut { method, endpoint: self.endpoint.clone(), after: limit }))
    }

    pub(super) fn not_opennebula(&self, method: &'static str, found: String) -> OneError {
        OneError::NotOpenNebula { method, endpoint: self.endpoint.clone(), found }
    }

    fn unreachable(&self, method: &'static str, error: &reqwest::Error) -> OneError {
        let endpoint = self.endpoint.clone();
        OneError::Unreachable { method, endpoint, message: last_cause(error) }
    }
}

fn build(connection: &Connection) -> reqwest::Result<reqwest::Client> {
    let (authorities, identity) = (connection.authorities.as_deref(), connection.identity.as_ref());
    http::builder(connection.timeouts.connect, authorities, identity)?.build()
}

fn shown(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", endpoint.scheme(), endpoint.path())
}
