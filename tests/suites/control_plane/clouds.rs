//! From manifests to a cloud: how an image stands there is told in its status.

use harness::control_plane::ControlPlane;
use harness::image_server::Resource;
use harness::opennebula::{Cloud, Dialect};
use harness::patience::until;

use super::operator::{Tenant, ready};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_image_is_published_and_a_newer_one_takes_its_place() {
    let tenant = Tenant::new(ControlPlane::shared().await, "clouds").await;
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| {
        world.clock = tenant.site.now().as_second();
        world.reads(&tenant.site.path("volume"));
    });
    let serve = |version: &str| {
        let bytes = harness::disk_image::qcow2(1 << 30, version.as_bytes());
        tenant.site.serve_as(ONE, version, Resource::bytes(bytes))
    };
    tenant.site.publish(&tenant.site.list("1.0", &[&serve("1")]));
    tenant.site.subscribe("targetRefs: [{name: one}]");
    let _operator = tenant.start();
    tenant.apply();
    // The images wait for a target that comes later, and for its Secret.
    let expected = "one without a target";
    let missing = |reason: &str| {
        let reason = reason.to_owned();
        move |image: Option<&vmcatcher_operator::api::CachedImage>| {
            let conditions = image.and_then(|image| image.status.as_ref()).map(|status| status.conditions.as_slice());
            conditions.unwrap_or_default().iter().any(|found| found.type_ == "Published" && found.reason == reason)
        }
    };
    tenant.image_until(ONE, expected, missing("TargetNotFound")).await;
    tenant.publishes_to(&cloud);
    tenant.apply();
    tenant.all_ready("1.0").await;
    tenant.kubectl(&["wait", "cloudtarget/one", "--for=condition=Ready", "--timeout=90s"]);
    let first = tenant.images().get(ONE).await.unwrap().status.unwrap().targets.remove(0);
    assert_eq!((first.version.as_deref(), first.id.as_deref()), (Some("1"), Some("0")));

    tenant.site.publish(&tenant.site.list("2.0", &[&serve("2")]));
    tenant.request("now");
    let image = tenant.image_until(ONE, "2 ready", |image| ready(image, "2")).await.unwrap();
    let second = image.status.unwrap().targets.remove(0);
    assert_eq!((second.version.as_deref(), second.retired), (Some("2"), 1));

    // Named no more and deleted in one breath: it takes the image out of circulation before it goes.
    tenant.kubectl(&["patch", "ils", "vo", "--type=merge", "--patch", r#"{"spec": {"targetRefs": []}}"#]);
    tenant.kubectl(&["delete", "cloudtarget", "one", "--timeout=90s"]);
    assert_eq!(cloud.world(|world| world.named(ONE).len()), 0);
    tenant
        .image_until(ONE, "no target", |image| {
            image.and_then(|image| image.status.as_ref()).is_some_and(|status| status.targets.is_empty())
        })
        .await;
}

/// A cloud at which nothing is to be done is looked at every few minutes; a person need not wait for that.
#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_person_who_asks_has_the_cloud_looked_at_now() {
    let tenant = Tenant::new(ControlPlane::shared().await, "asked").await;
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.world(|world| {
        world.clock = tenant.site.now().as_second();
        world.reads(&tenant.site.path("volume"));
    });
    let bytes = harness::disk_image::qcow2(1 << 30, b"1");
    tenant.site.publish(&tenant.site.list("1.0", &[&tenant.site.serve_as(ONE, "1", Resource::bytes(bytes))]));
    tenant.site.subscribe("targetRefs: [{name: one}]");
    tenant.publishes_to(&cloud);
    tenant.apply();
    let _operator = tenant.start();
    tenant.all_ready("1.0").await;
    for asked in [&format!("cimg/{ONE}"), "cloudtarget/one"] {
        cloud.take_calls();
        tenant.kubectl(&["annotate", asked, "vmcatcher.io/requestedAt=now"]);
        until(&format!("{asked}: the cloud is looked at"), async || !cloud.take_calls().is_empty()).await;
    }
}
