//! The definitions of the resources, as an API server takes them.

use harness::control_plane::ControlPlane;
use harness::opennebula::{Cloud, Dialect};
use serde_json::{Value, json};

use super::operator::Tenant;

const IMAGE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

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
async fn kubectl_explains_gets_and_waits_for_all_four_kinds() {
    let tenant = Tenant::new(ControlPlane::shared().await, "definitions").await;
    let cloud = Cloud::start(Dialect::V7_4);
    let image = tenant.site.serve(IMAGE, "1.0", 1, 20_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    cloud.world(|world| world.clock = tenant.site.now().as_second());
    tenant.publishes_to(&cloud);
    tenant.apply();
    let _operator = tenant.start();
    tenant.all_ready("1.0").await;
    // Kind and short name, an object, a field with what its description says, and columns, wide ones too.
    let kinds: [(&str, &str, [&str; 2], &str); 4] = [
        ("end", "endorser", ["credentials.name", "Name of this credential"], "TRUST SUBSCRIPTIONS READY STATUS AGE"),
        (
            "ils",
            "vo",
            ["interval", "How often the list is fetched"],
            "LIST CREATED SELECTED LATE READY STATUS FETCHED AGE URL EXPIRES SUSPENDED",
        ),
        (
            "cimg",
            IMAGE,
            ["keepUntil", "Keeps what is there until then"],
            "TITLE VERSION PUBLISHED READY STATUS PROGRESS SIZE AGE SHA512 FORMAT SUBSCRIPTION PIN SUSPENDED",
        ),
        (
            "ctgt",
            "one",
            ["formats", "The formats that it accepts"],
            "TYPE IMAGES PENDING READY STATUS AGE SERVER SUSPENDED",
        ),
    ];
    for (kind, name, [field, description], columns) in kinds {
        let explained = tenant.kubectl(&["explain", &format!("{kind}.spec.{field}")]);
        assert!(explained.contains(description), "{kind}.spec.{field}: {explained}");
        let waited = tenant.kubectl(&["wait", &format!("{kind}/{name}"), "--for=condition=Ready", "--timeout=90s"]);
        assert!(waited.contains("condition met"), "{waited}");
        let shown = tenant.kubectl(&["get", kind, name, "-o", "wide"]);
        let (head, row) = shown.split_once('\n').unwrap();
        let heads: Vec<&str> = head.split_whitespace().collect();
        assert_eq!(heads.last(), Some(&"STATUS"), "{kind}: a long text moves no other column");
        for column in columns.split(' ') {
            assert!(heads.contains(&column), "{kind}: expected a column {column}, found {head}");
        }
        assert!(row.starts_with(name) && row.contains("True") && !row.contains("<invalid>"), "{shown}");
        let all = tenant.kubectl(&["get", "vmcatcher", "-o", "name"]);
        assert!(all.lines().any(|line| line.ends_with(&format!("/{name}"))), "{all}");
    }
}
