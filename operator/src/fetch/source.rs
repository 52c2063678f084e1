//! Where bytes are, who may have them and whose certificates are believed.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::imagelist::SourceUrl;

/// One place to fetch from. Shown without its secrets.
#[derive(Debug, Clone)]
pub struct Source {
    /// The address.
    pub url: SourceUrl,
    /// Who asks; sent to the scheme, host and port of `url` only.
    pub credentials: Option<Credentials>,
    /// Whose server certificates are believed.
    pub tls: TlsTrust,
}

impl Source {
    /// A public source under the system's certificate authorities.
    pub fn public(url: SourceUrl) -> Self {
        Self { url, credentials: None, tls: TlsTrust::System }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name; a token counts as a secret too, so it never shows.
        username: SecretString,
        /// Password.
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

/// Whose server certificates are believed.
#[derive(Debug, Clone, Default)]
pub enum TlsTrust {
    /// The system's certificate authorities.
    #[default]
    System,
    /// The certificate authorities of a trust directory in the IGTF layout (`*.0` to `*.9`, `*.pem`), and no others.
    Grid(PathBuf),
    /// Authorities and client certificate of one's own.
    Own {
        /// PEM certificates; believed and no others. `None`: the system's.
        ca_pem: Option<Vec<u8>>,
        /// The client's certificate, offered to the scheme, host and port of the source only.
        identity: Option<ClientIdentity>,
    },
}

/// A client certificate with its key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// PEM: the certificate first, then its chain.
    pub certificate_pem: Vec<u8>,
    /// PEM: the key, PKCS #8 or traditional, not encrypted.
    pub key_pem: SecretString,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity([redacted])")
    }
}
