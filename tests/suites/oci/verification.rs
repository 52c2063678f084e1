//! Whether a tag is endorsed.

use data_encoding::HEXLOWER;
use harness::oci::{SigningKey, payload, statement};
use jiff::SignedDuration;
use serde_json::json;
use vmcatcher_operator::imagelist::oci::{Candidate, CandidateForm, TaggedManifest};
use vmcatcher_operator::trust::{CosignKey, CredentialKind, TrustLevel};

use super::judge::{
    Judge, REPOSITORY, ago, bundle, disk, endorser, message, now, refusal, shown, signed, simple, tagged,
};

#[test]
fn a_tag_is_endorsed_by_each_form_of_signature_and_each_kind_of_key() {
    let kinds: [&[&str]; 4] = [
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["-algorithm", "ED25519"],
    ];
    let artefact = disk(ago(1));
    for kind in kinds {
        let key = SigningKey::of_kind(kind);
        let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
        let payload = payload(&format!("{REPOSITORY}:22.04"), &artefact.digest());
        let mut named = statement(&artefact.digest());
        named["subject"][0]["name"] = json!(REPOSITORY);
        for candidate in [
            simple(&payload, &key.sign(&payload)),
            bundle(&key.envelope(&statement(&artefact.digest()))),
            bundle(&key.envelope(&named)),
            bundle(&key.message_signature(&artefact.manifest())),
        ] {
            let list = judge.accepts(&message(vec![tagged("22.04", &artefact, vec![candidate.clone()])]), None);
            let list = list.unwrap_or_else(|refusal| panic!("{kind:?} {:?}: {refusal}", candidate.form));
            assert_eq!(shown(list.list()), "EGI Ubuntu 22.04: listed");
            let name = format!("cosign:{}", HEXLOWER.encode(&key.digest()));
            let signers: Vec<_> = list.signers().iter().map(|one| (one.endorser.as_deref(), &*one.subject)).collect();
            assert_eq!(signers, [(Some("ann"), name.as_str())]);
            assert_eq!(list.list().version.as_str(), "20261129110000");
        }
    }
}

#[test]
fn each_thing_that_is_wrong_has_its_own_reason() {
    let (key, stranger) = (SigningKey::new(), SigningKey::new());
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let (artefact, other) = (disk(ago(1)), disk(ago(2)));
    let of = |reference: &str, digest: &str, key: &SigningKey| {
        let payload = payload(reference, digest);
        simple(&payload, &key.sign(&payload))
    };
    let good = of(REPOSITORY, &artefact.digest(), &key);
    let one = |candidate: Candidate| tagged("22.04", &artefact, vec![candidate]);
    let tampered = TaggedManifest { manifest: other.manifest(), ..one(good.clone()) };
    let changed_payload = Candidate { bytes: payload("registry.example.org/b", &artefact.digest()), ..good.clone() };
    let no_signature = Candidate { form: CandidateForm::SimpleSigning { signature: None }, ..good };
    let kind = json!({"critical": {"identity": {"docker-reference": REPOSITORY},
        "image": {"docker-manifest-digest": artefact.digest()}, "type": "atomic container signature"}});
    let kind = kind.to_string().into_bytes();
    let mut scan = statement(&artefact.digest());
    scan["predicateType"] = json!("https://cosign.sigstore.dev/attestation/vuln/v1");
    let mut elsewhere = statement(&artefact.digest());
    elsewhere["subject"][0]["name"] = json!("registry.example.org/b");
    let envelope = key.envelope(&statement(&artefact.digest()));
    let hinted = |bundle: &[u8], from: &str, to: &str| {
        String::from_utf8(bundle.to_vec()).unwrap().replacen(from, to, 1).into_bytes()
    };
    let signature = key.sign(b"another text");
    let envelope_signature =
        serde_json::from_slice::<serde_json::Value>(&envelope).unwrap()["dsseEnvelope"]["signatures"][0]["sig"]
            .as_str()
            .unwrap()
            .to_owned();
    let created = disk(now() + SignedDuration::from_hours(1));
    let cases = [
        (tagged("22.04", &artefact, Vec::new()), "Unsigned: 22.04: expected a signature of cosign"),
        (tampered, "MessageDigestMismatch: 22.04: expected the manifest sha256:"),
        (
            one(of(REPOSITORY, &artefact.digest(), &stranger)),
            "EndorserNotTrusted: 22.04: expected a signature by one of 1 keys",
        ),
        (
            one(bundle(&stranger.envelope(&statement(&artefact.digest())))),
            "EndorserNotTrusted: 22.04: expected a signature by one of 1 keys",
        ),
        (one(changed_payload), "SignatureInvalid: 22.04: expected a signed payload sha256:"),
        (one(no_signature), "SignatureInvalid: 22.04: expected a signature in base64"),
        (
            one(simple(&payload(REPOSITORY, &artefact.digest()), "AAAA")),
            "SignatureInvalid: 22.04: expected a signature by a key of an endorser, found bytes",
        ),
        (one(simple(&kind, &key.sign(&kind))), "SignatureInvalid: 22.04: expected the type"),
        (one(simple(b"{}", &key.sign(b"{}"))), "SignatureInvalid: 22.04: expected a payload of cosign"),
        (one(of(REPOSITORY, &other.digest(), &key)), "MessageDigestMismatch: 22.04: expected a signature of sha256:"),
        (
            one(of("registry.example.org/b", &artefact.digest(), &key)),
            "RepositoryMismatch: 22.04: expected a signature for registry.example.org/images/ubuntu, found one for \"registry.example.org/b\"",
        ),
        (
            one(bundle(&key.envelope(&statement(&other.digest())))),
            "MessageDigestMismatch: 22.04: expected a signature of sha256:",
        ),
        (one(bundle(&key.envelope(&scan))), "SignatureInvalid: 22.04: expected a statement with the predicate"),
        (one(bundle(&key.envelope(&elsewhere))), "RepositoryMismatch: 22.04"),
        (one(bundle(&key.message_signature(&other.manifest()))), "MessageDigestMismatch: 22.04"),
        (
            one(bundle(&hinted(&envelope, &envelope_signature, &signature))),
            "SignatureInvalid: 22.04: expected a signature by cosign:",
        ),
        (
            one(bundle(&hinted(&envelope, "publicKey", "certificate"))),
            "SignatureInvalid: 22.04: expected a bundle of a key pair",
        ),
        (one(bundle(&hinted(&envelope, "v0.3", "v0.9"))), "SignatureInvalid: 22.04: expected a bundle of the type"),
        (one(bundle(b"[]")), "SignatureInvalid: 22.04: expected a bundle"),
        (signed("22.04", &created, &[&key]), "CreatedInFuture: 22.04: expected an artefact that exists already"),
        (
            signed("22.04", &disk(ago(1)).annotated("org.opencontainers.image.created", "soon"), &[&key]),
            "ListMalformed: 22.04: org.opencontainers.image.created: expected",
        ),
    ];
    for (tagged, expected) in cases {
        let found = refusal(&judge, tagged);
        assert!(found.starts_with(expected), "{found}\nexpected {expected}");
    }
}

