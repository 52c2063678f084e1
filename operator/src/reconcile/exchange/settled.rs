//! The images whose last pass changed nothing and would change nothing now, as long as what it read stays as it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jiff::Timestamp;

use crate::api::{CachedImage, ObjectKey};
use crate::digest::Sha256Digest;

/// The settled images. An image that is not among them has a full pass, so it is never wrong to forget one.
#[derive(Debug, Default)]
pub struct SettledImages {
    held: Mutex<HashMap<ObjectKey, Settled>>,
    /// Whether anything but [`Self::restore`] changed them.
    have_changed: AtomicBool,
}

/// A pass that changed nothing.
#[derive(Debug)]
struct Settled {
    /// The object that the pass was about, with its status. A changed object is another one in memory.
    object: Weak<CachedImage>,
    inputs: Sha256Digest,
    until: Timestamp,
}

impl SettledImages {
    /// Until when a pass over an object with these inputs changes nothing; `None` if it has to be made.
    pub(in crate::reconcile) fn until(
        &self,
        key: &ObjectKey,
        object: &Arc<CachedImage>,
        inputs: &Sha256Digest,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let held = self.held();
        let settled = held.get(key).filter(|settled| settled.is_of(object) && settled.inputs == *inputs)?;
        Some(settled.until).filter(|until| *until > now)
    }

    /// Whether an object is the one of a settled image, so that it is worth to look at the inputs of its pass.
    pub(in crate::reconcile) fn knows(&self, key: &ObjectKey, object: &Arc<CachedImage>) -> bool {
        self.held().get(key).is_some_and(|settled| settled.is_of(object))
    }

    /// Records that the same pass would change nothing until this time.
    pub(in crate::reconcile) fn set(
        &self,
        key: ObjectKey,
        object: &Arc<CachedImage>,
        inputs: Sha256Digest,
        until: Timestamp,
    ) {
        self.have_changed.store(true, Ordering::Relaxed);
        self.put(key, object, inputs, until);
    }

    fn put(&self, key: ObjectKey, object: &Arc<CachedImage>, inputs: Sha256Digest, until: Timestamp) {
        self.held().insert(key, Settled { object: Arc::downgrade(object), inputs, until });
    }

    /// Records that the next pass may change something, or that the object is gone.
    pub(in crate::reconcile) fn forget(&self, key: &ObjectKey) {
        if self.held().remove(key).is_some() {
            self.have_changed.store(true, Ordering::Relaxed);
        }
    }

    /// A text for each settled image that `object` still returns, for [`Self::restore`] in another run.
    pub fn marks(&self, object: impl Fn(&ObjectKey) -> Option<Arc<CachedImage>>) -> BTreeMap<ObjectKey, String> {
        let held = self.held();
        let current = held.iter().filter(|(key, settled)| object(key).is_some_and(|object| settled.is_of(&object)));
        current.map(|(key, settled)| (key.clone(), format!("{},{}", settled.until, settled.inputs))).collect()
    }

    /// Takes over the mark of an object that was stored by another run and has not changed since. A mark that cannot be
    /// read counts as none.
    pub fn restore(&self, key: ObjectKey, object: &Arc<CachedImage>, mark: &str) {
        let parsed = mark.split_once(',').and_then(|(until, inputs)| Some((until.parse().ok()?, inputs.parse().ok()?)));
        if let Some((until, inputs)) = parsed {
            self.put(key, object, inputs, until);
        }
    }

    /// Whether images were settled or forgotten since they were restored, so that their [`marks`](Self::marks) differ.
    pub fn have_changed(&self) -> bool {
        self.have_changed.load(Ordering::Relaxed)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ObjectKey, Settled>> {
        // Entries are replaced as a whole, so a panic in another thread cannot leave them half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settled {
    fn is_of(&self, object: &Arc<CachedImage>) -> bool {
        std::ptr::eq(self.object.as_ptr(), Arc::as_ptr(object))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;

    fn image() -> Arc<CachedImage> {
        let identifier = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
        let spec = json!({"subscriptionRef": {"name": "vo"}, "identifier": identifier});
        let image = json!({"metadata": {"name": identifier, "namespace": "n"}, "spec": spec});
        Arc::new(serde_json::from_value(image).unwrap())
    }

    #[test]
    fn it_holds_for_the_same_object_the_same_inputs_and_until_its_end() {
        let (settled, object, other) = (SettledImages::default(), image(), image());
        let key = ObjectKey::of(&*object);
        let (now, inputs) = (Timestamp::UNIX_EPOCH, Sha256Digest::of(b"one"));
        let until = now + SignedDuration::from_hours(1);
        settled.set(key.clone(), &object, inputs, until);
        assert_eq!(settled.until(&key, &object, &inputs, now), Some(until));
        assert_eq!(settled.until(&key, &object, &inputs, until), None);
        assert_eq!(settled.until(&key, &object, &Sha256Digest::of(b"two"), now), None);
        assert_eq!(settled.until(&key, &other, &inputs, now), None, "equal, and stored anew");
        settled.forget(&key);
        assert_eq!(settled.until(&key, &object, &inputs, now), None);
    }

    #[test]
    fn a_mark_restores_it_in_another_run() {
        let (settled, object) = (SettledImages::default(), image());
        let key = ObjectKey::of(&*object);
        let (now, inputs) = (Timestamp::UNIX_EPOCH, Sha256Digest::of(b"one"));
        let until = now + SignedDuration::from_hours(1);
        settled.set(key.clone(), &object, inputs, until);
        assert!(settled.have_changed());
        assert!(settled.marks(|_| Some(image())).is_empty(), "the object has changed");
        let marks = settled.marks(|_| Some(object.clone()));
        let (again, stored) = (SettledImages::default(), image());
        again.restore(key.clone(), &stored, &marks[&key]);
        assert_eq!(again.until(&key, &stored, &inputs, now), Some(until));
        assert!(!again.have_changed());
        again.forget(&key);
        assert!(again.have_changed());
        for wrong in ["", "1970-01-01T01:00:00Z", "x,y", ","] {
            let again = SettledImages::default();
            again.restore(key.clone(), &stored, wrong);
            assert_eq!(again.until(&key, &stored, &inputs, now), None);
        }
    }
}
