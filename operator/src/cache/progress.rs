//! How far a download is, told by the thread that writes and read by everyone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::job::JobState;

/// The rate is measured over this time, anew each time.
const WINDOW: Duration = Duration::from_secs(2);

/// How far a download is.
pub(super) struct Progress {
    total: u64,
    inner: Mutex<Measured>,
}

struct Measured {
    running: bool,
    bytes: u64,
    window_began: Instant,
    window_bytes: u64,
    bytes_per_second: u64,
    changed: Option<watch::Sender<u64>>,
}

impl Progress {
    pub(super) fn new(total: u64) -> Self {
        let inner = Measured {
            running: false,
            bytes: 0,
            window_began: Instant::now(),
            window_bytes: 0,
            bytes_per_second: 0,
            changed: None,
        };
        Self { total, inner: Mutex::new(inner) }
    }

    /// Whom to tell when it goes from waiting to running and back.
    pub(super) fn tell_changes(&self, changed: &watch::Sender<u64>) {
        self.measured().changed = Some(changed.clone());
    }

    /// It waits for its turn, or has it.
    pub(super) fn set_running(&self, running: bool) {
        let mut measured = self.measured();
        if measured.running == running {
            return;
        }
        measured.running = running;
        measured.bytes_per_second = 0;
        measured.window_began = Instant::now();
        measured.window_bytes = measured.bytes;
        let changed = measured.changed.clone();
        drop(measured);
        if let Some(changed) = changed {
            changed.send_modify(|count| *count += 1);
        }
    }

    /// So many bytes are on the volume.
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

    /// As a job's state. A window that is long over means that nothing comes.
    pub(super) fn state(&self) -> JobState {
        let measured = self.measured();
        if !measured.running {
            return JobState::Queued;
        }
        let elapsed = measured.window_began.elapsed();
        let first_or_old = measured.bytes_per_second == 0 || elapsed > WINDOW * 2;
        let bytes_per_second = if first_or_old {
            rate(measured.bytes - measured.window_bytes, elapsed)
        } else {
            measured.bytes_per_second
        };
        JobState::Running { bytes: measured.bytes, total: self.total, bytes_per_second }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / milliseconds).unwrap_or(u64::MAX)
}
