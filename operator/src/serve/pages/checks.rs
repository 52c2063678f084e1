//! The checks of lists in force, made anew at most every half minute for a subscription, and one after another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::site::Site;
use crate::api::ObjectKey;
use crate::reconcile::subscription::KeptChecks;
use crate::text::with_causes;

/// How long checks are shown again.
const RECENT: Duration = Duration::from_secs(30);
/// The longest wait for them.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most subscriptions whose checks are known.
const MOST: usize = 64;

/// The checks; `None` if no list is in force, or why there are none.
pub(super) type Checked = Result<Option<KeptChecks>, String>;

/// The checks that were made last.
pub(super) struct Checks {
    known: Mutex<HashMap<ObjectKey, (Instant, Arc<Checked>)>>,
    turn: Semaphore,
}

impl Default for Checks {
    fn default() -> Self {
        Self { known: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl Checks {
    /// The checks of a subscription's list in force.
    pub(super) async fn of(&self, site: &dyn Site, key: &ObjectKey, now: Timestamp) -> Arc<Checked> {
        let work = async {
            let Ok(_turn) = self.turn.acquire().await else { return None };
            if let Some(known) = self.known(key) {
                return Some(known);
            }
            let made = site.checks(key, now).await.map_err(|error| with_causes(&error));
            Some(self.keep(key, made))
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Some(made)) => made,
            Ok(None) | Err(_) => Arc::new(Err("the checks were not ready in time; load the page again".to_owned())),
        }
    }

    fn known(&self, key: &ObjectKey) -> Option<Arc<Checked>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(made, _)| made.elapsed() < RECENT).map(|(_, checked)| checked.clone())
    }

    fn keep(&self, key: &ObjectKey, made: Checked) -> Arc<Checked> {
        let made = Arc::new(made);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (made, _)| made.elapsed() < RECENT);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key.clone(), (Instant::now(), made.clone()));
        made
    }
}
