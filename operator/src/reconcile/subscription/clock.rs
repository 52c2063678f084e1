//! Is this machine's clock to be believed? While it is not, nothing expires. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::observe::Observed;
use crate::api::HasConditions;
use crate::reconcile::backoff::after;
use crate::reconcile::conditions::DOUBTED;

/// So far may the clocks of servers be off.
const TOLERATED: SignedDuration = SignedDuration::from_hours(1);
/// So far may this clock go back between two passes, as time daemons put it right.
const SLEWED: SignedDuration = SignedDuration::from_mins(5);
/// A pass that comes later than its time by more than this may be a clock that went forward.
const LATE: Duration = Duration::from_hours(24);

/// Why the clock is in doubt, if it is.
///
/// It is when the list's server says another time by more than an hour; when it went back since the last pass; and
/// when it went forward by more than the interval and a day. It is believed again once the server agrees with it, or,
/// where the list comes from a file and no server says any time, once it is read.
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
        return Some(format!("it is {now}, the last pass was at {last}: the clock went forward, or nobody was here"));
    }
    let before = observed.status.condition(DOUBTED)?;
    Some(before.message.clone())
}
