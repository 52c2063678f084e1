//! Whether a tag is endorsed, and what it may replace: messages of a repository through `verify`, `accept` and `reverify`,
//! with signatures that the `openssl` command made.

use std::num::NonZeroUsize;

use harness::oci::{Artefact, SigningKey, digest, payload, statement};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use vmcatcher_operator::imagelist::oci::{Candidate, CandidateForm, OciRule, RepositoryMessage, TaggedManifest};
use vmcatcher_operator::imagelist::{ImageList, ListFormat};
use vmcatcher_operator::trust::{
    AcceptRequest, AcceptedList, AlgorithmPolicy, Anchors, CosignKey, Credential, CredentialKind, CrlPolicy,
    EndorserPolicy, EndorserRule, LastAccepted, Refusal, Reverification, TrustLevel, VerifyRequest, accept, reverify,
    verify,
};

const REPOSITORY: &str = "registry.example.org/images/ubuntu";

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn disk(created: Timestamp) -> Artefact {
    Artefact::new(format!("disk of {created}"), created)
}

fn simple(payload: &[u8], signature: &str) -> Candidate {
    let form = CandidateForm::SimpleSigning { signature: Some(signature.to_owned()) };
    candidate(form, payload)
}

fn bundle(bytes: &[u8]) -> Candidate {
    candidate(CandidateForm::Bundle, bytes)
}

fn candidate(form: CandidateForm, bytes: &[u8]) -> Candidate {
    let digest = digest(bytes).parse().unwrap();
    Candidate { form, bytes: bytes.to_vec(), digest, manifest: digest }
}

/// A tag with what may be its signatures.
fn tagged(tag: &str, artefact: &Artefact, candidates: Vec<Candidate>) -> TaggedManifest {
    let digest = artefact.digest().parse().unwrap();
    TaggedManifest { tag: tag.parse().ok(), digest, index: None, manifest: artefact.manifest(), candidates }
}

/// A tag that a key signed in the older form.
fn signed(tag: &str, artefact: &Artefact, keys: &[&SigningKey]) -> TaggedManifest {
    let payload = payload(REPOSITORY, &artefact.digest());
    tagged(tag, artefact, keys.iter().map(|key| simple(&payload, &key.sign(&payload))).collect())
}

fn message(tags: Vec<TaggedManifest>) -> Vec<u8> {
    RepositoryMessage::new(REPOSITORY.parse().unwrap(), false, tags).unwrap().to_bytes()
}

fn endorser(name: &str, trust: TrustLevel, key: &SigningKey) -> EndorserRule {
    let kind = CredentialKind::Cosign(CosignKey::read(&key.public()).unwrap());
    let credentials = vec![Credential { name: "key".to_owned(), trust, kind }];
    EndorserRule {
        name: name.to_owned(),
        trust: TrustLevel::Trusted,
        crl_policy: CrlPolicy::Require,
        anchors: None,
        credentials,
    }
}

/// The endorsers of a subscription, and how many must have signed.
struct Judge {
    endorsers: Vec<EndorserRule>,
    revoked: Vec<CredentialKind>,
    required: usize,
    format: ListFormat,
}

impl Judge {
    fn of(endorsers: Vec<EndorserRule>) -> Self {
        let rule = OciRule::new(REPOSITORY, false, Some("*"), None).unwrap();
        Self { endorsers, revoked: Vec::new(), required: 1, format: ListFormat::Oci(rule) }
    }

