use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::api::Kind;
use crate::events::Progress;
use crate::events::SinkError;

/// What a receiver got: when, and per event the name, the bytes that are done, and the target.
type Calls = Arc<Mutex<Vec<(Duration, Vec<(String, u64)>)>>>;

/// A receiver that takes everything, after some time, and fails so many times before.
struct Receiver {
    began: Instant,
    calls: Calls,
    takes: Duration,
    fails: usize,
}

impl Sink for Receiver {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        let bytes = |event: &Event| event.progress.map_or(0, |progress| progress.done);
        let got = events.iter().map(|event| (event.object.as_ref().unwrap().name.clone(), bytes(event))).collect();
        self.calls.lock().unwrap().push((self.began.elapsed(), got));
        sleep(self.takes).await;
        if self.fails > 0 {
            self.fails -= 1;
            let stopped = Some(SinkError::Unreachable { address: "a".to_owned(), found: "refused".to_owned() });
            return Delivery { stopped, ..Delivery::default() };
        }
        Delivery { handled: events.len(), ..Delivery::default() }
    }
}

fn event(name: &str, done: u64) -> Event {
    Event {
        id: Uuid::new_v4(),
        session: Uuid::nil(),
        time: Timestamp::UNIX_EPOCH,
        event: EventType::Download,
        phase: Phase::Progress,
        object: Some(Object { kind: Kind::Image, namespace: "n".to_owned(), name: name.to_owned() }),
        target: None,
        image: None,
        reason: None,
        message: None,
        progress: Some(Progress { done, total: Some(100) }),
    }
}

fn filter(types: &[EventType], phases: &[Phase]) -> EventFilter {
    EventFilter { types: types.iter().copied().collect(), phases: phases.iter().copied().collect::<BTreeSet<_>>() }
}

struct Fixture {
    queue: Arc<ProgressQueue>,
    calls: Calls,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Fixture {
    fn start(takes: Duration, fails: usize) -> Self {
        let queue = Arc::new(ProgressQueue::of(&filter(&EventType::ALL, &[Phase::Progress])).unwrap());
        let (calls, stop) = (Calls::default(), CancellationToken::new());
        let mut sink = Receiver { began: Instant::now(), calls: calls.clone(), takes, fails };
        let (of_task, stopped, name) = (queue.clone(), stop.clone(), SinkName::new("a").unwrap());
        let task = tokio::spawn(async move {
            deliver_progress(&of_task, &mut sink, &name, Duration::from_secs(5), &stopped).await;
        });
        Self { queue, calls, stop, task }
    }

    async fn end(self) -> Vec<(u64, Vec<(String, u64)>)> {
        self.stop.cancel();
        self.task.await.unwrap();
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(at, got)| (u64::try_from(at.as_millis()).unwrap(), got.clone())).collect()
    }
}

fn got(name: &str, done: u64) -> Vec<(String, u64)> {
    vec![(name.to_owned(), done)]
}

#[test]
fn only_a_sink_with_events_that_have_progress_has_a_queue() {
    let has = |types: &[EventType], phases: &[Phase]| ProgressQueue::of(&filter(types, phases)).is_some();
    assert!(has(&[EventType::Convert], &[Phase::After, Phase::Progress]));
    assert!(!has(&EventType::ALL, &[Phase::Before, Phase::After]));
    assert!(!has(&[EventType::Available], &[Phase::Progress]));
}

