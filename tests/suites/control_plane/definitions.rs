//! The definitions of the resources, as an API server takes them.

use harness::control_plane::ControlPlane;
use serde_json::{Value, json};

fn applied(plane: &ControlPlane, namespace: &str, object: &Value) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    let output = plane.kubectl(namespace, &["apply", "--validate=false", "-f", file.path().to_str().unwrap()]);
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn endorser() -> Value {
    json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "Endorser", "metadata": {"name": "egi"},
        "spec": {"credentials": [{"name": "a", "x509": {"subject": "/CN=a", "issuer": "/CN=b"}}]}
    })
}

fn subscription() -> Value {
    json!({
        "apiVersion": "vmcatcher.io/v1alpha1", "kind": "ImageListSubscription", "metadata": {"name": "vo"},
        "spec": {"source": {"url": "https://example.org/image.list"}, "verify": {"endorserRefs": [{"name": "egi"}]}}
    })
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_wrong_value_is_refused_when_it_is_applied() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace(&plane.client().await, "definitions").await;
    applied(plane, &namespace, &endorser()).unwrap();
    applied(plane, &namespace, &subscription()).unwrap();
    let cases = [
        (endorser(), "/spec/trust", json!("Perhaps"), "Unsupported value"),
        (endorser(), "/spec/credentials", json!([]), "should have at least 1 items"),
        (endorser(), "/spec/credentials/0/name", json!("Not a name"), "should match"),
        (subscription(), "/spec/source/url", json!("ftp://example.org"), "should match"),
        (subscription(), "/spec/interval", json!("1d"), "should match"),
        (subscription(), "/spec/verify/endorserRefs", json!([]), "should have at least 1 items"),
        (subscription(), "/spec/deletionPolicy", json!("Burn"), "Unsupported value"),
        (subscription(), "/spec/suspend", json!("yes"), "Invalid value"),
    ];
    for (mut object, path, value, expected) in cases {
        let (parent, field) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        let told = applied(plane, &namespace, &object).unwrap_err();
        assert!(told.contains(expected), "{path}: {told}");
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_new_object_is_never_taken_for_one_that_was_looked_at() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace(&plane.client().await, "definitions").await;
    applied(plane, &namespace, &subscription()).unwrap();
    let read = plane.kubectl_says(&namespace, &["get", "ils", "vo", "-o", "json"]);
    let object: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(object["status"], json!({"observedGeneration": -1, "conditions": []}));
    assert_eq!(object["spec"]["interval"], "6h");
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn kubectl_explains_fields_and_shows_columns() {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace(&plane.client().await, "definitions").await;
    let explained = plane.kubectl_says(&namespace, &["explain", "imagelistsubscription.spec.interval"]);
    assert!(explained.contains("How often the list is fetched"), "{explained}");
    applied(plane, &namespace, &subscription()).unwrap();
    applied(plane, &namespace, &endorser()).unwrap();
    let columns = plane.kubectl_says(&namespace, &["get", "ils", "-o", "wide"]);
    for column in ["LIST", "SELECTED", "READY", "STATUS", "AGE", "URL", "SUSPENDED"] {
        assert!(columns.lines().next().unwrap().contains(column), "{column}: {columns}");
    }
    let all = plane.kubectl_says(&namespace, &["get", "vmcatcher", "-o", "name"]);
    assert!(
        all.contains("endorser.vmcatcher.io/egi") && all.contains("imagelistsubscription.vmcatcher.io/vo"),
        "{all}"
    );
}