    fn with<T>(&self, work: impl FnOnce(&VerifyRequest<'_>) -> T) -> T {
        let required = NonZeroUsize::new(self.required).unwrap();
        work(&VerifyRequest {
            anchors: &Anchors::default(),
            policy: EndorserPolicy::Enforce { endorsers: &self.endorsers, required },
            revoked: &self.revoked,
            algorithms: AlgorithmPolicy::default(),
            format: &self.format,
            wanted: None,
            at: now(),
        })
    }

    /// The list that is accepted after the last one.
    fn accepts(&self, message: &[u8], last: Option<&LastAccepted>) -> Result<AcceptedList, Refusal> {
        let verified = self.with(|request| verify(message, request).outcome)?;
        let request = AcceptRequest { identifier: None, last, max_list_age: None, accept_list: None, now: now() };
        accept(verified, &request).outcome
    }

    fn again(&self, message: &[u8], last: &LastAccepted) -> Reverification {
        self.with(|request| reverify(message, last, request))
    }
}

/// The image of each tag: its size, or the reason and the message of its refusal; what is not in the list is left out.
fn shown(list: &ImageList) -> String {
    let images = list.images.iter().map(|image| format!("{}: listed", image.title));
    let refused = list.refused.iter().map(|refused| format!("{} ({})", refused.message, refused.reason.as_str()));
    images.chain(refused).collect::<Vec<_>>().join("; ")
}

/// `Reason: message` of the refusal of a repository with this one tag.
fn refusal(judge: &Judge, tagged: TaggedManifest) -> String {
    judge.accepts(&message(vec![tagged]), None).map_or_else(|refusal| refusal.to_string(), |list| shown(list.list()))
}

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
            let name = format!("cosign:{}", hex::encode(key.digest()));
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

#[test]
fn a_tag_moves_forward_only() {
    let key = SigningKey::new();
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let of = |one: Timestamp, two: Timestamp| {
        message(vec![signed("a", &disk(one), &[&key]), signed("b", &disk(two), &[&key])])
    };
    let last = judge.accepts(&of(ago(4), ago(2)), None).unwrap().last_accepted();
    let moved = judge.accepts(&of(ago(3), ago(2)), Some(&last)).unwrap();
    assert_eq!(
        (moved.list().images.len(), moved.list().version.as_str()),
        (2, "20261129100000"),
        "b is the newest still"
    );
    let back = judge.accepts(&of(ago(3), ago(5)), Some(&last)).unwrap();
    assert_eq!(back.list().images.len(), 1);
    assert_eq!(back.list().refused[0].reason.as_str(), "VersionRollback", "{}", shown(back.list()));
    assert_eq!(back.list().created, ago(3));
    let later = judge.accepts(&of(ago(3), ago(3)), Some(&back.last_accepted())).unwrap();
    assert_eq!(later.list().refused[0].reason.as_str(), "VersionRollback", "what was accepted is remembered");
    let other = disk(ago(2)).annotated("org.opencontainers.image.revision", "another");
    let replaced = message(vec![signed("a", &disk(ago(4)), &[&key]), signed("b", &other, &[&key])]);
    assert_eq!(judge.accepts(&replaced, Some(&last)).unwrap().list().refused[0].reason.as_str(), "Replay");
    let all_back = judge.accepts(&of(ago(9), ago(9)), Some(&last)).unwrap_err();
    assert_eq!(all_back.reason.as_str(), "VersionRollback", "{all_back}");
}

#[test]
fn tags_come_and_go_though_nothing_is_newer() {
    let key = SigningKey::new();
    let judge = Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]);
    let (old, new) = (signed("a", &disk(ago(4)), &[&key]), signed("b", &disk(ago(2)), &[&key]));
    let older = signed("c", &disk(ago(8)), &[&key]);
    let last = judge.accepts(&message(vec![old.clone(), new]), None).unwrap().last_accepted();
    let less = judge.accepts(&message(vec![old.clone()]), Some(&last)).unwrap();
    assert_eq!(less.list().created, ago(4), "the newest tag is gone");
    let more = judge.accepts(&message(vec![old, older]), Some(&less.last_accepted())).unwrap();
    assert_eq!(more.list().images.len(), 2);
    let again = message(vec![signed("b", &disk(ago(3)), &[&key])]);
    let refused = judge.accepts(&again, Some(&more.last_accepted())).unwrap_err();
    assert_eq!(refused.reason.as_str(), "VersionRollback", "a tag that was gone is remembered");
}

#[test]
fn a_digest_that_the_subscription_names_may_be_any() {
    let key = SigningKey::new();
    let pinned = |artefact: &Artefact| {
        let rule = OciRule::new(REPOSITORY, false, None, Some(&artefact.digest())).unwrap();
        let judge =
            Judge { format: ListFormat::Oci(rule), ..Judge::of(vec![endorser("ann", TrustLevel::Trusted, &key)]) };
        (judge, message(vec![TaggedManifest { tag: None, ..signed("a", artefact, &[&key]) }]))
    };
    let (judge, first) = pinned(&disk(ago(1)));
    let last = judge.accepts(&first, None).unwrap().last_accepted();
    let (judge, older) = pinned(&disk(ago(9)));
    let list = judge.accepts(&older, Some(&last)).unwrap();
    assert_eq!(list.list().images.len(), 1, "{}", shown(list.list()));
}

