//! The main job: images appear, are replaced, are archived; nothing is fetched twice.

use harness::image_server::Resource;
use harness::site::{Served, Site};
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const C: &str = "aaaaaaaa-0000-4000-8000-000000000003";

fn entries(images: &[&Served]) -> Vec<String> {
    images.iter().map(|image| image.entry()).collect()
}

#[tokio::test]
async fn a_list_is_followed_from_its_first_version_to_the_next() {
    let site = Site::new();
    let (a, b, c) = (site.serve(A, "1", 1, 300_000), site.serve(B, "1", 2, 200_000), site.serve(C, "1", 3, 100_000));
    site.publish(&site.list("1.0", &[&a, &b, &c]));
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    assert_eq!(site.shelf("endorsed"), entries(&[&a, &b, &c]));
    let counts = run.subscription("vo").images.unwrap();
    assert_eq!((counts.listed, counts.selected, counts.ready, counts.failed, counts.late), (3, 3, 3, 0, 0));

    // A second run asks whether the list is still the same, and fetches nothing.
    let before = site.server.all_requests().len();
    let run = site.run().await;
    let asked: Vec<u16> = site.server.all_requests()[before..].iter().map(|request| request.status).collect();
    assert_eq!(asked, [304]);
    assert_eq!(run.list_condition("Ready"), "True Succeeded");

    // The second version replaces one image and drops another.
    site.pass_time(SignedDuration::from_mins(5));
    let b2 = site.serve(B, "2", 4, 250_000);
    site.publish(&site.list("1.1", &[&a, &b2]));
    let run = site.run().await;
    assert_eq!(run.list_version().as_deref(), Some("1.1"));
    assert_eq!(site.shelf("endorsed"), entries(&[&a, &b2]));
    assert_eq!(site.shelf("expired"), entries(&[&b, &c]));
    assert!(run.image(C).is_none(), "an image that the list dropped is archived, then its object goes");
    assert_eq!(site.server.requests(&format!("/{A}-1.img")).len(), 1);
}

#[tokio::test]
async fn bytes_are_shared_by_content_and_never_fetched_twice() {
    let site = Site::new();
    let a = site.serve(A, "1", 1, 100_000);
    let copy = Served { identifier: B.to_owned(), ..a.clone() };
    site.publish(&site.list("1.0", &[&a, &copy]));
    let run = site.run().await;
    assert_eq!(run.list_condition("ImagesReady"), "True Succeeded");
    assert_eq!(site.shelf("endorsed").len(), 2);
    assert_eq!(site.server.requests(&format!("/{A}-1.img")).len(), 1);

    // Gone back to: the archive still has it.
    site.pass_time(SignedDuration::from_mins(5));
    let a2 = site.serve(A, "2", 2, 100_000);
    site.publish(&site.list("1.1", &[&a2, &copy]));
    site.run().await;
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.2", &[&Served { version: "3".to_owned(), ..a.clone() }, &copy]));
    let run = site.run().await;
    assert_eq!(run.image(A).unwrap().artifact.unwrap().version, "3");
    assert_eq!(site.server.requests(&format!("/{A}-1.img")).len(), 1);
}

#[tokio::test]
async fn a_new_version_is_verified_before_it_takes_the_place_of_the_old() {
    let site = Site::new();
    let old = site.serve(A, "1", 1, 100_000);
    site.publish(&site.list("1.0", &[&old]));
    site.run().await;
    site.pass_time(SignedDuration::from_mins(5));
    let bad = Served { sha512: "0".repeat(128), ..site.serve(A, "2", 2, 100_000) };
    site.publish(&site.list("1.1", &[&bad]));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
    assert_eq!(run.image_condition(A, "Cached"), "False ChecksumMismatch");
    assert_eq!(run.image_condition(A, "Ready"), "False ChecksumMismatch");
    assert_eq!(run.image(A).unwrap().artifact.unwrap().version, "1");
    assert_eq!(run.list_condition("Ready"), "True Succeeded", "the list is good, whatever its images are");
    assert_eq!(run.list_condition("ImagesReady"), "False ImagesNotReady");
}

#[tokio::test]
async fn the_archive_keeps_what_retention_says() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 1, keepFor: 1h}");
    let mut served = Vec::new();
    for version in 1..=4_u64 {
        served.push(site.serve(A, &version.to_string(), version, 50_000));
        site.publish(&site.list(&format!("1.{version}"), &[served.last().unwrap()]));
        site.run().await;
        site.pass_time(SignedDuration::from_mins(20));
    }
    assert_eq!(site.shelf("expired"), entries(&[&served[0], &served[1], &served[2]]), "each is younger than an hour");
    site.pass_time(SignedDuration::from_hours(2));
    site.run().await;
    assert_eq!(site.shelf("expired"), [served[2].entry()]);
    site.run().await;
    let blobs = site.volume_files().keys().filter(|name| name.starts_with("blobs/") && !name.contains(".json")).count();
    assert_eq!(blobs, 2, "what nothing refers to is removed");
}

#[tokio::test]
async fn selection_follows_the_spec_and_the_list() {
    let site = Site::new();
    let (a, b) = (site.serve(A, "1", 1, 50_000), site.serve(B, "1", 2, 50_000));
    site.publish(&site.list("1.0", &[&a, &b]));
    let url = site.server.url("/image.list");
    site.subscribe_to("vo", &url, &format!("images: {{include: {{identifiers: [{A}, {C}]}}}}"));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [a.entry()]);
    let status = run.subscription("vo");
    assert_eq!(status.images.unwrap().missing, 1);
    assert_eq!((status.notes[0].identifier.as_str(), status.notes[0].reason.as_str()), (C, "NotInList"));

    site.subscribe_to("vo", &url, &format!("images: {{include: {{identifiers: [{B}]}}}}"));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [b.entry()]);
    assert!(run.image(A).is_none(), "no longer selected: archived, then its object goes");
    assert_eq!(site.shelf("expired"), [a.entry()]);
}

#[tokio::test]
async fn two_subscriptions_that_want_one_identifier_do_not_fight() {
    let site = Site::new();
    let a = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&a]));
    site.run().await;
    let theirs = site.serve(A, "6.6", 66, 50_000);
    let list = site.list("9.0", &[&theirs]);
    let message = harness::signer::sign(&list.json(), &site.pki.endorser, harness::signer::Form::Detached);
    site.server.put("/other.list", Resource::bytes(message));
    site.subscribe_to("other", &site.server.url("/other.list"), "images: {include: {match: [{name: all}]}}");
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [a.entry()], "who has the object has the image");
    let other = run.subscription("other");
    assert_eq!(other.notes[0].reason, "IdentifierConflict");
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
}
