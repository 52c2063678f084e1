//! The events for changes of the condition `Ready`. Pure.
//!
//! An event is published when the condition changes, not at each pass with the same condition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::object::HasStatus;

use crate::api::{HasConditions, Kind, ObjectKey, Resource};
use crate::store::ObjectEvent;

/// Reasons that end by themselves, or that a user caused. They cause no event.
const QUIET: &[&str] = &["Deleting", "Hold", "Progressing", "Revoked", "Suspended"];
/// The reasons of subscriptions and images that cause an event here: errors in specs. Their other events are made by
/// their own reconcilers.
const OF_SPECS: &[&str] = &["EndorserNotFound", "InvalidSpec", "UnsupportedValue"];

/// The event of an object whose status becomes `status`, if there is one.
pub(super) fn transition<K: Resource>(object: &K, status: &<K as HasStatus>::Status) -> Option<ObjectEvent> {
    let (before, after) = (object.status().and_then(ready), ready(status)?);
    let failed_before = before.filter(|before| is_told(K::KIND, before));
    let (warning, reason) = if is_told(K::KIND, after) {
        if failed_before.is_some_and(|before| before.reason == after.reason) {
            return None;
        }
        (true, after.reason.clone())
    } else if failed_before.is_some() && after.status == "True" {
        (false, "Recovered".to_owned())
    } else {
        return None;
    };
    Some(ObjectEvent { kind: K::KIND, key: ObjectKey::of(object), warning, reason, message: after.message.clone() })
}

fn ready(status: &impl HasConditions) -> Option<&Condition> {
    status.condition("Ready")
}

fn is_told(kind: Kind, ready: &Condition) -> bool {
    let reason = ready.reason.as_str();
    let told = match kind {
        Kind::Endorser | Kind::Target => !QUIET.contains(&reason),
        Kind::Subscription | Kind::Image => OF_SPECS.contains(&reason),
    };
    ready.status == "False" && told
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{CloudTarget, CloudTargetStatus, ImageListSubscription};

    fn status<S: serde::de::DeserializeOwned>(status: &str, reason: &str) -> S {
        let time = "2026-11-22T12:00:00Z";
        let ready =
            json!({"type": "Ready", "status": status, "reason": reason, "message": "m", "lastTransitionTime": time});
        serde_json::from_value(json!({"conditions": [ready]})).unwrap()
    }

    fn target(before: Option<CloudTargetStatus>) -> CloudTarget {
        let cloud = json!({
            "endpoint": "https://a/RPC2", "secretRef": {"name": "a"}, "datastore": "default",
            "handOver": {"type": "Path", "path": {"prefix": "/a"}},
        });
        let spec = json!({"type": "OpenNebula", "openNebula": cloud});
        let object: Value = json!({"metadata": {"name": "one", "namespace": "n"}, "spec": spec});
        CloudTarget { status: before, ..serde_json::from_value(object).unwrap() }
    }

    #[test]
    fn only_a_change_is_told() {
        let told = |before: Option<(&str, &str)>, after: (&str, &str)| {
            let before = before.map(|(ready, reason)| status(ready, reason));
            let told = transition(&target(before), &status(after.0, after.1));
            told.map_or_else(String::new, |told| format!("{} {}", told.warning, told.reason))
        };
        let unreachable = ("False", "CloudUnreachable");
        assert_eq!(told(None, unreachable), "true CloudUnreachable");
        assert_eq!(told(Some(("True", "Succeeded")), unreachable), "true CloudUnreachable");
        assert_eq!(told(Some(unreachable), unreachable), "");
        assert_eq!(told(Some(unreachable), ("False", "SecretNotFound")), "true SecretNotFound");
        assert_eq!(told(Some(unreachable), ("True", "Succeeded")), "false Recovered");
        assert_eq!(told(Some(unreachable), ("False", "Suspended")), "");
        assert_eq!(told(Some(("False", "Suspended")), ("True", "Succeeded")), "");
        assert_eq!(told(None, ("True", "Succeeded")), "");
        assert_eq!(told(None, ("Unknown", "Progressing")), "");
    }

    #[test]
    fn a_subscription_tells_of_its_spec_alone() {
        let object: ImageListSubscription = serde_json::from_value(json!({
            "metadata": {"name": "vo", "namespace": "n"},
            "spec": {"source": {"url": "https://a/"}, "verify": {"endorserRefs": [{"name": "a"}]}},
        }))
        .unwrap();
        let told = |reason: &str| transition(&object, &status("False", reason)).map(|told| told.reason);
        assert_eq!(told("EndorserNotFound").as_deref(), Some("EndorserNotFound"));
        assert_eq!(told("InvalidSpec").as_deref(), Some("InvalidSpec"));
        assert_eq!(told("ListExpired"), None);
    }
}
