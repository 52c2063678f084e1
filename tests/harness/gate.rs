//! Lets calls of one method wait for each other, to see how many are under way at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Default)]
struct State {
    method: String,
    /// How many calls must have come before the first goes on.
    needed: usize,
    arrived: usize,
    within: usize,
    most: usize,
}

impl Gate {
    pub(crate) fn hold(&self, method: &str, needed: usize) {
        *self.state() = State { method: method.to_owned(), needed, ..State::default() };
    }

    pub(crate) fn most(&self) -> usize {
        self.state().most
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an exchange; if it is of the method in question, after enough others have come too.
    pub(crate) fn pass<T>(&self, body: &str, exchange: impl FnOnce() -> T) -> T {
        let mut state = self.state();
        if state.method.is_empty() || !body.contains(&state.method) {
            drop(state);
            return exchange();
        }
        state.arrived += 1;
        state.within += 1;
        state.most = state.most.max(state.within);
        self.opened.notify_all();
        // The bound only keeps a test that fails from standing still.
        let waiting = |state: &mut State| state.arrived < state.needed;
        let waited = self.opened.wait_timeout_while(state, Duration::from_secs(20), waiting);
        drop(waited);
        let result = exchange();
        self.state().within -= 1;
        result
    }
}
