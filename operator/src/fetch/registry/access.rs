//! What a source of a registry needs beside its address.

use std::sync::Arc;

use url::Url;

use crate::imagelist::oci::Repository;

/// The repository of a source, and where its credentials may go.
#[derive(Debug, Clone)]
pub struct RegistryAccess {
    /// The repository that tokens are asked for.
    pub repository: Repository,
    /// Which servers of tokens may have the credentials, beside the registry itself.
    pub realms: RealmRule,
}

/// Whether credentials may go to a server of tokens. The error says what allows it.
#[derive(Clone)]
pub struct RealmRule(Arc<Allows>);

type Allows = dyn Fn(&Url) -> Result<(), String> + Send + Sync;

crate::text::opaque!(RealmRule, "RealmRule");

impl RealmRule {
    /// A rule.
    pub fn new(allows: impl Fn(&Url) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }

    /// No other server may have them.
    pub fn none() -> Self {
        Self::new(|_| Err("its credentials go to the registry itself only".to_owned()))
    }

    /// Whether credentials may go there; the error says what allows it.
    pub fn allows(&self, url: &Url) -> Result<(), String> {
        (self.0)(url)
    }
}
