//! Certification paths from a signer to a trust anchor (RFC 5280 section 6). OpenSSL builds and validates them. Digests,
//! keys and namespaces are checked here.

use std::collections::BTreeSet;

use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509PurposeId, X509StoreContext};

use super::certificate::Certificate;
use super::weak_digest::allowed;
use super::{AlgorithmPolicy, Anchors, Purpose, Refusal, RefusalReason, strength};

/// The longest path, in certificates between the signer and its anchor.
const DEEPEST: i32 = 10;

/// A valid path. The signer is first, its anchor is last.
#[derive(Debug, Clone)]
pub(super) struct Path(Vec<Certificate>);

/// The result of `X509_verify_cert`.
struct Verdict {
    holds: bool,
    code: i32,
    text: &'static str,
    depth: u32,
    subject: Option<X509>,
    chain: Vec<X509>,
}

impl Path {
    /// Builds and validates a path from a signer to an anchor at a point in time. `carried` are the certificates in the
    /// message, which may be intermediates.
    pub(super) fn build(
        signer: &Certificate,
        carried: &[Certificate],
        anchors: &Anchors,
        purpose: Purpose,
        at: Timestamp,
    ) -> Result<Self, Refusal> {
        refuse_proxies(signer)?;
        let verdict = judge(signer, carried, anchors, purpose, at).map_err(|error| {
            Refusal::new(RefusalReason::IssuerUnknown, format!("OpenSSL could not build a path: {error}"))
                .about(signer.shown(), 0)
        })?;
        if !verdict.holds {
            return Err(explain(signer, &verdict, anchors));
        }
        if purpose == Purpose::Any && !signer.may_sign_texts() {
            let found = "expected a key usage of digitalSignature or nonRepudiation, found neither";
            return Err(Refusal::new(RefusalReason::PurposeMismatch, found).about(signer.shown(), 0));
        }
        let chain: Result<Vec<_>, _> = verdict.chain.into_iter().map(Certificate::from_x509).collect();
        chain
            .map(Self)
            .map_err(|error| Refusal::new(RefusalReason::IssuerUnknown, error.to_string()).about(signer.shown(), 0))
    }

    /// The certificates, the signer first.
    pub(super) fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// Each certificate with its issuer and its depth. The anchor is its own issuer.
    pub(super) fn issued(&self) -> impl Iterator<Item = (u32, &Certificate, &Certificate)> {
        (0_u32..).zip(&self.0).zip(self.0.iter().skip(1).chain(self.0.last())).map(|((d, c), i)| (d, c, i))
    }

    /// Checks the digests of the CAs' signatures. The anchor's own signature is not checked, because it proves nothing.
    pub(super) fn digests_are_allowed(&self, policy: AlgorithmPolicy) -> Result<(), Refusal> {
        let certificates = self.certificates();
        let issued = &certificates[..certificates.len().saturating_sub(1)];
        (0_u32..).zip(issued).try_for_each(|(depth, certificate)| {
            let weak: Vec<_> = certificate.weak_digest.into_iter().collect();
            allowed(&weak, policy, &certificate.shown(), depth)
        })
    }

    /// Checks the strength of all keys of the path. The anchor's key is one of them, because it signs the next
    /// certificate and the anchor's CRLs.
    pub(super) fn keys_are_strong(&self, policy: AlgorithmPolicy) -> Result<(), Refusal> {
        let mut all = (0_u32..).zip(self.certificates());
        all.try_for_each(|(depth, certificate)| strength::strong(certificate, depth, policy.weakest_key))
    }

    /// Checks each certificate against the policy of its issuer, from the signer up. The anchor itself is not checked,
    /// because an administrator installed it. The result is a description, or `None` if there are no policies.
    pub(super) fn keeps_to_namespaces(&self, anchors: &Anchors) -> Result<Option<String>, Refusal> {
        let policies = anchors.policies();
        if !policies.asked() {
            return Ok(None);
        }
        let below_anchor = self.certificates().len().saturating_sub(1);
        for (depth, certificate, issuer) in self.issued().take(below_anchor) {
            if let Some(why) = policies.objection(&issuer.subject, &certificate.subject) {
                return Err(Refusal::new(RefusalReason::NamespaceViolation, why).about(certificate.shown(), depth));
            }
        }
        let issuers = self.certificates().iter().skip(1).map(Certificate::shown).collect::<Vec<_>>();
        Ok(Some(if issuers.is_empty() { "the signer is an anchor itself".to_owned() } else { issuers.join(", ") }))
    }
}

