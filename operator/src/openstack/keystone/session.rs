//! A session: a token, and what Keystone says about it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::catalogue::image_endpoint;
use crate::openstack::connection::Connection;
use crate::openstack::error::OpenStackError;
use crate::openstack::transport::{Answer, Call};

/// A token is renewed so long before its end, or a tenth of its life if that is shorter.
const MARGIN: Duration = Duration::from_mins(2);

/// What Keystone answered to a log-in. `Debug` does not show the token.
#[derive(Debug, Clone)]
pub struct Session {
    /// The id of the project of the token.
    pub project_id: String,
    /// The name of the project.
    pub project_name: String,
    /// The name of the user.
    pub user_name: String,
    /// The names of the user's roles on the project.
    pub roles: BTreeSet<String>,
    /// The address of Glance, without `/v2`.
    pub image_endpoint: Url,
    /// When the token expires, by Keystone's clock.
    pub expires_at: Timestamp,
    pub(in crate::openstack) token: SecretString,
    /// When the token was asked for, and how long it is valid. Both clocks are used for what they know: Keystone's for
    /// the length, and the monotonic clock of this machine for the start. So it does not matter if they differ.
    asked_at: Instant,
    life: Duration,
}

impl Session {
    /// Whether the token is valid long enough for a call.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.left(now) > MARGIN.min(self.life / 10)
    }

    /// Whether at least half of the token's life is left. An upload begins with such a token, because it cannot be
    /// repeated with another.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        self.left(now) >= self.life / 2
    }

    fn left(&self, now: Instant) -> Duration {
        self.life.saturating_sub(now.saturating_duration_since(self.asked_at))
    }

    /// Parses the response to `POST /v3/auth/tokens`: the token is a header, all else is in the body.
    pub(super) fn read(
        call: Call<'_>,
        answer: &Answer,
        asked_at: Instant,
        connection: &Connection,
    ) -> Result<Self, OpenStackError> {
        let token = answer.headers.get("x-subject-token").and_then(|token| token.to_str().ok());
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| call.unexpected("a token in the header X-Subject-Token", "none"))?;
        let body: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| call.unexpected("a token in JSON", format!("a body that is not: {error}")))?;
        let body = body.get("token").ok_or_else(|| call.unexpected("a token in JSON", "an object without one"))?;
        let time =
            |name| read_time(body, name).ok_or_else(|| call.unexpected("times of a token", format!("no {name}")));
        let (issued_at, expires_at) = (time("issued_at")?, time("expires_at")?);
        let life = Duration::try_from(expires_at.duration_since(issued_at)).unwrap_or_default();
        if life.is_zero() {
            let found = format!("one from {issued_at} to {expires_at}");
            return Err(call.unexpected("a token that expires after it is issued", found));
        }
        let Some(project_id) = text(body, &["project", "id"]) else {
            return Err(OpenStackError::NoProject { endpoint: call.shown() });
        };
        let catalogue = body.get("catalog").unwrap_or(&Value::Null);
        let image_endpoint = image_endpoint(catalogue, connection.region.as_deref(), connection.interface)
            .map_err(|found| no_image_service(call, connection, found))?;
        Ok(Self {
            project_id: project_id.to_owned(),
            project_name: text(body, &["project", "name"]).unwrap_or_default().to_owned(),
            user_name: text(body, &["user", "name"]).unwrap_or_default().to_owned(),
            roles: roles(body),
            image_endpoint,
            expires_at,
            token: token.to_owned().into(),
            asked_at,
            life,
        })
    }
}

fn no_image_service(call: Call<'_>, connection: &Connection, found: String) -> OpenStackError {
    let region = connection.region.as_ref().map(|region| format!(" (region {region:?})")).unwrap_or_default();
    let interface = format!("{}{region}", connection.interface);
    OpenStackError::NoImageService { endpoint: call.shown(), interface, found }
}

fn read_time(body: &Value, name: &str) -> Option<Timestamp> {
    body.get(name)?.as_str()?.parse().ok()
}

fn text<'a>(body: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(body, |value, name| value.get(name))?.as_str().filter(|text| !text.is_empty())
}

fn roles(body: &Value) -> BTreeSet<String> {
    let roles = body.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    roles.iter().filter_map(|role| text(role, &["name"])).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
