//! Absence never removes, only a statement does.

use harness::image_server::Resource;
use harness::pki::Reason;
use harness::signer::{Form, sign};
use harness::site::{Served, Site};
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// A site with one image cached.
async fn settled() -> (Site, Served) {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    (site, image)
}

#[tokio::test]
async fn whatever_is_missing_takes_nothing_away() {
    type Breakage = fn(&Site);
    let cases: [(&str, Breakage); 7] = [
        ("the server is gone", |site| site.server.put("/image.list", Resource::status(500))),
        ("the list is not found", |site| site.server.put("/image.list", Resource::status(404))),
        ("the endorser is gone", |site| site.forget("endorser-endorser")),
        ("the endorser is on hold", |site| site.trust("endorser", &site.pki.endorser, "trust: Hold")),
        ("the trust directory is empty", |site| std::fs::remove_dir_all(site.path("trust")).unwrap()),
        ("the CRLs are out of date", |site| site.pass_time(SignedDuration::from_hours(24 * 27))),
        ("the Secret is gone", |site| {
            let url = site.server.url("/image.list");
            site.manifest("subscription-vo", &format!(
                "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: \
                 {{url: {url:?}, secretRef: {{name: none}}}}\n  verify: {{endorserRefs: [{{name: endorser}}]}}\n  images: \
                 {{include: {{match: [{{name: all}}]}}}}\n"
            ));
        }),
    ];
    for (what, breakage) in cases {
        let (site, image) = settled().await;
        breakage(&site);
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed"), [image.entry()], "{what}");
        assert_eq!(run.image_condition(A, "Ready"), "True Succeeded", "{what}");
        assert_eq!(run.list_version().as_deref(), Some("1.0"), "{what}");
    }
}

#[tokio::test]
async fn a_failed_fetch_is_told_and_leaves_ready() {
    let (site, _) = settled().await;
    site.server.put("/image.list", Resource::status(500));
    let run = site.run().await;
    assert_eq!(run.list_condition("FetchFailed"), "True HTTPError");
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    assert_eq!(run.subscription("vo").fetch_failures, Some(1));
    let run = site.run().await;
    assert_eq!(run.subscription("vo").fetch_failures, Some(2));
}

#[tokio::test]
async fn what_freezes_a_list_is_told() {
    let (site, _) = settled().await;
    site.trust("endorser", &site.pki.endorser, "trust: Hold");
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False EndorserOnHold");
    assert_eq!(run.list_condition("Ready"), "False EndorserOnHold");
}

#[tokio::test]
async fn nothing_new_comes_while_a_list_is_frozen() {
    let (site, image) = settled().await;
    site.pass_time(SignedDuration::from_mins(5));
    let newer = site.serve(A, "2", 2, 50_000);
    site.server.put(&format!("/{A}-2.img"), Resource::status(503));
    site.publish(&site.list("1.1", &[&newer]));
    assert_eq!(site.run().await.list_version().as_deref(), Some("1.1"));
    site.trust("endorser", &site.pki.endorser, "trust: Hold");
    site.serve(A, "2", 2, 50_000);
    site.pass_time(SignedDuration::from_hours(1));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Cached"), "False ListFrozen");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    site.trust("endorser", &site.pki.endorser, "");
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [newer.entry()]);
}

#[tokio::test]
async fn a_person_revokes_an_endorser_or_a_credential() {
    let (site, image) = settled().await;
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    assert_eq!(site.shelf("expired"), [image.entry()]);
    assert_eq!(run.image_condition(A, "Endorsed"), "False EndorserRevoked");
    assert_eq!(run.list_condition("Ready"), "False EndorserRevoked");

    // Any Endorser of the namespace may say so, whoever is referenced.
    let (site, _) = settled().await;
    site.trust("another", &site.pki.endorser, "trust: Revoked");
    site.run().await;
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
}

/// Whoever revokes in a hurry may break something else of the Endorser: what can be read of it counts all the same.
#[tokio::test]
async fn what_is_revoked_in_a_broken_endorser_is_revoked() {
    let breakages = [
        ("trust: Revoked\n  crlPolicy: Never", "of no such policy"),
        ("trust: Revoked\n  trustAnchors: {configMapRef: {name: none}}", "with anchors that are gone"),
        ("trust: Revoked\n  trustAnchors: {}", "with anchors of nowhere"),
    ];
    for (more, what) in breakages {
        let (site, image) = settled().await;
        site.trust("endorser", &site.pki.endorser, &more.replace("trust: Revoked", "trust: Trusted"));
        site.run().await;
        assert_eq!(site.shelf("endorsed"), [image.entry()], "{what}, and not revoked");
        site.trust("endorser", &site.pki.endorser, more);
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed"), Vec::<String>::new(), "{what}");
        assert_eq!(run.list_condition("Ready"), "False EndorserRevoked", "{what}");
    }
    let (site, _) = settled().await;
    let (subject, issuer) = (site.pki.endorser.subject(), site.pki.endorser.issuer());
    site.manifest("endorser-endorser", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: endorser}}\nspec:\n  credentials:\n  - \
         {{name: new, x509: {{subject: no name, issuer: no name}}}}\n  - {{name: first, trust: Revoked, x509: \
         {{subject: {subject:?}, issuer: {issuer:?}}}}}\n"
    ));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new(), "beside a credential that is no name");
}

