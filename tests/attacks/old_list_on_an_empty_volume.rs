//! The volume is lost, and with it the memory of the list in force; the list server waits for that to send an old one.

use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[tokio::test]
async fn the_status_remembers_what_the_volume_forgot() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 10_000);
    let made = |version: &str| {
        site.pass_time(SignedDuration::from_mins(1));
        sign(&site.list(version, &[&image]).json(), &site.pki.endorser, Form::Detached)
    };
    let [old, older_text, new, newest] = ["1.0", "2.0", "2.0", "3.0"].map(made);
    let serve = async |message: &[u8]| {
        site.pass_time(SignedDuration::from_mins(1));
        site.publish_message(message);
        let run = site.run().await;
        (run.list_condition("SourceVerified"), run.list_version().unwrap_or_default())
    };
    assert_eq!(serve(&new).await, ("True Verified".to_owned(), "2.0".to_owned()));
    for lost in ["volume/lists", "volume/state/lists"] {
        std::fs::remove_dir_all(site.path(lost)).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(serve(&old).await, ("False VersionRollback".to_owned(), "2.0".to_owned()));
        assert_eq!(serve(&older_text).await, ("False Replay".to_owned(), "2.0".to_owned()));
    }
    assert_eq!(serve(&new).await, ("True Verified".to_owned(), "2.0".to_owned()), "the list itself comes back");
    assert_eq!(serve(&newest).await, ("True Verified".to_owned(), "3.0".to_owned()));
}
