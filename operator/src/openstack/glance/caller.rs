//! One call of Glance: the token, one repetition after a 401, and what the status means.

use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::request::address;
use crate::cloud::LeadershipGuard;
use crate::metrics::{Metrics, Work};
use crate::openstack::connection::Connection;
use crate::openstack::error::OpenStackError;
use crate::openstack::keystone::Session;
use crate::openstack::keystone::login::{Login, Need};
use crate::openstack::transport::{Answer, Call, Transport, configuration};

/// How often a read is tried if the connection fails. Writes are not repeated; the next pass reads the state first.
const READS: u32 = 2;

/// What a call needs: the token, the permit and the metrics. A clone shares the token. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(in crate::openstack) struct Caller {
    pub(in crate::openstack) transport: Transport,
    pub(in crate::openstack) permit: LeadershipGuard,
    pub(in crate::openstack) metrics: Metrics,
    pub(in crate::openstack) login: Arc<Login>,
}

/// A request to Glance.
#[derive(Debug)]
pub(in crate::openstack) struct Request {
    /// The call in the API reference.
    pub(in crate::openstack) name: &'static str,
    /// The names and values of the query.
    pub(in crate::openstack) query: Vec<(String, String)>,
    /// The most bytes of the response; `None`: the limit of the connection.
    pub(in crate::openstack) limit: Option<usize>,
    /// A text that must not be in a message.
    pub(in crate::openstack) hidden: Option<SecretString>,
    method: Method,
    path: Vec<String>,
    body: Option<(&'static str, String)>,
    changes: bool,
}

impl Request {
    /// A request that changes nothing.
    pub(in crate::openstack) fn read(name: &'static str, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        let (query, limit, hidden) = (Vec::new(), None, None);
        Self { name, query, limit, hidden, method: Method::GET, path, body: None, changes: false }
    }

    /// A request that changes something.
    pub(in crate::openstack) fn write(name: &'static str, method: Method, path: &[&str]) -> Self {
        Self { method, changes: true, ..Self::read(name, path) }
    }

    /// With a body in JSON.
    pub(in crate::openstack) fn json(self, body: &Value) -> Self {
        self.body("application/json", body)
    }

    /// With a body of a media type.
    pub(in crate::openstack) fn body(self, media_type: &'static str, body: &Value) -> Self {
        Self { body: Some((media_type, body.to_string())), ..self }
    }

    /// The call, for messages.
    pub(in crate::openstack) fn at<'a>(&self, endpoint: &'a Url) -> Call<'a> {
        Call { name: self.name, endpoint }
    }
}

impl Caller {
    pub(in crate::openstack) fn new(connection: Connection) -> Result<Self, OpenStackError> {
        let transport = Transport::new(&connection)?;
        let login = Arc::new(Login::new(connection));
        Ok(Self { transport, permit: LeadershipGuard::default(), metrics: Metrics::default(), login })
    }

    /// An error about what was to be sent.
    pub(in crate::openstack) fn misused(&self, message: String) -> OpenStackError {
        configuration(&self.login.connection().auth_url, message)
    }

    /// The session, after a log-in if its token does not last for this.
    pub(in crate::openstack) async fn session(&self, need: Need) -> Result<Arc<Session>, OpenStackError> {
        self.login.session(&self.transport, &self.metrics, need).await
    }

    /// Calls Glance, with a new token and once more after a 401. Any status but those of success is an error.
    pub(in crate::openstack) async fn call(&self, request: &Request) -> Result<(Answer, Arc<Session>), OpenStackError> {
        let session = self.session(Need::Call).await?;
        match self.try_call(request, &session).await {
            Err(OpenStackError::Unauthorized(_)) => {
                let session = self.session(Need::Call).await?;
                let answer = self.try_call(request, &session).await?;
                Ok((answer, session))
            }
            result => Ok((result?, session)),
        }
    }

    /// Calls Glance with one token. A token that is not accepted is forgotten.
    async fn try_call(&self, request: &Request, session: &Arc<Session>) -> Result<Answer, OpenStackError> {
        let mut tries = 1;
        loop {
            let result = self.exchange(request, session).await;
            let result = self.ended(request, session, result).await;
            match result {
                Err(error @ OpenStackError::Unreachable { .. }) if !request.changes && tries < READS => {
                    self.metrics.retried(Work::Cloud, error.outcome());
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn exchange(&self, request: &Request, session: &Session) -> Result<Answer, OpenStackError> {
        let mut prepared = self.prepare(request, session)?;
        if let Some((media_type, body)) = &request.body {
            prepared = prepared.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        let limit = request.limit.unwrap_or_else(|| self.transport.answer_limit());
        self.transport.exchange(request.at(&session.image_endpoint), prepared, limit).await
    }

    /// The head of a request, with the token. The permit is checked if the request changes something.
    pub(in crate::openstack) fn prepare(
        &self,
        request: &Request,
        session: &Session,
    ) -> Result<RequestBuilder, OpenStackError> {
        if request.changes && !self.permit.is_valid() {
            return Err(OpenStackError::NotLeading { call: request.name });
        }
        let endpoint = &session.image_endpoint;
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let mut url = address(endpoint, &path).map_err(|message| configuration(endpoint, message))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let token = HeaderValue::from_str(session.token.expose_secret());
        let mut token = token.map_err(|_| {
            request.at(endpoint).unexpected("a token that is a header's value", "one with other characters")
        })?;
        token.set_sensitive(true);
        // Messages in plain text. The bodies of successes are JSON in any case.
        let head = self.transport.http().request(request.method.clone(), url).header(ACCEPT, "text/plain");
        Ok(head.header("x-auth-token", token))
    }

    /// Counts a call, makes an error of a status that is no success, and forgets a token that was not accepted.
    pub(in crate::openstack) async fn ended(
        &self,
        request: &Request,
        session: &Arc<Session>,
        result: Result<Answer, OpenStackError>,
    ) -> Result<Answer, OpenStackError> {
        let result = result.and_then(|answer| expected(request, session, answer));
        self.metrics.call(request.name, result.as_ref().map_or_else(OpenStackError::outcome, |_| "Succeeded"));
        if let Err(OpenStackError::Unauthorized(_)) = &result {
            self.login.forget(session).await;
        }
        result
    }
}

fn expected(request: &Request, session: &Session, answer: Answer) -> Result<Answer, OpenStackError> {
    let call = request.at(&session.image_endpoint);
    let status = answer.status;
    if matches!(status, StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        return Ok(answer);
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Err(call.unexpected("a status of success or of an error", status.to_string()));
    }
    let hidden: Vec<&SecretString> = std::iter::once(&session.token).chain(&request.hidden).collect();
    Err(OpenStackError::from_refusal(call.refusal(&answer, &hidden)))
}
