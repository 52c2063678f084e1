//! Which object: its kind, its namespace and its name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object of that namespace and name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object at hand.
    pub fn of(object: &impl kube::Resource) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }

    /// The key of an object that this one's namespace holds too.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self::new(self.namespace.clone(), name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kinds that are reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// [`Endorser`](super::Endorser).
    Endorser,
    /// [`ImageListSubscription`](super::ImageListSubscription).
    #[serde(rename = "ImageListSubscription")]
    Subscription,
    /// [`CachedImage`](super::CachedImage).
    #[serde(rename = "CachedImage")]
    Image,
    /// [`CloudTarget`](super::CloudTarget).
    #[serde(rename = "CloudTarget")]
    Target,
}

/// As in manifests and in `kubectl`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Endorser => "Endorser",
            Self::Subscription => "ImageListSubscription",
            Self::Image => "CachedImage",
            Self::Target => "CloudTarget",
        })
    }
}
