//! Several endorsers, anchors of their own, a person who takes a list, and what an Endorser says of its CRLs.

use harness::image_server::Resource;
use harness::pki::{Identity, Reason};
use harness::signer::{Form, detached, encrypted, sign, sign_as};
use harness::site::{Run, Site, told};
use jiff::SignedDuration;
use vmcatcher_operator::api::{Endorser, HasConditions, ObjectKey};
use vmcatcher_operator::store::ResourceStore;
use vmcatcher_operator::trust::Sha256Digest;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// The subscription with these lines of `verify`.
fn subscribe(site: &Site, verify: &str) {
    let url = site.server.url("/image.list");
    site.manifest(
        "subscription-vo",
        &format!(
            "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: \
             {{url: {url:?}}}\n  verify: {{{verify}}}\n  images: {{include: {{match: [{{name: all}}]}}}}\n"
        ),
    );
}

fn endorser_condition(run: &Run, name: &str) -> String {
    let object = run.directory.get::<Endorser>(&ObjectKey::new("default", "endorser")).unwrap();
    told(object.status.as_ref().unwrap().condition(name))
}

#[tokio::test]
async fn two_of_two_must_have_signed() {
    let site = Site::new();
    site.trust("second", &site.pki.second, "");
    subscribe(&site, "endorserRefs: [{name: endorser}, {name: second}], requiredEndorsements: 2");
    let image = site.serve(A, "1", 1, 10_000);
    let list = site.list("1.0", &[&image]);
    site.publish(&list);
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False EndorsementsMissing");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    let both = [&site.pki.endorser, &site.pki.second];
    site.publish_message(&sign_as(&list.json(), &both, Form::Detached, "sha256"));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(run.subscription("vo").list.unwrap().signers.len(), 2);
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    site.trust("second", &site.pki.second, "trust: Revoked");
    site.run().await;
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new(), "one of two is not enough any more");
}

#[tokio::test]
async fn more_endorsements_than_endorsers_cannot_work() {
    let site = Site::new();
    subscribe(&site, "endorserRefs: [{name: endorser}], requiredEndorsements: 2");
    assert_eq!(site.run().await.list_condition("Stalled"), "True InvalidSpec");
}

/// The operator's trust directory knows nothing of this endorser; its own `ConfigMap` does.
#[tokio::test]
async fn an_endorser_brings_its_own_anchors() {
    let site = Site::new();
    std::fs::remove_dir_all(site.path("trust")).unwrap();
    let image = site.serve(A, "1", 1, 10_000);
    site.publish(&site.list("1.0", &[&image]));
    let own = "trustAnchors: {configMapRef: {name: site-cas}}";
    site.trust("endorser", &site.pki.endorser, own);
    let run = site.run().await;
    assert_eq!(endorser_condition(&run, "Ready"), "False TrustAnchorsNotFound");
    assert_eq!(run.list_condition("SourceVerified").split(' ').next(), Some("False"));
    let root = String::from_utf8(site.pki.root.certificate.to_pem().unwrap()).unwrap();
    let crl = |identity: &Identity| String::from_utf8(identity.crl(site.now()).pem()).unwrap();
    let map = |below: &str| {
        let data = serde_json::json!({"root.pem": root, "root.r0": crl(&site.pki.root), "below.r0": below});
        serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site-cas"}, "data": data})
    };
    site.manifest("site-cas", &map(&crl(&site.pki.intermediate)).to_string());
    let run = site.run().await;
    assert_eq!(endorser_condition(&run, "Ready"), "True Succeeded");
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    site.forget("site-cas");
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified").split(' ').next(), Some("False"));
    assert_eq!(site.shelf("endorsed"), [image.entry()], "what is missing takes nothing away");
    let revoked = site.pki.intermediate.crl(site.now()).revoke(&site.pki.endorser, Some(Reason::KeyCompromise)).pem();
    site.manifest("site-cas", &map(&String::from_utf8(revoked).unwrap()).to_string());
    site.run().await;
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
}

#[tokio::test]
async fn a_person_takes_a_list_that_goes_back() {
    let site = Site::new();
    let (new, old) = (site.serve(A, "2", 2, 10_000), site.serve(A, "1", 1, 10_000));
    site.publish(&site.list("2.0", &[&new]));
    site.run().await;
    let message = sign(&site.list("1.0", &[&old]).json(), &site.pki.endorser, Form::Detached);
    site.publish_message(&message);
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False VersionRollback");
    assert_eq!(site.shelf("endorsed"), [new.entry()]);
    let digest = Sha256Digest::of(&message).to_string();
    assert_eq!(run.subscription("vo").candidate.unwrap().digest, digest, "what a person has to copy");
    subscribe(&site, &format!("endorserRefs: [{{name: endorser}}], acceptList: {digest:?}"));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(site.shelf("endorsed"), [old.entry()]);
}