#[tokio::test]
async fn a_revocation_acts_past_keep_until_and_suspend() {
    let (site, _) = settled().await;
    site.subscribe("suspend: true");
    let until = site.now() + SignedDuration::from_hours(1000);
    site.manifest("image", &image_manifest(&format!("keepUntil: {:?}, suspend: true", until.to_string())));
    site.run().await;
    assert_eq!(site.shelf("endorsed").len(), 1);
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    site.run().await;
    assert_eq!(site.shelf("endorsed").len(), 0);
}

#[tokio::test]
async fn a_certificate_that_its_authority_revokes_withdraws_the_list() {
    for (reason, stays) in [(Some(Reason::KeyCompromise), false), (None, false), (Some(Reason::Superseded), true)] {
        let (site, _) = settled().await;
        let crl = site.pki.intermediate.crl(site.pki.now).revoke(&site.pki.endorser, reason).der();
        let hash = format!("{:08x}.r0", site.pki.intermediate.certificate.subject_name_hash());
        std::fs::write(site.path("trust").join(hash), crl).unwrap();
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed").len(), usize::from(stays), "{reason:?}");
        assert_eq!(run.list_condition("SourceVerified"), "False CertificateRevoked", "{reason:?}");
    }
}

/// Writes the issuing CA's CRL, with the endorser on it or without.
fn write_crl(site: &Site, revoked: Option<Reason>) {
    let crl = site.pki.intermediate.crl(site.pki.now);
    let crl = match revoked {
        Some(reason) => crl.revoke(&site.pki.endorser, Some(reason)),
        None => crl,
    };
    let hash = format!("{:08x}.r0", site.pki.intermediate.certificate.subject_name_hash());
    std::fs::write(site.path("trust").join(hash), crl.der()).unwrap();
}

/// A CA drops expired certificates from its CRL (RFC 5280 section 3.3).
#[tokio::test]
async fn what_its_authority_revoked_stays_out_though_the_crl_forgets_it() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let text = site.list("1.0", &[&image]).json();
    site.publish_message(&sign(&text, &site.pki.endorser, Form::Detached));
    site.run().await;
    write_crl(&site, Some(Reason::KeyCompromise));
    site.run().await;
    write_crl(&site, None);
    for _ in 0..2 {
        let run = site.run().await;
        assert_eq!(run.list_condition("Ready"), "False CertificateRevoked");
        assert_eq!(run.image_condition(A, "Endorsed"), "False CertificateRevoked");
        assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    }
    // The same text in another message by the same certificate is no newer list; nor is the message fetched again where
    // the stored one is lost.
    site.publish_message(&sign(&text, &site.pki.endorser, Form::Opaque));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False Replay");
    std::fs::remove_dir_all(site.path("volume/lists")).unwrap();
    site.publish_message(&sign(&text, &site.pki.endorser, Form::Detached));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False Replay");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.1", &[&image]));
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded", "a newer list of a certificate that is good");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}

#[tokio::test]
async fn a_list_expires_only_after_a_fetch_was_tried_since() {
    let (site, image) = settled().await;
    site.publish(&site.list("1.1", &[&image]).expires(site.now() + SignedDuration::from_hours(2)));
    site.run().await;
    site.pass_time(SignedDuration::from_hours(3));
    site.server.put("/image.list", Resource::status(500));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Endorsed"), "False ListExpired");
    assert_eq!(run.list_condition("Ready"), "False ListExpired");
    assert_eq!(site.shelf("expired"), [image.entry()]);
    // A newer list brings it back, without a download.
    site.publish(&site.list("1.2", &[&image]));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
    assert_eq!(site.server.requests(&format!("/{A}-1.img")).len(), 1);
}

#[tokio::test]
async fn keep_until_holds_back_the_clock_and_the_list() {
    let (site, image) = settled().await;
    let until = site.now() + SignedDuration::from_hours(24);
    site.manifest("image", &image_manifest(&format!("keepUntil: {:?}", until.to_string())));
    site.publish(&site.list("1.1", &[]));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    assert_eq!(run.image_condition(A, "Ready"), "True Kept");
    assert_eq!(run.image_condition(A, "Endorsed"), "False NotInList");
    site.pass_time(SignedDuration::from_hours(25));
    let run = site.run().await;
    assert_eq!(site.shelf("expired"), [image.entry()]);
    assert_eq!(run.image_condition(A, "Ready"), "False NotInList");
}

