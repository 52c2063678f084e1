//! What this program has written and the watches have not brought yet.
//!
//! A pass that follows at once must see what the one before has written: else it would do it again.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::{Kind, ObjectKey, Resource};

/// Objects as the server answered to writes, until a watch brings them or something newer.
#[derive(Default)]
pub(crate) struct Written(Mutex<HashMap<(Kind, ObjectKey), Arc<dyn Any + Send + Sync>>>);

impl Written {
    /// Holds what the server answered to a write.
    pub(crate) fn put<K: Resource>(&self, object: K) {
        let key = (K::KIND, ObjectKey::of(&object));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(object));
    }

    /// Lets go of an object that is no more.
    pub(crate) fn forget<K: Resource>(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(K::KIND, key.clone()));
    }

    /// The newer of what a watch brought and what was written. Never an object that the watches do not know.
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

/// Versions of one object are numbers that grow (Kubernetes API concepts, "Resource versions").
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

    fn seen(written: &Written, uid: &str, version: &str) -> Option<String> {
        written.newer(Arc::new(endorser(uid, version))).metadata.resource_version.clone()
    }

    #[test]
    fn a_pass_sees_what_was_written_until_the_watch_brings_it() {
        let written = Written::default();
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
