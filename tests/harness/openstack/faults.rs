//! How calls go wrong when a test says so, and what is kept of each call.

use std::collections::BTreeMap;

use serde_json::Value;

use super::request::{Answer, Request, Service};

/// One call that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who was asked.
    pub service: Service,
    /// `GET` and the like.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Where it was JSON.
    pub body: Option<Value>,
    /// What was answered, or would have been; 0: an upload that was cut off.
    pub status: u16,
    /// Whether it was carried out.
    pub done: bool,
}

impl Call {
    pub(super) fn new(request: &Request, status: u16, done: bool) -> Self {
        let Request { service, method, target, body, .. } = request.clone();
        Self { service, method, target, body: serde_json::from_slice(&body).ok(), status, done }
    }

    /// Whether it changes something in Glance.
    pub fn is_write(&self) -> bool {
        self.service == Service::Image && self.method != "GET"
    }

    /// Method and path with `ID` for each id, and without the query: `PUT /v2/images/ID/file`.
    pub fn name(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let is_id = |segment: &str| segment.len() >= 32 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let segments: Vec<_> = path.split('/').map(|one| if is_id(one) { "ID" } else { one }).collect();
        format!("{} {}", self.method, segments.join("/"))
    }
}

/// How a call goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before anything is done.
    Drop,
    /// It is done, and the connection closed without an answer.
    LoseAnswer,
    /// It is done, and half of the answer comes.
    HalfAnswer,
    /// It is done, and no answer comes while the stand-in lives.
    Hang,
    /// It is not done, and answered with this: [`Answer::refuse`] with 401, 500, 503.
    Refuse(Answer),
    /// It is done, and answered with this, as a gateway does that lost its patience.
    DoneBut(Answer),
    /// It is done, and answered with 200 and this text.
    Garbage(String),
    /// The connection of an upload is cut after so many bytes: the image is queued again. Any other call: [`Fault::Drop`].
    Cut(u64),
    /// After so many bytes of an upload, no more are taken while the stand-in lives; the image stays `saving` until
    /// [`super::OpenStack::recover`]. Any other call: [`Fault::Hang`], not done.
    Stall(u64),
}

/// What goes wrong next.
#[derive(Default)]
pub(super) struct Faults {
    /// By the number of the call from now on.
    pub(super) coming: BTreeMap<usize, Fault>,
    /// Calls that are answered before the servers are gone.
    pub(super) lives: Option<usize>,
}

impl Faults {
    /// What goes wrong with this call; all others come one nearer.
    pub(super) fn next(&mut self) -> Option<Fault> {
        if let Some(lives) = &mut self.lives {
            match lives.checked_sub(1) {
                Some(left) => *lives = left,
                None => return Some(Fault::Drop),
            }
        }
        let mut now = None;
        for (number, fault) in std::mem::take(&mut self.coming) {
            match number.checked_sub(1) {
                Some(number) => drop(self.coming.insert(number, fault)),
                None => now = Some(fault),
            }
        }
        now
    }
}
