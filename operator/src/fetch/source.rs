//! A source: its URL, credentials and TLS settings.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::imagelist::SourceUrl;

/// One source to fetch from. `Debug` does not show its secrets.
#[derive(Debug, Clone)]
pub struct Source {
    /// The URL.
    pub url: SourceUrl,
    /// The credentials. They are sent only to the scheme, host and port of `url`.
    pub credentials: Option<Credentials>,
    /// The trusted certificate authorities, and the client certificate.
    pub tls: TlsSettings,
}

impl Source {
    /// A public source with the system's certificate authorities.
    pub fn public(url: SourceUrl) -> Self {
        Self { url, credentials: None, tls: TlsSettings::System }
    }
}

/// Credentials.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// HTTP Basic (RFC 7617).
    Basic {
        /// The user name. It may be a token, so it is a secret, too.
        username: SecretString,
        /// The password.
        password: SecretString,
    },
    /// A bearer token (RFC 6750).
    Bearer(SecretString),
}

impl Credentials {
    /// A user name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic { username: username.into().into(), password: password.into().into() }
    }

    /// A marketplace's token: Basic with the token as user name and `x-oauth-basic` as password.
    pub fn token(token: impl Into<String>) -> Self {
        Self::basic(token, "x-oauth-basic")
    }

    /// A bearer token.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::Bearer(token.into().into())
    }
}

/// The trusted certificate authorities, and the client certificate.
#[derive(Debug, Clone, Default)]
pub enum TlsSettings {
    /// The system's certificate authorities.
    #[default]
    System,
    /// The certificate authorities of a trust directory in the IGTF layout (`*.0` to `*.9`, `*.pem`), and no others.
    Grid(PathBuf),
    /// The source's own certificate authorities and client certificate.
    Own {
        /// PEM certificates of the only trusted authorities. `None` means those of the system.
        ca_pem: Option<Vec<u8>>,
        /// The client certificate. It is sent only to the scheme, host and port of the source.
        identity: Option<ClientIdentity>,
    },
}

/// A client certificate with its key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// PEM: the certificate first, then its chain.
    pub certificate_pem: Vec<u8>,
    /// PEM: the key, in PKCS #8 or traditional form, not encrypted.
    pub key_pem: SecretString,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity([redacted])")
    }
}