#[tokio::test(start_paused = true)]
async fn one_a_second_and_always_the_last() {
    let fixture = Fixture::start(Duration::ZERO, 0);
    for done in 0..25 {
        fixture.queue.put(&event("i", done), false);
        sleep(Duration::from_millis(100)).await;
    }
    fixture.queue.put(&event("i", 100), true);
    sleep(Duration::from_mins(1)).await;
    let expected = [(0, got("i", 0)), (1000, got("i", 9)), (2000, got("i", 19)), (3000, got("i", 100))];
    let calls = fixture.end().await;
    // A figure of the very moment may be one earlier or later.
    assert_eq!(calls.iter().map(|(at, _)| at / 10).collect::<Vec<_>>(), [0, 100, 200, 300], "{calls:?}");
    assert_eq!((&calls[0], &calls[3].1), (&expected[0], &expected[3].1));
    assert!((9..=10).contains(&calls[1].1[0].1) && (19..=20).contains(&calls[2].1[0].1), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn many_images_each_have_their_second() {
    let fixture = Fixture::start(Duration::ZERO, 0);
    for round in 0..40 {
        for image in 0..1000 {
            fixture.queue.put(&event(&image.to_string(), round), round == 39);
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(2)).await;
    assert!(fixture.queue.steps().len() <= 1000);
    let calls = fixture.end().await;
    let mut of_image: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for (at, got) in calls {
        assert!(got.len() <= MOST_AT_ONCE);
        for (name, done) in got {
            of_image.entry(name).or_default().push((at, done));
        }
    }
    assert_eq!(of_image.len(), 1000);
    for (name, got) in of_image {
        assert!((4..=6).contains(&got.len()), "{name}: {got:?}");
        assert!(got.windows(2).all(|two| two[1].0 - two[0].0 >= 1000 && two[1].1 > two[0].1), "{name}: {got:?}");
        assert_eq!(got.last().unwrap().1, 39, "{name}: {got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_gets_each_of_many_images_in_turn() {
    let fixture = Fixture::start(Duration::from_secs(2), 0);
    for round in 0..100 {
        for image in 0..1000 {
            fixture.queue.put(&event(&image.to_string(), round), false);
        }
        sleep(Duration::from_millis(100)).await;
    }
    let mut of_image: BTreeMap<String, usize> = BTreeMap::new();
    for (name, _) in fixture.calls.lock().unwrap().iter().take(5).flat_map(|(_, got)| got) {
        *of_image.entry(name.clone()).or_default() += 1;
    }
    assert_eq!(of_image.len(), 1000);
    assert!(of_image.values().all(|count| *count <= 2), "{of_image:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_gets_the_newest_and_blocks_nobody() {
    let fixture = Fixture::start(Duration::from_secs(7), 0);
    let began = Instant::now();
    for done in 0..100 {
        fixture.queue.put(&event("i", done), false);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(began.elapsed().as_millis(), 10_000, "there is no wait");
    // The last one of a step stays when another step of the name begins.
    fixture.queue.put(&event("i", 100), true);
    fixture.queue.put(&event("i", 1), false);
    sleep(Duration::from_mins(1)).await;
    let calls: Vec<_> = fixture.end().await.into_iter().map(|(_, got)| got[0].1).collect();
    assert_eq!((calls.len(), calls[0], &calls[2..]), (4, 0, &[100, 1][..]), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_dropped_and_the_sink_is_left_alone() {
    let fixture = Fixture::start(Duration::ZERO, 7);
    for done in 0..3000 {
        fixture.queue.put(&event("i", done), false);
        sleep(Duration::from_millis(100)).await;
    }
    let calls = fixture.end().await;
    let gaps: Vec<u64> = calls.windows(2).map(|two| (two[1].0 - two[0].0) / 1000).take(7).collect();
    for (gap, wait) in gaps.iter().zip([1, 2, 4, 8, 16, 30, 30]) {
        assert!((wait..=wait + wait / 5 + 1).contains(gap), "{gaps:?}");
    }
    let done: Vec<u64> = calls.iter().map(|(_, got)| got[0].1).collect();
    assert!(done.windows(2).all(|two| two[0] < two[1]), "nothing is sent again: {done:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_is_delivered_at_once_or_dropped() {
    let fixture = Fixture::start(Duration::ZERO, 0);
    fixture.queue.put(&event("i", 1), false);
    sleep(Duration::from_millis(10)).await;
    fixture.queue.put(&event("i", 100), true);
    let calls = fixture.end().await;
    assert_eq!(calls, [(0, got("i", 1)), (calls[1].0, got("i", 100))]);
    assert!(calls[1].0 < 1000);
    let began = Instant::now();
    let hangs = Fixture::start(Duration::from_hours(1), 0);
    hangs.queue.put(&event("i", 1), false);
    sleep(Duration::from_millis(10)).await;
    hangs.end().await;
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_steps_that_wait_are_bounded() {
    let queue = ProgressQueue::of(&filter(&EventType::ALL, &[Phase::Progress])).unwrap();
    for image in 0..MOST_STEPS + 10 {
        queue.put(&event(&image.to_string(), 1), true);
    }
    assert_eq!(queue.steps().len(), MOST_STEPS);
    queue.put(&event("0", 2), true);
    let mut count = 0;
    loop {
        let (taken, next) = queue.take(Instant::now());
        count += taken.len();
        if taken.is_empty() {
            assert_eq!(next, None);
            break;
        }
    }
    assert_eq!(count, MOST_STEPS);
    tokio::time::advance(EVERY).await;
    assert_eq!(queue.take(Instant::now()), (Vec::new(), None));
    assert!(queue.steps().is_empty(), "nothing stays");
}
