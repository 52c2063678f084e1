//! What a person says of one image.

use harness::image_server::Resource as Answer;
use jiff::SignedDuration;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use vmcatcher_operator::api::{CachedImage, ImageListSubscription};

use super::publisher::{entry, serve};
use super::{ONE, TWO, Task};

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_old_version_is_pinned_and_gone_back_from() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let (old, new) = (serve(site, ONE, "1.26-13"), serve(site, ONE, "1.27-1"));
    let other = serve(site, TWO, "1.0");
    let list = |version: &str, image| {
        task.list(version).raw_image(entry(image, &json!({}))).raw_image(entry(&other, &json!({})))
    };
    task.publish_behind_log_in(&list("1.0", &old), "replace-me", "x-oauth-basic");
    task.example("two-images-with-token").apply();
    task.has(ONE, "1.26-13").await;
    task.publish_behind_log_in(&list("2.0", &new), "replace-me", "x-oauth-basic");
    task.request("atlas", "now");
    task.has(ONE, "1.27-1").await;
    assert_eq!(task.shelf("expired"), [old.entry()]);

    let example = task.example("pin-and-go-back");
    let is_pinned = async || {
        task.has(ONE, "1.26-13").await;
        assert_eq!(task.shelf("endorsed"), [old.entry(), other.entry()]);
    };
    let is_newest = async || {
        task.has(ONE, "1.27-1").await;
        assert_eq!(task.shelf("endorsed"), [new.entry(), other.entry()]);
    };
    example.run(r#""version": "1.26-13""#);
    is_pinned().await;
    example.run(r#""version": null"#);
    is_newest().await;
    // The same by its manifest, and by that manifest without the line.
    example.apply();
    is_pinned().await;
    example.with("  version: 1.26-13\n", "").apply();
    is_newest().await;
    assert_eq!((task.fetched(ONE, "1.26-13"), task.fetched(ONE, "1.27-1")), (1, 1), "from the archive");
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn an_image_runs_on_though_its_list_expired() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let (kept, other) = (serve(site, ONE, "1.0"), serve(site, TWO, "1.0"));
    let list =
        |version: &str| task.list(version).raw_image(entry(&kept, &json!({}))).raw_image(entry(&other, &json!({})));
    task.publish_behind_log_in(&list("1.0"), "replace-me", "x-oauth-basic");
    task.example("two-images-with-token").apply();
    task.says::<ImageListSubscription>("atlas", "ImagesReady", "True Succeeded").await;
    task.example("run-on-though-expired").with("2027-01-31T00:00:00Z", "2099-01-31T00:00:00Z").apply();

    // The publisher's next list is its last, and is over soon.
    let final_list = list("2.0").expires(site.now() + SignedDuration::from_secs(12));
    task.publish_behind_log_in(&final_list, "replace-me", "x-oauth-basic");
    task.request("atlas", "now");
    task.says::<ImageListSubscription>("atlas", "Ready", "False ListExpired").await;
    task.says::<CachedImage>(ONE, "Endorsed", "False ListExpired").await;
    let image: CachedImage = task.says(ONE, "Ready", "True Kept").await;
    assert!(image.status.unwrap().artifact.is_some());
    let counted = |subscription: Option<&ImageListSubscription>| {
        let images = subscription.and_then(|object| object.status.as_ref()?.images.clone());
        images.is_some_and(|images| images.kept == 1)
    };
    task.until("atlas", "counting one that is kept", counted).await;
    task.says::<CachedImage>(TWO, "Ready", "False ListExpired").await;
    assert_eq!(task.shelf("endorsed"), [kept.entry()]);
    assert_eq!(task.shelf("expired"), [other.entry()]);
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn what_is_late_is_seen_and_why() {
    let task = Task::new().await;
    let site = &task.tenant.site;
    let (late, other) = (serve(site, ONE, "1.0"), serve(site, TWO, "1.0"));
    let (path, file) =
        (format!("/{ONE}-1.0.img"), harness::disk_image::qcow2(1 << 30, format!("{ONE} 1.0").as_bytes()));
    site.server.put(&path, Answer::status(404));
    task.publish(&task.list("1.0").raw_image(entry(&late, &json!({}))).raw_image(entry(&other, &json!({}))));
    task.example("every-linux-image").apply();
    task.has(TWO, "1.0").await;
    task.says::<CachedImage>(ONE, "Ready", "False FetchFailed").await;
    // It has been so since yesterday: status is what remembers it.
    let yesterday = site.now() - SignedDuration::from_hours(25);
    let since = json!({"status": {"image": {"wantedSince": yesterday.strftime("%FT%TZ").to_string()}}});
    task.tenant.images().patch_status(ONE, &PatchParams::default(), &Patch::Merge(since)).await.unwrap();
    let counted = |count: u32| {
        move |subscription: Option<&ImageListSubscription>| {
            let images = subscription.and_then(|object| object.status.as_ref()?.images.clone());
            images.is_some_and(|images| images.late == count)
        }
    };
    task.until("vo-wide", "counting one that is late", counted(1)).await;

    let example = task.example("what-is-late");
    let lists = example.run("kubectl get ils");
    let (head, row) = lists.split_once('\n').unwrap();
    let column = head.find("LATE").unwrap();
    assert!(row[column..].starts_with('1'), "{lists}");
    let images = example.run("kubectl get cimg");
    let row = |name: &str| images.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let expected = ["1.0", &yesterday.strftime("%FT%TZ").to_string(), "FetchFailed", "404", &path];
    assert!(expected.iter().all(|text| row(ONE).contains(text)), "{images}");
    assert!(row(TWO).contains("Succeeded"), "{images}");
    let described = example.run("describe");
    assert!(
        ["Failures:", "Next Retry Time:", "Warning  FetchFailed"].iter().all(|text| described.contains(text)),
        "{described}"
    );

    // Mended, and tried now: not when the back-off is over.
    site.server.put(&path, Answer::bytes(file));
    example.run("annotate");
    task.has(ONE, "1.0").await;
    task.until("vo-wide", "counting none that is late", counted(0)).await;
}
