//! What people say of an image that a subscription made, in each way that they have of saying it.

use std::path::Path;

use harness::control_plane::ControlPlane;
use harness::site::Served;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use vmcatcher_operator::api::{CachedImage, ImageListSubscription};

use super::operator::{Tenant, ready};

/// One image a way, and one of which nobody says anything.
const IMAGES: [(&str, Way); 6] = [
    ("11111111-0000-4000-8000-000000000000", Way::MergePatch),
    ("22222222-0000-4000-8000-000000000000", Way::JsonPatch),
    ("33333333-0000-4000-8000-000000000000", Way::Edit),
    ("44444444-0000-4000-8000-000000000000", Way::Apply),
    ("55555555-0000-4000-8000-000000000000", Way::ServerSideApply),
    (PLAIN, Way::Nothing),
];
const PLAIN: &str = "66666666-0000-4000-8000-000000000000";
const KEPT_UNTIL: &str = "2099-01-01T00:00:00Z";

/// A way to say something of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    MergePatch,
    JsonPatch,
    Edit,
    Apply,
    ServerSideApply,
    Nothing,
}

/// Pins an image, keeps and suspends it; or takes all of that back.
async fn say(tenant: &Tenant<'_>, name: &str, way: Way, said: bool) {
    let fields = if said { json!({"version": "1.0", "keepUntil": KEPT_UNTIL, "suspend": true}) } else { json!({}) };
    let file = tenant.site.path("person.json");
    match way {
        Way::MergePatch => {
            let nothing = json!({"version": null, "keepUntil": null, "suspend": null});
            let patch = json!({"spec": if said { fields } else { nothing }}).to_string();
            tenant.kubectl(&["patch", "cimg", name, "--type=merge", "-p", &patch]);
        }
        Way::JsonPatch => {
            let step = |field: &str| {
                let path = format!("/spec/{field}");
                let add = json!({"op": "add", "path": path, "value": fields[field]});
                if said { add } else { json!({"op": "remove", "path": path}) }
            };
            let patch = Value::from(["version", "keepUntil", "suspend"].map(step).to_vec()).to_string();
            tenant.kubectl(&["patch", "cimg", name, "--type=json", "-p", &patch]);
        }
        Way::Edit => edit(tenant, name, said),
        Way::Apply => {
            std::fs::write(&file, manifest(name, &fields).to_string()).unwrap();
            tenant.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        }
        Way::ServerSideApply => {
            // kubectl would take over what another manager applied: this is what a GitOps controller sends.
            let parameters = PatchParams::apply("gitops").force();
            let patch = Patch::Apply(manifest(name, &fields));
            tenant.images().patch(name, &parameters, &patch).await.unwrap();
        }
        Way::Nothing => {}
    }
}

/// A person with an editor.
fn edit(tenant: &Tenant<'_>, name: &str, said: bool) {
    let change = if said {
        format!("s/^  suspend: false/  suspend: true\\n  version: \"1.0\"\\n  keepUntil: \"{KEPT_UNTIL}\"/")
    } else {
        "/^  version:/d; /^  keepUntil:/d; s/^  suspend: true/  suspend: false/".to_owned()
    };
    let script = format!("KUBE_EDITOR=\"sed -i '{}'\" kubectl edit cimg {name}", change.replace('"', "\\\""));
    let output = tenant.plane.shell(&tenant.namespace, &[], Path::new("/"), &script);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("edited"), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

fn manifest(name: &str, fields: &Value) -> Value {
    let mut spec = json!({"subscriptionRef": {"name": "vo"}, "identifier": name});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"apiVersion": "vmcatcher.io/v1alpha1", "kind": "CachedImage", "metadata": {"name": name}, "spec": spec})
}

/// A new version of every image, in a new list.
fn publish(tenant: &Tenant<'_>, version: &str, seed: u64) -> Vec<Served> {
    let serve = |(place, (name, _)): (usize, &(&str, Way))| {
        tenant.site.serve(name, version, seed + u64::try_from(place).unwrap(), 20_000)
    };
    let images: Vec<Served> = IMAGES.iter().enumerate().map(serve).collect();
    tenant.site.publish(&tenant.site.list(version, &images.iter().collect::<Vec<_>>()));
    images
}

