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

    /// Lets a call in; if it is of the method in question, after enough others have come too.
    pub(crate) fn enter(&self, call: &str) -> Within<'_> {
        let mut state = self.state();
        if state.method.is_empty() || !call.contains(&state.method) {
            return Within(None);
        }
        state.arrived += 1;
        state.within += 1;
        state.most = state.most.max(state.within);
        self.opened.notify_all();
        // The bound only keeps a test that fails from standing still.
        let waiting = |state: &mut State| state.arrived < state.needed;
        drop(self.opened.wait_timeout_while(state, Duration::from_secs(20), waiting));
        Within(Some(self))
    }
}

/// A call that is under way. Dropped before its answer is written: a client that has the answer may send the next
/// call, which is not one more at once.
pub(crate) struct Within<'a>(Option<&'a Gate>);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.0 {
            gate.state().within -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_until_they_are_answered_and_others_do_not() {
        let gate = Gate::default();
        drop(gate.enter("POST /images"));
        assert_eq!(gate.most(), 0, "nothing is held");
        gate.hold("POST", 1);
        for _ in 0..3 {
            drop(gate.enter("POST /images"));
            drop(gate.enter("GET /images"));
        }
        assert_eq!(gate.most(), 1, "one after another");
        let first = gate.enter("POST /images");
        drop(gate.enter("POST /images"));
        drop(first);
        assert_eq!(gate.most(), 2);
    }
}