/// Refuses proxy certificates. A proxy acts for a user but is not the user. Grid software accepts proxies; a signature
/// of a list must be the user's own.
fn refuse_proxies(signer: &Certificate) -> Result<(), Refusal> {
    if !signer.is_proxy() {
        return Ok(());
    }
    let found = "expected a certificate of the endorser itself, found a proxy (RFC 3820)";
    Err(Refusal::new(RefusalReason::ProxyCertificate, found).about(signer.shown(), 0))
}

fn judge(
    signer: &Certificate,
    carried: &[Certificate],
    anchors: &Anchors,
    purpose: Purpose,
    at: Timestamp,
) -> Result<Verdict, ErrorStack> {
    let store = store(&reachable(signer, carried, anchors), purpose, at)?;
    let mut untrusted = Stack::new()?;
    for certificate in carried {
        untrusted.push(certificate.x509.clone())?;
    }
    X509StoreContext::new()?.init(&store, &signer.x509, &untrusted, |context| {
        let holds = context.verify_cert()?;
        let error = context.error();
        Ok(Verdict {
            holds,
            code: error.as_raw(),
            text: error.error_string(),
            depth: context.error_depth(),
            subject: context.current_cert().map(ToOwned::to_owned),
            chain: context.chain().map(|chain| chain.iter().map(ToOwned::to_owned).collect()).unwrap_or_default(),
        })
    })
}

/// The anchors that a path of these certificates can end in or pass through, by OpenSSL's hash of their names. An
/// OpenSSL store is sorted again each time a certificate is added, so a large trust directory must not be added whole.
fn reachable<'a>(signer: &Certificate, carried: &[Certificate], anchors: &'a Anchors) -> Vec<&'a Certificate> {
    let own = std::iter::once(signer).chain(carried);
    let mut names: Vec<u32> = own.flat_map(|one| [one.x509.subject_name_hash(), one.x509.issuer_name_hash()]).collect();
    let mut asked = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(name) = names.pop() {
        if asked.insert(name) {
            let of_name = anchors.authorities_of_hash(name);
            names.extend(of_name.iter().map(|authority| authority.x509.issuer_name_hash()));
            found.extend(of_name);
        }
    }
    found
}

fn store(authorities: &[&Certificate], purpose: Purpose, at: Timestamp) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        store.add_cert(authority.x509.clone())?;
    }
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_time(at.as_second());
    parameters.set_depth(DEEPEST);
    parameters.set_purpose(match purpose {
        Purpose::SmimeSign => X509PurposeId::SMIME_SIGN,
        Purpose::Any => X509PurposeId::ANY,
    })?;
    store.set_param(&parameters)?;
    Ok(store.build())
}

/// Maps OpenSSL's error code (`x509_vfy.h`) to a refusal that contains what was expected and what was found.
fn explain(signer: &Certificate, verdict: &Verdict, anchors: &Anchors) -> Refusal {
    let certificate = verdict.subject.clone().and_then(|x509| Certificate::from_x509(x509).ok());
    let certificate = certificate.as_ref().unwrap_or(signer);
    let (reason, message) = match verdict.code {
        9 | 13 => (
            RefusalReason::CertificateNotYetValid,
            "expected a certificate that is valid already, found one that begins later".to_owned(),
        ),
        10 | 14 => (
            RefusalReason::CertificateExpired,
            format!("expected a certificate that is still valid, found one that ended at {}", certificate.not_after),
        ),
        26 => (RefusalReason::PurposeMismatch, purpose_message(certificate)),
        40 => (RefusalReason::ProxyCertificate, "found a proxy certificate (RFC 3820) on the path".to_owned()),
        47..=53 => {
            (RefusalReason::NamespaceViolation, format!("the name constraints of a CA on the path: {}", verdict.text))
        }
        2 | 18 | 19 | 20 | 21 => (RefusalReason::IssuerUnknown, unknown_issuer(certificate, anchors)),
        _ => (RefusalReason::IssuerUnknown, format!("the path does not hold: {}", verdict.text)),
    };
    Refusal::new(reason, message).about(certificate.shown(), verdict.depth)
}

fn purpose_message(certificate: &Certificate) -> String {
    let email_protection = const_oid::db::rfc5280::ID_KP_EMAIL_PROTECTION;
    if certificate.has_extended_key_usage && !certificate.extended_key_usage.contains(&email_protection) {
        let found = certificate.usage_names();
        return format!(
            "expected an extended key usage with emailProtection, found {found}; for a host certificate that signs \
             lists, set purpose: Any on its credential"
        );
    }
    "expected a key usage of digitalSignature or nonRepudiation, found neither".to_owned()
}

fn unknown_issuer(certificate: &Certificate, anchors: &Anchors) -> String {
    let known = anchors.count();
    let issuer = &certificate.issuer;
    format!("expected {issuer} among the {known} trust anchors or in the message, found neither")
}
