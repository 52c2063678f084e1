//! `Endorser` spec -> the rule that `trust` uses. Pure.

use crate::api::{self, Endorser, FilesSource, ObjectKey};
use crate::reconcile::check::SpecError;
use crate::trust::{
    CosignKey, Credential, CredentialKind, CrlPolicy, DistinguishedName, EndorserRule, Fingerprint, OpenPgpCredential,
    PublicKey, Purpose, TrustLevel,
};

/// Checks an endorser. Its own trust anchors, and keys in other objects, are added by [`complete`](super::complete).
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
    spec.trust_anchors.as_ref().map_or(Ok(()), |source| one_of_two("trustAnchors", source))?;
    Ok(EndorserRule {
        name: ObjectKey::of(endorser).name,
        trust: trust("trust", spec.trust)?,
        crl_policy: crl_policy(spec.crl_policy)?,
        anchors: None,
        credentials: spec.credentials.iter().map(credential).collect::<Result<_, _>>()?,
    })
}

fn credential(credential: &api::Credential) -> Result<Credential, SpecError> {
    let at = format!("credentials[{}]", credential.name);
    let kind = match (&credential.x509, &credential.open_pgp, &credential.cosign) {
        (Some(x509), None, None) => certificate(&at, x509)?,
        (None, Some(open_pgp), None) => CredentialKind::OpenPgp(key(&at, open_pgp)?),
        (None, None, Some(cosign)) => CredentialKind::Cosign(
            CosignKey::read(&cosign.public_key)
                .map_err(|error| SpecError::invalid(format!("{at}.cosign.publicKey"), &error))?,
        ),
        (None, None, None) | (Some(_), Some(_), _) | (_, Some(_), Some(_)) | (Some(_), _, Some(_)) => {
            let message = "expected exactly one of x509, openPGP and cosign, found several or none";
            return Err(SpecError::invalid(at, message));
        }
    };
    Ok(Credential { name: credential.name.clone(), trust: trust(&format!("{at}.trust"), credential.trust)?, kind })
}

fn certificate(at: &str, x509: &api::X509Credential) -> Result<CredentialKind, SpecError> {
    let name = |field: &str, text: &str| -> Result<DistinguishedName, SpecError> {
        text.parse().map_err(|error| SpecError::invalid(format!("{at}.x509.{field}"), &error))
    };
    let purpose = match x509.purpose {
        api::Purpose::SMIMESign => Purpose::SmimeSign,
        api::Purpose::Any => Purpose::Any,
        api::Purpose::Unknown => {
            return Err(SpecError::unsupported(format!("{at}.x509.purpose"), "SMIMESign or Any"));
        }
    };
    let (subject, issuer) = (name("subject", &x509.subject)?, Some(name("issuer", &x509.issuer)?));
    Ok(CredentialKind::X509 { subject, issuer, purpose })
}

/// Checks an OpenPGP key. A key in another object is read later.
fn key(at: &str, open_pgp: &api::OpenPgpCredential) -> Result<OpenPgpCredential, SpecError> {
    let invalid = |field: &str, error: &dyn std::fmt::Display| {
        SpecError::invalid(format!("{at}.openPGP{field}"), &error.to_string())
    };
    let fingerprint: Fingerprint = open_pgp.fingerprint.parse().map_err(|error| invalid(".fingerprint", &error))?;
    let key = match (&open_pgp.public_key, &open_pgp.public_key_from) {
        (Some(text), None) => {
            Ok(PublicKey::read([text.as_bytes()], &fingerprint).map_err(|error| invalid(".publicKey", &error))?)
        }
        (None, Some(source)) => {
            one_of_two(&format!("{at}.openPGP.publicKeyFrom"), source)?;
            Err("it was not read yet".to_owned())
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("", &"expected exactly one of publicKey and publicKeyFrom, found both or none"));
        }
    };
    Ok(OpenPgpCredential { fingerprint, key })
}

fn one_of_two(field: &str, source: &FilesSource) -> Result<(), SpecError> {
    if source.config_map_ref.is_some() == source.secret_ref.is_some() {
        return Err(SpecError::invalid(field, "expected one of configMapRef and secretRef, found both or none"));
    }
    Ok(())
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

/// The credentials that an endorser marks as revoked, for all endorsers of the namespace. They are read one by one,
/// because a revocation counts even if other parts of the object are invalid.
pub fn revoked(endorser: &Endorser) -> Vec<CredentialKind> {
    let spec = &endorser.spec;
    let all = spec.trust == api::Trust::Revoked;
    let revoked = spec.credentials.iter().filter(|one| all || one.trust == api::Trust::Revoked);
    revoked
        .flat_map(|one| {
            let keys = one.open_pgp.iter().filter_map(fingerprint);
            one.x509.iter().filter_map(names).chain(keys).chain(one.cosign.iter().filter_map(signing_key))
        })
        .collect()
}

fn names(x509: &api::X509Credential) -> Option<CredentialKind> {
    let (subject, issuer) = (x509.subject.parse().ok()?, Some(x509.issuer.parse().ok()?));
    Some(CredentialKind::X509 { subject, issuer, purpose: Purpose::default() })
}

fn signing_key(cosign: &api::CosignCredential) -> Option<CredentialKind> {
    CosignKey::read(&cosign.public_key).ok().map(CredentialKind::Cosign)
}

fn fingerprint(open_pgp: &api::OpenPgpCredential) -> Option<CredentialKind> {
    let fingerprint = open_pgp.fingerprint.parse().ok()?;
    Some(CredentialKind::OpenPgp(OpenPgpCredential { fingerprint, key: Err("it is revoked".to_owned()) }))
}
