use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::*;
use crate::events::{EventFilter, EventType, Phase, Spool};

/// What the receiver does with a delivery.
enum Answer {
    Takes,
    /// Takes so many, then fails.
    Fails(usize, SinkError),
    /// Takes all, but refuses the events with these places for good.
    Refuses(Vec<usize>),
    /// Says nothing, for ever.
    Hangs,
    /// Takes so many, and says that this is all.
    Stalls(usize),
    /// Answers after this time.
    TakesAfter(Duration),
}

/// A receiver that does what it was given, and then takes everything.
struct Receiver {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// When it was called, and with which events.
    calls: mpsc::UnboundedSender<(Instant, Vec<u64>)>,
}

impl Sink for Receiver {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        let numbers = events.iter().map(|event| u64::try_from(event.id.as_u128()).unwrap()).collect();
        self.calls.send((Instant::now(), numbers)).unwrap();
        let handled = events.len();
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.unwrap_or(Answer::Takes) {
            Answer::Takes => Delivery { handled, ..Delivery::default() },
            Answer::Fails(handled, error) => Delivery { handled, stopped: Some(error), ..Delivery::default() },
            Answer::Refuses(places) => {
                let refused = places.into_iter().map(|place| (events[place].id, "not\nthis one".into())).collect();
                Delivery { handled, refused, stopped: None }
            }
            Answer::Hangs => std::future::pending().await,
            Answer::Stalls(handled) => Delivery { handled, ..Delivery::default() },
            Answer::TakesAfter(time) => {
                sleep(time).await;
                Delivery { handled, ..Delivery::default() }
            }
        }
    }
}

fn unreachable_error() -> SinkError {
    SinkError::Unreachable { address: "amqp://broker.example".into(), found: "connection refused".into() }
}

fn busy(retry_after: Option<u64>) -> SinkError {
    let retry_after = retry_after.map(Duration::from_secs);
    SinkError::Busy { address: "https://hook.example".into(), found: "503".into(), retry_after }
}

struct Fixture {
    folder: tempfile::TempDir,
    spool: Spool,
    name: SinkName,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: mpsc::UnboundedReceiver<(Instant, Vec<u64>)>,
    states: SinkStates,
    stop: CancellationToken,
    receiver: Option<Receiver>,
}

