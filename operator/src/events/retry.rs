//! How long a sink waits after a delivery that failed. Pure: the random part is an argument.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, but for what the receiver asks for and the random part.
const LONGEST: Duration = Duration::from_mins(5);
/// A receiver that asks for more (`Retry-After`) is tried after this time.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// The wait after `failures` failures in a row: 1 s, doubled with each, at most 5 min; but never less than the receiver
/// asked for, up to 1 h. `spread` (0 to 1) makes it up to 20 % longer, so that many clients do not come back at once.
pub(super) fn wait_after(failures: u32, asked: Option<Duration>, spread: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let wait = wait.max(asked.unwrap_or_default().min(LONGEST_ASKED));
    wait.mul_f64(0.2f64.mul_add(spread.clamp(0.0, 1.0), 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_five_minutes_and_respects_what_is_asked() {
        let seconds =
            |failures, asked: Option<u64>| wait_after(failures, asked.map(Duration::from_secs), 0.0).as_secs();
        assert_eq!([0, 1, 2, 3, 9, 10, u32::MAX].map(|failures| seconds(failures, None)), [1, 1, 2, 4, 256, 300, 300]);
        assert_eq!(seconds(1, Some(30)), 30);
        assert_eq!(seconds(10, Some(30)), 300);
        assert_eq!(seconds(1, Some(u64::MAX)), 3600);
        assert_eq!(wait_after(1, None, 1.0), Duration::from_millis(1200));
        assert_eq!(wait_after(1, None, f64::INFINITY), Duration::from_millis(1200));
    }
}
