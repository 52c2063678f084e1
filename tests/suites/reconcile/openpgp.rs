//! An Endorser that is an OpenPGP key: its lists, its revocation, its end.

use harness::gpg::{Gpg, PgpForm};
use harness::image_server::Resource;
use harness::signer::detached;
use harness::site::{Run, Served, Site, told};
use jiff::SignedDuration;
use vmcatcher_operator::api::{Endorser, EndorserStatus, HasConditions, ObjectKey};
use vmcatcher_operator::store::ResourceStore;
use vmcatcher_operator::trust::Sha256Digest;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A text as a block in YAML, so far to the right.
fn block(text: &[u8], depth: usize) -> String {
    let indent = " ".repeat(depth);
    let text = std::str::from_utf8(text).unwrap().trim_end();
    format!("{indent}{}\n", text.replace('\n', &format!("\n{indent}")))
}

/// Writes the Endorser with one key, as it stands in the manifest.
pub(super) fn trust_key(site: &Site, fingerprint: &str, key: &[u8]) {
    let key = block(key, 10);
    site.manifest("endorser-endorser", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: endorser}}\nspec:\n  credentials:\n    - \
         name: key\n      openPGP:\n        fingerprint: {fingerprint:?}\n        publicKey: |\n{key}"
    ));
}

/// Writes the Endorser with a key that is kept elsewhere.
fn trust_kept(site: &Site, fingerprint: &str, kept: &str, more: &str) {
    site.manifest("endorser-endorser", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: endorser}}\nspec:\n  credentials:\n    - \
         {{name: key, openPGP: {{fingerprint: {fingerprint:?}, publicKeyFrom: {{{kept}}}}}{more}}}\n"
    ));
}

fn endorser(run: &Run) -> EndorserStatus {
    let object = run.directory.get::<Endorser>(&ObjectKey::new("default", "endorser")).unwrap();
    object.status.clone().unwrap()
}

fn endorser_condition(run: &Run, name: &str) -> String {
    told(endorser(run).condition(name))
}

/// A site that trusts a key alone and has its list, clear-signed, in force.
async fn settled(expires: &str) -> (Site, Gpg, String, Served) {
    let site = Site::new();
    let gpg = Gpg::at(site.now());
    let key = gpg.key("Ann", "ed25519", expires);
    trust_key(&site, &key, &gpg.export(&key));
    let image = site.serve(A, "1", 1, 10_000);
    site.publish_message(&gpg.sign(&site.list("1.0", &[&image]).json(), &key, PgpForm::Clear));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    (site, gpg, key, image)
}

#[tokio::test]
async fn a_key_endorses_and_its_status_tells_it() {
    let (site, gpg, key, _) = settled("20d").await;
    let run = site.run().await;
    let signer = run.subscription("vo").list.unwrap().signers.remove(0);
    assert_eq!((signer.endorser.as_str(), signer.credential.as_str()), ("endorser", "key"));
    assert_eq!((signer.subject, signer.issuer), (format!("openpgp4fpr:{key}"), String::new()));
    assert!(signer.not_after.is_some());
    assert_eq!(endorser_condition(&run, "Ready"), "True Succeeded");
    assert_eq!(endorser_condition(&run, "CRLsFresh"), "True NoCRLs");
    assert_eq!(endorser_condition(&run, "CredentialExpiring"), "True CredentialExpiring");
    let credential = endorser(&run).credentials.remove(0);
    assert_eq!(credential.fingerprint, Some(key.clone()));
    assert_eq!(credential.subject, "Ann <ann@example.org>");
    assert!(credential.not_after.is_some() && credential.last_seen_time.is_some());
    let stranger = gpg.key("Sid", "ed25519", "never");
    let newer = site.serve(A, "2", 2, 10_000);
    site.publish_message(&gpg.sign(&site.list("1.1", &[&newer]).json(), &stranger, PgpForm::Clear));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False EndorserNotTrusted");
    assert_eq!(run.list_version().as_deref(), Some("1.0"));
}