impl Fixture {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let name = SinkName::new("a").unwrap();
        let filter = EventFilter { types: EventType::ALL.into(), phases: BTreeSet::from([Phase::After]) };
        let spool = Spool::open(folder.path(), 1 << 24, &[(name.clone(), filter)]).unwrap();
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let (sender, calls) = mpsc::unbounded_channel();
        let receiver = Some(Receiver { answers: answers.clone(), calls: sender });
        let (states, stop) = (SinkStates::default(), CancellationToken::new());
        Self { folder, spool, name, answers, calls, states, stop, receiver }
    }

    fn append(&self, numbers: impl IntoIterator<Item = u64>) {
        let event = |number: u64| Event::new(Uuid::from_u128(number.into()), EventType::Available, Phase::After);
        self.spool.append(&numbers.into_iter().map(event).collect::<Vec<_>>()).unwrap();
    }

    fn start(&mut self, grace: Duration) -> tokio::task::JoinHandle<()> {
        let mut reader = self.spool.reader(&self.name).unwrap();
        let mut receiver = self.receiver.take().unwrap();
        let (states, stop) = (self.states.clone(), self.stop.clone());
        tokio::spawn(async move { deliver(&mut reader, &mut receiver, &states, grace, &stop).await })
    }

    async fn call(&mut self) -> (Instant, Vec<u64>) {
        self.calls.recv().await.unwrap()
    }

    /// The seconds between this call and the one before.
    async fn wait_after(&mut self, before: &mut Instant, events: &[u64]) -> f64 {
        let (at, found) = self.call().await;
        assert_eq!(found, events);
        let wait = (at - *before).as_secs_f64();
        *before = at;
        wait
    }

    async fn until_nothing_waits(&self) {
        let reader = self.spool.reader(&self.name).unwrap();
        while reader.waiting().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_delivered_in_order_in_blocks() {
    let mut fixture = Fixture::new([]);
    fixture.append(0..600);
    let task = fixture.start(Duration::ZERO);
    let mut found = Vec::new();
    while found.len() < 600 {
        let (_, events) = fixture.call().await;
        assert!(events.len() <= 256);
        found.extend(events);
    }
    assert_eq!(found, (0..600).collect::<Vec<_>>());
    fixture.append([600]);
    assert_eq!(fixture.call().await.1, [600]);
    fixture.until_nothing_waits().await;
    let state = fixture.states.of(&fixture.name);
    assert_eq!((state.delivered, state.refused, state.failing), (601, 0, None));
    fixture.stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_ever_later_and_a_success_begins_anew() {
    let failures = (0..12).map(|_| Answer::Fails(0, unreachable_error()));
    let mut fixture = Fixture::new(failures.chain([Answer::Takes, Answer::Fails(0, unreachable_error())]));
    fixture.append([0]);
    let _task = fixture.start(Duration::ZERO);
    let (mut before, events) = fixture.call().await;
    assert_eq!(events, [0]);
    for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0] {
        let wait = fixture.wait_after(&mut before, &[0]).await;
        // The clock of the runtime has milliseconds.
        assert!(wait >= expected && wait <= expected * 1.2 + 0.002, "{wait} after {expected}");
    }
    let state = fixture.states.of(&fixture.name);
    let failing = state.failing.unwrap();
    assert_eq!((failing.reason, failing.failures), ("Unreachable", 12));
    assert_eq!(failing.message, "cannot reach amqp://broker.example: connection refused");
    assert_eq!((state.errors["Unreachable"], state.delivered), (12, 0));
    fixture.wait_after(&mut before, &[0]).await;
    while fixture.states.of(&fixture.name).failing.is_some() {
        tokio::task::yield_now().await;
    }
    fixture.append([1]);
    let (mut before, _) = fixture.call().await;
    let wait = fixture.wait_after(&mut before, &[1]).await;
    assert!((1.0..=1.21).contains(&wait), "{wait}");
}

#[tokio::test(start_paused = true)]
async fn what_the_receiver_asks_to_wait_is_respected_up_to_an_hour() {
    let answers = [Some(40), Some(u64::MAX), None].map(|asked| Answer::Fails(0, busy(asked)));
    let mut fixture = Fixture::new(answers);
    fixture.append([0]);
    let _task = fixture.start(Duration::ZERO);
    let (mut before, _) = fixture.call().await;
    for expected in [40.0, 3600.0, 4.0] {
        let wait = fixture.wait_after(&mut before, &[0]).await;
        assert!(wait >= expected && wait <= expected * 1.2 + 0.002, "{wait} after {expected}");
    }
    assert_eq!(fixture.states.of(&fixture.name).errors["Busy"], 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_part_the_rest_is_delivered_and_what_is_refused_is_passed() {
    let answers = [Answer::Fails(3, busy(None)), Answer::Refuses(vec![0, 2]), Answer::Stalls(0), Answer::Stalls(99)];
    let mut fixture = Fixture::new(answers);
    fixture.append(0..6);
    let _task = fixture.start(Duration::ZERO);
    assert_eq!(fixture.call().await.1, [0, 1, 2, 3, 4, 5]);
    assert_eq!(fixture.call().await.1, [3, 4, 5]);
    fixture.until_nothing_waits().await;
    let state = fixture.states.of(&fixture.name);
    assert_eq!((state.delivered, state.refused), (4, 2));
    // A sink that does less than it should, and one that says more than it had.
    fixture.append([6]);
    let (mut before, events) = fixture.call().await;
    assert_eq!(events, [6]);
    assert!(fixture.wait_after(&mut before, &[6]).await >= 1.0);
    fixture.until_nothing_waits().await;
    let state = fixture.states.of(&fixture.name);
    assert_eq!((state.delivered, state.errors["Incomplete"]), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_a_delivery_end_within_the_grace_only() {
    for (takes, delivered) in [(4, 2), (6, 0)] {
        let mut fixture = Fixture::new([Answer::TakesAfter(Duration::from_secs(takes))]);
        fixture.append([0, 1]);
        let began = Instant::now();
        let task = fixture.start(Duration::from_secs(5));
        fixture.call().await;
        fixture.stop.cancel();
        task.await.unwrap();
        let took = began.elapsed().as_secs();
        assert_eq!(took, takes.min(5));
        assert_eq!(fixture.states.of(&fixture.name).delivered, delivered);
        let waiting = fixture.spool.status().unwrap().sinks[&fixture.name].events;
        assert_eq!(waiting, 2 - delivered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_wait_at_once() {
    let mut fixture = Fixture::new([Answer::Fails(0, busy(Some(1000)))]);
    fixture.append([0]);
    let task = fixture.start(Duration::from_secs(5));
    let (began, _) = fixture.call().await;
    while fixture.states.of(&fixture.name).failing.is_none() {
        tokio::task::yield_now().await;
    }
    fixture.stop.cancel();
    task.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_delivers_what_it_can() {
    let drained = async |answers: Vec<Answer>| {
        let mut fixture = Fixture::new(answers);
        fixture.append(0..5);
        let (mut reader, mut receiver) =
            (fixture.spool.reader(&fixture.name).unwrap(), fixture.receiver.take().unwrap());
        let began = Instant::now();
        let left = drain(&mut reader, &mut receiver, &fixture.states, Duration::from_secs(10)).await;
        assert!(fixture.answers.lock().unwrap().is_empty());
        (left.remaining.unwrap(), left.failing.map(|failing| failing.reason), began.elapsed().as_secs())
    };
    assert_eq!(drained(vec![]).await, (0, None, 0));
    assert_eq!(drained(vec![Answer::Fails(2, unreachable_error())]).await, (0, None, 1));
    // Another try would be too late: it ends at once.
    assert_eq!(drained(vec![Answer::Fails(2, busy(Some(30)))]).await, (3, Some("Busy"), 0));
    assert_eq!(drained(vec![Answer::Hangs]).await, (5, None, 10));
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_cannot_be_read_is_a_failure_like_others() {
    let mut fixture = Fixture::new([]);
    fixture.append([0, 1]);
    let (segment, aside) =
        (fixture.folder.path().join("00000000000000000001.log"), fixture.folder.path().join("aside"));
    std::fs::rename(&segment, &aside).unwrap();
    std::fs::create_dir(&segment).unwrap();
    let _task = fixture.start(Duration::ZERO);
    while fixture.states.of(&fixture.name).failing.is_none_or(|failing| failing.failures < 3) {
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    let failing = fixture.states.of(&fixture.name).failing.unwrap();
    assert_eq!(failing.reason, "SpoolFailed");
    assert!(failing.message.contains("00000000000000000001.log"), "{failing:?}");
    std::fs::remove_dir(&segment).unwrap();
    std::fs::rename(&aside, &segment).unwrap();
    assert_eq!(fixture.call().await.1, [0, 1]);
}
