//! When the list is asked for. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::check::Checked;
use crate::api::ImageListSubscriptionStatus;
use crate::reconcile::backoff::{after, next_try, spread};

/// Whether the server has to be asked in this pass: it never was, its time has come, the spec changed since, the
/// list expired since, or a person asked for it.
pub(super) fn fetch_due(checked: &Checked, status: &ImageListSubscriptionStatus, now: Timestamp) -> bool {
    let asked_for = checked.requested_at.is_some() && checked.requested_at != status.last_handled_reconcile_at;
    let changed = status.observed_generation != checked.generation;
    let due = status.next_fetch_time.as_ref().is_none_or(|time| time.0 <= now);
    due || asked_for || changed || expired_since(status, now)
}

/// Whether the list has expired since the server was last asked: it counts as over only once it is asked again.
fn expired_since(status: &ImageListSubscriptionStatus, now: Timestamp) -> bool {
    let expires = status.list.as_ref().map(|list| list.expires.0).filter(|expires| *expires <= now);
    expires.is_some_and(|expires| status.last_fetch_time.as_ref().is_none_or(|last| last.0 < expires))
}

/// When the server is asked next, after it was asked at `asked` and failed so many times in a row since it last did
/// not. The interval is spread by up to a twentieth, so that many subscriptions do not ask together.
pub(super) fn next_fetch(checked: &Checked, asked: Timestamp, failures: u32) -> Timestamp {
    let spread = spread(&checked.key.to_string());
    if failures > 0 {
        return next_try(failures, asked, checked.interval, spread);
    }
    after(asked, checked.interval.mul_f64(0.05f64.mul_add(spread, 1.0)))
}

/// When a list expires: by its own word, or `maxListAge` after it was created if that is sooner.
pub(super) fn expiry(expires: Timestamp, created: Timestamp, max_list_age: Option<Duration>) -> Timestamp {
    max_list_age.map_or(expires, |age| expires.min(after(created, age)))
}

/// When a pass asks the list's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchTrigger {
    /// When its time has come, the spec changed or a person asked for it.
    WhenDue,
    /// Now: a person, or cron, started the run.
    Now,
}
