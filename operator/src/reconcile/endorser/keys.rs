//! OpenPGP keys of an endorser that are in a `ConfigMap` or a Secret.

use std::sync::Arc;

use super::anchors::{OwnAnchorsError, files, own_anchors};
use crate::api::{Endorser, FilesSource, ObjectKey};
use crate::store::ResourceStore;
use crate::trust::{CredentialKind, EndorserRule, Fingerprint, PublicKey};

/// The rule with its own trust anchors and all its keys. A key that is not available makes only its own credential
/// unusable; the credential has the reason.
pub async fn complete<S: ResourceStore>(
    store: &S,
    endorser: &Endorser,
    mut rule: EndorserRule,
) -> Result<EndorserRule, OwnAnchorsError> {
    rule.anchors = own_anchors(store, endorser).await?;
    read_keys(store, endorser, &mut rule).await;
    Ok(rule)
}

/// Adds the keys that are in other objects.
pub(super) async fn read_keys<S: ResourceStore>(store: &S, endorser: &Endorser, rule: &mut EndorserRule) {
    for (spec, credential) in endorser.spec.credentials.iter().zip(&mut rule.credentials) {
        let source = spec.open_pgp.as_ref().and_then(|open_pgp| open_pgp.public_key_from.as_ref());
        if let (Some(source), CredentialKind::OpenPgp(one)) = (source, &mut credential.kind) {
            one.key = read(store, endorser, source, &one.fingerprint).await;
        }
    }
}

async fn read<S: ResourceStore>(
    store: &S,
    endorser: &Endorser,
    source: &FilesSource,
    fingerprint: &Fingerprint,
) -> Result<Arc<PublicKey>, String> {
    let found = files(store, &ObjectKey::of(endorser), source).await;
    let (kind, key, files) = found.map_err(|error| error.to_string())?;
    let files = files.ok_or_else(|| format!("expected the {kind} {key} with a public key, found none"))?;
    let read = PublicKey::read(files.values().map(Vec::as_slice), fingerprint);
    read.map_err(|error| format!("{kind} {key}: {error}"))
}
