//! Who may change a cloud: a program that leads, for as long as it is sure that nobody else does.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Whether this program may change clouds now. A clone is the same permit.
#[derive(Debug, Clone, Default)]
pub struct Permit(Option<Arc<Mutex<Instant>>>);

impl Permit {
    /// A permit that is not valid until it is extended. (The default one always is: nobody else could lead.)
    pub fn to_extend() -> Self {
        Self(Some(Arc::new(Mutex::new(Instant::now()))))
    }

    /// Whether it is valid. Asked before every call that changes something.
    pub fn is_valid(&self) -> bool {
        let Some(until) = &self.0 else { return true };
        *until.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now()
    }

    /// It is valid until then, by a clock that nobody sets.
    pub fn extend(&self, until: Instant) {
        if let Some(held) = &self.0 {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }

    /// It is valid no more.
    pub fn end(&self) {
        self.extend(Instant::now());
    }
}
