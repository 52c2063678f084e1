//! A disk that is full, or takes no writes, for a while.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::SpoolError;
use super::super::step::{StepHook, Steps};
use super::*;

const LIMIT: u64 = 64 * 1024;

/// Fails one step, for as long as it is set.
struct Failing {
    is_set: AtomicBool,
    step: &'static str,
    kind: ErrorKind,
}

impl Steps for Failing {
    fn before(&self, step: &'static str) -> io::Result<()> {
        let fails = self.is_set.load(Ordering::SeqCst) && step == self.step;
        if fails { Err(self.kind.into()) } else { Ok(()) }
    }
}

impl Failing {
    fn new(step: &'static str, kind: ErrorKind) -> Arc<Self> {
        Arc::new(Self { is_set: false.into(), step, kind })
    }

    fn set(&self, fails: bool) {
        self.is_set.store(fails, Ordering::SeqCst);
    }
}

fn open(directory: &Path, names: &[&str], failing: &Arc<Failing>) -> Spool {
    Spool::open_with_steps(directory, LIMIT, &all(names), StepHook::new(failing.clone())).unwrap()
}

#[test]
fn the_log_is_as_it_was_and_the_same_call_works_later() {
    let kinds = [(ErrorKind::StorageFull, "NoSpace"), (ErrorKind::ReadOnlyFilesystem, "ReadOnly")];
    let steps = ["append: new segment", "append: sync directory", "append: write", "append: sync"];
    for (step, (kind, reason)) in steps.into_iter().flat_map(|step| kinds.map(|kind| (step, kind))) {
        let folder = folder();
        let failing = Failing::new(step, kind);
        let spool = open(folder.path(), &["a"], &failing);
        let mut failures = 0;
        // Over the end of a segment, so that a new one is made.
        for number in 0..30 {
            let before = bytes_of(folder.path());
            failing.set(true);
            let appended = spool.append(&available([number]));
            failing.set(false);
            if let Err(error) = appended {
                assert!(matches!(error, SpoolError::NoSpace { .. } | SpoolError::ReadOnly { .. }), "{error}");
                assert_eq!((error.reason(), bytes_of(folder.path())), (reason, before), "{step}");
                assert_eq!(spool.append(&available([number])).unwrap().written, 1);
                failures += 1;
            }
        }
        assert!(failures >= 2, "{step}: {failures}");
        assert_eq!(run(take(&mut spool.reader(&sink("a")).unwrap())), (0..30).collect::<Vec<_>>(), "{step}");
    }
}

#[test]
fn a_segment_that_was_not_made_hides_no_record() {
    let folder = folder();
    let failing = Failing::new("append: sync directory", ErrorKind::StorageFull);
    let spool = open(folder.path(), &["a"], &failing);
    spool.append(&available(0..8)).unwrap();
    // Many do not fit into the segment, one does.
    failing.set(true);
    spool.append(&available(8..30)).unwrap_err();
    failing.set(false);
    spool.append(&available([8])).unwrap();
    spool.append(&available(9..30)).unwrap();
    drop(spool);
    let spool = open(folder.path(), &["a"], &failing);
    assert_eq!(run(take(&mut spool.reader(&sink("a")).unwrap())), (0..30).collect::<Vec<_>>());
    assert_eq!(spool.status().unwrap().sinks[&sink("a")].lost, 0);
}

#[test]
fn a_position_that_cannot_be_saved_keeps_its_segments() {
    let folder = folder();
    let failing = Failing::new("position: rename", ErrorKind::StorageFull);
    let spool = open(folder.path(), &["a", "b"], &failing);
    for number in 0..100 {
        spool.append(&available([number])).unwrap();
    }
    let many = segments(folder.path()).len();
    let (mut a, mut b) = (spool.reader(&sink("a")).unwrap(), spool.reader(&sink("b")).unwrap());
    failing.set(true);
    let mut found = Vec::new();
    run(async {
        while let Some((last, _)) = a.ready(7).await.unwrap().last() {
            found.push(*last);
            assert_eq!(a.advance(*last).await.unwrap_err().reason(), "NoSpace");
        }
    });
    assert!(found.is_sorted() && found.last() == Some(&100), "each is read once by this run: {found:?}");
    failing.set(false);
    assert_eq!(run(take(&mut b)), (0..100).collect::<Vec<_>>());
    assert_eq!(segments(folder.path()).len(), many);
    drop((spool, a, b));
    // The next run delivers again what it cannot know.
    let spool = open(folder.path(), &["a", "b"], &failing);
    let mut a = spool.reader(&sink("a")).unwrap();
    assert_eq!(run(take(&mut a)), (0..100).collect::<Vec<_>>());
    assert_eq!((segments(folder.path()).len(), many > 4), (1, true));
    assert_eq!(spool.status().unwrap().sinks[&sink("a")].lost, 0);
}