#[tokio::test]
async fn a_revoked_key_takes_its_images_out_and_they_do_not_come_back() {
    let (site, gpg, key, image) = settled("never").await;
    let before = gpg.export(&key);
    trust_key(&site, &key, &[before.clone(), gpg.revocation(&key, 1)].concat());
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False CertificateRevoked");
    assert_eq!(endorser_condition(&run, "Ready"), "False CertificateRevoked");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    assert_eq!(site.shelf("expired"), [image.entry()]);
    trust_key(&site, &key, &before);
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "False CertificateRevoked", "an old copy of the key brings nothing back");
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
}

#[tokio::test]
async fn a_retired_key_freezes() {
    let (site, gpg, key, image) = settled("never").await;
    trust_key(&site, &key, &[gpg.export(&key), gpg.revocation(&key, 3)].concat());
    site.pass_time(SignedDuration::from_mins(1));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False CertificateRevoked");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    let newer = site.serve(A, "2", 2, 10_000);
    site.publish_message(&gpg.sign(&site.list("1.1", &[&newer]).json(), &key, PgpForm::Clear));
    site.run().await;
    assert_eq!(site.shelf("endorsed"), [image.entry()], "nothing new");
}

#[tokio::test]
async fn an_expired_key_signs_nothing_new_and_loses_nothing() {
    let (site, gpg, key, image) = settled("5d").await;
    site.pass_time(DAY * 6);
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "True Succeeded");
    assert_eq!(endorser_condition(&run, "Ready"), "False CertificateExpired");
    let newer = site.serve(A, "2", 2, 10_000);
    let list = site.list("1.1", &[&newer]).created(site.now() - DAY * 2);
    site.publish_message(&gpg.sign(&list.json(), &key, PgpForm::Clear));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "False CertificateExpired");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    gpg.run_at(gpg.clock() + DAY * 2, &["--quick-set-expire", &key, "90d"], b"");
    trust_key(&site, &key, &gpg.export(&key));
    let run = site.run().await;
    assert_eq!(run.list_version().as_deref(), Some("1.1"), "its owner gave it more time");
    assert_eq!(endorser_condition(&run, "Ready"), "True Succeeded");
}

/// A key and its revocation in a `ConfigMap`; while it is not there nothing is lost, and a person can still revoke it.
#[tokio::test]
async fn a_key_in_a_config_map() {
    let (site, gpg, key, image) = settled("never").await;
    trust_kept(&site, &key, "configMapRef: {name: keys}", "");
    let run = site.run().await;
    assert_eq!(endorser_condition(&run, "Ready"), "False PublicKeyNotFound");
    assert_eq!(run.list_condition("SourceVerified"), "False EndorserNotTrusted");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    let keys = |more: String| {
        let key = block(&gpg.export(&key), 4);
        let begin = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys}\ndata:\n  ann.asc: |\n";
        site.manifest("keys", &format!("{begin}{key}{more}"));
    };
    keys(String::new());
    let run = site.run().await;
    assert_eq!(endorser_condition(&run, "Ready"), "True Succeeded");
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    site.forget("keys");
    trust_kept(&site, &key, "configMapRef: {name: keys}", ", trust: Revoked");
    let run = site.run().await;
    assert_eq!(run.list_condition("Ready"), "False EndorserRevoked", "{:?}", run.subscription("vo").conditions);
    assert_eq!(site.shelf("endorsed"), Vec::<String>::new());
    trust_kept(&site, &key, "configMapRef: {name: keys}", "");
    keys(format!("  ann.rev: |\n{}", block(&gpg.revocation(&key, 0), 4)));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False CertificateRevoked");
}

