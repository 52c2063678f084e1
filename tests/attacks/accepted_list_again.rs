//! A person took one list that goes back (`verify.acceptList`), and left the line in the manifest. Whoever keeps that
//! message can send it again years later, when its holes are known and newer lists have closed them.

use harness::signer::{Form, sign};
use harness::site::Site;
use jiff::SignedDuration;
use vmcatcher_operator::trust::Sha256Digest;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn accept_list(site: &Site, line: &str) {
    let url = site.server.url("/image.list");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {{endorserRefs: [{{name: endorser}}]{line}}}\n  images: {{include: {{match: [{{name: \
         all}}]}}}}\n"
    ));
}

#[tokio::test]
async fn what_a_person_took_once_is_not_taken_again() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 10_000);
    let made = |version: &str| {
        site.pass_time(SignedDuration::from_mins(1));
        sign(&site.list(version, &[&image]).json(), &site.pki.endorser, Form::Detached)
    };
    let [old, new, newest] = ["1.0", "2.0", "3.0"].map(made);
    let serve = async |message: &[u8]| {
        site.pass_time(SignedDuration::from_mins(1));
        site.publish_message(message);
        let run = site.run().await;
        (run.list_condition("SourceVerified"), run.list_version().unwrap_or_default())
    };
    let taken = |version: &str| ("True Verified".to_owned(), version.to_owned());
    let refused = |version: &str| ("False VersionRollback".to_owned(), version.to_owned());
    assert_eq!(serve(&old).await, taken("1.0"));
    assert_eq!(serve(&new).await, taken("2.0"));
    assert_eq!(serve(&old).await, refused("2.0"));
    let line = format!(", acceptList: {:?}", Sha256Digest::of(&old).to_string());
    accept_list(&site, &line);
    assert_eq!(serve(&old).await, taken("1.0"), "though it was in force before");
    assert_eq!(serve(&old).await, taken("1.0"));
    assert_eq!(serve(&newest).await, taken("3.0"));
    assert_eq!(serve(&old).await, refused("3.0"), "the line still stands there");
    accept_list(&site, "");
    assert_eq!(serve(&old).await, refused("3.0"));
    accept_list(&site, &line);
    assert_eq!(serve(&old).await, taken("1.0"), "a person says it anew");
}
