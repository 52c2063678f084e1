//! Objects that this program has written and that the watches have not delivered yet.
//!
//! The next pass must see what the last one wrote. Otherwise it would write it again.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{Kind, ObjectKey, Resource};

/// The server's responses to writes. They are kept until a watch delivers the same or a newer version.
#[derive(Default)]
pub(crate) struct WriteOverlay(Mutex<HashMap<(Kind, ObjectKey), Arc<dyn Any + Send + Sync>>>);

impl WriteOverlay {
    /// Keeps the response to a write.
    pub(crate) fn put<K: Resource>(&self, object: K) {
        let key = (K::KIND, ObjectKey::of(&object));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(object));
    }

    /// Removes an object that no longer exists.
    pub(crate) fn forget<K: Resource>(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(K::KIND, key.clone()));
    }

    /// The newer of the watched and the written object. An object that is not in the store of the watch is never
    /// returned.
    pub(crate) fn newer<K: Resource>(&self, stored: Arc<K>) -> Arc<K> {
        let key = (K::KIND, ObjectKey::of(&*stored));
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ours) = written.get(&key).and_then(|object| object.clone().downcast::<K>().ok()) else {
            return stored;
        };
        if ours.meta().uid == stored.meta().uid && version(&*ours) > version(&*stored) {
            return ours;
        }
        written.remove(&key);
        stored
    }
}

/// The resource version of an object is a number that increases (Kubernetes API concepts, "Resource versions").
fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Endorser;

    fn endorser(uid: &str, version: &str) -> Endorser {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "n", "uid": uid, "resourceVersion": version},
            "spec": {"credentials": []}
        }))
        .unwrap()
    }

    fn seen(written: &WriteOverlay, uid: &str, version: &str) -> Option<String> {
        written.newer(Arc::new(endorser(uid, version))).metadata.resource_version.clone()
    }

    #[test]
    fn a_pass_sees_what_was_written_until_the_watch_brings_it() {
        let written = WriteOverlay::default();
        written.put(endorser("u", "100"));
        assert_eq!(seen(&written, "u", "99").as_deref(), Some("100"));
        assert_eq!(seen(&written, "u", "100").as_deref(), Some("100"));
        assert_eq!(seen(&written, "u", "99").as_deref(), Some("99"), "let go once the watch has brought it");
        written.put(endorser("u", "100"));
        assert_eq!(seen(&written, "made anew", "99").as_deref(), Some("99"));
        written.put(endorser("u", "opaque"));
        assert_eq!(seen(&written, "u", "99").as_deref(), Some("99"));
        written.put(endorser("u", "100"));
        written.forget::<Endorser>(&ObjectKey::new("n", "a"));
        assert_eq!(seen(&written, "u", "99").as_deref(), Some("99"));
    }
}
