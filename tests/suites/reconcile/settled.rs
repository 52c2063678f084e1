//! A pass over an image is left out while nothing that it reads has changed, and is made as soon as anything has.

use std::fs;
use std::path::PathBuf;

use harness::patience;
use harness::site::{Run, Served, Site};
use jiff::SignedDuration;
use vmcatcher_operator::api::ObjectKey;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

fn key(identifier: &str) -> ObjectKey {
    ObjectKey::new("default", identifier)
}

/// Runs until the pass over each of these images is left out. Files that changed within the last seconds may change
/// again without another time, so a run right after a change is never the last.
async fn settle(site: &Site, images: &[&str]) -> Run {
    let settled = patience::found(async || {
        let run = site.run().await;
        images.iter().all(|image| run.settled.left_out.contains(&key(image))).then_some(run)
    });
    settled.await.expect("nothing changes, and the passes are left out")
}

async fn site() -> (Site, Served, Served) {
    let site = Site::new();
    let (a, b) = (site.serve(A, "1", 1, 50_000), site.serve(B, "1", 2, 50_000));
    site.publish(&site.list("1.0", &[&a, &b]));
    settle(&site, &[A, B]).await;
    (site, a, b)
}

/// The blob of the published version of A.
fn blob(site: &Site) -> PathBuf {
    let entry = entry(site);
    let name = entry.file_name().unwrap().to_str().unwrap();
    let digest = name.trim_start_matches("1-").split('.').next().unwrap();
    found(&site.path("volume/blobs/sha512"), digest)
}

fn entry(site: &Site) -> PathBuf {
    found(&site.path("volume/endorsed/default").join(A), "1-")
}

/// The file below a folder whose name begins so and has no record's end.
fn found(folder: &std::path::Path, begin: &str) -> PathBuf {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && begin.starts_with(name) {
            return found(&path, begin);
        }
        if name.starts_with(begin) && path.extension().is_none_or(|end| end != "json") {
            return path;
        }
    }
    panic!("no {begin} in {}", folder.display());
}

fn right(site: &Site) -> PathBuf {
    let digest = blob(site).file_name().unwrap().to_str().unwrap().to_owned();
    site.path("volume/state/rights/default").join(format!("{digest}.json"))
}

fn stored(site: &Site) -> PathBuf {
    site.path(&format!("volume/state/resources/default/cachedimages/{A}.yaml"))
}

#[tokio::test]
async fn whatever_changes_is_seen_by_the_next_run() {
    type Change = fn(&Site);
    let changes: [(&str, Change); 11] = [
        ("the blob is gone", |site| fs::remove_file(blob(site)).unwrap()),
        ("the blob is cut", |site| {
            let blob = blob(site);
            let kept = fs::read(&blob).unwrap()[..1000].to_vec();
            fs::remove_file(&blob).unwrap();
            fs::write(&blob, kept).unwrap();
        }),
        ("the record of the blob is gone", |site| fs::remove_file(blob(site).with_extension("json")).unwrap()),
        ("the entry is gone", |site| fs::remove_file(entry(site)).unwrap()),
        ("the entry leads to another file", |site| {
            let entry = entry(site);
            fs::remove_file(&entry).unwrap();
            fs::write(&entry, "another").unwrap();
        }),
        ("the image's folder is gone", |site| fs::remove_dir_all(entry(site).parent().unwrap()).unwrap()),
        ("the right is gone", |site| fs::remove_file(right(site)).unwrap()),
        ("the stored status is gone", |site| fs::remove_file(stored(site)).unwrap()),
        ("the stored status was edited", |site| {
            let text = fs::read_to_string(stored(site)).unwrap();
            fs::write(stored(site), text.replace("version 1 is cached", "version 9 is cached")).unwrap();
        }),
        ("a user asks", |site| {
            site.manifest("image-a", &image("annotations: {vmcatcher.io/requestedAt: now}", ""));
        }),
        ("a user pins it", |site| site.manifest("image-a", &image("", "version: '1'"))),
    ];
    let (site, a, b) = site().await;
    for (what, change) in changes {
        change(&site);
        let run = site.run().await;
        assert!(!run.settled.left_out.contains(&key(A)), "{what}: expected a pass");
        // For a pin the older lists are read, which may have versions of each image.
        let is_pin = what == "a user pins it";
        assert_eq!(run.settled.left_out.contains(&key(B)), !is_pin, "{what}: B has not changed");
        assert_eq!(site.shelf("endorsed"), [a.entry(), b.entry()], "{what}");
        assert_eq!(run.image_condition(A, "Ready"), "True Succeeded", "{what}");
        if what.starts_with("the ") {
            settle(&site, &[A, B]).await;
        }
    }
}

