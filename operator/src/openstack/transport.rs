//! One HTTP call, limited in time and size.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::address::{check, shown};
use super::connection::{Connection, Timeouts};
use super::error::{OpenStackError, Refusal};
use super::words::words;
use crate::cloud::http::{self, last_cause};

/// How much of an error's body is read, in bytes.
const LONGEST_MESSAGE: usize = 64 << 10;

/// A complete response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A call: its name in messages and metrics, and the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The call in the API reference: `GET /v2/images/{id}`.
    pub(super) name: &'static str,
    /// The address of the server.
    pub(super) endpoint: &'a Url,
}

/// An HTTP client for one cloud. `Debug` shows no secret.
#[derive(Clone)]
pub(super) struct Transport {
    http: Client,
    timeouts: Timeouts,
    answer_limit: usize,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(connection: &Connection) -> Result<Self, OpenStackError> {
        let refuse = |message: String| configuration(&connection.auth_url, message);
        check(&connection.auth_url).map_err(refuse)?;
        if let Some(pem) = &connection.authorities
            && Certificate::from_pem_bundle(pem).is_ok_and(|authorities| authorities.is_empty())
        {
            return Err(refuse("expected at least one certificate authority in PEM, found none".to_owned()));
        }
        let http = build(connection).map_err(|error| refuse(last_cause(&error)))?;
        Ok(Self { http, timeouts: connection.timeouts, answer_limit: connection.answer_limit })
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(super) fn answer_limit(&self) -> usize {
        self.answer_limit
    }

    /// Sends a request and reads the response, of at most `limit` bytes.
    pub(super) async fn exchange(
        &self,
        call: Call<'_>,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<Answer, OpenStackError> {
        let whole = async {
            let response = request.send().await.map_err(|error| call.unreachable(&error))?;
            call.read(response, limit).await
        };
        tokio::time::timeout(self.timeouts.call, whole)
            .await
            .unwrap_or_else(|_| Err(call.timed_out(self.timeouts.call)))
    }
}

impl Call<'_> {
    /// Reads a response. The message of an error may be cut; anything else is read whole or is an error.
    pub(super) async fn read(&self, mut response: Response, limit: usize) -> Result<Answer, OpenStackError> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let refused = status.is_client_error() || status.is_server_error();
        let mut body = Vec::new();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // The status is known, so it is the better report.
                Err(_) if refused => break,
                Err(error) => return Err(self.unreachable(&error)),
            };
            if refused {
                body.extend_from_slice(&chunk[..chunk.len().min(LONGEST_MESSAGE - body.len())]);
                if body.len() == LONGEST_MESSAGE {
                    break;
                }
            } else if body.len() + chunk.len() > limit {
                return Err(OpenStackError::TooLarge { call: self.name, endpoint: self.shown(), limit });
            } else {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Answer { status, headers, body })
    }

    /// A refusal, with the words of the server. `hidden` are texts that must not be in it.
    pub(super) fn refusal(&self, answer: &Answer, hidden: &[&SecretString]) -> Refusal {
        let hidden: Vec<&str> = hidden.iter().map(|secret| secret.expose_secret()).collect();
        let text = words(&answer.status.to_string(), &answer.body, &hidden);
        Refusal { call: self.name, endpoint: self.shown(), status: answer.status.as_u16(), text }
    }

    pub(super) fn unexpected(&self, expected: &'static str, found: impl Into<String>) -> OpenStackError {
        OpenStackError::NotOpenStack { call: self.name, endpoint: self.shown(), expected, found: found.into() }
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> OpenStackError {
        OpenStackError::Unreachable { call: self.name, endpoint: self.shown(), message: last_cause(error) }
    }

    pub(super) fn timed_out(&self, after: Duration) -> OpenStackError {
        OpenStackError::TimedOut { call: self.name, endpoint: self.shown(), after }
    }

    pub(super) fn shown(&self) -> String {
        shown(self.endpoint)
    }
}

/// An error of the configuration of an address.
pub(super) fn configuration(endpoint: &Url, message: String) -> OpenStackError {
    OpenStackError::Configuration { endpoint: shown(endpoint), message }
}

fn build(connection: &Connection) -> reqwest::Result<Client> {
    let (authorities, identity) = (connection.authorities.as_deref(), connection.identity.as_ref());
    let builder = http::builder(connection.timeouts.connect, authorities, identity)?;
    // The default of 30 s would end an upload while the server's store is slow.
    builder.tcp_user_timeout(connection.timeouts.stall.max(connection.timeouts.call)).build()
}
