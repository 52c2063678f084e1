//! Which of a service's addresses in Keystone's catalogue is used. Pure.

use std::fmt;

/// An interface in Keystone's catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interface {
    /// For users.
    #[default]
    Public,
    /// For the services of the cloud, often in a network of its own.
    Internal,
    /// For administrators.
    Admin,
}

impl Interface {
    /// The name in the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// Parses a name as in the catalogue or in `clouds.yaml`, which allows the old form `publicURL` too.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |interface: &Self| interface.as_str() == text.strip_suffix("URL").unwrap_or(text);
        [Self::Public, Self::Internal, Self::Admin].into_iter().find(named)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
