//! Who owns what: people's fields, status, finalizers, and what a deletion takes with it.

use harness::control_plane::ControlPlane;
use harness::site::Served;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use vmcatcher_operator::api::FINALIZER;

use super::operator::{Operator, Tenant, ready};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

/// A site with one image ready; `more` are lines of the subscription's spec.
async fn with_one_image(more: &str) -> (Tenant<'static>, Operator, Served) {
    let tenant = Tenant::new(ControlPlane::shared().await, "ownership").await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.site.subscribe(more);
    tenant.apply();
    let operator = tenant.start();
    tenant.all_ready("1.0").await;
    (tenant, operator, image)
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_persons_pin_survives_new_lists_and_new_passes() {
    let (tenant, _operator, image) = with_one_image("").await;
    let pin = Patch::Merge(json!({"spec": {"version": "1.0", "suspend": false}}));
    tenant.images().patch(ONE, &PatchParams::default(), &pin).await.unwrap();
    let newer = tenant.site.serve(ONE, "1.1", 3, 50_000);
    tenant.site.publish(&tenant.site.list("2.0", &[&newer]));
    tenant.request("now");
    tenant.all_ready("2.0").await;
    let pinned = tenant.image_until(ONE, "1.0 ready", |image| ready(image, "1.0")).await.unwrap();
    assert_eq!(pinned.spec.version.as_deref(), Some("1.0"));
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);

    // By server-side apply the subscription owns two fields of the spec and no more.
    let managed = pinned.managed_fields();
    let applied = managed.iter().find(|fields| fields.operation.as_deref() == Some("Apply")).unwrap();
    assert_eq!(applied.manager.as_deref(), Some("vmcatcher-operator"));
    let fields = &applied.fields_v1.as_ref().unwrap().0["f:spec"];
    let mut names: Vec<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["f:identifier", "f:subscriptionRef"]);

    let unpin = Patch::Merge(json!({"spec": {"version": null}}));
    tenant.images().patch(ONE, &PatchParams::default(), &unpin).await.unwrap();
    tenant.image_until(ONE, "1.1 ready", |image| ready(image, "1.1")).await;
    assert_eq!(tenant.shelf("endorsed"), [newer.entry()]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_status_that_others_write_is_made_right_again() {
    let (tenant, _operator, _) = with_one_image("").await;
    let wrong = Patch::Merge(json!({"status": {"conditions": [], "artifact": null, "failures": 7}}));
    tenant.images().patch_status(ONE, &PatchParams::default(), &wrong).await.unwrap();
    let right = tenant.image_until(ONE, "1.0 ready", |image| ready(image, "1.0")).await.unwrap();
    let status = right.status.unwrap();
    assert_eq!((status.failures, status.artifact.is_some()), (None, true));
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_selected_image_that_is_deleted_is_made_again() {
    let (tenant, _operator, image) = with_one_image("").await;
    let before = tenant.images().get(ONE).await.unwrap().uid();
    tenant.kubectl(&["delete", "cimg", ONE, "--wait=false"]);
    tenant.image_until(ONE, "another 1.0 ready", |image| ready(image, "1.0") && image.unwrap().uid() != before).await;
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
    assert_eq!(tenant.site.server.requests(&format!("/{ONE}-1.0.img")).len(), 1);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_deleted_subscription_leaves_its_images_unless_it_says_retire() {
    let (orphan, _operator, image) = with_one_image("deletionPolicy: Orphan").await;
    orphan.kubectl(&["delete", "ils", "vo", "--timeout=60s"]);
    orphan.image_until(ONE, "the object gone", |image| image.is_none()).await;
    assert_eq!(orphan.shelf("endorsed"), [image.entry()]);

    let (retire, _operator, image) = with_one_image("deletionPolicy: Retire").await;
    let holds = |finalizers: &[String]| finalizers == [FINALIZER];
    assert!(holds(retire.subscriptions().get("vo").await.unwrap().finalizers()));
    assert!(holds(retire.images().get(ONE).await.unwrap().finalizers()));
    retire.kubectl(&["delete", "ils", "vo", "--timeout=60s"]);
    retire.image_until(ONE, "the object gone", |image| image.is_none()).await;
    assert_eq!(retire.shelf("endorsed"), [""; 0]);
    assert_eq!(retire.shelf("expired"), [image.entry()]);
}
