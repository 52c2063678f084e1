//! While this machine's clock is in doubt, nothing expires, and it is told.

use harness::image_server::Resource;
use harness::site::{Served, Site};
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A site with one image, whose list expires in 40 days.
async fn settled() -> (Site, Served) {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]).expires(site.now() + HOUR * 24 * 40));
    assert_eq!(site.run().await.image_condition(A, "Ready"), "True Succeeded");
    (site, image)
}

#[tokio::test]
async fn a_clock_that_disagrees_with_the_server_expires_nothing() {
    let (site, image) = settled().await;
    site.disturb_clock(HOUR * 24 * 60);
    let run = site.run().await;
    assert_eq!(run.list_condition("ClockSkewDetected"), "True ClockSkewDetected");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    // The server's clock comes to agree: what has expired expires.
    site.server.pass_time((HOUR * 24 * 60).as_secs());
    let run = site.run().await;
    assert_eq!(run.list_condition("ClockSkewDetected"), "absent");
    assert_eq!(run.image_condition(A, "Endorsed"), "False ListExpired");
    assert_eq!(site.shelf("expired"), [image.entry()]);
}

#[tokio::test]
async fn a_clock_that_jumps_while_the_server_is_gone_expires_nothing_until_it_is_back() {
    let (site, image) = settled().await;
    let message = site.list("1.0", &[&image]);
    site.server.put("/image.list", Resource::status(500));
    site.disturb_clock(HOUR * 24 * 60);
    for _ in 0..2 {
        let run = site.run().await;
        assert_eq!(run.list_condition("ClockSkewDetected"), "True ClockSkewDetected");
        assert_eq!(site.shelf("endorsed"), [image.entry()]);
    }
    site.disturb_clock(-(HOUR * 24 * 60));
    site.publish(&message);
    let run = site.run().await;
    assert_eq!(run.list_condition("ClockSkewDetected"), "absent");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}

#[tokio::test]
async fn a_clock_that_goes_back_is_noticed() {
    let (site, _) = settled().await;
    site.server.put("/image.list", Resource::status(500));
    site.disturb_clock(-HOUR);
    assert_eq!(site.run().await.list_condition("ClockSkewDetected"), "True ClockSkewDetected");
}

#[tokio::test]
async fn an_image_of_its_own_expiry_is_held_too() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let list = site.list("1.0", &[&image]).expires(site.now() + HOUR * 24 * 400);
    let mut text: serde_json::Value = serde_json::from_slice(&list.json()).unwrap();
    let ends = jiff::Timestamp::from_second((site.now() + HOUR).as_second()).unwrap();
    text["hv:imagelist"]["hv:images"][0]["hv:image"]["dc:date:expires"] = ends.to_string().into();
    let text = serde_json::to_vec(&text).unwrap();
    site.publish_message(&harness::signer::sign(&text, &site.pki.endorser, harness::signer::Form::Detached));
    site.run().await;
    site.disturb_clock(HOUR * 3);
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [image.entry()], "the server says that two hours less have passed");
    site.server.pass_time((HOUR * 3).as_secs());
    site.run().await;
    assert_eq!(site.shelf("expired"), [image.entry()]);
}

#[tokio::test]
async fn a_clock_in_doubt_deletes_no_retired_image_of_a_cloud() {
    let (site, cloud) = super::targets::site(harness::opennebula::Dialect::V7_4);
    for version in ["1", "2"] {
        let image = super::targets::qcow2(&site, A, version);
        site.publish(&site.list(version, &[&image]).expires(site.now() + HOUR * 24 * 400));
        assert_eq!(site.run().await.image_condition(A, "Published"), "True Published");
        site.pass_time(HOUR);
    }
    let images = || cloud.world(|world| world.images.len());
    assert_eq!(images(), 2, "one of them is retired, and to be deleted after 48 hours");
    site.disturb_clock(HOUR * 24 * 60);
    site.run().await;
    assert_eq!(images(), 2, "the list's server says another time");
    site.server.pass_time((HOUR * 24 * 60).as_secs());
    site.run().await;
    assert_eq!(images(), 1);
}
