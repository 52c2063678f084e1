//! A list that drops too many images waits for a person.

use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use harness::site::{Served, Site};
use jiff::SignedDuration;

fn identifier(number: u64) -> String {
    format!("aaaaaaaa-0000-4000-8000-{number:012}")
}

/// A site with so many images cached.
async fn settled(images: u64, limit: &str) -> (Site, Vec<Served>) {
    let site = Site::new();
    site.subscribe(limit);
    let served: Vec<Served> = (0..images).map(|number| site.serve(&identifier(number), "1", number, 20_000)).collect();
    site.publish(&site.list("1.0", &served.iter().collect::<Vec<_>>()));
    assert_eq!(site.run().await.list_condition("ImagesReady"), "True Succeeded");
    site.pass_time(SignedDuration::from_mins(5));
    (site, served)
}

fn digest(site: &Site, list: &ListBuilder) -> (Vec<u8>, String) {
    let message = sign(&list.json(), &site.pki.endorser, Form::Detached);
    let digest = vmcatcher_operator::trust::Sha256Digest::of(&message).to_string();
    (message, digest)
}

#[tokio::test]
async fn what_is_free_and_what_waits() {
    let cases = [
        // images, limit, kept, waits
        (6, "", 4, false),
        (6, "", 3, false),
        (6, "", 2, true),
        (3, "", 1, false),
        (3, "", 0, true),
        (6, "removalLimit: {percent: 100}", 0, false),
        (6, "removalLimit: {percent: 0, free: 0}", 5, true),
        (6, "removalLimit: {percent: 0, free: 3}", 3, false),
    ];
    for (images, limit, kept, waits) in cases {
        let (site, served) = settled(images, limit).await;
        site.publish(&site.list("1.1", &served.iter().take(kept).collect::<Vec<_>>()));
        let run = site.run().await;
        let found = run.list_condition("RemovalBlocked");
        assert_eq!(found, if waits { "True RemovalBlocked" } else { "absent" }, "{images} {limit} {kept}");
        assert_eq!(site.shelf("endorsed").len(), if waits { served.len() } else { kept }, "{images} {limit} {kept}");
    }
}

#[tokio::test]
async fn a_person_takes_the_one_message_that_was_held_back() {
    let (site, served) = settled(6, "").await;
    let (message, digest) = digest(&site, &site.list("1.1", &[&served[0]]));
    site.publish_message(&message);
    let run = site.run().await;
    let candidate = run.subscription("vo").candidate.unwrap();
    assert_eq!((candidate.reason.as_str(), candidate.removes, candidate.adds), ("RemovalBlocked", Some(5), Some(0)));
    assert_eq!(candidate.digest, digest);
    assert_eq!(run.list_condition("Ready"), "False RemovalBlocked");
    assert_eq!(run.list_version().as_deref(), Some("1.0"));
    let url = site.server.url("/image.list");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {{endorserRefs: [{{name: endorser}}], acceptList: {digest:?}}}\n  images: {{include: \
         {{match: [{{name: all}}]}}}}\n"
    ));
    let run = site.run().await;
    assert_eq!(run.list_version().as_deref(), Some("1.1"));
    assert_eq!(run.list_condition("RemovalBlocked"), "absent");
    assert_eq!(site.shelf("endorsed"), [served[0].entry()]);
}

#[tokio::test]
async fn revocation_expiry_and_ones_own_selection_never_wait() {
    let (site, _) = settled(6, "").await;
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    site.run().await;
    assert_eq!(site.shelf("endorsed").len(), 0);

    let (site, _) = settled(6, "").await;
    site.pass_time(SignedDuration::from_hours(24 * 29));
    site.run().await;
    assert_eq!(site.shelf("endorsed").len(), 0, "expired");

    let (site, served) = settled(6, "").await;
    let one = format!("images: {{include: {{identifiers: [{}]}}}}", served[0].identifier);
    site.subscribe_to("vo", &site.server.url("/image.list"), &one);
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [served[0].entry()]);
}
