//! The queue of objects to reconcile. An object is in it once, however often it is woken, and has at most one running
//! pass.
//!
//! Namespaces take turns; in a namespace, the object that was woken first comes first. The queue of kube-runtime takes
//! any object that is due: under constant load an object could wait forever.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::ObjectKey;
use crate::turns::Turns;

/// Runs passes over the objects when they are woken or due, at most `at_once` simultaneously. Returns after `stopping`
/// is cancelled and running passes have ended. `pass` returns the time after which the object is due again.
pub(super) async fn run<P: Future<Output = Option<Duration>>>(
    mut woken: UnboundedReceiver<ObjectKey>,
    at_once: usize,
    stopping: CancellationToken,
    pass: impl Fn(ObjectKey) -> P,
) {
    let mut queue = Queue::default();
    let mut passes = FuturesUnordered::new();
    loop {
        queue.come_due(Instant::now());
        while passes.len() < at_once
            && let Some(key) = queue.take()
        {
            let pass = pass(key.clone());
            passes.push(async move { (key, pass.await) });
        }
        let due = queue.due();
        tokio::select! {
            () = stopping.cancelled() => break,
            Some(key) = woken.next() => queue.wake(key),
            Some((key, wait)) = passes.next() => queue.ended(key, wait.map(|wait| Instant::now() + wait)),
            () = sleep_until(due) => {}
        }
        // All wakes that have arrived are queued before the next pass begins, to keep their order.
        while let Ok(key) = woken.try_recv() {
            queue.wake(key);
        }
    }
    while passes.next().await.is_some() {}
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The states of the objects in the queue. The methods never wait.
#[derive(Debug, Default)]
struct Queue {
    states: HashMap<ObjectKey, State>,
    ready: Turns<ObjectKey>,
    later: BTreeSet<(Instant, ObjectKey)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for its turn.
    Ready,
    /// It is due at this time.
    Later(Instant),
    /// Its pass is running; `woken`: it was woken in the meantime.
    Running { woken: bool },
}

impl Queue {
    /// Queues an object for the next pass.
    fn wake(&mut self, key: ObjectKey) {
        let before = self.states.get(&key).copied();
        match before {
            Some(State::Ready | State::Running { woken: true }) => {}
            Some(State::Running { woken: false }) => {
                self.states.insert(key, State::Running { woken: true });
            }
            Some(State::Later(_)) | None => {
                if let Some(State::Later(due)) = before {
                    self.later.remove(&(due, key.clone()));
                }
                self.states.insert(key.clone(), State::Ready);
                self.ready.push(&key.namespace.clone(), key);
            }
        }
    }

    /// When the next object is due.
    fn due(&self) -> Option<Instant> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Queues the objects that are due.
    fn come_due(&mut self, now: Instant) {
        while self.due().is_some_and(|due| due <= now)
            && let Some((_, key)) = self.later.pop_first()
        {
            self.states.remove(&key);
            self.wake(key);
        }
    }

    /// Takes the next object. Its pass is running from now on.
    fn take(&mut self) -> Option<ObjectKey> {
        let key = self.ready.take()?;
        self.states.insert(key.clone(), State::Running { woken: false });
        Some(key)
    }

    /// The pass of an object has ended. It is due again at `again` if it is not woken before.
    fn ended(&mut self, key: ObjectKey, again: Option<Instant>) {
        let ran = self.states.remove(&key);
        match (ran, again) {
            (Some(State::Running { woken: true }), _) => self.wake(key),
            (_, Some(due)) => {
                self.later.insert((due, key.clone()));
                self.states.insert(key, State::Later(due));
            }
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::channel::mpsc::unbounded;
    use proptest::prelude::*;

    use super::*;

    fn key(name: usize) -> ObjectKey {
        ObjectKey::new(["a", "b"][name % 2], name.to_string())
    }

    /// An operation on a queue.
    #[derive(Debug, Clone)]
    enum Event {
        Wake(usize),
        Take,
        /// The oldest pass ends; the object is due again after this time.
        End(Option<u64>),
        Pass(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0_usize..8).prop_map(Event::Wake),
            3 => Just(Event::Take),
            3 => prop::option::of(0_u64..5).prop_map(Event::End),
            1 => (0_u64..5).prop_map(Event::Pass),
        ]
    }

    proptest! {
        /// An object that was woken is taken soon, even if others are woken again and again. No object is taken while
        /// its pass is running, or without a reason.
        #[test]
        fn every_wake_is_followed_by_a_pass(events in prop::collection::vec(event(), 0..200)) {
            let (mut queue, mut now) = (Queue::default(), Instant::now());
            let (mut running, mut awaited): (Vec<usize>, HashMap<usize, usize>) = (Vec::new(), HashMap::new());
            for event in events {
                match event {
                    Event::Wake(name) => {
                        queue.wake(key(name));
                        awaited.entry(name).or_default();
                    }
                    Event::Pass(seconds) => now += Duration::from_secs(seconds),
                    Event::End(wait) if !running.is_empty() => {
                        let again = wait.map(|wait| now + Duration::from_secs(wait));
                        queue.ended(key(running.remove(0)), again);
                    }
                    Event::End(_) => {}
                    Event::Take => {
                        let Some(taken) = queue.take() else {
                            prop_assert!(awaited.keys().all(|name| running.contains(name)), "{awaited:?} {running:?}");
                            continue;
                        };
                        let name: usize = taken.name.parse().unwrap();
                        prop_assert!(!running.contains(&name), "twice at once");
                        running.push(name);
                        awaited.remove(&name);
                        for (other, waited) in awaited.iter_mut().filter(|(other, _)| !running.contains(other)) {
                            *waited += 1;
                            prop_assert!(*waited <= 16, "{other} waits for ever");
                        }
                    }
                }
                queue.come_due(now);
                prop_assert!(queue.due().is_none_or(|due| due > now));
                let later = queue.states.values().filter(|state| matches!(state, State::Later(_))).count();
                prop_assert_eq!(later, queue.later.len());
            }
        }
    }

    #[test]
    fn a_wake_is_sooner_than_a_time_and_a_time_is_kept() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let second = Duration::from_secs(1);
        queue.wake(key(0));
        let taken = queue.take().unwrap();
        queue.ended(taken, Some(now + second));
        queue.come_due(now);
        assert_eq!((queue.take(), queue.due()), (None, Some(now + second)));
        queue.come_due(now + second);
        assert_eq!(queue.take(), Some(key(0)));
        queue.ended(key(0), Some(now + 2 * second));
        queue.wake(key(0));
        assert_eq!((queue.due(), queue.take()), (None, Some(key(0))));
        queue.ended(key(0), None);
        assert!(queue.states.is_empty());
    }

    /// Two objects that are woken by their own passes do not starve the others, if two passes run at a time.
    #[tokio::test(start_paused = true)]
    async fn those_that_are_always_busy_starve_nobody() {
        let (queues, woken) = unbounded();
        let (stopping, passes) = (CancellationToken::new(), RefCell::new(Vec::new()));
        (0..40).for_each(|name| queues.unbounded_send(key(name)).unwrap());
        let pass = async |key: ObjectKey| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            passes.borrow_mut().push(key.name.clone());
            if ["0", "1"].contains(&key.name.as_str()) {
                queues.unbounded_send(key).unwrap();
            }
            if passes.borrow().len() >= 60 {
                stopping.cancel();
            }
            None
        };
        run(woken, 2, stopping.clone(), pass).await;
        let passes = passes.borrow();
        for name in 0..40 {
            assert!(passes.contains(&name.to_string()), "{name}: {passes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_passes_that_run_and_begins_none() {
        let (queues, woken) = unbounded();
        let (stopping, ended) = (CancellationToken::new(), RefCell::new(0));
        (0..5).for_each(|name| queues.unbounded_send(key(name)).unwrap());
        let pass = async |_| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stopping.cancel();
            tokio::time::sleep(Duration::from_secs(1)).await;
            *ended.borrow_mut() += 1;
            None
        };
        run(woken, 2, stopping.clone(), pass).await;
        assert_eq!(*ended.borrow(), 2);
    }
}
