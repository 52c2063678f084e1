//! Syncs of directories. Threads that wait for the same directory at the same time have one sync together.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use super::error::FileError;

/// Syncs a directory, so that renames, links and removals in it survive a power failure.
///
/// A sync that begins after the call serves it, whichever thread makes it. So many files that are renamed into one
/// directory at the same time do not cost a sync each.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), FileError> {
    GROUPS.sync(directory, || File::open(directory)?.sync_all()).map_err(FileError::of("sync", directory))
}

static GROUPS: LazyLock<Groups> = LazyLock::new(Groups::default);

/// The directories for which threads wait.
#[derive(Default)]
struct Groups(Mutex<HashMap<PathBuf, Arc<Group>>>);

#[derive(Default)]
struct Group {
    syncs: Mutex<Syncs>,
    ended: Condvar,
}

/// The syncs of a directory, numbered in their order from 1. There is one at a time.
#[derive(Default)]
struct Syncs {
    begun: u64,
    ended: u64,
    /// The last one that failed.
    failed: Option<(u64, Failure)>,
}

/// Why a sync failed, for each of those that waited for it.
#[derive(Clone, Copy)]
struct Failure {
    code: Option<i32>,
    kind: io::ErrorKind,
}

impl Groups {
    fn sync(&self, directory: &Path, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let group = lock(&self.0).entry(directory.to_owned()).or_default().clone();
        let done = group.sync(sync);
        let mut groups = lock(&self.0);
        // Only the map and this call have it.
        if Arc::strong_count(&group) == 2 {
            groups.remove(directory);
        }
        done
    }
}

impl Group {
    /// Waits for the next sync, and makes it if no other thread does.
    fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut syncs = lock(&self.syncs);
        // One that has begun may have missed what the caller changed.
        let next = syncs.begun + 1;
        while syncs.ended < next {
            if syncs.begun == syncs.ended {
                return self.make(syncs, sync);
            }
            syncs = self.ended.wait(syncs).unwrap_or_else(PoisonError::into_inner);
        }
        match syncs.failed {
            Some((number, failure)) if number >= next => Err(failure.into()),
            _ => Ok(()),
        }
    }

    fn make(&self, mut syncs: MutexGuard<'_, Syncs>, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        syncs.begun += 1;
        drop(syncs);
        let done = sync();
        let mut syncs = lock(&self.syncs);
        syncs.ended = syncs.begun;
        if let Err(error) = &done {
            syncs.failed = Some((syncs.ended, Failure { code: error.raw_os_error(), kind: error.kind() }));
        }
        drop(syncs);
        self.ended.notify_all();
        done
    }
}

impl From<Failure> for io::Error {
    fn from(Failure { code, kind }: Failure) -> Self {
        code.map_or_else(|| kind.into(), Self::from_raw_os_error)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that panics is done while it is locked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{self, JoinHandle};

    use super::*;

    /// Ends a sync.
    type End = Sender<io::Result<()>>;

    /// Calls whose syncs wait until they are ended.
    struct Calls {
        groups: Arc<Groups>,
        began: (Sender<End>, Receiver<End>),
        made: Arc<AtomicU64>,
    }

    impl Calls {
        fn new() -> Self {
            Self { groups: Arc::default(), began: channel(), made: Arc::default() }
        }

        fn call(&self, directory: &'static str) -> JoinHandle<io::Result<()>> {
            let (groups, began, made) = (self.groups.clone(), self.began.0.clone(), self.made.clone());
            thread::spawn(move || {
                groups.sync(Path::new(directory), || {
                    made.fetch_add(1, Ordering::SeqCst);
                    let (end, ended) = channel();
                    began.send(end).unwrap();
                    ended.recv().unwrap()
                })
            })
        }

        /// The sync that begins next.
        fn next(&self) -> End {
            self.began.1.recv().unwrap()
        }

        /// Waits until so many calls wait for a directory, the one that syncs it among them.
        fn wait_for(&self, directory: &str, count: usize) {
            let waiting =
                || lock(&self.groups.0).get(Path::new(directory)).map_or(0, |group| Arc::strong_count(group) - 1);
            while waiting() < count {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn those_that_come_during_a_sync_have_the_next_one_together() {
        let calls = Calls::new();
        let first = calls.call("a");
        let sync = calls.next();
        let later: Vec<_> = (0..5).map(|_| calls.call("a")).collect();
        calls.wait_for("a", 6);
        sync.send(Ok(())).unwrap();
        first.join().unwrap().unwrap();
        calls.next().send(Ok(())).unwrap();
        for call in later {
            call.join().unwrap().unwrap();
        }
        assert_eq!(calls.made.load(Ordering::SeqCst), 2);
        assert!(lock(&calls.groups.0).is_empty());
    }

    #[test]
    fn a_failure_is_of_all_that_waited_for_it_and_of_no_other() {
        let calls = Calls::new();
        let first = calls.call("a");
        let sync = calls.next();
        let later: Vec<_> = (0..3).map(|_| calls.call("a")).collect();
        calls.wait_for("a", 4);
        let elsewhere = calls.call("b");
        calls.next().send(Ok(())).unwrap();
        elsewhere.join().unwrap().unwrap();
        sync.send(Ok(())).unwrap();
        first.join().unwrap().unwrap();
        calls.next().send(Err(io::Error::from_raw_os_error(5))).unwrap();
        for call in later {
            assert_eq!(call.join().unwrap().unwrap_err().raw_os_error(), Some(5));
        }
        let anew = calls.call("a");
        calls.next().send(Ok(())).unwrap();
        anew.join().unwrap().unwrap();
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        sync_directory(folder.path()).unwrap();
        let missing = folder.path().join("missing");
        let error = sync_directory(&missing).unwrap_err();
        assert_eq!((error.path, error.source.kind()), (missing, io::ErrorKind::NotFound));
    }
}
