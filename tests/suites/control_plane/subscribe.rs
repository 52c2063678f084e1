//! From manifests that kubectl applies to images that are ready.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use harness::control_plane::ControlPlane;

use super::operator::{Operator, Tenant};

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
const TWO: &str = "aaaaaaaa-0ca2-473f-89d3-d5bdfc51968e";

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn manifests_become_images_that_are_ready() {
    let tenant = Tenant::new(ControlPlane::shared().await, "subscribe").await;
    let images = [tenant.site.serve(ONE, "1.0", 1, 300_000), tenant.site.serve(TWO, "2.0", 2, 40_000)];
    tenant.site.publish(&tenant.site.list("1.0", &[&images[0], &images[1]]));
    let operator = tenant.start();
    tenant.apply();
    tenant.kubectl(&["wait", "ils/vo", "--for=condition=Ready", "--timeout=90s"]);
    tenant.kubectl(&["wait", "ils/vo", "--for=condition=ImagesReady", "--timeout=90s"]);
    tenant.kubectl(&["wait", "cimg", "--all", "--for=condition=Ready", "--timeout=90s"]);
    tenant.kubectl(&["wait", "endorser/endorser", "--for=condition=Ready", "--timeout=90s"]);
    tenant.all_ready("1.0").await;

    assert_eq!(tenant.shelf("endorsed"), [images[0].entry(), images[1].entry()]);
    let shown = tenant.kubectl(&["get", "cimg", ONE]);
    assert!(shown.contains("1.0") && shown.contains("True"), "{shown}");
    let events = tenant.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(events.contains("ListAccepted"), "{events}");
    let (ended, after) = operator.stop();
    assert!(ended.success() && after < Duration::from_secs(30), "{ended} after {after:?}");

    // Another process takes over what is there: nothing is fetched again, and no status moves.
    let before = tenant.kubectl(&["get", "ils,cimg,endorser", "-o", "jsonpath={.items[*].status.conditions}"]);
    let sent = tenant.site.server.all_requests().len();
    let operator = tenant.start();
    tenant.request("after-the-restart");
    tenant
        .subscription_until("the request handled", |object| {
            let status = object.status.as_ref();
            status.and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some("after-the-restart")
        })
        .await;
    let after = tenant.kubectl(&["get", "ils,cimg,endorser", "-o", "jsonpath={.items[*].status.conditions}"]);
    assert_eq!(before, after);
    let requests: Vec<String> =
        tenant.site.server.all_requests()[sent..].iter().map(|request| request.target.clone()).collect();
    assert_eq!(requests, ["/image.list"]);
    operator.stop();
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_new_list_reaches_the_images_and_what_it_drops_goes() {
    let tenant = Tenant::new(ControlPlane::shared().await, "subscribe").await;
    let images = [tenant.site.serve(ONE, "1.0", 1, 30_000), tenant.site.serve(TWO, "2.0", 2, 40_000)];
    tenant.site.publish(&tenant.site.list("1.0", &[&images[0], &images[1]]));
    tenant.apply();
    let _operator = tenant.start();
    tenant.all_ready("1.0").await;
    let newer = tenant.site.serve(ONE, "1.1", 3, 50_000);
    tenant.site.publish(&tenant.site.list("2.0", &[&newer]));
    tenant.request("now");
    tenant.all_ready("2.0").await;
    tenant.image_until(TWO, "the dropped image gone", |image| image.is_none()).await;
    assert_eq!(tenant.shelf("endorsed"), [newer.entry()]);
    assert_eq!(tenant.shelf("expired"), [images[0].entry(), images[1].entry()]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn only_its_own_namespaces_are_touched() {
    let plane = ControlPlane::shared().await;
    let (ours, others) = (Tenant::new(plane, "ours").await, Tenant::new(plane, "others").await);
    let image = ours.site.serve(ONE, "1.0", 1, 30_000);
    ours.site.publish(&ours.site.list("1.0", &[&image]));
    others.apply();
    ours.apply();
    let _operator = ours.start();
    ours.all_ready("1.0").await;
    let untouched = others.subscriptions().get("vo").await.unwrap().status.unwrap();
    assert_eq!((untouched.observed_generation, untouched.conditions.len()), (Some(-1), 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_image_that_rots_on_the_volume_is_fetched_again() {
    let tenant = Tenant::new(ControlPlane::shared().await, "rot").await;
    let image = tenant.site.serve(ONE, "1.0", 1, 30_000);
    tenant.site.publish(&tenant.site.list("1.0", &[&image]));
    tenant.apply();
    let operator = tenant.start();
    tenant.all_ready("1.0").await;
    operator.stop();
    let path = format!("blobs/sha512/{}/{}", &image.sha512[..2], image.sha512);
    let blob = tenant.site.path("volume").join(path);
    std::fs::set_permissions(&blob, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = std::fs::File::options().write(true).open(&blob).unwrap();
    file.write_all(b"rot").unwrap();
    let arguments = Operator::arguments(&tenant.site, &tenant.namespace, &["--scrub-interval=1s"]);
    let operator = Operator::start_with(tenant.plane.kubeconfig(), &tenant.site, &arguments);
    operator.tells("BlobDamaged").await;
    tenant.site.server.wait_for(&format!("/{ONE}-1.0.img"), 2, 60_000);
    operator.tells("ImageDownloaded").await;
    assert_eq!(tenant.shelf("endorsed"), [image.entry()]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn one_program_follows_several_namespaces() {
    let plane = ControlPlane::shared().await;
    let (first, second) = (Tenant::new(plane, "first").await, Tenant::new(plane, "second").await);
    let image = first.site.serve(ONE, "1.0", 1, 30_000);
    first.site.publish(&first.site.list("1.0", &[&image]));
    first.apply();
    let manifests = first.site.path("manifests");
    second.kubectl(&["apply", "-f", manifests.to_str().unwrap()]);
    let more = ["--namespace", &second.namespace, "--namespace", &first.namespace];
    let arguments = Operator::arguments(&first.site, &first.namespace, &more);
    let operator = Operator::start_with(plane.kubeconfig(), &first.site, &arguments);
    first.all_ready("1.0").await;
    second.all_ready("1.0").await;
    let shelf = |tenant: &Tenant<'_>| first.site.shelf_of(&tenant.namespace, "endorsed");
    assert_eq!([shelf(&first), shelf(&second)], [[image.entry()], [image.entry()]]);
    // What one namespace does is nothing to the other.
    first.kubectl(&["delete", "ils", "vo", "--timeout=60s"]);
    first.image_until(ONE, "the object gone", |image| image.is_none()).await;
    second.request("still-there");
    second.all_ready("1.0").await;
    assert!(operator.stop().0.success());
}
