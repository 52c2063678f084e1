//! Manifests that cannot work: what the rules of the definitions refuse (a server of 1.25 or later, when they are
//! applied), the operator refuses too (everywhere), and the other way round.

use harness::manifests::{bad_manifests, changed, good};
use harness::site::{Run, Site};
use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, ObjectKey, Resource};
use vmcatcher_operator::store::ResourceStore;

fn schema(kind: &str) -> Value {
    let crd = match kind {
        "Endorser" => Endorser::crd(),
        "ImageListSubscription" => ImageListSubscription::crd(),
        "CachedImage" => CachedImage::crd(),
        "CloudTarget" => CloudTarget::crd(),
        other => panic!("{other}"),
    };
    let crd = serde_json::to_value(crd).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// What an API server says of a manifest by the definition's rules; of the one that was there before, if there was one.
fn ruled(kind: &str, manifest: &Value, before: Option<&Value>) -> String {
    let told = Validator::new().validate(&schema(kind), manifest, before);
    told.map_or_else(|errors| errors.to_string(), |()| String::new())
}

/// `Reason: message` of an object's Ready.
fn ready(run: &Run, kind: &str, name: &str) -> String {
    let key = ObjectKey::new("default", name);
    let conditions = match kind {
        "Endorser" => run.directory.get::<Endorser>(&key).unwrap().status.clone().unwrap().conditions,
        "CloudTarget" => run.directory.get::<CloudTarget>(&key).unwrap().status.clone().unwrap().conditions,
        "CachedImage" => run.directory.get::<CachedImage>(&key).unwrap().status.clone().unwrap().conditions,
        "ImageListSubscription" => {
            run.directory.get::<ImageListSubscription>(&key).unwrap().status.clone().unwrap().conditions
        }
        other => panic!("{other}"),
    };
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    format!("{}: {}", ready.reason, ready.message)
}

#[tokio::test]
async fn the_rules_and_the_operator_refuse_the_same() {
    for kind in ["Endorser", "ImageListSubscription", "CachedImage", "CloudTarget"] {
        assert_eq!(ruled(kind, &good(kind), None), "", "{kind}");
        assert_eq!(ruled(kind, &good(kind), Some(&good(kind))), "", "{kind}, unchanged");
    }
    assert_eq!(ruled("CloudTarget", &good("OpenStack"), None), "");
    for source in ["Checksums", "SimpleStreams"] {
        assert_eq!(ruled("ImageListSubscription", &good(source), None), "", "{source}");
    }
    let mut site = Site::new();
    site.allow_auto_endorse = true;
    for (number, bad) in bad_manifests().iter().enumerate() {
        let mut manifest = bad.manifest();
        let told = ruled(bad.kind, &manifest, None);
        assert!(told.contains(bad.rule), "{}{}: {}: {told:?}", bad.kind, bad.field, bad.value);
        manifest["metadata"]["name"] = json!(format!("bad-{number}"));
        site.manifest(&format!("bad-{number}"), &manifest.to_string());
    }
    let run = site.run().await;
    for (number, bad) in bad_manifests().iter().enumerate() {
        let told = ready(&run, bad.kind, &format!("bad-{number}"));
        let which = format!("{}{}: {}", bad.kind, bad.field, bad.value);
        assert!(told.starts_with("InvalidSpec: ") || told.starts_with("UnsupportedValue: "), "{which}: {told}");
        assert!(told.contains(&format!("spec.{}: ", bad.named)), "{which}: {told}");
    }
}

fn transition<K: Resource>(old: &Value, new: &Value) -> Result<(), String> {
    let read = |value: &Value| serde_json::from_value::<K>(value.clone()).unwrap();
    K::transition(read(old).spec(), read(new).spec())
}

#[test]
fn what_may_not_change_does_not_and_taking_it_away_is_no_way_round() {
    let subscription = "ImageListSubscription";
    let without = changed(subscription, "/verify/identifier", &Value::Null);
    let cases = [
        (
            subscription,
            good(subscription),
            changed(subscription, "/verify/identifier", &json!("list-b")),
            "cannot change",
        ),
        (subscription, good(subscription), without.clone(), "cannot change"),
        (subscription, without, good(subscription), ""),
        ("CachedImage", good("CachedImage"), changed("CachedImage", "/identifier", &json!("image-b")), "cannot change"),
        (
            "CachedImage",
            good("CachedImage"),
            changed("CachedImage", "/subscriptionRef", &json!({"name": "other"})),
            "cannot change",
        ),
        ("CachedImage", good("CachedImage"), changed("CachedImage", "/version", &json!("1")), ""),
        ("CloudTarget", good("CloudTarget"), good("OpenStack"), "cannot change"),
    ];
    for (kind, old, new, expected) in cases {
        let told = match kind {
            "CachedImage" => transition::<CachedImage>(&old, &new),
            "CloudTarget" => transition::<CloudTarget>(&old, &new),
            _ => transition::<ImageListSubscription>(&old, &new),
        };
        let told = told.err().unwrap_or_default();
        let rule = ruled(kind, &new, Some(&old));
        for told in [told, rule] {
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{kind} {new}: {told:?}");
        }
    }
}