/// Everything that was said still stands, the first version is in place, and the subscription owns what it made.
async fn stands(tenant: &Tenant<'_>, after: &str) {
    for (name, way) in IMAGES.into_iter().filter(|(_, way)| *way != Way::Nothing) {
        let image = tenant.images().get(name).await.unwrap();
        let said = (image.spec.version.as_deref(), image.spec.suspend, image.spec.keep_until.is_some());
        assert_eq!(said, (Some("1.0"), true, true), "{way:?}, after {after}");
        assert!(ready(Some(&image), "1.0"), "{way:?}, after {after}: {:?}", image.status);
        assert_eq!(image.owner_references().len(), 1, "{way:?}, after {after}");
        assert_eq!(image.spec.subscription_ref.name, "vo", "{way:?}, after {after}");
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn what_a_person_says_survives_however_it_was_said() {
    let tenant = Tenant::new(ControlPlane::shared().await, "people").await;
    publish(&tenant, "1.0", 10);
    tenant.apply();
    let operator = tenant.start();
    tenant.all_ready("1.0").await;
    for (name, way) in IMAGES {
        say(&tenant, name, way, true).await;
    }
    let plain_has = async |version: &str| {
        tenant.image_until(PLAIN, "newest", |image| ready(image, version)).await;
    };
    // A new list; then a program that was killed and knows nothing but what is there; then another spec, and a list.
    publish(&tenant, "1.1", 20);
    tenant.request("a new list");
    plain_has("1.1").await;
    stands(&tenant, "a new list").await;
    drop(operator);
    publish(&tenant, "1.2", 30);
    tenant.request("while nobody looks");
    let _operator = tenant.start();
    plain_has("1.2").await;
    stands(&tenant, "a restart").await;
    publish(&tenant, "1.3", 40);
    tenant.kubectl(&["patch", "ils", "vo", "--type=merge", "-p", r#"{"spec": {"interval": "7h"}}"#]);
    plain_has("1.3").await;
    stands(&tenant, "another spec").await;

    // Taken back in the same way, all of it is gone, and the newest version comes.
    for (name, way) in IMAGES {
        say(&tenant, name, way, false).await;
    }
    for (name, _) in IMAGES {
        let unsaid = |image: Option<&CachedImage>| {
            let spec = image.map(|image| &image.spec);
            let nothing = spec.is_some_and(|spec| spec.version.is_none() && !spec.suspend && spec.keep_until.is_none());
            nothing && ready(image, "1.3")
        };
        tenant.image_until(name, "as everybody's", unsaid).await;
    }
    tenant.all_ready("1.3").await;
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn what_was_made_by_hand_first_outlives_the_selection() {
    let tenant = Tenant::new(ControlPlane::shared().await, "people").await;
    let images = publish(&tenant, "1.0", 10);
    say(&tenant, IMAGES[4].0, Way::ServerSideApply, true).await;
    say(&tenant, IMAGES[3].0, Way::Apply, false).await;
    tenant.apply();
    let _operator = tenant.start();
    let all_but_the_suspended = |object: &ImageListSubscription| {
        let counts = object.status.as_ref().and_then(|status| status.images.as_ref());
        counts.is_some_and(|counts| counts.ready == 5 && counts.selected == 6)
    };
    tenant.subscription_until("all but one ready", all_but_the_suspended).await;
    let by_hand = tenant.images().get(IMAGES[4].0).await.unwrap();
    assert_eq!((by_hand.spec.version.as_deref(), by_hand.spec.suspend), (Some("1.0"), true));
    assert!(by_hand.owner_references().is_empty());

    let nothing = r#"{"spec": {"images": {"include": {"match": null, "identifiers": []}}}}"#;
    tenant.kubectl(&["patch", "ils", "vo", "--type=merge", "-p", nothing]);
    tenant.image_until(PLAIN, "gone", |image| image.is_none()).await;
    let by_hand = tenant.image_until(IMAGES[3].0, "ready", |image| ready(image, "1.0")).await.unwrap();
    assert!(by_hand.owner_references().is_empty());
    assert_eq!(tenant.shelf("endorsed"), [images[3].entry()]);
}
