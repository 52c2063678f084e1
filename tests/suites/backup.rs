//! Backups as docs/backup.md describes them: of everything while the operator works, and of the small part alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::image_server::Resource;
use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;

use crate::reconcile::process::Running;

const ONE: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const TWO: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const SIZE: u64 = 400_000;

/// What the page leaves out of a whole backup, and what it takes into a small one.
const WITHOUT: &str =
    "--exclude=./partial --exclude=./scratch --exclude=./quarantine --exclude=./spool --exclude=./lock";
const SMALL: &str = "./state ./lists";

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/backup.md")).unwrap()
}

/// Copies the volume into an archive, as the page does.
fn back_up(site: &Site, options: &str, what: &str) {
    assert!(page().contains(options) && page().contains(what), "the page has {options} {what}");
    let mut command = Command::new("tar");
    command.arg("-C").arg(site.path("volume")).args(options.split_whitespace()).arg("-cf").arg(site.path("backup.tar"));
    let status = command.args(what.split_whitespace()).status().unwrap();
    // 1: a file changed while it was read. The page says that this is no failure.
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
}

/// The volume is lost; the archive goes into an empty one.
fn restore(site: &Site) {
    fs::remove_dir_all(site.path("volume")).unwrap();
    fs::create_dir(site.path("volume")).unwrap();
    let mut command = Command::new("tar");
    command.arg("-C").arg(site.path("volume")).arg("-xpf").arg(site.path("backup.tar"));
    assert!(command.status().unwrap().success());
}

fn path_of(image: &str) -> String {
    format!("/{image}-1.img")
}

#[tokio::test]
async fn a_backup_made_during_a_run_loses_nothing_and_nothing_is_downloaded_again() {
    let site = Site::new();
    let one = site.serve(ONE, "1", 1, SIZE);
    site.publish(&site.list("1.0", &[&one]));
    site.run().await;
    let slow = Resource::pattern(2, SIZE).etag("\"two\"");
    let two = site.serve_as(TWO, "1", slow.clone().stall_after(SIZE / 2));
    site.pass_time(SignedDuration::from_mins(1));
    site.publish(&site.list("2.0", &[&one, &two]));
    site.subscribe_with("vo", "now", &site.server.url("/image.list"), "images: {include: {match: [{name: all}]}}");
    let running = Running::start(&site);
    site.server.wait_for(&path_of(TWO), 1, SIZE / 4);
    back_up(&site, WITHOUT, ".");
    assert!(running.terminate().success());

    restore(&site);
    assert!(!site.path("volume/partial").exists(), "work in progress is not in the archive");
    site.server.put(&path_of(TWO), slow);
    let before = site.server.bytes_sent(&path_of(ONE));
    let run = site.run().await;
    assert_eq!(run.list_version().as_deref(), Some("2.0"));
    for image in [&one, &two] {
        assert_eq!(run.image_condition(&image.identifier, "Ready"), "True Succeeded", "{}", image.identifier);
    }
    assert_eq!(site.shelf("endorsed"), [one.entry(), two.entry()]);
    assert_eq!(site.server.bytes_sent(&path_of(ONE)), before, "what was in the backup is not downloaded again");
    let verified = Command::new(env!("CARGO_BIN_EXE_operator"))
        .args(["cache", "verify", "--volume"])
        .arg(site.path("volume"))
        .status();
    assert!(verified.unwrap().success());
}

/// A site that has accepted the list 2.0, and the signed lists 1.0 and 3.0.
async fn accepted() -> (Site, [Vec<u8>; 3]) {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, SIZE);
    let lists = ["1.0", "2.0", "3.0"].map(|version| {
        site.pass_time(SignedDuration::from_mins(1));
        sign(&site.list(version, &[&image]).json(), &site.pki.endorser, Form::Detached)
    });
    site.publish_message(&lists[1]);
    assert_eq!(site.run().await.list_version().as_deref(), Some("2.0"));
    (site, lists)
}

#[tokio::test]
async fn with_the_small_part_alone_images_come_again_and_older_lists_do_not() {
    let (site, [old, _, newest]) = accepted().await;
    back_up(&site, "", SMALL);
    restore(&site);
    site.pass_time(SignedDuration::from_hours(12));
    site.publish_message(&old);
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False VersionRollback");
    assert_eq!(run.list_version().as_deref(), Some("2.0"), "the list in force is in the backup");
    assert_eq!(run.image_condition(ONE, "Ready"), "True Succeeded");
    assert_eq!(site.server.bytes_sent(&path_of(ONE)), 2 * SIZE, "the image was downloaded again");
    site.pass_time(SignedDuration::from_hours(12));
    site.publish_message(&newest);
    assert_eq!(site.run().await.list_version().as_deref(), Some("3.0"));
}

/// As in a cluster, where the status is in the API server: an old volume beside a status that has a newer list.
#[tokio::test]
async fn an_old_volume_does_not_take_back_what_the_status_knows() {
    let (site, [_, second, newest]) = accepted().await;
    back_up(&site, WITHOUT, ".");
    site.pass_time(SignedDuration::from_hours(12));
    site.publish_message(&newest);
    assert_eq!(site.run().await.list_version().as_deref(), Some("3.0"));
    let status = site.path("volume/state/resources");
    fs::rename(&status, site.path("status")).unwrap();
    restore(&site);
    fs::remove_dir_all(&status).unwrap();
    fs::rename(site.path("status"), &status).unwrap();

    site.pass_time(SignedDuration::from_hours(12));
    site.publish_message(&second);
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False VersionRollback", "{:?}", run.list_version());
    site.pass_time(SignedDuration::from_hours(12));
    site.publish_message(&newest);
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(run.list_version().as_deref(), Some("3.0"));
    assert_eq!(run.image_condition(ONE, "Ready"), "True Succeeded");
}
