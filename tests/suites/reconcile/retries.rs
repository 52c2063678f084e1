//! What fails is tried again: with back-off for ever where it may pass, three times where the bytes are wrong.

use harness::image_server::Resource;
use harness::site::{Served, Site};
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[tokio::test]
async fn wrong_bytes_are_fetched_three_times_until_the_list_changes_or_someone_asks() {
    let site = Site::new();
    let path = format!("/{A}-1.img");
    let bad = Served { sha512: "0".repeat(128), ..site.serve(A, "1", 1, 50_000) };
    site.publish(&site.list("1.0", &[&bad]));
    for tries in 1..=3 {
        let run = site.run().await;
        assert_eq!(run.image(A).unwrap().mismatches, Some(tries));
        assert_eq!(run.image_condition(A, "Cached"), "False ChecksumMismatch");
        let run = site.run().await;
        assert_eq!(run.image(A).unwrap().mismatches, Some(tries), "not before its time");
        site.pass_time(SignedDuration::from_hours(7));
    }
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "RetryLimitExceeded"), "True RetryLimitExceeded");
    assert_eq!(run.image_condition(A, "Stalled"), "True ChecksumMismatch");
    assert_eq!(site.server.requests(&path).len(), 3);

    site.manifest("image", &asked("1"));
    site.run().await;
    assert_eq!(site.server.requests(&path).len(), 4, "someone asked");
    site.run().await;
    assert_eq!(site.server.requests(&path).len(), 4, "the same word asks once");

    let url = site.server.url("/image.list");
    site.subscribe_with("vo", "again", &url, "images: {include: {match: [{name: all}]}}");
    site.run().await;
    assert_eq!(site.server.requests(&path).len(), 5, "someone asked the subscription");

    site.publish(&site.list("1.1", &[&bad]));
    site.run().await;
    assert_eq!(site.server.requests(&path).len(), 6, "another list");
    let good = site.serve(A, "1", 1, 50_000);
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.2", &[&good]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(run.image_condition(A, "RetryLimitExceeded"), "absent");
    assert_eq!(run.image(A).unwrap().failures, None);
}

fn asked(word: &str) -> String {
    format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}, annotations: \
         {{vmcatcher.io/requestedAt: {word:?}}}}}\nspec: {{subscriptionRef: {{name: vo}}, identifier: {A}}}\n"
    )
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again_without_a_person() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.server.put(&format!("/{A}-1.img"), Resource::status(503));
    site.publish(&site.list("1.0", &[&image]));
    for failures in 1..=6 {
        let run = site.run().await;
        let status = run.image(A).unwrap();
        assert_eq!((status.failures, status.mismatches), (Some(failures), None));
        assert_eq!(run.image_condition(A, "Reconciling"), "True ProgressingWithRetry");
        let wait = status.next_retry_time.unwrap().0.duration_since(status.last_failure_time.unwrap().0);
        assert!(wait <= SignedDuration::from_hours(8), "{wait:?}");
        site.pass_time(wait + SignedDuration::from_secs(1));
    }
    site.serve(A, "1", 1, 50_000);
    assert_eq!(site.run().await.image_condition(A, "Ready"), "True Succeeded");
}

#[tokio::test]
async fn a_body_of_another_length_is_refused() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    for size in [49_999, 50_001] {
        site.publish(&site.list("1.0", &[&Served { size, ..image.clone() }]));
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Cached"), "False SizeMismatch", "{size}");
        assert_eq!(site.shelf("endorsed").len(), 0);
        site.pass_time(SignedDuration::from_hours(1));
    }
}
