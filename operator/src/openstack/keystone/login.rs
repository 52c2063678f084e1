//! One log-in at a time, renewed before the token expires.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::request::{address, body};
use super::session::Session;
use crate::metrics::{Metrics, Work};
use crate::openstack::connection::Connection;
use crate::openstack::error::OpenStackError;
use crate::openstack::transport::{Answer, Call, Transport};

/// The call, in messages and metrics.
const LOGIN: &str = "POST /v3/auth/tokens";

/// How often a log-in is tried if the connection fails. Logging in twice does no harm.
const TRIES: u32 = 2;

/// How long the token must be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::openstack) enum Need {
    /// For one call.
    Call,
    /// For an upload, which may take hours.
    Upload,
}

/// The token of a connection, shared by all clones of a client. `Debug` shows no secret.
pub(in crate::openstack) struct Login {
    connection: Connection,
    known: Mutex<Known>,
    /// How many log-ins ended.
    ended: AtomicU64,
}

/// The result of the last log-in.
#[derive(Default)]
enum Known {
    /// There was none, or its token is not accepted any more.
    #[default]
    Nothing,
    Session(Arc<Session>),
    Failure(OpenStackError),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Login {
    pub(in crate::openstack) fn new(connection: Connection) -> Self {
        Self { connection, known: Mutex::default(), ended: AtomicU64::new(0) }
    }

    pub(in crate::openstack) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The session, after a log-in if there is no token or it ends too soon. Tasks that come during a log-in share its
    /// result, a failure too: otherwise wrong credentials would be tried once for each task, which can lock the user.
    pub(in crate::openstack) async fn session(
        &self,
        transport: &Transport,
        metrics: &Metrics,
        need: Need,
    ) -> Result<Arc<Session>, OpenStackError> {
        let before = self.ended.load(Ordering::SeqCst);
        let mut known = self.known.lock().await;
        let joined = self.ended.load(Ordering::SeqCst) != before;
        match &*known {
            Known::Session(session) if joined || is_enough(session, need) => return Ok(Arc::clone(session)),
            Known::Failure(error) if joined => return Err(error.clone()),
            Known::Session(_) | Known::Failure(_) | Known::Nothing => {}
        }
        let result = self.try_log_in(transport, metrics).await.map(Arc::new);
        *known = match &result {
            Ok(session) => Known::Session(Arc::clone(session)),
            Err(error) => Known::Failure(error.clone()),
        };
        self.ended.fetch_add(1, Ordering::SeqCst);
        result
    }

    /// Forgets a token that Glance did not accept, unless another task did so before and logged in again.
    pub(in crate::openstack) async fn forget(&self, refused: &Arc<Session>) {
        let mut known = self.known.lock().await;
        if matches!(&*known, Known::Session(session) if Arc::ptr_eq(session, refused)) {
            *known = Known::Nothing;
        }
    }

    async fn try_log_in(&self, transport: &Transport, metrics: &Metrics) -> Result<Session, OpenStackError> {
        let mut tries = 1;
        loop {
            let result = self.log_in(transport).await;
            metrics.call(LOGIN, OpenStackError::outcome(&result));
            match result {
                Err(error @ OpenStackError::Unreachable { .. }) if tries < TRIES => {
                    metrics.retried(Work::Cloud, error.reason().as_str());
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn log_in(&self, transport: &Transport) -> Result<Session, OpenStackError> {
        let call = Call { name: LOGIN, endpoint: &self.connection.auth_url };
        let request = transport
            .http()
            .post(address(&self.connection.auth_url))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body(&self.connection.credentials).to_string());
        let asked_at = Instant::now();
        let answer = transport.exchange(call, request, transport.answer_limit()).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK => Session::read(call, &answer, asked_at, &self.connection),
            _ => Err(self.refused(call, &answer)),
        }
    }

    /// Keystone answers 401 to wrong credentials, a wrong project and a missing role alike, and 404 to an unknown
    /// application credential. A 404 that is not from Keystone has no JSON.
    fn refused(&self, call: Call<'_>, answer: &Answer) -> OpenStackError {
        let refusal = call.refusal(answer, &[self.connection.credentials.secret()]);
        let is_json = serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok_and(|body| body.is_object());
        match refusal.status {
            401 | 403 => OpenStackError::LoginRefused(refusal),
            400 | 404 if is_json => OpenStackError::LoginRefused(refusal),
            429 => OpenStackError::Rejected(refusal),
            500..=599 => OpenStackError::Failed(refusal),
            status => call.unexpected("a token (201)", format!("{status}: {}", refusal.text)),
        }
    }
}

fn is_enough(session: &Session, need: Need) -> bool {
    let now = Instant::now();
    match need {
        Need::Call => session.is_fresh(now),
        Need::Upload => session.is_young(now),
    }
}
