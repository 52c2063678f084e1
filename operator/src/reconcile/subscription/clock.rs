//! Decides whether the local clock can be trusted. While it is in doubt, nothing expires. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::observe::Observed;
use crate::api::HasConditions;
use crate::reconcile::backoff::after;
use crate::reconcile::conditions::DOUBTED;

/// The tolerated difference between the local clock and the clock of a server.
const TOLERATED: SignedDuration = SignedDuration::from_hours(1);
/// The tolerated step back of the local clock between two passes, as time daemons make it.
const SLEWED: SignedDuration = SignedDuration::from_mins(5);
/// A pass that is later than planned by more than this may mean that the clock went forward.
const LATE: Duration = Duration::from_hours(24);

/// Why the clock is in doubt; `None` if it is not.
///
/// The clock is in doubt if it differs from the list server's by more than an hour, if it went back since the last
/// pass, or if it went forward by more than the interval and a day. It is trusted again when it agrees with the
/// server's time, or, for a list that is read from a file without a server time, when the list was read.
pub(super) fn doubt(checked: &Checked, observed: &Observed, now: Timestamp) -> Option<String> {
    if let Some(server) = observed.server_time {
        let off = now.duration_since(server).abs();
        return (off > TOLERATED).then(|| format!("this machine says {now}, the list's server {server}"));
    }
    let last = observed.status.last_fetch_time.as_ref()?.0;
    if now < last - SLEWED {
        return Some(format!("it is {now} after it was {last}: the clock went back"));
    }
    if observed.fetched.succeeded() {
        return None;
    }
    let expected = observed.status.next_fetch_time.as_ref().map_or(last, |next| next.0.max(last));
    if !checked.suspend && now > after(after(expected, checked.interval), LATE) {
        return Some(format!(
            "it is {now}, the last pass was at {last}: the clock went forward, or the program did not run"
        ));
    }
    let before = observed.status.condition(DOUBTED)?;
    Some(before.message.clone())
}
