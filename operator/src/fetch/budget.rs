//! A limit of the bytes of documents in memory, shared fairly between owners.
//!
//! A permit for its part of the budget is taken before a document is loaded into memory. It is taken all at once, and
//! never a second one while one is held, so there is no deadlock. Permits are granted in turn between the owners
//! (namespaces). So an owner with many large documents delays another owner's small one by at most one document. The
//! requests of one owner are granted in order.
//!
//! The work is done on one thread. The allocator keeps freed memory for each thread, so with many threads the program
//! would use much more memory.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};

use tokio::sync::oneshot;

use crate::turns::Turns;

/// A budget of bytes in memory, shared by all clones.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    total: u64,
    /// The sender for work on the thread. The thread ends when the last sender is dropped.
    thread: OnceLock<Option<mpsc::Sender<Work>>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    waiting: Turns<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    bytes: u64,
    grant: oneshot::Sender<Permit>,
}

type Work = Box<dyn FnOnce() + Send>;

/// A part of the budget. It is released when dropped.
#[derive(Debug)]
pub struct Permit {
    bytes: u64,
    shared: Arc<Shared>,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Self {
        let state = State { free: total, waiting: Turns::default() };
        Self { shared: Arc::new(Shared { total, thread: OnceLock::new(), state: Mutex::new(state) }) }
    }

    /// Waits for a part of the budget. A request for more than the total gets the whole budget.
    pub async fn take(&self, owner: &str, bytes: u64) -> Permit {
        let (grant, granted) = oneshot::channel();
        let waiter = Waiter { bytes: bytes.min(self.shared.total), grant };
        self.shared.state().waiting.push(owner, waiter);
        Shared::hand_out(&self.shared);
        // The sender exists as long as the budget, which `self` holds. The fallback would disable the limit, but it is
        // never used.
        granted.await.unwrap_or_else(|_| Permit { bytes: 0, shared: self.shared.clone() })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grants permits while the next one fits. The lock is not held while a permit is sent, because a permit whose
    /// receiver is gone is dropped at once, which takes the lock.
    fn hand_out(shared: &Arc<Self>) {
        loop {
            let next = shared.state().next();
            let Some(Waiter { bytes, grant }) = next else { return };
            drop(grant.send(Permit { bytes, shared: shared.clone() }));
        }
    }
}

impl State {
    /// The next waiter, if its part fits: the first one of the owner whose turn it is.
    fn next(&mut self) -> Option<Waiter> {
        self.waiting.retain(|waiter| !waiter.grant.is_closed());
        let waiter = self.waiting.take_if(|waiter| waiter.bytes <= self.free)?;
        self.free -= waiter.bytes;
        Some(waiter)
    }
}

impl Permit {
    /// Runs work on documents for which this permit was taken, on the budget's thread.
    pub async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(move || drop(done.send(catch_unwind(AssertUnwindSafe(work)))));
        match self.shared.thread.get_or_init(start) {
            Some(thread) => {
                if let Err(mpsc::SendError(work)) = thread.send(work) {
                    work();
                }
            }
            // The thread could not be started, so the work is done here.
            None => work(),
        }
        match result.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            // The thread answers all work that it received, unless the process ends.
            Err(_) => std::future::pending().await,
        }
    }
}

fn start() -> Option<mpsc::Sender<Work>> {
    let (sender, receiver) = mpsc::channel::<Work>();
    let run = move || receiver.iter().for_each(|work| work());
    let started = std::thread::Builder::new().name("documents".to_owned()).spawn(run);
    started.inspect_err(|error| tracing::warn!(%error, "documents have no thread of their own")).ok().map(|_| sender)
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.state().free += self.bytes;
        Shared::hand_out(&self.shared);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use futures::FutureExt as _;

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Permit>>>;

    /// One who asks and gets it at once.
    fn at_once(budget: &Budget, owner: &str, bytes: u64) -> Permit {
        budget.take(owner, bytes).now_or_never().expect("there is enough")
    }

    /// One who asks, and has to wait.
    fn later(budget: &Budget, owner: &'static str, bytes: u64) -> Waiting {
        let budget = budget.clone();
        let mut waiting: Waiting = Box::pin(async move { budget.take(owner, bytes).await });
        assert!((&mut waiting).now_or_never().is_none(), "there is not enough");
        waiting
    }

    fn granted(waiting: Waiting) -> Permit {
        waiting.now_or_never().expect("its turn has come")
    }

    #[test]
    fn no_more_is_handed_out_than_there_is() {
        let budget = Budget::new(10);
        let (first, second) = (at_once(&budget, "a", 6), at_once(&budget, "a", 4));
        let third = later(&budget, "a", 1);
        drop(second);
        let third = granted(third);
        drop(later(&budget, "a", 4));
        drop((first, third));
        let all = at_once(&budget, "a", 1_000);
        assert_eq!(all.bytes, 10, "who asks for more than there is gets all of it");
        drop(later(&budget, "b", 1));
    }

    #[test]
    fn owners_take_turns_and_each_is_served_in_order() {
        let budget = Budget::new(10);
        let held = at_once(&budget, "a", 10);
        let (mut second, third) = (later(&budget, "a", 10), later(&budget, "a", 10));
        let other = later(&budget, "b", 1);
        drop(held);
        // The other owner's small one does not wait for all of them.
        let other = granted(other);
        assert!((&mut second).now_or_never().is_none());
        drop(other);
        drop(granted(second));
        drop(granted(third));
    }

    #[test]
    fn a_large_part_is_not_starved_by_small_ones() {
        let budget = Budget::new(10);
        let held = at_once(&budget, "a", 2);
        let large = later(&budget, "b", 10);
        let small = later(&budget, "c", 1);
        drop(held);
        drop(granted(large));
        drop(granted(small));
    }

    #[tokio::test]
    async fn work_is_done_on_one_thread_and_a_panic_is_its_callers() {
        let budget = Budget::new(10);
        let (first, second) = (budget.take("a", 1).await, budget.take("b", 1).await);
        let here = std::thread::current().id();
        let [one, other] = [&first, &second].map(|permit| permit.work(|| std::thread::current().id()));
        let (one, other) = (one.await, other.await);
        assert!(one == other && one != here);
        let failed = tokio::spawn(async move { first.work(|| -> u8 { panic!("it is meant to") }).await }).await;
        assert!(failed.unwrap_err().is_panic());
        assert_eq!(second.work(|| 7).await, 7, "the thread goes on");
    }

    #[test]
    fn who_no_longer_waits_holds_nothing_up() {
        let budget = Budget::new(10);
        let held = at_once(&budget, "a", 10);
        drop(later(&budget, "b", 10));
        let other = later(&budget, "c", 10);
        drop(held);
        drop(granted(other));
        // One that was granted and never looked.
        let held = at_once(&budget, "a", 10);
        let unseen = later(&budget, "b", 10);
        drop(held);
        drop(unseen);
        drop(at_once(&budget, "a", 10));
    }
}
