//! Credentials and what belongs to them. Pure.

use secrecy::SecretString;

use crate::openstack::interface::Interface;

/// Credentials for Keystone. `Debug` does not show the secret.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An application credential by its id. It has a project and roles of its own.
    ApplicationCredentialId {
        /// The id of the application credential.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// An application credential by its name, which is unique for its user.
    ApplicationCredentialName {
        /// The name of the application credential.
        name: String,
        /// Its user.
        user: User,
        /// Its secret.
        secret: SecretString,
    },
    /// A user with a password, for a project.
    Password {
        /// The user.
        user: User,
        /// The password.
        password: SecretString,
        /// The project.
        project: Project,
    },
}

/// A user in Keystone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// By id.
    Id(String),
    /// By name, which is unique in its domain.
    Name {
        /// The name.
        name: String,
        /// The domain of the user.
        domain: Domain,
    },
}

/// A project in Keystone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Project {
    /// By id.
    Id(String),
    /// By name, which is unique in its domain.
    Name {
        /// The name.
        name: String,
        /// The domain of the project.
        domain: Domain,
    },
}

/// A domain in Keystone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By id, such as `default`.
    Id(String),
    /// By name, such as `Default`.
    Name(String),
}

/// What a `clouds.yaml` says beside the credentials. Used where the configuration says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudSettings {
    /// `region_name`.
    pub region: Option<String>,
    /// `interface`.
    pub interface: Option<Interface>,
}

impl Credentials {
    /// The secret or password.
    pub(in crate::openstack) fn secret(&self) -> &SecretString {
        match self {
            Self::ApplicationCredentialId { secret, .. } | Self::ApplicationCredentialName { secret, .. } => secret,
            Self::Password { password, .. } => password,
        }
    }
}