/// Whoever has to sign beside the others is seen though the list never changes; which of the two came first does not
/// matter, nor whether the server names what it sends.
#[tokio::test]
async fn a_signature_that_is_added_beside_the_same_list_is_seen() {
    for (openpgp_first, named) in [(true, true), (false, true), (true, false), (false, false)] {
        let site = Site::new();
        let gpg = Gpg::at(site.now());
        let key = gpg.key("Ann", "ed25519", "never");
        trust_key(&site, &key, &gpg.export(&key));
        site.trust("second", &site.pki.endorser, "");
        let image = site.serve(A, "1", 1, 10_000);
        let text = site.list("1.0", &[&image]).json();
        let put = |path: &str, bytes: Vec<u8>| {
            let etag = format!("\"{}\"", Sha256Digest::of(&bytes));
            let resource = Resource::bytes(bytes);
            site.server.put(path, if named { resource.etag(&etag) } else { resource });
        };
        let by_key = || put("/image.list.asc", gpg.detached(&text, &key, &[]));
        let by_certificate =
            || put("/image.list.p7s", detached(&text, &site.pki.endorser, &["-binary", "-outform", "DER"]));
        put("/image.list", text.clone());
        require(&site, 1);
        if openpgp_first {
            by_key();
        } else {
            by_certificate();
        }
        assert_eq!(site.run().await.list_condition("SourceVerified"), "True Verified");
        require(&site, 2);
        let run = site.run().await;
        assert_eq!(run.list_condition("SourceVerified"), "False EndorsementsMissing");
        assert_eq!(site.shelf("endorsed"), [image.entry()], "nothing is lost");
        if openpgp_first {
            by_certificate();
        } else {
            by_key();
        }
        let run = site.run().await;
        assert_eq!(run.list_condition("SourceVerified"), "True Verified", "OpenPGP first {openpgp_first}, {named}");
        assert_eq!(run.subscription("vo").list.unwrap().signers.len(), 2);
        assert_eq!(site.shelf("endorsed"), [image.entry()]);
    }
}

/// The subscription to the list, of which so many of the two endorsers must have signed.
fn require(site: &Site, endorsements: u8) {
    let verify =
        format!("{{endorserRefs: [{{name: endorser}}, {{name: second}}], requiredEndorsements: {endorsements}}}");
    let url = site.server.url("/image.list");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}}}\n  verify: {verify}\n  images: {{include: {{match: [{{name: all}}]}}}}\n"
    ));
}

/// `<url>.asc`, alone and together with `<url>.p7s`: of two endorsers one signs with a certificate, one with a key.
#[tokio::test]
async fn signatures_beside_the_list() {
    let site = Site::new();
    let gpg = Gpg::at(site.now());
    let key = gpg.key("Ann", "ed25519", "never");
    trust_key(&site, &key, &gpg.export(&key));
    let image = site.serve(A, "1", 1, 10_000);
    let text = site.list("1.0", &[&image]).json();
    site.publish_message(&text);
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False Unsigned");
    site.server.put("/image.list.asc", Resource::bytes(b"<html>not found, says a page</html>"));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False Unsigned");
    site.server.put("/image.list.asc", Resource::bytes(gpg.detached(&text, &key, &[])));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "True Verified");
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    site.trust("second", &site.pki.endorser, "");
    require(&site, 2);
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False EndorsementsMissing");
    site.pass_time(SignedDuration::from_mins(1));
    let text = site.list("1.1", &[&image]).json();
    site.publish_message(&text);
    site.server.put("/image.list.asc", Resource::bytes(gpg.detached(&text, &key, &[])));
    assert_eq!(site.run().await.list_condition("SourceVerified"), "False EndorsementsMissing");
    site.server.put("/image.list.p7s", Resource::bytes(detached(&text, &site.pki.endorser, &["-outform", "DER"])));
    let run = site.run().await;
    assert_eq!(run.list_condition("SourceVerified"), "True Verified");
    assert_eq!(run.subscription("vo").list.unwrap().signers.len(), 2);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_told() {
    let site = Site::new();
    let gpg = Gpg::at(site.now());
    let (key, weak) = (gpg.key("Ann", "ed25519", "never"), gpg.key("Will", "rsa1024", "never"));
    let cases = [
        (&key, gpg.export_secret(&key), "found a secret one"),
        (&key, gpg.export(&weak), "expected the key"),
        (&weak, gpg.export(&weak), "RSA of 1024 bits"),
        (&key, b"no key".to_vec(), "expected an OpenPGP public key"),
    ];
    for (fingerprint, bytes, words) in cases {
        trust_key(&site, fingerprint, &bytes);
        let run = site.run().await;
        assert_eq!(endorser_condition(&run, "Ready"), "False InvalidSpec", "{words}");
        let message = endorser(&run).condition("Ready").unwrap().message.clone();
        assert!(message.contains(words) && message.contains("credentials[key].openPGP.publicKey"), "{message}");
        assert!(!message.contains("PRIVATE"), "{message}");
    }
}
