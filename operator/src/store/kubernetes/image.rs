//! Request bodies and parameters for the API server. Pure.

use kube::api::{DeleteParams, Preconditions};
use kube::{Resource as _, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{CachedImage, ImageListSubscription, ObjectKey, SUBSCRIPTION_LABEL};
use crate::imagelist::ImageId;

/// The CachedImage that a subscription makes, with the subscription as owner and the two required fields. All other
/// fields belong to users, and server-side apply does not change them.
pub(super) fn generated(owner: &ImageListSubscription, key: &ObjectKey, identifier: &ImageId) -> Value {
    let subscription = owner.name_any();
    json!({
        "apiVersion": CachedImage::api_version(&()),
        "kind": CachedImage::kind(&()),
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {SUBSCRIPTION_LABEL: label(&subscription)},
            "ownerReferences": [owner.controller_owner_ref(&())],
        },
        "spec": {"subscriptionRef": {"name": subscription}, "identifier": identifier.to_string()},
    })
}

/// A name as the value of a label, which can have at most 63 characters.
fn label(name: &str) -> &str {
    name.get(..63).map_or(name, |cut| cut.trim_end_matches(['-', '.']))
}

/// Deletes only this object, not a newer one with the same name.
pub(super) fn only_this(image: &CachedImage) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid: image.uid(), resource_version: None })
}

/// A JSON Patch (RFC 6902) that replaces the whole status of the object with this uid.
pub(super) fn whole_status<P: serde::de::DeserializeOwned>(
    uid: Option<&str>,
    status: &impl Serialize,
) -> Result<P, serde_json::Error> {
    serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": status},
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_owns_two_fields_and_no_more() {
        let mut owner: ImageListSubscription = serde_json::from_value(json!({
            "apiVersion": "vmcatcher.io/v1alpha1", "kind": "ImageListSubscription",
            "metadata": {"name": "vo", "namespace": "n", "uid": "u"},
            "spec": {"source": {"url": "https://example.org/l"}, "verify": {"endorserRefs": []}}
        }))
        .unwrap();
        let identifier: ImageId = "858a817e-0ca2-473f-89d3-d5bdfc51968e".parse().unwrap();
        let key = ObjectKey::new("n", identifier.object_name());
        let image = generated(&owner, &key, &identifier);
        let spec: Vec<&str> = image["spec"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(spec, ["subscriptionRef", "identifier"]);
        assert_eq!(image["metadata"]["ownerReferences"][0]["uid"], "u");
        assert!(image.get("status").is_none());
        owner.metadata.name = Some(format!("{}.{}", "a".repeat(62), "b".repeat(80)));
        let long = generated(&owner, &key, &identifier);
        assert_eq!(long["metadata"]["labels"][SUBSCRIPTION_LABEL], "a".repeat(62));
        assert_eq!(long["spec"]["subscriptionRef"]["name"].as_str().unwrap().len(), 143);
    }
}