fn image(metadata: &str, spec: &str) -> String {
    format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata:\n  name: {A}\n  {metadata}\nspec:\n  \
         subscriptionRef: {{name: vo}}\n  identifier: {A}\n  {spec}\n"
    )
}

#[tokio::test]
async fn a_change_of_the_list_or_of_its_subscription_reaches_each_image() {
    let (site, a, b) = site().await;
    site.subscribe("suspend: true");
    let run = site.run().await;
    assert!(run.settled.left_out.is_empty(), "the subscription is suspended");
    site.subscribe("");
    settle(&site, &[A, B]).await;

    site.publish(&site.list("1.1", &[&a, &b]));
    let run = site.run().await;
    assert!(run.settled.left_out.is_empty(), "there is another list");
    assert_eq!(run.image(A).unwrap().image.unwrap().list_version, "1.1");
    settle(&site, &[A, B]).await;

    site.publish(&site.list("1.2", &[&a]));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [a.entry()], "the list does not have B any more");
    settle(&site, &[A]).await;

    site.pass_time(SignedDuration::from_hours(24 * 40));
    let run = site.run().await;
    assert!(run.settled.left_out.is_empty(), "the list is over");
}

#[tokio::test]
async fn a_signer_who_is_revoked_takes_settled_images_along() {
    let (site, ..) = site().await;
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    let run = site.run().await;
    assert!(run.settled.left_out.is_empty());
    assert_eq!(site.shelf("endorsed"), [""; 0]);
}

#[tokio::test]
async fn an_archived_version_goes_when_its_time_is_over() {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 0, keepFor: 2h}");
    let old = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&old]));
    site.run().await;
    let new = site.serve(A, "2", 3, 50_000);
    site.publish(&site.list("1.1", &[&new]));
    settle(&site, &[A]).await;
    assert_eq!(site.shelf("expired"), [old.entry()]);
    site.pass_time(SignedDuration::from_hours(3));
    site.run().await;
    assert_eq!((site.shelf("endorsed"), site.shelf("expired")), (vec![new.entry()], Vec::new()));
}

#[tokio::test]
async fn an_image_with_a_target_has_its_pass() {
    let (site, ..) = site().await;
    site.subscribe("targetRefs: [{name: one}]");
    for _ in 0..2 {
        let run = site.run().await;
        assert!(run.settled.left_out.is_empty());
        assert_eq!(run.image_condition(A, "Published"), "False TargetNotFound");
    }
}

#[tokio::test]
async fn marks_of_another_time_or_form_are_nothing() {
    let (site, a, b) = site().await;
    let copies = site.path("volume/state/resources.copies");
    let text = fs::read_to_string(&copies).unwrap();
    for spoiled in [text[..text.len() / 2].to_owned(), text.replace("sha256:", "sha256:00"), String::new()] {
        fs::write(&copies, spoiled).unwrap();
        let run = site.run().await;
        assert!(run.settled.left_out.is_empty());
        assert_eq!(site.shelf("endorsed"), [a.entry(), b.entry()]);
        settle(&site, &[A, B]).await;
    }
}