/// What a stored message is worth when endorsers change.
#[test]
fn a_stored_message_is_verified_again() {
    let (ann, bob) = (SigningKey::new(), SigningKey::new());
    let trusted = |name: &str, key: &SigningKey| endorser(name, TrustLevel::Trusted, key);
    let both = Judge::of(vec![trusted("ann", &ann), trusted("bob", &bob)]);
    let message = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(2)), &[&bob])]);
    let last = both.accepts(&message, None).unwrap().last_accepted();
    assert!(matches!(both.again(&message, &last), Reverification::InForce(list) if list.last_accepted() == last));

    let without = Judge::of(vec![trusted("ann", &ann)]);
    match without.again(&message, &last) {
        Reverification::Frozen(list, refusal) => {
            assert_eq!((list.list().images.len(), refusal.reason.as_str()), (2, "EndorserNotTrusted"));
        }
        other => panic!("{other:?}"),
    }
    let hold = Judge::of(vec![trusted("ann", &ann), endorser("bob", TrustLevel::Hold, &bob)]);
    assert!(matches!(hold.again(&message, &last), Reverification::Frozen(list, _) if list.list().images.len() == 2));

    let revoked = Judge::of(vec![trusted("ann", &ann), endorser("bob", TrustLevel::Revoked, &bob)]);
    let left = match revoked.again(&message, &last) {
        Reverification::InForce(list) => list,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(left.list()), "EGI Ubuntu 22.04: listed", "what bob signed is neither listed nor kept");
    let last = left.last_accepted();
    assert!(matches!(revoked.again(&message, &last), Reverification::InForce(list) if list.last_accepted() == last));

    let neither =
        Judge::of(vec![endorser("ann", TrustLevel::Revoked, &ann), endorser("bob", TrustLevel::Revoked, &bob)]);
    match neither.again(&message, &last) {
        Reverification::Withdrawn(list, refusal) => {
            assert!(refusal.is_statement() && !list.list().images.is_empty(), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    let tampered = String::from_utf8(message).unwrap().replace("\"tag\":\"a\"", "\"tag\":\"A\"").into_bytes();
    assert!(matches!(both.again(&tampered, &last), Reverification::Broken(_)));
}

/// Someone who can push, but not sign, puts an unsigned artefact in the place of one whose signer is then revoked.
#[test]
fn nothing_stays_of_a_revoked_signer_behind_an_unsigned_tag() {
    let (ann, bob) = (SigningKey::new(), SigningKey::new());
    let trusted = |name: &str, key: &SigningKey| endorser(name, TrustLevel::Trusted, key);
    let both = Judge::of(vec![trusted("ann", &ann), trusted("bob", &bob)]);
    let first = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(3)), &[&bob])]);
    let last = both.accepts(&first, None).unwrap().last_accepted();
    let hidden = message(vec![signed("a", &disk(ago(4)), &[&ann]), tagged("b", &disk(ago(2)), Vec::new())]);
    let list = both.accepts(&hidden, Some(&last)).unwrap();
    assert_eq!(list.list().refused.len(), 1, "what was accepted of it stays");
    let revoked = Judge::of(vec![trusted("ann", &ann), endorser("bob", TrustLevel::Revoked, &bob)]);
    match revoked.again(&hidden, &list.last_accepted()) {
        Reverification::InForce(list) => assert_eq!(shown(list.list()), "EGI Ubuntu 22.04: listed"),
        other => panic!("{other:?}"),
    }
    // The key was lost, and its finder signed a later artefact: the publisher may go back behind that one.
    let stolen = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(1)), &[&bob])]);
    let last = both.accepts(&stolen, Some(&last)).unwrap().last_accepted();
    let Reverification::InForce(without) = revoked.again(&stolen, &last) else { panic!("it is in force") };
    let mended = message(vec![signed("a", &disk(ago(4)), &[&ann]), signed("b", &disk(ago(2)), &[&ann])]);
    let list = revoked.accepts(&mended, Some(&without.last_accepted())).unwrap();
    assert_eq!(list.list().images.len(), 2, "{}", shown(list.list()));
}
