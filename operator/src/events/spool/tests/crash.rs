//! Cuts before each change of the directory: the next run has what was acknowledged, in order, and nothing else; what is
//! lost because the spool is full is counted.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::SpoolError;
use super::super::step::{StepHook, Steps};
use super::*;

/// How the step at the cut fails.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// The program ends: no later step is made either.
    Crash,
    /// Only this step fails.
    Once,
}

struct Cutter {
    made: AtomicUsize,
    at: usize,
    cut: Cut,
}

impl Steps for Cutter {
    fn before(&self, step: &'static str) -> io::Result<()> {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let fails = number == self.at || (self.cut == Cut::Crash && number > self.at);
        if fails { Err(io::Error::other(format!("cut before {step}"))) } else { Ok(()) }
    }
}

/// What a run did before it was cut.
#[derive(Default)]
struct Done {
    /// The events that an append was called with.
    tried: Vec<u64>,
    /// Those that were acknowledged.
    acknowledged: BTreeSet<u64>,
    /// For each sink, those that were delivered: they were passed, or were to be.
    delivered: [Vec<u64>; 2],
    /// What each sink lost.
    lost: [u64; 2],
}

const SINKS: [&str; 2] = ["quick", "slow"];
const LIMIT: u64 = 32 * 1024;
/// So many rounds do not fill the spool.
const FEW: u64 = 6;
/// So many do.
const MANY: u64 = 16;

fn open(directory: &Path, hook: StepHook) -> Result<Spool, SpoolError> {
    let mut sinks = all(&SINKS);
    sinks.push((sink("other"), takes(&[EventType::Expire])));
    Spool::open_with_steps(directory, LIMIT, &sinks, hook)
}

/// Appends, delivers, fills the spool. An append that fails is tried again if the program goes on.
async fn work(spool: &Spool, cut: Cut, rounds: u64, done: &mut Done) {
    let mut readers = SINKS.map(|name| spool.reader(&sink(name)).unwrap());
    for round in 0..rounds {
        let batch = 1000 + round * 10..1010 + round * 10;
        done.tried.extend(batch.clone());
        let mut appended = spool.append(&available(batch.clone()));
        if cut == Cut::Once && appended.is_err() {
            appended = spool.append(&available(batch.clone()));
            assert!(appended.is_ok(), "{appended:?}");
        }
        if appended.is_ok() {
            done.acknowledged.extend(batch);
        }
        for (index, reader) in readers.iter_mut().enumerate() {
            // The slow one stays behind by more and more.
            let events = if index == 0 { reader.ready(10).await } else { reader.ready(2).await };
            let Ok(events) = events else { continue };
            done.delivered[index].extend(numbers(&events));
            if let Some((last, _)) = events.last() {
                let _tried_again_with_the_next = reader.advance(*last).await;
            }
        }
    }
    done.lost = lost(spool);
}

/// What each sink lost, as far as this run knows.
fn lost(spool: &Spool) -> [u64; 2] {
    let state = super::super::log::lock(&spool.0.state);
    SINKS.map(|name| state.sinks[&sink(name)].lost)
}

/// What the next run reads is right.
async fn check(directory: &Path, done: &Done, is_full: bool, about: &str) {
    let spool = open(directory, StepHook::default()).unwrap();
    for (index, name) in SINKS.iter().enumerate() {
        let found = take(&mut spool.reader(&sink(name)).unwrap()).await;
        assert!(found.is_sorted() && found.windows(2).all(|pair| pair[0] != pair[1]), "{about}: {name}: {found:?}");
        let both: BTreeSet<u64> = found.iter().chain(&done.delivered[index]).copied().collect();
        assert!(
            both.iter().all(|number| done.tried.contains(number)),
            "{about}: {name} gets an event that was not written"
        );
        let missing = done.acknowledged.iter().filter(|number| !both.contains(number)).count();
        let lost = done.lost[index] + lost(&spool)[index];
        assert!(is_full || lost == 0, "{about}: {name}: {lost} lost, though there is room");
        assert!(u64::try_from(missing).unwrap() <= lost, "{about}: {name}: {missing} missing, {lost} lost");
    }
    assert_eq!(take(&mut spool.reader(&sink("other")).unwrap()).await, [0; 0]);
    assert!(segments(directory).len() <= 1, "{about}: all is delivered");
    assert!(spool.append(&available([1])).is_ok());
}

/// Cuts before each step of a run, one after the other, until a run is not cut any more. Returns how many there were.
fn cut_everywhere(cut: Cut, rounds: u64, has_earlier_run: bool) -> usize {
    for at in 0.. {
        let folder = folder();
        let directory = folder.path().join("spool");
        let mut done = Done::default();
        if has_earlier_run {
            // A sink that is removed, a tail that is torn, a file that is left: opening has something to mend.
            let earlier = Spool::open(&directory, LIMIT, &all(&["quick", "slow", "gone"])).unwrap();
            earlier.append(&available(0..20)).unwrap();
            (done.tried, done.acknowledged) = ((0..20).collect(), (0..20).collect());
            let path = &segments(&directory)[0];
            let torn = [fs::read(path).unwrap(), b"0badbad0 21 {".to_vec()].concat();
            fs::write(path, torn).unwrap();
            fs::write(directory.join("positions/.position-x.tmp"), "").unwrap();
        }
        let cutter = Arc::new(Cutter { made: AtomicUsize::new(0), at, cut });
        let hook = || StepHook::new(cutter.clone());
        let opened = open(&directory, hook())
            .or_else(|error| if cut == Cut::Once { open(&directory, hook()) } else { Err(error) });
        run(async {
            if let Ok(spool) = opened {
                work(&spool, cut, rounds, &mut done).await;
            }
            check(&directory, &done, rounds > FEW, &format!("cut before step {at}")).await;
        });
        if cutter.made.load(Ordering::SeqCst) <= at {
            return at;
        }
    }
    unreachable!("a run has an end")
}

#[test]
fn a_crash_before_any_step_loses_nothing() {
    assert!(cut_everywhere(Cut::Crash, FEW, true) > 80);
}

#[test]
fn a_crash_of_a_full_spool_counts_what_is_lost() {
    assert!(cut_everywhere(Cut::Crash, MANY, false) > 160);
}

#[test]
fn a_step_that_fails_once_loses_nothing() {
    assert!(cut_everywhere(Cut::Once, FEW, true) > 80);
    assert!(cut_everywhere(Cut::Once, MANY, false) > 160);
}
