//! An endorser's own trust anchors, from a `ConfigMap` or a Secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::anchors::from_files;
use crate::api::{Endorser, FilesSource, ObjectKey};
use crate::store::{ResourceStore, StoreError};
use crate::trust::Anchors;

/// Why an endorser's own anchors are not available. Lists that were accepted with them stay in force meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum OwnAnchorsError {
    /// The object does not exist yet.
    #[error("expected the {kind} {key} with trust anchors, found none")]
    NotFound {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its key.
        key: ObjectKey,
    },
    /// The object contains no certificate authority.
    #[error("{kind} {key}: expected certificate authorities, found none; {problems}")]
    Empty {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its key.
        key: ObjectKey,
        /// What is wrong with its entries.
        problems: String,
    },
    /// The object cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The endorser's own anchors; `None` if its spec names none.
pub(super) async fn own_anchors<S: ResourceStore>(
    store: &S,
    endorser: &Endorser,
) -> Result<Option<Arc<Anchors>>, OwnAnchorsError> {
    let Some(source) = &endorser.spec.trust_anchors else { return Ok(None) };
    let (kind, key, files) = files(store, &ObjectKey::of(endorser), source).await?;
    let Some(files) = files else { return Err(OwnAnchorsError::NotFound { kind, key }) };
    let (anchors, problems) = from_files(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    if anchors.count() > 0 {
        return Ok(Some(Arc::new(anchors)));
    }
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let problems = problems.join("; ");
    Err(OwnAnchorsError::Empty { kind, key, problems })
}

/// The kind and the key of an object with files, and its entries; `None` if it does not exist.
pub(super) type Kept = (&'static str, ObjectKey, Option<BTreeMap<String, Vec<u8>>>);

/// The entries of the `ConfigMap`, or else of the Secret, that an endorser names.
pub(super) async fn files<S: ResourceStore>(
    store: &S,
    endorser: &ObjectKey,
    source: &FilesSource,
) -> Result<Kept, StoreError> {
    if let Some(reference) = &source.config_map_ref {
        let key = endorser.sibling(&reference.name);
        let files = store.config_map(&key).await?;
        return Ok(("ConfigMap", key, files));
    }
    let key = endorser.sibling(source.secret_ref.as_ref().map_or("", |reference| reference.name.as_str()));
    let secret = store.secret(&key).await?;
    let files = secret
        .map(|secret| secret.entries.into_iter().map(|(name, bytes)| (name, bytes.expose_secret().to_vec())).collect());
    Ok(("Secret", key, files))
}
