//! All endorsers, with the ends of their credentials. Pure.

use askama::Template;
use jiff::Timestamp;

use super::frame::{Frame, Request};
use super::health;
use super::shown::{Moment, State, Text};
use super::site::{Objects, sorted, worst_first};
use crate::api::{CredentialStatus, Endorser, ObjectKey, Trust};
use crate::reconcile::endorser::ends_soon;

/// The page.
#[derive(Template)]
#[template(path = "endorsers.html")]
pub(super) struct Endorsers {
    frame: Frame,
    rows: Vec<Row>,
    /// Rows that are left out.
    more: usize,
}

struct Row {
    key: ObjectKey,
    state: State,
    trust: &'static str,
    description: Text,
    subscriptions: i32,
    credentials: Vec<Credential>,
    findings: Vec<(State, Text, Text)>,
}

struct Credential {
    name: Text,
    subject: Text,
    issuer: Text,
    ends: Option<Moment>,
    ends_soon: bool,
    seen: Option<Moment>,
}

impl Endorsers {
    /// Makes the page. What needs attention is first.
    pub(super) fn of(request: &Request, objects: &Objects) -> Self {
        let objects = sorted(&objects.endorsers).into_iter();
        let rows: Vec<Row> = objects.map(|(key, object)| Row::of(key, object, request.now)).collect();
        let (rows, more) = worst_first(rows, |row| (row.state, &row.key));
        Self { frame: Frame::of(request, "Endorsers", "Endorsers"), rows, more }
    }
}

impl Row {
    fn of(key: ObjectKey, object: &Endorser, now: Timestamp) -> Self {
        let found = health::of_endorser(object);
        let credentials = object.status.iter().flat_map(|status| &status.credentials);
        Self {
            state: health::state(&found),
            trust: match object.spec.trust {
                Trust::Trusted => "Trusted",
                Trust::Hold => "Hold",
                Trust::Revoked => "Revoked",
                Trust::Unknown => "unknown",
            },
            description: Text::of(object.spec.description.as_deref().unwrap_or_default()),
            subscriptions: object.status.as_ref().map_or(0, |status| status.subscriptions),
            credentials: credentials.map(|credential| Credential::of(credential, now)).collect(),
            findings: health::shown(&found),
            key,
        }
    }
}

impl Credential {
    fn of(credential: &CredentialStatus, now: Timestamp) -> Self {
        let end = credential.not_after.as_ref().map(|end| end.0);
        Self {
            name: Text::of(&credential.name),
            subject: Text::of(&credential.subject),
            issuer: Text::of(&credential.issuer),
            ends: end.map(|end| Moment::of(end, now)),
            ends_soon: end.is_some_and(|end| ends_soon(end, now)),
            seen: credential.last_seen_time.as_ref().map(|seen| Moment::of(seen.0, now)),
        }
    }
}
