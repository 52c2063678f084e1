//! Manifests that cannot work: what the rules of the definitions refuse (a server of 1.25 or later, when they are
//! applied), the operator refuses too (everywhere), and the other way round.

use harness::site::{Run, Site};
use kube::CustomResourceExt;
use kube_cel::Validator;
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};
use vmcatcher_operator::reconcile::{Cluster, ObjectKey, Resource};

/// A manifest that works.
fn good(kind: &str) -> Value {
    let spec = match kind {
        "Endorser" => json!({
            "credentials": [{"name": "a", "x509": {"subject": "/CN=a", "issuer": "/CN=b"}}],
            "trustAnchors": {"configMapRef": {"name": "site-cas"}},
        }),
        "ImageListSubscription" => json!({
            "source": {"url": "https://127.0.0.1:9/image.list"},
            "verify": {"endorserRefs": [{"name": "egi"}], "identifier": "list-a"},
        }),
        "CachedImage" => json!({"subscriptionRef": {"name": "vo"}, "identifier": "image-a"}),
        "CloudTarget" => json!({
            "type": "OpenNebula",
            "openNebula": {
                "endpoint": "http://127.0.0.1:9/RPC2",
                "secretRef": {"name": "one"},
                "datastore": "default",
                "handOver": {"type": "Path", "path": {"prefix": "/var/lib/vmcatcher"}},
            },
        }),
        other => panic!("{other}"),
    };
    json!({"apiVersion": "vmcatcher.io/v1alpha1", "kind": kind, "metadata": {"name": "image-a"}, "spec": spec})
}

/// The manifest with one field of its spec as it may not be; null takes it away.
fn bad(kind: &str, field: &str, value: &Value) -> Value {
    let mut manifest = good(kind);
    let (parent, name) = field.rsplit_once('/').unwrap();
    let parent = manifest["spec"].pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => parent.remove(name),
        value => parent.insert(name.to_owned(), value.clone()),
    };
    manifest
}

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

/// Kind, field of its spec, a value it may not have (null: it is missing), words of the rule, words of the operator.
fn cases() -> Vec<(&'static str, &'static str, Value, &'static str, &'static str)> {
    let subscription = "ImageListSubscription";
    let secret = json!({"name": "tls"});
    vec![
        (subscription, "/source/url", json!("https://me:pw@h/l"), "use secretRef", "source.url"),
        (subscription, "/source/url", json!("https://me@h/l"), "use secretRef", "source.url"),
        (subscription, "/source/tls", json!({"trust": "Secret"}), "certSecretRef", "source.tls.certSecretRef"),
        (
            subscription,
            "/source/tls",
            json!({"trust": "Grid", "certSecretRef": secret}),
            "certSecretRef",
            "source.tls.certSecretRef",
        ),
        (subscription, "/interval", json!("59s"), "at least 1m", "interval"),
        (subscription, "/interval", json!("59999ms"), "at least 1m", "interval"),
        (subscription, "/timeout", json!("999ms"), "at least 1s", "timeout"),
        (subscription, "/verify/requiredEndorsements", json!(2), "at most the number", "verify.requiredEndorsements"),
        ("Endorser", "/trustAnchors", json!({}), "exactly one", "trustAnchors"),
        (
            "Endorser",
            "/trustAnchors",
            json!({"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}),
            "exactly one",
            "trustAnchors",
        ),
        ("CloudTarget", "/openNebula", Value::Null, "expected openNebula", "openNebula"),
        ("CloudTarget", "/openNebula/endpoint", json!("http://u:p@h/RPC2"), "use secretRef", "openNebula.endpoint"),
        ("CloudTarget", "/openNebula/tls", json!({"trust": "Grid"}), "System or Secret", "openNebula.tls.trust"),
        ("CloudTarget", "/openNebula/tls", json!({"trust": "Secret"}), "certSecretRef", "openNebula.tls.certSecretRef"),
        ("CloudTarget", "/openNebula/handOver/path", Value::Null, "expected path", "openNebula.handOver.path"),
    ]
}

/// `Reason: message` of an object's Ready.
fn ready(run: &Run, kind: &str, name: &str) -> String {
    let key = ObjectKey::new("default", name);
    let conditions = match kind {
        "Endorser" => run.directory.get::<Endorser>(&key).unwrap().status.clone().unwrap().conditions,
        "CloudTarget" => run.directory.get::<CloudTarget>(&key).unwrap().status.clone().unwrap().conditions,
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
    let site = Site::new();
    for (number, (kind, field, value, rule, _)) in cases().iter().enumerate() {
        let mut manifest = bad(kind, field, value);
        let told = ruled(kind, &manifest, None);
        assert!(told.contains(rule), "{kind}{field}: {value}: {told:?}");
        manifest["metadata"]["name"] = json!(format!("bad-{number}"));
        site.manifest(&format!("bad-{number}"), &manifest.to_string());
    }
    let run = site.run().await;
    for (number, (kind, field, value, _, operator)) in cases().iter().enumerate() {
        let told = ready(&run, kind, &format!("bad-{number}"));
        assert!(told.starts_with("InvalidSpec: ") || told.starts_with("UnsupportedValue: "), "{kind}{field}: {told}");
        assert!(told.contains(&format!("spec.{operator}: ")), "{kind}{field}: {value}: {told}");
    }
}

fn transition<K: Resource>(old: &Value, new: &Value) -> Result<(), String> {
    let read = |value: &Value| serde_json::from_value::<K>(value.clone()).unwrap();
    K::transition(read(old).spec(), read(new).spec())
}

#[test]
fn what_may_not_change_does_not_and_taking_it_away_is_no_way_round() {
    let subscription = "ImageListSubscription";
    let without = bad(subscription, "/verify/identifier", &Value::Null);
    let cases = [
        (subscription, good(subscription), bad(subscription, "/verify/identifier", &json!("list-b")), "cannot change"),
        (subscription, good(subscription), without.clone(), "cannot change"),
        (subscription, without, good(subscription), ""),
        ("CachedImage", good("CachedImage"), bad("CachedImage", "/identifier", &json!("image-b")), "cannot change"),
        (
            "CachedImage",
            good("CachedImage"),
            bad("CachedImage", "/subscriptionRef", &json!({"name": "other"})),
            "cannot change",
        ),
        ("CachedImage", good("CachedImage"), bad("CachedImage", "/version", &json!("1")), ""),
    ];
    for (kind, old, new, expected) in cases {
        let told = match kind {
            "CachedImage" => transition::<CachedImage>(&old, &new),
            _ => transition::<ImageListSubscription>(&old, &new),
        };
        let told = told.err().unwrap_or_default();
        let rule = ruled(kind, &new, Some(&old));
        for told in [told, rule] {
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{kind} {new}: {told:?}");
        }
    }
}
