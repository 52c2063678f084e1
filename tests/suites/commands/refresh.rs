//! `refresh`: what `vmcatcher.io/requestedAt` does on an API server, for sites whose manifests are only read.

use harness::image_server::Resource;
use harness::site::Site;

use super::{ONE, once, over};
use crate::reconcile::process::Running;

#[test]
fn an_operator_that_runs_acts_on_a_request_at_once() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let mut running = Running::start(&site);
    running.wait_for("ImageDownloaded");
    let newer = site.serve(ONE, "2", 2, 50_000);
    site.publish(&site.list("1.1", &[&newer]));
    // The interval is hours; nothing of the manifests changes.
    let manifests = manifests(&site);
    let asked = over(&site, &["refresh", "ils", "vo"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.shown.starts_with("ImageListSubscription default/vo is looked at now"), "{asked:?}");
    running.wait_for("version 2, 48.82 KiB, verified");
    assert!(running.terminate().success());
    assert_eq!(self::manifests(&site), manifests);
    assert_eq!(site.shelf("endorsed"), [newer.entry()]);
}

fn manifests(site: &Site) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(site.path("manifests")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn what_waits_after_a_failure_is_tried_by_the_next_run() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.server.put(&format!("/{ONE}-1.img"), Resource::status(404));
    assert_eq!(once(&site, &["-o", "none"]).code, Some(1));
    site.serve(ONE, "1", 1, 50_000);
    let waiting = once(&site, &[]);
    assert_eq!(waiting.code, Some(1), "its time has not come: {waiting:?}");
    let asked = over(&site, &["refresh", "images", "-n", "default"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let tried = once(&site, &[]);
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    let quiet = once(&site, &["-q"]);
    assert_eq!((quiet.code, quiet.told.as_str()), (Some(0), ""), "a request is acted on once");
}

/// A request and the annotation of a manifest do not hide each other.
#[test]
fn an_annotation_still_counts_after_a_request() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    once(&site, &[]);
    assert_eq!(over(&site, &["refresh", "ils"]).code, Some(0));
    let handled = |site: &Site| {
        let shown = over(site, &["get", "ils", "vo", "-o", "json"]).shown;
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        read["items"][0]["status"]["lastHandledReconcileAt"].as_str().unwrap_or_default().to_owned()
    };
    once(&site, &[]);
    let first = handled(&site);
    let url = site.server.url("/image.list");
    site.subscribe_with("vo", "by hand", &url, "images: {include: {match: [{name: all}]}}");
    once(&site, &[]);
    assert_eq!(handled(&site), format!("{first} by hand"));
}

#[test]
fn a_request_that_cannot_be_made_says_why_and_one_that_cannot_be_read_does_no_harm() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    once(&site, &[]);
    for arguments in
        [&["refresh", "ils", "gone"][..], &["refresh", "cloudtargets"], &["refresh", "ils", "vo", "-n", "b"]]
    {
        let ran = over(&site, arguments);
        assert_eq!((ran.code, ran.shown.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.told.contains("NotFound: "), "{ran:?}");
    }
    let requests = site.path("volume/state/requests");
    std::fs::create_dir_all(&requests).unwrap();
    std::fs::write(requests.join("broken.json"), "{").unwrap();
    let ran = once(&site, &[]);
    assert!(ran.code == Some(0) && ran.told.contains("broken.json"), "{ran:?}");
    // Of an object that is gone.
    let (name, text) = (
        "gone.json",
        r#"{"resource": "cachedimages", "namespace": "default", "name": "gone", "requestedAt": "2026-01-01T00:00:00Z"}"#,
    );
    std::fs::write(requests.join(name), text).unwrap();
    once(&site, &[]);
    assert!(!requests.join(name).exists() && requests.join("broken.json").exists());
}
