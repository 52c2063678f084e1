//! `state/` is deleted, all of it, while the list and the images cannot be had or are somebody else's: what was published
//! stays, and nothing comes that is not endorsed.

use harness::image_server::Resource;
use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

#[tokio::test]
async fn nothing_is_lost_and_nothing_unverified_comes() {
    let site = Site::new();
    let (a, b) = (site.serve(A, "1", 1, 50_000), site.serve(B, "1", 2, 50_000));
    site.publish(&site.list("1.0", &[&a, &b]));
    site.run().await;
    let published = [a.entry(), b.entry()];
    assert_eq!(site.shelf("endorsed"), published);
    let path = |served: &harness::site::Served| format!("/{}-1.img", served.identifier);
    let delete_state = || std::fs::remove_dir_all(site.path("volume/state")).unwrap();

    delete_state();
    site.server.put("/image.list", Resource::status(503));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), published, "no list");

    delete_state();
    let stranger = site.serve(A, "2", 3, 50_000);
    site.publish_message(&sign(&site.list("2.0", &[&stranger]).json(), &site.pki.stranger, Form::Detached));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), published, "a stranger's list: {}", run.list_condition("Ready"));

    delete_state();
    site.server.put(&path(&a), Resource::pattern(9, 50_000));
    site.server.put(&path(&b), Resource::status(404));
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.0", &[&a, &b]));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), published, "other bytes: {}", run.image_condition(A, "Cached"));

    // What it was remembered to have a right to is asked for again.
    site.serve(A, "1", 1, 50_000);
    site.serve(B, "1", 2, 50_000);
    site.pass_time(SignedDuration::from_hours(7));
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    for identifier in [A, B] {
        assert_eq!(run.image_condition(identifier, "Ready"), "True Succeeded");
    }
    assert_eq!(site.shelf("endorsed"), published);
}