#[tokio::test]
async fn an_endorser_says_how_its_crls_stand() {
    let site = Site::new();
    assert_eq!(endorser_condition(&site.run().await, "CRLsFresh"), "True Succeeded");
    site.pass_time(SignedDuration::from_hours(24 * 8));
    assert_eq!(endorser_condition(&site.run().await, "CRLsFresh"), "False CRLExpired");
    for entry in std::fs::read_dir(site.path("trust")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "r0") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(endorser_condition(&site.run().await, "CRLsFresh"), "False CRLMissing");
    site.trust("endorser", &site.pki.endorser, "crlPolicy: IfPresent");
    assert_eq!(endorser_condition(&site.run().await, "CRLsFresh"), "True NoCRLs");
    site.trust("endorser", &site.pki.endorser, "crlPolicy: Ignore");
    assert_eq!(endorser_condition(&site.run().await, "CRLsFresh"), "True Ignored");
}

#[tokio::test]
async fn a_signature_beside_the_list_is_fetched() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 10_000);
    let text = site.list("1.0", &[&image]).json();
    site.publish_message(&text);
    // Some stores say 403 of what they do not have.
    site.server.put("/image.list.asc", Resource::status(403));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False Unsigned");
    let signature = detached(&text, &site.pki.endorser, &["-binary", "-outform", "DER"]);
    site.server.put("/image.list.p7s", Resource::bytes(signature));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "True Verified");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    site.server.put("/image.list.p7s", Resource::status(404));
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded", "what was accepted is kept with its signature");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}

/// The list answers "not modified" for ever; what lies beside it is asked for in its own right.
#[tokio::test]
async fn a_signature_that_alone_changes_is_seen() {
    for named in [true, false] {
        let site = Site::new();
        let image = site.serve(A, "1", 1, 10_000);
        let text = site.list("1.0", &[&image]).json();
        site.publish_message(&text);
        let put = |signature: &[u8]| {
            let resource = Resource::bytes(signature);
            let etag = format!("\"{}\"", Sha256Digest::of(signature));
            site.server.put("/image.list.p7s", if named { resource.etag(&etag) } else { resource });
        };
        let sign = |identity: &Identity| detached(&text, identity, &["-binary", "-outform", "DER"]);
        let first = sign(&site.pki.endorser);
        put(&first);
        let run = site.run().await;
        let before = run.subscription("vo").list.unwrap().digest;
        assert_eq!(run.list_condition("SourceVerified"), "True Verified");

        let asked = || (site.server.requests("/image.list").len(), site.server.bytes_sent("/image.list"));
        let (count, sent) = asked();
        site.run().await;
        assert_eq!(asked(), (count + 1, sent), "the list is not sent again while both are the same");

        put(&sign(&site.pki.second));
        let run = site.run().await;
        assert_eq!(run.list_condition("SourceVerified"), "False EndorserNotTrusted", "named {named}");
        assert_eq!(site.shelf("endorsed"), [image.entry()]);
        site.server.put("/image.list.p7s", Resource::status(503));
        assert_eq!(site.run().await.list_condition("FetchFailed"), "True HTTPError");
        assert_eq!(site.shelf("endorsed"), [image.entry()]);
        put(&sign(&site.pki.endorser));
        let run = site.run().await;
        assert_eq!(run.list_condition("Ready"), "True Succeeded");
        assert_ne!(run.subscription("vo").list.unwrap().digest, before, "signed anew, and so another message");
        put(&first);
        assert_eq!(site.run().await.subscription("vo").list.unwrap().digest, before);
    }
}

/// A list that moved says so by `hv:uri`; the subscription does not follow, and tells.
#[tokio::test]
async fn a_list_that_lives_elsewhere_is_told() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 10_000);
    let own = site.server.url("/image.list");
    let cases = [
        (own.clone(), None),
        (own.replace("http://", "http://user:secret@"), None),
        ("https://new.example.org/image.list".to_owned(), Some("is https://new.example.org/image.list")),
        ("nowhere".to_owned(), Some("no address (hv:uri)")),
    ];
    for (number, (uri, expected)) in cases.into_iter().enumerate() {
        site.pass_time(SignedDuration::from_mins(1));
        site.publish(&site.list(&format!("1.{number}"), &[&image]).with("hv:uri", uri.as_str().into()));
        let run = site.run().await;
        assert_eq!(run.list_condition("SourceVerified"), "True Verified", "{uri}");
        let message = run.subscription("vo").condition("SourceVerified").unwrap().message.clone();
        match expected {
            Some(words) => assert!(message.contains(words), "{message}"),
            None => assert!(!message.contains("hv:uri"), "{message}"),
        }
        assert!(!message.contains("secret"), "{message}");
    }
}

#[tokio::test]
async fn an_encrypted_list_needs_the_sites_key() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 10_000);
    let signed = sign(&site.list("1.0", &[&image]).json(), &site.pki.endorser, Form::Detached);
    site.publish_message(&encrypted(&signed, &site.pki.host, &["-outform", "SMIME", "-aes256"]));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False DecryptionFailed");
    let (certificate, key) = site.pki.host.pem();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let data = serde_json::json!({"tls.crt": text(certificate), "tls.key": text(key)});
    let secret =
        serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "site-key"}, "stringData": data});
    site.manifest("site-key", &secret.to_string());
    subscribe(&site, "endorserRefs: [{name: endorser}], decryptionSecretRef: {name: site-key}");
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    site.forget("site-key");
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded", "what was opened is kept as it was signed");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
}
