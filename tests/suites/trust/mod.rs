//! Who signed, and may the list replace the last: real lists, every form, every defect.

mod acceptance;
mod command;
mod crossed;
mod defects;
mod envelopes;
mod field_forms;
mod forms;
mod names;
mod old_names;
pub(crate) mod openpgp;
mod policies;
mod real_lists;
mod refresh;
mod reverification;
mod steady;

use std::sync::LazyLock;

use harness::list::ListBuilder;
use harness::pki::{Identity, Pki};
use jiff::Timestamp;
use vmcatcher_operator::imagelist::ListFormat;
use vmcatcher_operator::trust::{
    AcceptRequest, AlgorithmPolicy, Anchors, Credential, CredentialKind, CrlPolicy, EndorserPolicy, EndorserRule,
    Purpose, Refusal, TrustLevel, VerifiedList, VerifyRequest, verify,
};

pub(crate) const IDENTIFIER: &str = "63175437-7d59-4851-b333-c96cb6545a86";

/// One infrastructure for all tests of this module; making keys takes a moment.
pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| Pki::at(now()));

pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// The root as anchor, and both CRLs.
pub(crate) fn anchors() -> Anchors {
    let mut builder = Anchors::builder();
    builder.add_certificates(&PKI.root.certificate.to_pem().unwrap()).unwrap();
    builder.add_crls(&PKI.root_crl()).unwrap();
    builder.add_crls(&PKI.intermediate_crl()).unwrap();
    builder.build()
}

/// A list that this endorser may sign.
pub(crate) fn list_of(identity: &Identity) -> Vec<u8> {
    ListBuilder::new(IDENTIFIER, now()).endorser(identity).images(2).json()
}

pub(crate) fn credential(identity: &Identity) -> Credential {
    Credential {
        name: "only".to_owned(),
        trust: TrustLevel::Trusted,
        kind: CredentialKind::X509 {
            subject: identity.subject().parse().unwrap(),
            issuer: Some(identity.issuer().parse().unwrap()),
            purpose: Purpose::SmimeSign,
        },
    }
}

/// An endorser that is one certificate.
pub(crate) fn endorser(name: &str, identity: &Identity) -> EndorserRule {
    EndorserRule {
        name: name.to_owned(),
        trust: TrustLevel::Trusted,
        crl_policy: CrlPolicy::Require,
        anchors: None,
        credentials: vec![credential(identity)],
    }
}

pub(crate) fn request<'a>(anchors: &'a Anchors, endorsers: &'a [EndorserRule], required: usize) -> VerifyRequest<'a> {
    VerifyRequest {
        anchors,
        policy: EndorserPolicy::Enforce { endorsers, required: required.try_into().unwrap() },
        revoked: &[],
        algorithms: AlgorithmPolicy::default(),
        format: &ListFormat::Hepix,
        wanted: None,
        at: now(),
    }
}

pub(crate) fn ask_nothing() -> AcceptRequest<'static> {
    AcceptRequest { identifier: None, last: None, max_list_age: None, accept_list: None, now: now() }
}

/// Verifies a message for the endorsers, with everything in its place.
pub(crate) fn verdict(message: &[u8], endorsers: &[EndorserRule]) -> Result<VerifiedList, Refusal> {
    verify(message, &request(&anchors(), endorsers, 1)).outcome
}

/// The reason, the common name of the one to blame, and its depth.
pub(crate) fn told(refusal: &Refusal) -> (String, String, Option<u32>) {
    let subject = refusal.subject.as_deref().unwrap_or_default();
    let name = subject.rsplit_once("CN=").map_or(subject, |(_, name)| name);
    (refusal.reason.as_str().to_owned(), name.to_owned(), refusal.depth)
}
