//! Definitions of an older version, with objects under them, and then those of this one.

use std::path::Path;

use harness::control_plane::ControlPlane;
use harness::opennebula::{Cloud, Dialect};
use harness::patience::until;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use vmcatcher_operator::api::crds;

use super::operator::Tenant;

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
/// For each kind a field of the spec that an older version did not have.
const NEWER: [(&str, &str); 4] = [
    ("CachedImage", "keepUntil"),
    ("CloudTarget", "formats"),
    ("Endorser", "crlPolicy"),
    ("ImageListSubscription", "removalLimit"),
];

/// Today's definition without that field. Its rules go too: this API server has none.
fn older(crd: &CustomResourceDefinition) -> Value {
    let (_, field) = NEWER.into_iter().find(|(kind, _)| *kind == crd.spec.names.kind).unwrap();
    let mut older = serde_json::to_value(crd).unwrap();
    let properties = older.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    assert!(properties.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    older
}

/// Waits until the API server describes the fields, or describes them no more.
async fn described(plane: &ControlPlane, are: bool) {
    for (kind, field) in NEWER {
        let path = format!("{}.spec.{field}", kind.to_lowercase());
        let explained = async || plane.kubectl("default", &["explain", &path]).status.success() == are;
        until(&format!("{path} is described: {are}"), explained).await;
    }
}

async fn downgrade(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crds() {
        let patch = Patch::Merge(json!({"spec": {"versions": older(&crd)["spec"]["versions"]}}));
        api.patch(&crd.name_any(), &PatchParams::default(), &patch).await.unwrap();
    }
}

/// What may not change: which objects there are, and how they stand.
fn state(tenant: &Tenant<'_>) -> Value {
    let all = tenant.kubectl(&["get", "vmcatcher", "-o", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let told = |object: &Value| json!([object["kind"], object["metadata"]["uid"], object["status"]]);
    all["items"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn objects_and_their_status_outlive_an_upgrade_of_the_definitions() {
    let plane = ControlPlane::start().await;
    let tenant = Tenant::new(&plane, "upgrade").await;
    downgrade(&tenant.client).await;
    described(&plane, false).await;
    let cloud = Cloud::start(Dialect::V7_4);
    let image = tenant.site.serve_as(
        ONE,
        "1.0",
        harness::image_server::Resource::bytes(harness::disk_image::qcow2(1 << 30, b"one")),
    );
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.site.subscribe("targetRefs: [{name: one}]");
    target(&tenant, &cloud);
    tenant.apply();
    let _operator = tenant.start();
    tenant.all_ready("1.0").await;
    tenant.kubectl(&["wait", "cloudtarget/one", "endorser/endorser", "--for=condition=Ready", "--timeout=90s"]);
    let keep = r#"{"spec": {"keepUntil": "2099-01-01T00:00:00Z"}}"#;
    tenant.kubectl(&["patch", "cimg", ONE, "--type=merge", "-p", keep]);
    assert!(tenant.images().get(ONE).await.unwrap().spec.keep_until.is_none(), "the older one does not know it");

    let before = state(&tenant);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crds");
    // This server cannot check the rules in them, so kubectl must not either.
    tenant.kubectl(&["apply", "--validate=false", "-f", folder.to_str().unwrap()]);
    described(&plane, true).await;
    assert_eq!(state(&tenant), before);
    tenant.kubectl(&["patch", "cimg", ONE, "--type=merge", "-p", keep]);
    let kept = |image: Option<&vmcatcher_operator::api::CachedImage>| {
        image.is_some_and(|image| image.spec.keep_until.is_some() && super::operator::ready(Some(image), "1.0"))
    };
    tenant.image_until(ONE, "kept", kept).await;

    // The program that ran through it goes on, under what is new.
    let newer = tenant.site.serve_as(
        ONE,
        "1.1",
        harness::image_server::Resource::bytes(harness::disk_image::qcow2(1 << 30, b"two")),
    );
    tenant.site.publish(&tenant.site.list("2.0", &[&newer]));
    tenant.request("now");
    tenant.all_ready("2.0").await;
    assert_eq!(tenant.shelf("endorsed"), [newer.entry()]);
}

fn target(tenant: &Tenant<'_>, cloud: &Cloud) {
    let volume = tenant.site.path("volume").display().to_string();
    cloud.world(|world| {
        world.clock = tenant.site.now().as_second();
        world.datastores.get_mut(&1).unwrap().safe_dirs = vec![volume.clone()];
    });
    tenant.publishes_to(cloud);
}
