//! Messages of a repository, with signatures that the `openssl` command made, and a judge of them: `verify`, `accept` and
//! `reverify`.

use std::num::NonZeroUsize;

use harness::oci::{Artefact, SigningKey, digest, payload};
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::imagelist::oci::{Candidate, CandidateForm, OciRule, RepositoryMessage, TaggedManifest};
use vmcatcher_operator::imagelist::{ImageList, ListFormat};
use vmcatcher_operator::trust::{
    AcceptRequest, AcceptedList, AlgorithmPolicy, Anchors, CosignKey, Credential, CredentialKind, CrlPolicy,
    EndorserPolicy, EndorserRule, LastAccepted, Refusal, Reverification, TrustLevel, VerifyRequest, accept, reverify,
    verify,
};

pub(super) const REPOSITORY: &str = "registry.example.org/images/ubuntu";

pub(super) fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

pub(super) fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

pub(super) fn disk(created: Timestamp) -> Artefact {
    Artefact::new(format!("disk of {created}"), created)
}

pub(super) fn simple(payload: &[u8], signature: &str) -> Candidate {
    let form = CandidateForm::SimpleSigning { signature: Some(signature.to_owned()) };
    candidate(form, payload)
}

pub(super) fn bundle(bytes: &[u8]) -> Candidate {
    candidate(CandidateForm::Bundle, bytes)
}

pub(super) fn candidate(form: CandidateForm, bytes: &[u8]) -> Candidate {
    let digest = digest(bytes).parse().unwrap();
    Candidate { form, bytes: bytes.to_vec(), digest, manifest: digest }
}

/// A tag with what may be its signatures.
pub(super) fn tagged(tag: &str, artefact: &Artefact, candidates: Vec<Candidate>) -> TaggedManifest {
    let digest = artefact.digest().parse().unwrap();
    TaggedManifest { tag: tag.parse().ok(), digest, index: None, manifest: artefact.manifest(), candidates }
}

/// A tag that a key signed in the older form.
pub(super) fn signed(tag: &str, artefact: &Artefact, keys: &[&SigningKey]) -> TaggedManifest {
    let payload = payload(REPOSITORY, &artefact.digest());
    tagged(tag, artefact, keys.iter().map(|key| simple(&payload, &key.sign(&payload))).collect())
}

pub(super) fn message(tags: Vec<TaggedManifest>) -> Vec<u8> {
    RepositoryMessage::new(REPOSITORY.parse().unwrap(), false, tags).unwrap().to_bytes()
}

pub(super) fn endorser(name: &str, trust: TrustLevel, key: &SigningKey) -> EndorserRule {
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
pub(super) struct Judge {
    pub(super) endorsers: Vec<EndorserRule>,
    pub(super) revoked: Vec<CredentialKind>,
    pub(super) required: usize,
    pub(super) format: ListFormat,
}

impl Judge {
    pub(super) fn of(endorsers: Vec<EndorserRule>) -> Self {
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
    pub(super) fn accepts(&self, message: &[u8], last: Option<&LastAccepted>) -> Result<AcceptedList, Refusal> {
        let verified = self.with(|request| verify(message, request).outcome)?;
        let request = AcceptRequest { identifier: None, last, max_list_age: None, accept_list: None, now: now() };
        accept(verified, &request).outcome
    }

    pub(super) fn again(&self, message: &[u8], remembered: &LastAccepted) -> Reverification {
        self.with(|request| reverify(message, remembered, request))
    }
}

/// The image of each tag: its size, or the reason and the message of its refusal; what is not in the list is left out.
pub(super) fn shown(list: &ImageList) -> String {
    let images = list.images.iter().map(|image| format!("{}: listed", image.title));
    let refused = list.refused.iter().map(|refused| format!("{} ({})", refused.message, refused.reason.as_str()));
    images.chain(refused).collect::<Vec<_>>().join("; ")
}

/// `Reason: message` of the refusal of a repository with this one tag.
pub(super) fn refusal(judge: &Judge, tagged: TaggedManifest) -> String {
    judge.accepts(&message(vec![tagged]), None).map_or_else(|refusal| refusal.to_string(), |list| shown(list.list()))
}
