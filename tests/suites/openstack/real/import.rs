//! Images that real Glance downloads itself (`web-download`).

use harness::image_server::{ImageServer, Resource};
use harness::openstack::RealOpenStack;
use harness::patience::found;
use jiff::SignedDuration;
use serde_json::json;
use vmcatcher_operator::openstack::carry_over::{Outcome, Verdict};

use super::life::{lists, qcow2, target};
use super::site::{Site, Want, of_role, overview, property, waiting};
use crate::reconcile::process::Running;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000021";

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn glance_downloads_from_the_operator_with_a_signed_address() {
    let servers = RealOpenStack::shared().await;
    let site = lists(servers, &json!({"handOver": {"type": "URL", "url": {"base": "http://127.0.0.1:9"}}}));
    let mut running = Running::start_with(&site, &["--instance", "import", "--image-server", "127.0.0.1:0"]);
    let line = running.wait_for("images are served");
    let address = line.rsplit_once("address=").unwrap().1.trim().to_owned();
    target(&site, servers, &json!({"handOver": {"type": "URL", "url": {"base": format!("http://{address}")}}}));
    let image = qcow2(&site, A, "1", 3 << 20);
    site.publish(&site.list("1.0", &[&image]));
    running.wait_for("ImagePublished");
    assert!(running.terminate().success());
    let images = overview(servers, "vmcatcher");
    let current = of_role(&images, A, "current");
    assert_eq!(current.len(), 1, "{current:#?}");
    let found = (&current[0]["status"], &current[0]["disk_format"], &current[0]["hash_value"]);
    assert_eq!(found, (&json!("active"), &json!("qcow2"), &json!(image.sha512)));
    let told = current[0].to_string();
    assert!(!told.contains(&address), "a signed address is not told: {told}");
}

/// The outcome when nothing is on its way any more.
async fn ended(site: &mut Site, want: Want<'_>) -> Outcome {
    let ended = found(async || {
        let outcome = site.pass(&[want]).await.unwrap().outcomes.remove(0);
        (!outcome.copying).then_some(outcome)
    });
    ended.await.expect("the import ends")
}

#[tokio::test]
#[ignore = "needs the servers that tests/openstack/get installs"]
async fn what_glance_downloads_is_refused_unless_it_is_what_was_promised() {
    let servers = RealOpenStack::shared().await;
    let server = ImageServer::start();
    let mut site = Site::new(servers, "import");
    let want = Want("import-other", Some(1));
    site.import_from(&server.url("/a.img"));
    for (resource, expected) in [
        (Resource::bytes(site.bytes(2)), "expected the data of image".to_owned()),
        (Resource::status(404), "Glance could not download image".to_owned()),
    ] {
        server.put("/a.img", resource);
        let outcome = ended(&mut site, want).await;
        let (reason, message) = waiting(&outcome);
        assert!(reason == "ImportFailed" && message.contains(&expected), "{reason}: {message}");
        let images = overview(servers, "vmcatcher");
        let left = images.values().filter(|image| property(image, "vmcatcher_event_dc_identifier") == want.0);
        assert_eq!(left.count(), 0, "it is deleted");
        site.pass_time(SignedDuration::from_mins(5));
    }
    server.put("/a.img", Resource::bytes(site.bytes(1)));
    let outcome = ended(&mut site, want).await;
    assert!(matches!(outcome.verdict, Verdict::Published { .. }), "{outcome:#?}");
    let images = overview(servers, "vmcatcher");
    assert_eq!(of_role(&images, want.0, "current")[0]["hash_value"], site.digest(1).to_string());
}
