//! Uploads that stop, imports, quotas and tokens.

use harness::image_server::{ImageServer, Resource};
use harness::openstack::{Fault, Image};
use vmcatcher_operator::openstack::carry_over::Verdict;
use vmcatcher_operator::openstack::settings::Transfer;

use super::site::{IDENTIFIER, Site, Want, bytes, property};

fn said(site: &Site, want: Want<'_>) -> String {
    site.pass(&[want]).unwrap().outcomes[0].verdict.to_string()
}

/// The process ends during an upload, and Glance notices it later.
#[test]
fn an_upload_of_a_process_that_ended_is_waited_for_and_begun_anew() {
    let site = Site::new();
    let want = Want(IDENTIFIER, Some(1));
    // Log in, two lists, create, upload.
    site.cloud.fail(4, Fault::Stall(0));
    site.pass(&[want]).unwrap();
    site.cloud_has("saving");
    let message = said(&site, want);
    assert!(message.contains("% sent"), "{message}");
    site.restart();
    let message = said(&site, want);
    assert!(message.contains("on their way (saving)"), "{message}");
    site.cloud.recover();
    site.cloud_has("queued");
    site.converge(&[want]);
    let images = site.images();
    assert_eq!((images.len(), images[0].status.as_str(), images[0].size), (1, "active", Some(5000)));
}

#[test]
fn glance_downloads_an_image_itself_and_a_failure_begins_anew() {
    let mut site = Site::new();
    site.settings.transfer = Transfer::Import;
    let server = ImageServer::start();
    server.put("/1", Resource::status(404));
    site.location = Some(server.url("/1"));
    let want = Want(IDENTIFIER, Some(1));
    site.pass(&[want]).unwrap();
    site.cloud_imports("failure");
    assert!(said(&site, want).contains("could not download"), "the image is deleted");
    assert!(site.images().is_empty());
    server.put("/1", Resource::bytes(bytes(1)));
    site.cloud.world(|world| world.advance(61));
    site.pass(&[want]).unwrap();
    site.cloud_imports("success");
    let outcome = &site.converge(&[want])[0];
    let images = site.images();
    assert!(matches!(outcome.verdict, Verdict::Published { id } if id == images[0].id));
    assert_eq!((images.len(), images[0].size), (1, Some(5000)));
    assert_eq!(server.requests("/1").len(), 2);
}

/// Bytes that are not those of the list: Glance makes the image active all the same.
#[test]
fn what_glance_downloaded_is_compared_with_the_list() {
    let mut site = Site::new();
    site.settings.transfer = Transfer::Import;
    let server = ImageServer::start();
    server.put("/1", Resource::bytes(bytes(2)));
    site.location = Some(server.url("/1"));
    let want = Want(IDENTIFIER, Some(1));
    site.pass(&[want]).unwrap();
    site.cloud_imports("success");
    assert!(said(&site, want).contains("to have the SHA-512"));
    assert!(site.images().is_empty(), "it was never visible, and is deleted");
}

#[test]
fn tokens_that_end_and_a_quota_are_overcome() {
    let site = Site::new();
    site.converge(&[Want(IDENTIFIER, Some(1))]);
    site.cloud.world(|world| {
        world.revoke_tokens();
        world.limits.count_total = 1;
    });
    let want = Want(IDENTIFIER, Some(2));
    let message = said(&site, want);
    assert!(message.starts_with("QuotaExceeded") && message.contains("over a limit"), "{message}");
    let current = |image: &Image| property(image, "vmcatcher_role") == "current" && image.status == "active";
    assert!(site.images().iter().any(current), "the old one stays");
    assert!(said(&site, want).starts_with("QuotaExceeded"), "in its pause");
    site.cloud.world(|world| world.limits.count_total = 100);
    site.converge(&[want]);
    assert_eq!(site.images().len(), 2);
}
