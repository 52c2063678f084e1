//! A source: its URL, credentials and TLS settings, and its certificates for the HTTP client.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use openssl::pkey::PKey;
use openssl::x509::X509;
use reqwest::{Certificate, ClientBuilder, Identity};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest, Sha256};

use super::registry::RegistryAccess;
use crate::imagelist::SourceUrl;
use crate::text::with_causes;

/// One source to fetch from. `Debug` does not show its secrets.
#[derive(Debug, Clone)]
pub struct Source {
    /// The URL.
    pub url: SourceUrl,
    /// The credentials. They are sent only to the scheme, host and port of `url`.
    pub credentials: Option<Credentials>,
    /// The trusted certificate authorities, and the client certificate.
    pub tls: TlsSettings,
    /// The repository, if the server is a registry of OCI artefacts, which may want tokens.
    pub registry: Option<RegistryAccess>,
}

impl Source {
    /// A public source with the system's certificate authorities.
    pub fn public(url: SourceUrl) -> Self {
        Self { url, credentials: None, tls: TlsSettings::System, registry: None }
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

crate::text::opaque!(ClientIdentity, "ClientIdentity([redacted])");

/// The maximum size of a certificate file, in bytes. Larger files are ignored.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The key of a source's TLS settings; `None` for the system's settings, which are shared.
pub(super) fn key(trust: &TlsSettings, own: bool) -> Option<[u8; 32]> {
    let mut parts: Vec<&[u8]> = Vec::new();
    match trust {
        TlsSettings::System => return None,
        TlsSettings::Grid(directory) => parts.extend([b"grid".as_slice(), directory.as_os_str().as_encoded_bytes()]),
        TlsSettings::Own { ca_pem, identity } => {
            parts.extend([b"own".as_slice(), ca_pem.as_deref().unwrap_or_default()]);
            if let Some(identity) = identity.as_ref().filter(|_| own) {
                parts.extend([identity.certificate_pem.as_slice(), identity.key_pem.expose_secret().as_bytes()]);
            }
        }
    }
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Some(digest.finalize().into())
}

/// The certificate authorities of a trust directory in the IGTF layout. A file without a certificate is ignored.
pub(super) fn directory(directory: &Path) -> Result<Vec<Certificate>, String> {
    let unreadable =
        |error: &dyn std::fmt::Display| format!("expected a trust directory at {}: {error}", directory.display());
    let mut seen = BTreeSet::new();
    let mut trusted = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        let small = std::fs::metadata(&path).is_ok_and(|about| about.is_file() && about.len() <= LARGEST_FILE);
        if !small || !holds_an_authority(&path) {
            continue;
        }
        let Ok(pem) = std::fs::read(&path) else { continue };
        for certificate in X509::stack_from_pem(&pem).unwrap_or_default() {
            let Ok(der) = certificate.to_der() else { continue };
            if seen.insert(der.clone()) {
                trusted.push(Certificate::from_der(&der).map_err(|error| unreadable(&with_causes(&error)))?);
            }
        }
    }
    if trusted.is_empty() { Err(unreadable(&"found no certificate in it")) } else { Ok(trusted) }
}

fn holds_an_authority(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    extension == "pem" || (extension.len() == 1 && extension.bytes().all(|c| c.is_ascii_digit()))
}

/// Sets a source's own certificate authorities and client certificate.
pub(super) fn own(
    builder: ClientBuilder,
    ca_pem: Option<&[u8]>,
    identity: Option<&ClientIdentity>,
) -> Result<ClientBuilder, String> {
    let mut builder = builder;
    if let Some(pem) = ca_pem {
        let certificates =
            X509::stack_from_pem(pem).map_err(|error| format!("expected PEM certificates in ca.crt: {error}"))?;
        if certificates.is_empty() {
            return Err("expected PEM certificates in ca.crt, found none".to_owned());
        }
        let trusted: Result<Vec<Certificate>, String> = certificates
            .iter()
            .map(|certificate| {
                let der = certificate.to_der().map_err(|error| error.to_string())?;
                Certificate::from_der(&der).map_err(|error| with_causes(&error))
            })
            .collect();
        builder = builder.tls_certs_only(trusted?);
    }
    if let Some(identity) = identity {
        builder = builder.identity(client_identity(identity)?);
    }
    Ok(builder)
}

/// Converts the key to PKCS #8, the only form that the TLS library accepts. The messages do not contain OpenSSL's text.
fn client_identity(identity: &ClientIdentity) -> Result<Identity, String> {
    let key = PKey::private_key_from_pem_callback(identity.key_pem.expose_secret().as_bytes(), |_| Ok(0))
        .and_then(|key| key.private_key_to_pem_pkcs8())
        .map_err(|_| "expected an unencrypted PEM key in tls.key, found something else".to_owned())?;
    Identity::from_pkcs8_pem(&identity.certificate_pem, &key)
        .map_err(|_| "expected a PEM certificate in tls.crt that belongs to tls.key, found something else".to_owned())
}
