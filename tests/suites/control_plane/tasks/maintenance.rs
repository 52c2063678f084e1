//! Stop, and then catch up.

use harness::image_server::Resource as Answer;
use serde_json::json;
use vmcatcher_operator::api::{CachedImage, Endorser, ImageListSubscription};

use super::publisher::{entry, serve};
use super::{ONE, TWO, Task};

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn nothing_new_while_stopped_and_only_the_newest_afterwards() {
    const SIZE: u64 = 4_000_000;
    let task = Task::new().await;
    let site = &task.tenant.site;
    let first = serve(site, ONE, "1.0");
    task.publish(&task.list("1.0").raw_image(entry(&first, &json!({}))));
    let example = task.example("stop-for-maintenance");
    example.with("  suspend: true\n", "").apply();
    task.has(ONE, "1.0").await;
    // Work begins while an image is on its way.
    let slow = Answer::pattern(7, SIZE).etag("\"big\"").rate(SIZE / 8);
    let big = site.serve_as(TWO, "1.0", slow);
    let list = |version: &str, one| {
        task.list(version).raw_image(entry(one, &json!({}))).raw_image(entry(&big, &json!({"hv:format": "raw"})))
    };
    task.publish(&list("2.0", &first));
    task.request("vo-wide", "now");
    let path = format!("/{TWO}-1.0.img");
    site.server.wait_for(&path, 1, SIZE / 8);
    let example = task.example("stop-for-maintenance");
    example.run(r#""suspend": true"#);
    task.says::<CachedImage>(TWO, "Cached", "False Suspended").await;
    let asked = task.asked();

    // Meanwhile two lists come, and a person asks; an Endorser's change makes passes of its own.
    let (skipped, newest) = (serve(site, ONE, "1.1"), serve(site, ONE, "1.2"));
    task.publish(&list("3.0", &skipped));
    task.request("vo-wide", "while it is stopped");
    task.kubectl(&["patch", "endorser", "egi-appdb", "--type=merge", "-p", r#"{"spec": {"description": "the same"}}"#]);
    task.says::<Endorser>("egi-appdb", "Ready", "True Succeeded").await;
    task.publish(&list("4.0", &newest));
    assert_eq!((task.asked(), site.server.requests(&path).len()), (asked, 1));
    assert_eq!(task.shelf("endorsed"), [first.entry()]);

    site.server.put(&path, Answer::pattern(7, SIZE).etag("\"big\""));
    example.run(r#""suspend": false"#);
    task.has(ONE, "1.2").await;
    task.has(TWO, "1.0").await;
    task.says::<ImageListSubscription>("vo-wide", "ImagesReady", "True Succeeded").await;
    assert_eq!(task.shelf("endorsed"), [newest.entry(), big.entry()]);
    assert_eq!(task.fetched(ONE, "1.1"), 0, "nothing that is older than the newest");
    let requests = site.server.requests(&path);
    let resumed = requests.last().unwrap();
    assert!(resumed.range.as_deref().is_some_and(|range| range != "bytes=0-"), "{requests:?}");
    assert!(resumed.sent < SIZE, "{requests:?}");
}
