//! A list that must not be believed is refused with its reason, and everything good stays.

use harness::image_server::Resource;
use harness::list::ListBuilder;
use harness::signer::{Form, sign};
use harness::site::{LIST, Served, Site};
use jiff::SignedDuration;
use vmcatcher_operator::api::HasConditions;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What a hostile or careless server may put in the place of the list: its reason, and the message.
fn forgeries(site: &Site, evil: &Served) -> Vec<(&'static str, Vec<u8>)> {
    let now = site.now();
    let list = |version: &str| {
        let list = ListBuilder::new(LIST, now).version(version).created(now).endorser(&site.pki.endorser);
        list.image(&evil.identifier, &evil.version, &evil.uri, evil.size, &evil.sha512)
    };
    let by = |list: &ListBuilder, who| sign(&list.json(), who, Form::Detached);
    let endorser = &site.pki.endorser;
    let good = by(&list("2.0"), endorser);
    let tampered = String::from_utf8(good).unwrap().replace("Images for tests", "Images for crime");
    let second = list("2.0").endorser_names(&site.pki.second.subject(), &site.pki.second.issuer());
    vec![
        ("IssuerUnknown", by(&list("2.0"), &site.pki.stranger)),
        ("MessageDigestMismatch", tampered.into_bytes()),
        ("Unsigned", list("2.0").json()),
        ("Unsigned", b"<html>maintenance</html>".to_vec()),
        ("CertificateExpired", by(&list("2.0"), &site.pki.expired)),
        ("CertificateNotYetValid", by(&list("2.0"), &site.pki.not_yet_valid)),
        ("CertificateRevoked", by(&list("2.0"), &site.pki.revoked)),
        ("PurposeMismatch", by(&list("2.0"), &site.pki.host)),
        ("EndorserNotTrusted", by(&second, &site.pki.second)),
        ("ListMalformed", sign(b"{\"hv:imagelist\": 5}", endorser, Form::Detached)),
        ("EndorserMismatch", by(&ListBuilder::new(LIST, now).version("2.0").endorser(&site.pki.second), endorser)),
        (
            "IdentifierMismatch",
            by(&ListBuilder::new("other", now).version("2.0").created(now).endorser(endorser), endorser),
        ),
        ("CreatedInFuture", by(&list("2.0").created(now + HOUR), endorser)),
        ("ListExpired", by(&list("2.0").created(now - HOUR * 3).expires(now - HOUR), endorser)),
        ("VersionRollback", by(&list("0.9"), endorser)),
        ("Replay", by(&list("1.0").created(now - HOUR * 5), endorser)),
    ]
}

#[tokio::test]
async fn what_came_instead_of_a_list_is_told() {
    let site = Site::new();
    let login = Resource::bytes("<!DOCTYPE html><title>Log in</title>").header("Content-Type", "text/html");
    site.server.put("/login", login);
    site.server.put("/image.list", Resource::redirect(302, "/login?token=s3cret"));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False Unsigned");
    let status = run.subscription("vo");
    let told = &status.condition("SourceVerified").unwrap().message;
    let words = "; the answer is text/html, came by redirect from";
    assert!(told.contains(words) && told.contains("/login?…, begins with \"<!DOCTYPE html>"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn each_forgery_is_refused_with_its_reason_and_everything_good_stays() {
    let site = Site::new();
    let good = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&good]));
    site.run().await;
    let files = site.volume_files();
    let evil = site.serve(A, "6.6", 66, 50_000);
    site.pass_time(HOUR);
    for (reason, message) in forgeries(&site, &evil) {
        site.publish_message(&message);
        let run = site.run().await;
        assert_eq!(run.list_condition("SourceVerified"), format!("False {reason}"));
        assert_eq!(run.list_condition("Ready"), format!("False {reason}"));
        let status = run.subscription("vo");
        assert_eq!(status.candidate.as_ref().map(|candidate| candidate.reason.as_str()), Some(reason));
        assert_eq!(status.list.map(|list| list.version).as_deref(), Some("1.0"), "{reason}");
        assert_eq!(run.image_condition(A, "Ready"), "True Succeeded", "{reason}");
        assert_eq!(site.volume_files(), files, "{reason}");
    }
    assert_eq!(site.server.requests(&format!("/{A}-6.6.img")).len(), 0, "nothing of a refused list is fetched");

    // What is put right is accepted, and nothing of the refusals stays.
    site.publish(&site.list("1.1", &[&good]));
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    assert!(run.subscription("vo").candidate.is_none());
}

#[tokio::test]
async fn a_first_list_that_is_refused_brings_nothing() {
    let site = Site::new();
    let evil = site.serve(A, "1", 1, 50_000);
    let list = site.list("1.0", &[&evil]);
    site.publish_message(&sign(&list.json(), &site.pki.stranger, Form::Detached));
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "False IssuerUnknown");
    assert_eq!((site.shelf("endorsed").len(), run.image(A).is_none()), (0, true));
    assert!(run.subscription("vo").list.is_none());
}

#[tokio::test]
async fn a_list_that_was_signed_anew_is_taken() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let list = site.list("1.0", &[&image]);
    site.publish(&list);
    let first = site.run().await.subscription("vo").list.unwrap();
    site.publish(&list); // the same text, another signature
    let run = site.run().await;
    let second = run.subscription("vo").list.unwrap();
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    assert_eq!((first.version, first.created), (second.version, second.created));
    assert_ne!(first.digest, second.digest);
}

#[tokio::test]
async fn a_pinned_identifier_is_asked_for_from_the_first_list_on() {
    let site = Site::new();
    site.publish(&site.list("1.0", &[]));
    let url = site.server.url("/image.list");
    let text = format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {{endorserRefs: [{{name: endorser}}], identifier: another}}\n"
    );
    site.manifest("subscription-vo", &text);
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False IdentifierMismatch");
}

#[tokio::test]
async fn an_endorser_that_is_not_there_yet_is_waited_for() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    site.forget("endorser-endorser");
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "False EndorserNotFound");
    assert_eq!(run.list_condition("Reconciling"), "True ProgressingWithRetry");
    assert_eq!(run.list_condition("Stalled"), "absent");
    site.trust("endorser", &site.pki.endorser, "");
    assert_eq!(site.run().await.list_condition("Ready"), "True Succeeded");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}

#[tokio::test]
async fn max_list_age_ends_a_list_that_says_it_never_expires() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let far = "2499-12-31T22:00:00Z".parse().unwrap();
    site.publish(&site.list("1.0", &[&image]).expires(far));
    let url = site.server.url("/image.list");
    let text = format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {{endorserRefs: [{{name: endorser}}], maxListAge: 48h}}\n  images: {{include: {{match: \
         [{{name: all}}]}}}}\n"
    );
    site.manifest("subscription-vo", &text);
    assert_eq!(site.run().await.list_condition("Ready"), "True Succeeded");
    site.pass_time(SignedDuration::from_hours(49));
    assert_eq!(site.run().await.list_condition("Ready"), "False ListExpired");
    assert_eq!(site.shelf("expired"), [image.entry()]);
}