#[test]
fn the_endorsers_decide_what_counts() {
    let (ann, bob) = (SigningKey::new(), SigningKey::new());
    let artefact = disk(ago(1));
    let trusted = |name: &str, key: &SigningKey| endorser(name, TrustLevel::Trusted, key);
    let two = Judge { required: 2, ..Judge::of(vec![trusted("ann", &ann), trusted("bob", &bob)]) };
    assert_eq!(refusal(&two, signed("a", &artefact, &[&ann, &bob])), "EGI Ubuntu 22.04: listed");
    assert!(refusal(&two, signed("a", &artefact, &[&ann])).starts_with("EndorsementsMissing: a: "));
    let one_key = Judge { required: 2, ..Judge::of(vec![trusted("ann", &ann), trusted("again", &ann)]) };
    let found = refusal(&one_key, signed("a", &artefact, &[&ann]));
    assert!(found.starts_with("EndorsementsMissing"), "one key counts once: {found}");
    let hold = Judge::of(vec![endorser("ann", TrustLevel::Hold, &ann)]);
    assert!(refusal(&hold, signed("a", &artefact, &[&ann])).starts_with("EndorserOnHold"));
    let revoked = Judge::of(vec![endorser("ann", TrustLevel::Revoked, &ann)]);
    assert!(refusal(&revoked, signed("a", &artefact, &[&ann])).contains("ann/key is revoked"));
    let kind = CredentialKind::Cosign(CosignKey::read(&ann.public()).unwrap());
    let elsewhere = Judge { revoked: vec![kind], ..Judge::of(vec![trusted("ann", &ann)]) };
    assert!(refusal(&elsewhere, signed("a", &artefact, &[&ann])).contains("an endorser calls this credential revoked"));
    let weak = SigningKey::of_kind(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
    let judge = Judge::of(vec![trusted("weak", &weak)]);
    assert!(refusal(&judge, signed("a", &artefact, &[&weak])).starts_with("KeyTooWeak"));
}

#[test]
fn a_tag_that_is_not_endorsed_does_not_hold_back_the_others() {
    let key = SigningKey::new();
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let message = message(vec![signed("a", &disk(ago(2)), &[&key]), tagged("b", &disk(ago(1)), Vec::new())]);
    let list = judge.accepts(&message, None).unwrap();
    assert!(
        shown(list.list()).starts_with("EGI Ubuntu 22.04: listed; b: expected a signature"),
        "{}",
        shown(list.list())
    );
    assert!(shown(list.list()).ends_with("(Unsigned)"), "{}", shown(list.list()));
    assert_eq!(list.list().created, ago(2), "what is not endorsed has no say");
}

/// A tag may name an index. It is signed as such, and names the one manifest.
#[test]
fn an_index_of_one_manifest_is_resolved_and_no_other() {
    let key = SigningKey::new();
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let (artefact, other) = (disk(ago(1)), disk(ago(2)));
    let of = |digests: &[String], manifest: Vec<u8>| {
        let manifests: Vec<_> = digests.iter().map(|digest| json!({"digest": digest, "size": 1})).collect();
        let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes();
        let digest = harness::oci::digest(&index);
        let payload = payload(REPOSITORY, &digest);
        let candidates = vec![simple(&payload, &key.sign(&payload))];
        TaggedManifest {
            tag: "a".parse().ok(),
            digest: digest.parse().unwrap(),
            index: Some(index),
            manifest,
            candidates,
        }
    };
    let one = of(&[artefact.digest()], artefact.manifest());
    assert_eq!(refusal(&judge, one), "EGI Ubuntu 22.04: listed");
    let two = of(&[artefact.digest(), other.digest()], Vec::new());
    assert!(refusal(&judge, two).starts_with("ListMalformed: a: expected an index of one manifest, found 2"));
    let another = of(&[artefact.digest()], other.manifest());
    assert!(refusal(&judge, another).starts_with("MessageDigestMismatch: a: expected the manifest"));
}