#[tokio::test]
async fn exclude_wins_over_everything() {
    let cases = [
        format!("exclude: {{identifiers: [{A}]}}"),
        "exclude: {match: [{name: x, os: linux}]}".to_owned(),
        "exclude: {sha512: [SHA512]}".to_owned(),
    ];
    for exclude in cases {
        let (site, image) = settled().await;
        let until = site.now() + SignedDuration::from_hours(24);
        site.manifest("image", &image_manifest(&format!("keepUntil: {:?}", until.to_string())));
        let exclude = exclude.replace("SHA512", &image.sha512);
        let url = site.server.url("/image.list");
        site.subscribe_to("vo", &url, &format!("images: {{include: {{match: [{{name: all}}]}}, {exclude}}}"));
        let run = site.run().await;
        assert_eq!(site.shelf("endorsed"), Vec::<String>::new(), "{exclude}");
        assert_eq!(run.image_condition(A, "Endorsed"), "False Excluded", "{exclude}");
    }
}

#[tokio::test]
async fn an_image_expires_by_its_own_date() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let list = site.list("1.0", &[&image]);
    let mut text: serde_json::Value = serde_json::from_slice(&list.json()).unwrap();
    let ends = site.now() + SignedDuration::from_hours(1);
    let ends = jiff::Timestamp::from_second(ends.as_second()).unwrap();
    text["hv:imagelist"]["hv:images"][0]["hv:image"]["dc:date:expires"] = ends.to_string().into();
    let text = serde_json::to_vec(&text).unwrap();
    site.publish_message(&harness::signer::sign(&text, &site.pki.endorser, harness::signer::Form::Detached));
    assert_eq!(site.run().await.image_condition(A, "Ready"), "True Succeeded");
    site.pass_time(SignedDuration::from_hours(2));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Endorsed"), "False ImageExpired");
    assert_eq!(site.shelf("expired"), [image.entry()]);
}

#[tokio::test]
async fn suspend_stops_new_versions_and_is_caught_up_with() {
    let (site, image) = settled().await;
    site.subscribe("suspend: true");
    site.run().await;
    let newer = site.serve(A, "2", 2, 50_000);
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.1", &[&newer]));
    let asked = site.server.all_requests().len();
    let run = site.run().await;
    assert_eq!(site.server.all_requests().len(), asked, "not one request");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    assert_eq!(run.list_version().as_deref(), Some("1.0"));
    site.subscribe("suspend: false");
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [newer.entry()]);
}

#[tokio::test]
async fn a_suspended_image_keeps_its_version() {
    let (site, image) = settled().await;
    site.manifest("image", &image_manifest("suspend: true"));
    let newer = site.serve(A, "2", 2, 50_000);
    site.pass_time(SignedDuration::from_mins(5));
    site.publish(&site.list("1.1", &[&newer]));
    let run = site.run().await;
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    assert_eq!(run.image_condition(A, "Cached"), "False Suspended");
    site.manifest("image", &image_manifest("suspend: false"));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [newer.entry()]);
}

/// A person who asks for something sees that it is not done, and it is done when the suspension ends.
#[tokio::test]
async fn a_request_of_a_suspended_object_is_ignored_until_it_is_resumed() {
    let (site, _) = settled().await;
    let subscription = |suspended: bool, request: &str| {
        let all = format!("images: {{include: {{match: [{{name: all}}]}}}}\n  suspend: {suspended}");
        site.subscribe_with("vo", request, &site.server.url("/image.list"), &all);
    };
    subscription(true, "one");
    let run = site.run().await;
    assert_eq!(run.list_condition("RequestIgnored"), "True Suspended");
    assert_eq!(run.subscription("vo").last_handled_reconcile_at, None);
    let asked = site.server.all_requests().len();
    subscription(false, "one");
    let run = site.run().await;
    assert_eq!(run.list_condition("RequestIgnored"), "absent");
    assert_eq!(run.subscription("vo").last_handled_reconcile_at.as_deref(), Some("one"));
    assert!(site.server.all_requests().len() > asked, "it was open");
    subscription(true, "one");
    assert_eq!(site.run().await.list_condition("RequestIgnored"), "absent", "it was acted on before");

    // An image, by itself and by its subscription.
    let image = |suspended: bool, request: &str| {
        let manifest = image_manifest(&format!("suspend: {suspended}"));
        let annotated = format!("metadata: {{annotations: {{vmcatcher.io/requestedAt: {request}}}, name");
        site.manifest("image", &manifest.replace("metadata: {name", &annotated));
    };
    image(false, "two");
    assert_eq!(site.run().await.image_condition(A, "RequestIgnored"), "True Suspended", "with its subscription");
    subscription(false, "one");
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "RequestIgnored"), "absent");
    assert_eq!(run.image(A).unwrap().last_handled_reconcile_at.as_deref(), Some("two one"));
    image(true, "two");
    assert_eq!(site.run().await.image_condition(A, "RequestIgnored"), "absent", "it was acted on before");
    image(true, "three");
    assert_eq!(site.run().await.image_condition(A, "RequestIgnored"), "True Suspended");
    image(false, "three");
    assert_eq!(site.run().await.image_condition(A, "RequestIgnored"), "absent");
}

/// The manifest of the image A, with fields of its spec that people own.
fn image_manifest(more: &str) -> String {
    format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CachedImage\nmetadata: {{name: {A}}}\nspec: {{subscriptionRef: {{name: \
         vo}}, identifier: {A}, {more}}}\n"
    )
}
