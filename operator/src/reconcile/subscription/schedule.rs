//! When the list is fetched. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::check::Checked;
use crate::api::ImageListSubscriptionStatus;
use crate::reconcile::backoff::{after, next_try, spread};

/// The longest wait that a server gets by `Retry-After` if the interval is shorter.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Whether the list must be fetched in this pass: it never was, it is due, the spec has changed, the list has expired
/// since the last fetch, or a user requested it.
pub(super) fn fetch_due(checked: &Checked, status: &ImageListSubscriptionStatus, now: Timestamp) -> bool {
    let asked_for = checked.requested_at.is_some() && checked.requested_at != status.last_handled_reconcile_at;
    let changed = status.observed_generation != checked.generation;
    let due = status.next_fetch_time.as_ref().is_none_or(|time| time.0 <= now);
    due || asked_for || changed || expired_since(status, now)
}

/// Whether the list has expired since the last fetch. It counts as expired only after another fetch was tried.
fn expired_since(status: &ImageListSubscriptionStatus, now: Timestamp) -> bool {
    let expires = status.list.as_ref().map(|list| list.expires.0).filter(|expires| *expires <= now);
    expires.is_some_and(|expires| status.last_fetch_time.as_ref().is_none_or(|last| last.0 < expires))
}

/// A fetch that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchFailure {
    /// How many fetches in a row have failed, this one included.
    pub count: u32,
    /// How long the server asks to wait (`Retry-After`, RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
}

/// The time of the next fetch, after a fetch at `asked`. The interval is extended by up to 5 %, so that many subscriptions
/// do not fetch at the same time. After a failure the wait is that of the back-off, and at least the one that the server
/// asks for, extended in the same way. A server gets at most one interval, or [`LONGEST_ASKED`] if the interval is shorter.
pub(super) fn next_fetch(checked: &Checked, asked: Timestamp, failure: Option<FetchFailure>) -> Timestamp {
    let spread = spread(&checked.key.to_string());
    let spread_out = |wait: Duration| after(asked, wait.mul_f64(0.05f64.mul_add(spread, 1.0)));
    let Some(FetchFailure { count, retry_after }) = failure else { return spread_out(checked.interval) };
    let own = next_try(count, asked, checked.interval, spread);
    let longest = checked.interval.max(LONGEST_ASKED);
    retry_after.map_or(own, |wait| own.max(spread_out(wait.min(longest))))
}

/// When a list expires: at its own end, or `maxListAge` after its creation, whichever is first.
pub(super) fn expiry(expires: Timestamp, created: Timestamp, max_list_age: Option<Duration>) -> Timestamp {
    max_list_age.map_or(expires, |age| expires.min(after(created, age)))
}

/// When a pass fetches the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchTrigger {
    /// When it is due, the spec has changed, or a user requested it.
    WhenDue,
    /// Now, because a user or cron started the run.
    Now,
    /// Not at all. Only what is on the volume is read, and all older lists of it.
    Never,
}
