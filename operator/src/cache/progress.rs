//! The progress of a download or a conversion. The working thread writes it, and others read it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The rate is measured over this time, again and again.
const WINDOW: Duration = Duration::from_secs(2);
/// The figures in a status change at most this often, because each change of a status is written and sent to watchers.
/// This is a little less than the interval at which the figures are read.
const TOLD_EVERY: Duration = Duration::from_secs(9);

/// Progress figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The bytes that are done.
    pub bytes: u64,
    /// The total number of bytes.
    pub total: u64,
    /// The rate over the last seconds.
    pub bytes_per_second: u64,
}

/// The progress of a download or a conversion.
pub(super) struct Progress(Mutex<Measured>);

struct Measured {
    running: bool,
    total: u64,
    bytes: u64,
    window_began: Instant,
    window_bytes: u64,
    bytes_per_second: u64,
    told: Option<(Instant, Figures)>,
    changed: Option<watch::Sender<u64>>,
}

impl Progress {
    pub(super) fn new(total: u64) -> Self {
        Self(Mutex::new(Measured {
            running: false,
            total,
            bytes: 0,
            window_began: Instant::now(),
            window_bytes: 0,
            bytes_per_second: 0,
            told: None,
            changed: None,
        }))
    }

    /// Sets the counter that is incremented when it changes between waiting and running, or begins another part.
    pub(super) fn tell_changes(&self, changed: &watch::Sender<u64>) {
        self.measured().changed = Some(changed.clone());
    }

    /// Sets whether it runs or waits for a slot.
    pub(super) fn set_running(&self, running: bool) {
        let mut measured = self.measured();
        if measured.running == running {
            return;
        }
        measured.running = running;
        begin_window(measured);
    }

    /// Sets the number of bytes in all.
    pub(super) fn set_total(&self, total: u64) {
        self.measured().total = total;
    }

    /// Begins a part of the work of `total` bytes.
    pub(super) fn begin(&self, total: u64) {
        let mut measured = self.measured();
        (measured.bytes, measured.total) = (0, total);
        measured.running = true;
        begin_window(measured);
    }

    /// Sets the number of bytes that are done.
    pub(super) fn set_bytes(&self, bytes: u64) {
        let mut measured = self.measured();
        if bytes < measured.window_bytes {
            measured.window_bytes = bytes;
        }
        measured.bytes = bytes;
        let elapsed = measured.window_began.elapsed();
        if elapsed >= WINDOW {
            measured.bytes_per_second = rate(bytes - measured.window_bytes, elapsed);
            measured.window_began = Instant::now();
            measured.window_bytes = bytes;
        }
    }

    /// The progress; `None` while it waits. If the last measurement is old, the rate is computed anew, because no bytes
    /// were received since.
    pub(super) fn figures(&self) -> Option<Figures> {
        self.measured().figures()
    }

    /// The same, but at most [`TOLD_EVERY`] old, for a status.
    pub(super) fn told(&self, now: Instant) -> Option<Figures> {
        let mut measured = self.measured();
        let figures = measured.figures()?;
        match measured.told {
            Some((at, told)) if now.saturating_duration_since(at) < TOLD_EVERY => Some(told),
            Some(_) | None => {
                measured.told = Some((now, figures));
                Some(figures)
            }
        }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn figures(&self) -> Option<Figures> {
        if !self.running {
            return None;
        }
        let elapsed = self.window_began.elapsed();
        let first_or_old = self.bytes_per_second == 0 || elapsed > WINDOW * 2;
        let bytes_per_second =
            if first_or_old { rate(self.bytes - self.window_bytes, elapsed) } else { self.bytes_per_second };
        Some(Figures { bytes: self.bytes, total: self.total, bytes_per_second })
    }
}

/// Measures again, and announces a change. The lock is not held while listeners are called.
fn begin_window(mut measured: MutexGuard<'_, Measured>) {
    (measured.bytes_per_second, measured.told) = (0, None);
    (measured.window_began, measured.window_bytes) = (Instant::now(), measured.bytes);
    let changed = measured.changed.clone();
    drop(measured);
    if let Some(changed) = changed {
        changed.send_modify(|count| *count += 1);
    }
}

fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / milliseconds).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_changes_now_and_then_and_at_once_with_another_part() {
        let progress = Progress::new(100);
        assert_eq!(progress.told(Instant::now()), None, "it waits");
        progress.set_running(true);
        let began = Instant::now();
        let told = |after: Duration| progress.told(began + after).map(|figures| (figures.bytes, figures.total));
        progress.set_bytes(10);
        assert_eq!(told(Duration::ZERO), Some((10, 100)));
        progress.set_bytes(20);
        assert_eq!(told(Duration::from_millis(8_999)), Some((10, 100)));
        assert_eq!(progress.figures().map(|figures| figures.bytes), Some(20), "who asks is told");
        assert_eq!(told(TOLD_EVERY), Some((20, 100)));
        progress.begin(7);
        assert_eq!(told(TOLD_EVERY), Some((0, 7)));
    }
}
