//! The definitions on a current API server, which asks the rules in them and knows misspelt fields.
//!
//! `tests/control-plane/get-definitions-server` makes its program.

use std::path::Path;
use std::process::Output;

use harness::control_plane::ControlPlane;
use harness::manifests::{bad_manifests, changed, good};
use serde_json::{Value, json};

use super::old::{AGES, Machine, Row};

fn apply(plane: &ControlPlane, object: &Value) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    plane.kubectl("default", &["apply", "--server-side", "--validate=strict", "-f", file.path().to_str().unwrap()])
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn taken(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "needs a current API server: tests/run makes one where it can"]
async fn what_cannot_work_is_refused_when_it_is_applied() {
    let plane = ControlPlane::start_current().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let folder = folder.to_str().unwrap();
    let applied = plane.kubectl("default", &["apply", "--server-side", "--force-conflicts", "-f", folder]);
    taken(&applied);
    assert_eq!(String::from_utf8_lossy(&applied.stderr), "", "nothing to warn of");
    for kind in ["Endorser", "ImageListSubscription", "CachedImage", "CloudTarget"] {
        taken(&apply(&plane, &good(kind)));
        let mut misspelt = good(kind);
        misspelt["spec"]["suspned"] = json!(true);
        let told = refused(&apply(&plane, &misspelt));
        assert!(told.contains("suspned"), "{kind}: {told}");
    }
    for bad in bad_manifests() {
        let mut manifest = bad.manifest();
        // Of its own: nothing is merged with what is there.
        manifest["metadata"]["name"] = json!("bad");
        if bad.kind == "CachedImage" && bad.field != "/identifier" {
            manifest["spec"]["identifier"] = json!("bad");
        }
        let told = refused(&apply(&plane, &manifest));
        assert!(told.contains(bad.rule), "{}{}: {}: {told}", bad.kind, bad.field, bad.value);
        if bad.rule == "no days" {
            assert_eq!(told.matches("Invalid value").count(), 1, "one message: {told}");
        }
    }
    let subscription = "ImageListSubscription";
    let other = refused(&apply(&plane, &changed(subscription, "/verify/identifier", &json!("list-b"))));
    assert!(other.contains("cannot change"), "{other}");
    let taken_away = r#"{"spec": {"verify": {"identifier": null}}}"#;
    let told = refused(&plane.kubectl("default", &["patch", "ils", "image-a", "--type=merge", "--patch", taken_away]));
    assert!(told.contains("cannot change"), "{told}");
    let image = refused(&apply(&plane, &changed("CachedImage", "/identifier", &json!("image-b"))));
    assert!(image.contains("identifier cannot change"), "{image}");
    taken(&apply(&plane, &changed("CachedImage", "/version", &json!("1"))));
}

/// What `import` makes of vmcatcher's database.
#[tokio::test]
#[ignore = "needs a current API server: tests/run makes one where it can"]
async fn manifests_of_an_import_pass_the_rules_of_a_current_server() {
    let plane = ControlPlane::start_current().await;
    let machine = Machine::new(AGES[4]);
    let mut more = Row::new(2, "vo-list", "https://vo.example.org/image.list");
    more.update_mode = 3;
    machine.old.subscription(&more, 1);
    let server = machine.site.path("one_auth");
    std::fs::write(&server, "oneadmin:password").unwrap();
    let cloud = ["--opennebula", "https://one.example.org:2633/RPC2", "--one-auth", server.to_str().unwrap()];
    assert_eq!(machine.import(&cloud).code, Some(0));
    for file in ["endorsers", "subscriptions", "clouds"] {
        let path = machine.site.path(&format!("manifests/{file}.yaml")).display().to_string();
        taken(&plane.kubectl("default", &["apply", "--server-side", "--validate=strict", "-f", &path]));
    }
}
