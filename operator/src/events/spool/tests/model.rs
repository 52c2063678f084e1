//! Random appends, deliveries, interruptions and restarts: each sink gets its events in order, each one until it is
//! passed, and nothing else.

use std::fs::OpenOptions;
use std::io::Write;

use proptest::prelude::*;

use super::*;

const TYPES: [EventType; 3] = [EventType::Available, EventType::Expire, EventType::Publish];

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    /// A sink reads at most so many, and passes so many of them.
    Deliver(usize, usize, usize),
    Replay(usize, u64),
    /// The program is started again; this many bytes of another record are at the end.
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(0..TYPES.len(), 0..12).prop_map(Step::Append),
        4 => (0_usize..3, 1_usize..20, 0_usize..20).prop_map(|(sink, most, passed)| Step::Deliver(sink, most, passed)),
        1 => (0_usize..3, 0_u64..60).prop_map(|(sink, from)| Step::Replay(sink, from)),
        1 => (0_usize..80).prop_map(Step::Restart),
    ]
}

struct Modelled {
    directory: tempfile::TempDir,
    sinks: Vec<(SinkName, EventFilter)>,
    spool: Spool,
    readers: Vec<Reader>,
    /// The events in the spool, with their sequence numbers.
    written: Vec<(u64, Event)>,
    /// The position of each sink.
    positions: Vec<u64>,
    made: u64,
}

impl Modelled {
    fn new() -> Self {
        let directory = folder();
        let filters = [takes(&TYPES), takes(&TYPES[..1]), takes(&TYPES[1..2])];
        let sinks: Vec<_> = ["a", "b", "c"].map(sink).into_iter().zip(filters).collect();
        // Small segments, so that there are many.
        let spool = Spool::open(directory.path(), 256 * 1024, &sinks).unwrap();
        let readers = sinks.iter().map(|(sink, _)| spool.reader(sink).unwrap()).collect();
        Self { directory, sinks, spool, readers, written: Vec::new(), positions: vec![1; 3], made: 0 }
    }

    fn append(&mut self, kinds: &[usize]) {
        let number = self.made..;
        let events: Vec<Event> = kinds.iter().zip(number).map(|(kind, number)| event(number, TYPES[*kind])).collect();
        self.made += u64::try_from(events.len()).unwrap();
        // The last of the types goes to the first sink only; all are written.
        let next = self.next();
        let written = self.spool.append(&events).unwrap().written;
        assert_eq!(written, u64::try_from(events.len()).unwrap());
        self.written.extend((next..).zip(events));
    }

    fn waiting(&self, index: usize) -> Vec<(u64, Event)> {
        let waits =
            |(sequence, event): &&(u64, Event)| *sequence >= self.positions[index] && self.sinks[index].1.takes(event);
        self.written.iter().filter(waits).cloned().collect()
    }

    /// The first event that a sink waits for, or the next one. Those before it may be gone: a reader moves its sink over what
    /// is not for it.
    fn needed(&self) -> u64 {
        let waiting = (0..self.sinks.len()).filter_map(|index| self.waiting(index).first().map(|(first, _)| *first));
        waiting.min().unwrap_or(self.next())
    }

    fn next(&self) -> u64 {
        u64::try_from(self.written.len()).unwrap() + 1
    }

    async fn deliver(&mut self, index: usize, most: usize, passed: usize) {
        let mut expected = self.waiting(index);
        expected.truncate(most);
        let mut found = self.readers[index].ready(most).await.unwrap();
        // A read may end with the segment, but it has something if anything waits.
        assert!(found.len() <= expected.len() && found.is_empty() == expected.is_empty(), "{found:?}\n{expected:?}");
        assert_eq!(found, expected[..found.len()]);
        found.truncate(passed);
        if let Some((last, _)) = found.last() {
            self.readers[index].advance(*last).await.unwrap();
            self.positions[index] = last + 1;
        }
    }

    fn replay(&mut self, index: usize, from: u64) {
        // The log has at least what a sink needs.
        let (needed, next) = (self.needed(), self.next());
        let position = self.spool.set_position(&self.sinks[index].0, from).unwrap();
        assert!(position >= from.min(next) && position <= from.max(needed).min(next), "{position}");
        self.positions[index] = position;
    }

    fn restart(&mut self, torn: usize) {
        self.readers.clear();
        let mut line = Vec::new();
        let json = serde_json::to_string(&event(999_999, TYPES[0])).unwrap();
        super::super::record::add_record(&mut line, self.next(), &json);
        if let Some(last) = segments(self.directory.path()).last() {
            OpenOptions::new().append(true).open(last).unwrap().write_all(&line[..torn]).unwrap();
        }
        self.spool = Spool::open(self.directory.path(), 256 * 1024, &self.sinks).unwrap();
        self.readers = self.sinks.iter().map(|(sink, _)| self.spool.reader(sink).unwrap()).collect();
    }

    fn check(&self) {
        let status = self.spool.status().unwrap();
        assert_eq!(status.bytes, bytes_of(self.directory.path()));
        for (index, (sink, _)) in self.sinks.iter().enumerate() {
            let waiting = self.waiting(index);
            let found = status.sinks[sink];
            assert_eq!(found.events, u64::try_from(waiting.len()).unwrap());
            assert_eq!(found.oldest, waiting.first().map(|(_, event)| event.time));
            assert_eq!(found.lost, 0);
        }
        let lowest = self.needed();
        let listed: Vec<_> =
            Spool::read_only(self.directory.path()).records(lowest).unwrap().map(Result::unwrap).collect();
        let needed: Vec<_> = self.written.iter().filter(|(sequence, _)| *sequence >= lowest).cloned().collect();
        assert_eq!(listed, needed);
        let newest: Vec<_> = needed.into_iter().rev().collect();
        for most in [newest.len(), newest.len() / 2] {
            let last = Spool::read_only(self.directory.path()).last(most, usize::MAX).unwrap();
            assert_eq!(last, newest[..most]);
        }
    }
}

fn follow(steps: Vec<Step>) {
    let mut modelled = Modelled::new();
    run(async {
        for step in steps {
            match step {
                Step::Append(kinds) => modelled.append(&kinds),
                Step::Deliver(index, most, passed) => modelled.deliver(index, most, passed).await,
                Step::Replay(index, from) => modelled.replay(index, from),
                Step::Restart(torn) => modelled.restart(torn),
            }
            modelled.check();
        }
        for index in 0..3 {
            let expected = numbers(&modelled.waiting(index));
            assert_eq!(take(&mut modelled.readers[index]).await, expected);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_sink_gets_its_events_in_order_until_they_are_passed(steps in prop::collection::vec(step(), 1..60)) {
        follow(steps);
    }
}

#[test]
fn a_segment_without_an_event_for_a_sink_goes_without_it() {
    let appends = (0..12).map(|_| Step::Append(vec![2; 12]));
    let deliveries = (0..20).map(|_| Step::Deliver(0, 19, 19));
    let looks = [Step::Deliver(1, 1, 0), Step::Deliver(2, 1, 0), Step::Append(vec![0, 1])];
    follow(appends.chain(deliveries).chain(looks).collect());
}
