//! `Endorser` spec -> rule that `trust` judges by. Pure.

use crate::api::{self, Endorser, TrustAnchors};
use crate::reconcile::ObjectKey;
use crate::reconcile::check::SpecError;
use crate::trust::{Credential, CredentialKind, CrlPolicy, DistinguishedName, EndorserRule, Purpose, TrustLevel};

/// The checked form of an endorser; its own trust anchors are put in by whoever reads them.
pub fn check(endorser: &Endorser) -> Result<EndorserRule, SpecError> {
    let spec = &endorser.spec;
    if !(1..=16).contains(&spec.credentials.len()) {
        let message = format!("expected 1 to 16 credentials, found {}", spec.credentials.len());
        return Err(SpecError::invalid("credentials", &message));
    }
    let mut names: Vec<&str> = spec.credentials.iter().map(|credential| credential.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.array_windows().find_map(|[one, two]| (one == two).then_some(one)) {
        let message = format!("expected one credential of each name, found {twice:?} twice");
        return Err(SpecError::invalid("credentials", &message));
    }
    if let Some(TrustAnchors { config_map_ref, secret_ref }) = &spec.trust_anchors
        && config_map_ref.is_some() == secret_ref.is_some()
    {
        return Err(SpecError::invalid(
            "trustAnchors",
            "expected one of configMapRef and secretRef, found both or none",
        ));
    }
    Ok(EndorserRule {
        name: ObjectKey::of(endorser).name,
        trust: trust("trust", spec.trust)?,
        crl_policy: crl_policy(spec.crl_policy)?,
        anchors: None,
        credentials: spec.credentials.iter().map(credential).collect::<Result<_, _>>()?,
    })
}

fn credential(credential: &api::Credential) -> Result<Credential, SpecError> {
    let field = |name: &str| format!("credentials[{}].{name}", credential.name);
    let name = |at: &str, text: &str| -> Result<DistinguishedName, SpecError> {
        text.parse().map_err(|error| SpecError::invalid(field(at), &error))
    };
    let purpose = match credential.x509.purpose {
        api::Purpose::SMIMESign => Purpose::SmimeSign,
        api::Purpose::Any => Purpose::Any,
        api::Purpose::Unknown => return Err(SpecError::unsupported(field("x509.purpose"), "SMIMESign or Any")),
    };
    let kind = CredentialKind::X509 {
        subject: name("x509.subject", &credential.x509.subject)?,
        issuer: Some(name("x509.issuer", &credential.x509.issuer)?),
        purpose,
    };
    Ok(Credential { name: credential.name.clone(), trust: trust(&field("trust"), credential.trust)?, kind })
}

fn trust(field: &str, trust: api::Trust) -> Result<TrustLevel, SpecError> {
    match trust {
        api::Trust::Trusted => Ok(TrustLevel::Trusted),
        api::Trust::Hold => Ok(TrustLevel::Hold),
        api::Trust::Revoked => Ok(TrustLevel::Revoked),
        api::Trust::Unknown => Err(SpecError::unsupported(field, "Trusted, Hold or Revoked")),
    }
}

fn crl_policy(policy: api::CrlPolicy) -> Result<CrlPolicy, SpecError> {
    match policy {
        api::CrlPolicy::Require => Ok(CrlPolicy::Require),
        api::CrlPolicy::IfPresent => Ok(CrlPolicy::IfPresent),
        api::CrlPolicy::Ignore => Ok(CrlPolicy::Ignore),
        api::CrlPolicy::Unknown => Err(SpecError::unsupported("crlPolicy", "Require, IfPresent or Ignore")),
    }
}

/// The credentials that an endorser calls revoked: revoked for all endorsers of the namespace.
pub fn revoked(rule: &EndorserRule) -> impl Iterator<Item = &CredentialKind> {
    let all = rule.trust == TrustLevel::Revoked;
    rule.credentials.iter().filter(move |one| all || one.trust == TrustLevel::Revoked).map(|one| &one.kind)
}
