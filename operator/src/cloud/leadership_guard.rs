//! Permits: only the leader may change a cloud, and only while it is sure that no other instance leads.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Whether this instance may change clouds now. All clones are the same permit.
#[derive(Debug, Clone, Default)]
pub struct LeadershipGuard(Option<Arc<Mutex<Instant>>>);

impl LeadershipGuard {
    /// A permit that is not valid until it is extended. (The default permit is always valid, for when no other instance
    /// can lead.)
    pub fn to_extend() -> Self {
        Self(Some(Arc::new(Mutex::new(Instant::now()))))
    }

    /// Whether it is valid. Checked before every call that changes something.
    pub fn is_valid(&self) -> bool {
        let Some(until) = &self.0 else { return true };
        *until.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now()
    }

    /// Makes it valid until a time of the monotonic clock.
    pub fn extend(&self, until: Instant) {
        if let Some(held) = &self.0 {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }

    /// Makes it invalid.
    pub fn end(&self) {
        self.extend(Instant::now());
    }
}
