//! Tokens of registries, kept until they expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::fetch::{Credentials, Source};

/// The most tokens that are kept.
const MOST_KEPT: usize = 256;
/// The longest time that a token is kept.
const LONGEST: Duration = Duration::from_hours(1);
/// A token is not used so shortly before it expires.
const MARGIN: Duration = Duration::from_secs(10);
/// The tokens that are still good. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(in crate::fetch) struct Tokens(Arc<Mutex<HashMap<TokenKey, (Instant, SecretString)>>>);

/// The key of a token: a digest of the registry, the repository and the credentials.
type TokenKey = [u8; 32];

impl Tokens {
    /// The token for a source, if there is one that is still good.
    pub(in crate::fetch) fn of(&self, source: &Source) -> Option<Credentials> {
        let key = key(source)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (until, _)| *until > Instant::now());
        kept.get(&key).map(|(_, token)| Credentials::Bearer(token.clone()))
    }

    /// Keeps a token until shortly before it expires.
    pub(super) fn keep(&self, source: &Source, token: &SecretString, good_for: Duration) {
        let Some(key) = key(source) else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(key, (Instant::now() + good_for.min(LONGEST).saturating_sub(MARGIN), token.clone()));
    }
}

fn key(source: &Source) -> Option<TokenKey> {
    let access = source.registry.as_ref()?;
    let origin = source.url.url().origin().ascii_serialization();
    let repository = access.repository.to_string();
    let (user, password) = match &source.credentials {
        None => ("", ""),
        Some(Credentials::Basic { username, password }) => (username.expose_secret(), password.expose_secret()),
        Some(Credentials::Bearer(token)) => ("", token.expose_secret()),
    };
    let mut digest = Sha256::new();
    for part in [&*origin, &*repository, user, password] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Some(digest.finalize().into())
}
