//! Who may change the file of a blob. Each is changed by one thread at a time, and by none while garbage is collected.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::imagelist::Sha512Digest;

/// The blobs that are being changed. Many can be at the same time, because each waits for the disk.
#[derive(Debug, Default)]
pub(super) struct Adding {
    collection: RwLock<()>,
    digests: Mutex<HashSet<Sha512Digest>>,
    ended: Condvar,
}

/// The right to change the file of a blob, until it is dropped.
#[derive(Debug)]
pub(super) struct AddingOne<'a> {
    adding: &'a Adding,
    digest: Sha512Digest,
    _no_collection: RwLockReadGuard<'a, ()>,
}

impl Adding {
    /// Waits until no other thread changes this blob, so that two downloads of one digest make one file.
    pub(super) fn one(&self, digest: &Sha512Digest) -> AddingOne<'_> {
        let no_collection = self.collection.read().unwrap_or_else(PoisonError::into_inner);
        let is_changed = |digests: &mut HashSet<Sha512Digest>| digests.contains(digest);
        let waited = self.ended.wait_while(self.digests(), is_changed);
        waited.unwrap_or_else(PoisonError::into_inner).insert(*digest);
        AddingOne { adding: self, digest: *digest, _no_collection: no_collection }
    }

    /// Waits until no thread changes a blob.
    pub(super) fn none(&self) -> RwLockWriteGuard<'_, ()> {
        self.collection.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn digests(&self) -> MutexGuard<'_, HashSet<Sha512Digest>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddingOne<'_> {
    fn drop(&mut self) {
        self.adding.digests().remove(&self.digest);
        self.adding.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn digest(number: u8) -> Sha512Digest {
        Sha512Digest::from_bytes([number; 64])
    }

    #[test]
    fn each_blob_is_changed_by_one_at_a_time_and_others_meanwhile() {
        let (adding, changing) = (Adding::default(), [const { AtomicUsize::new(0) }; 2]);
        let held = adding.one(&digest(0));
        // It does not wait for another blob.
        drop(adding.one(&digest(1)));
        thread::scope(|scope| {
            for number in [0, 1, 0, 1, 0] {
                let (adding, changing) = (&adding, &changing[usize::from(number)]);
                scope.spawn(move || {
                    let _one = adding.one(&digest(number));
                    assert_eq!(changing.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    changing.fetch_sub(1, Ordering::SeqCst);
                });
            }
            drop(held);
        });
        assert!(adding.digests().is_empty());
    }

    #[test]
    fn a_collection_waits_for_those_who_change_blobs() {
        let adding = Adding::default();
        let (ended, collected) = mpsc::channel();
        thread::scope(|scope| {
            let held = adding.one(&digest(0));
            scope.spawn(|| {
                let _alone = adding.none();
                ended.send(()).unwrap();
            });
            assert!(collected.try_recv().is_err());
            drop(held);
            collected.recv().unwrap();
        });
    }
}
