//! The back-off after failures. Pure: it is computed from the status, so it survives restarts.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The first wait.
const FIRST: Duration = Duration::from_secs(30);

/// The time of the next try after `failures` failures in a row, the last of them at `last`. The wait is 30 s, doubled
/// with each failure, at most `cap` (a subscription's interval). `spread` (0 to 1) makes it up to 20 % longer, so that
/// objects that failed at the same time are not tried again at the same time.
pub(super) fn next_try(failures: u32, last: Timestamp, cap: Duration, spread: f64) -> Timestamp {
    let doublings = failures.saturating_sub(1).min(20);
    let wait = FIRST.saturating_mul(1 << doublings).min(cap.max(FIRST));
    let jittered = wait.mul_f64(0.2f64.mul_add(spread.clamp(0.0, 1.0), 1.0));
    after(last, jittered)
}

/// `time` plus `wait`, or `Timestamp::MAX` if that overflows.
pub(super) fn after(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// A number from 0 to 1 that depends only on `name`, for jitter. It is the same in every pass.
pub(super) fn spread(name: &str) -> f64 {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let [a, b, c, d, ..] = digest;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let last = Timestamp::from_second(1_000_000).unwrap();
        let cap = Duration::from_hours(6);
        let wait = |failures| next_try(failures, last, cap, 0.0).as_second() - last.as_second();
        assert_eq!([1, 2, 3, 4].map(wait), [30, 60, 120, 240]);
        assert_eq!([11, 50, u32::MAX].map(wait), [6 * 3600; 3]);
        assert_eq!(next_try(1, last, cap, 1.0).as_second() - last.as_second(), 36);
        assert_eq!(next_try(1, Timestamp::MAX, cap, 1.0), Timestamp::MAX);
    }

    #[test]
    fn spread_is_a_stable_fraction() {
        let values: Vec<f64> = (0..1000).map(|i| spread(&format!("image-{i}"))).collect();
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        let mean = values.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
        assert!((spread("a") - spread("a")).abs() < f64::EPSILON);
    }
}
