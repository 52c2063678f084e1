//! Resolves the source of a subscription and its Secrets: the address, the credentials and the certificates.

mod registry;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::exchange::{ListInForce, ListOrigin};
use super::tls::CheckedTls;
use crate::api::{Class, ObjectKey};
use crate::fetch::{ClientIdentity, Credentials, Source, TlsSettings};
use crate::imagelist::SourceUrl;
use crate::openstack;
use crate::store::{ResourceStore, SecretData, StoreError};
use crate::trust::DecryptionKey;

/// Why the credentials or certificates of a source are not available.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The Secret does not exist yet.
    #[error("expected the Secret {key}, found none")]
    SecretNotFound {
        /// The Secret.
        key: ObjectKey,
    },
    /// The Secret does not have the required entries.
    #[error("Secret {key}: expected {expected}, found the entries {found}")]
    SecretInvalid {
        /// The Secret.
        key: ObjectKey,
        /// The required entries.
        expected: &'static str,
        /// The names of the entries that were found, never their values.
        found: String,
    },
    /// The entries of the Secret are no credentials for the cloud.
    #[error("Secret {key}: {message}")]
    CredentialsInvalid {
        /// The Secret.
        key: ObjectKey,
        /// What was expected and what was found.
        message: String,
    },
    /// The Secret does not allow this use or this address.
    #[error("Secret {key}: {message}")]
    NotAllowed {
        /// The Secret.
        key: ObjectKey,
        /// Why, and what to add.
        message: String,
    },
    /// The Secret cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SourceError {
    /// The class of the error.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::SecretNotFound { .. } => Class::Waiting,
            Self::SecretInvalid { .. } | Self::CredentialsInvalid { .. } | Self::NotAllowed { .. } => Class::Stalled,
            Self::Store(error) => error.class(),
        }
    }

    /// The condition reason.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::SecretNotFound { .. } => "SecretNotFound",
            Self::SecretInvalid { .. } | Self::CredentialsInvalid { .. } => "SecretInvalid",
            Self::NotAllowed { .. } => "CredentialsNotAllowed",
            Self::Store(error) => error.reason(),
        }
    }
}

/// The source of one address. The list's credentials and certificates are used only for an address on the same server
/// (scheme, host and port) as the list. For other servers no credentials are sent, and the system's authorities are
/// used. Each Secret must allow the address.
pub(super) async fn source<S: ResourceStore>(
    store: &S,
    namespace: &str,
    origin: &ListOrigin,
    url: &SourceUrl,
    trust_directory: &std::path::Path,
) -> Result<Source, SourceError> {
    if url.url().origin() != origin.url.url().origin() {
        return Ok(Source::public(url.clone()));
    }
    let (credentials, registry) = match (&origin.secret, &origin.registry) {
        (None, None) => (None, None),
        (Some(name), None) => (Some(credentials_for(store, namespace, name, url).await?), None),
        (None, Some(repository)) => (None, Some(registry::anonymous(repository))),
        (Some(name), Some(repository)) => {
            let secret = read(store, namespace, name).await?;
            let (credentials, access) = registry::credentials(&secret, repository, url)?;
            (Some(credentials), Some(access))
        }
    };
    let tls = match &origin.tls {
        CheckedTls::System(None) => TlsSettings::System,
        CheckedTls::System(Some(name)) => {
            let secret = read(store, namespace, name).await?;
            TlsSettings::Own { ca_pem: None, identity: Some(identity_for(&secret, url.url())?) }
        }
        CheckedTls::Grid => TlsSettings::Grid(trust_directory.to_owned()),
        CheckedTls::Secret(name) => own_authority(&read(store, namespace, name).await?, url.url())?,
    };
    Ok(Source { url: url.clone(), credentials, tls, registry })
}

/// The source of an image at an address that a list has, with the credentials of the list in force where they apply.
pub async fn image_source<S: ResourceStore>(
    store: &S,
    namespace: &str,
    list: Option<&ListInForce>,
    url: &SourceUrl,
    trust_directory: &std::path::Path,
) -> Result<Source, SourceError> {
    match list {
        Some(list) => source(store, namespace, &list.source, url, trust_directory).await,
        None => Ok(Source::public(url.clone())),
    }
}

/// The credentials of a Secret. Fails if the Secret does not allow the address.
pub async fn credentials_for<S: ResourceStore>(
    store: &S,
    namespace: &str,
    name: &str,
    url: &SourceUrl,
) -> Result<Credentials, SourceError> {
    let secret = read(store, namespace, name).await?;
    let credentials = credentials(&secret)?;
    secret.data.allows(url.url()).map_err(|message| secret.not_allowed(message))?;
    Ok(credentials)
}

/// The site's key for encrypted lists, from a Secret with `tls.crt` and `tls.key`.
pub(super) async fn decryption_key<S: ResourceStore>(
    store: &S,
    namespace: &str,
    name: &str,
) -> Result<DecryptionKey, SourceError> {
    let secret = read(store, namespace, name).await?;
    let ClientIdentity { certificate_pem, key_pem } = identity(&secret)?;
    DecryptionKey::from_pem(&certificate_pem, key_pem.expose_secret().as_bytes())
        .map_err(|_| secret.invalid("tls.crt and tls.key in PEM, without a pass phrase"))
}

/// The certificates for the server of a cloud, from Secrets.
#[derive(Debug, Default)]
pub(super) struct CloudCertificates {
    /// The only authorities that are trusted for the server (PEM); `None` means those of the system.
    pub authorities: Option<Vec<u8>>,
    /// A client certificate and its key (PEM).
    pub identity: Option<(Vec<u8>, SecretString)>,
}

/// Reads the certificates for the server of a cloud.
pub(super) async fn cloud_certificates<S: ResourceStore>(
    store: &S,
    namespace: &str,
    endpoint: &Url,
    tls: &CheckedTls,
) -> Result<CloudCertificates, SourceError> {
    let mut certificates = CloudCertificates::default();
    let (secret, own) = match tls {
        CheckedTls::System(None) | CheckedTls::Grid => return Ok(certificates),
        CheckedTls::System(Some(name)) => (read(store, namespace, name).await?, false),
        CheckedTls::Secret(name) => (read(store, namespace, name).await?, true),
    };
    if own {
        let ca = secret.text("ca.crt").ok_or_else(|| secret.invalid("ca.crt"))?;
        certificates.authorities = Some(ca.expose_secret().as_bytes().to_vec());
    }
    if !own || secret.data.entries.contains_key("tls.crt") {
        let identity = identity_for(&secret, endpoint)?;
        certificates.identity = Some((identity.certificate_pem, identity.key_pem));
    }
    Ok(certificates)
}

/// The session with an OpenNebula, `user:password`, from the entries `username` and `password` of a Secret, or from the
/// line in `one_auth`.
pub(super) async fn opennebula_session<S: ResourceStore>(
    store: &S,
    namespace: &str,
    endpoint: &Url,
    secret: &str,
) -> Result<SecretString, SourceError> {
    let secret = read(store, namespace, secret).await?;
    secret.data.holds_credentials().map_err(|message| secret.not_allowed(message))?;
    let session = match (secret.text("username"), secret.text("password"), secret.text("one_auth")) {
        (Some(user), Some(password), None) => format!("{}:{}", user.expose_secret(), password.expose_secret()).into(),
        (None, None, Some(line)) if line.expose_secret().contains(':') => line,
        _ => return Err(secret.invalid("username and password, or one_auth with the line user:password")),
    };
    secret.data.does_not_refuse(endpoint).map_err(|message| secret.not_allowed(message))?;
    Ok(session)
}

/// The credentials for Keystone from the Secret of a namespace with this name, and what its `clouds.yaml` says besides.
pub(super) async fn openstack_credentials<S: ResourceStore>(
    store: &S,
    (namespace, secret): (&str, &str),
    auth_url: &Url,
    cloud: Option<&str>,
) -> Result<(openstack::Credentials, openstack::CloudSettings), SourceError> {
    let secret = read(store, namespace, secret).await?;
    secret.data.holds_credentials().map_err(|message| secret.not_allowed(message))?;
    let names: Vec<String> = secret.data.entries.keys().cloned().collect();
    let credentials = openstack::Credentials::from_entries(|entry| secret.text(entry), &names, cloud, auth_url);
    let credentials = credentials
        .map_err(|error| SourceError::CredentialsInvalid { key: secret.key.clone(), message: error.to_string() })?;
    secret.data.does_not_refuse(auth_url).map_err(|message| secret.not_allowed(message))?;
    Ok(credentials)
}

/// A Secret with its key, for messages.
struct Named {
    key: ObjectKey,
    data: SecretData,
}

async fn read<S: ResourceStore>(store: &S, namespace: &str, name: &str) -> Result<Named, SourceError> {
    let key = ObjectKey::new(namespace, name);
    match store.secret(&key).await? {
        Some(data) => Ok(Named { key, data }),
        None => Err(SourceError::SecretNotFound { key }),
    }
}

impl Named {
    fn not_allowed(&self, message: String) -> SourceError {
        SourceError::NotAllowed { key: self.key.clone(), message }
    }

    fn invalid(&self, expected: &'static str) -> SourceError {
        let found = self.data.entries.keys().cloned().collect::<Vec<_>>().join(", ");
        SourceError::SecretInvalid { key: self.key.clone(), expected, found }
    }

    /// An entry as text, without line breaks at its end; `None` if it is missing or not UTF-8.
    fn text(&self, entry: &str) -> Option<SecretString> {
        let text = std::str::from_utf8(self.data.entries.get(entry)?.expose_secret()).ok()?;
        Some(text.trim_end_matches(['\r', '\n']).to_owned().into())
    }
}

fn credentials(secret: &Named) -> Result<Credentials, SourceError> {
    secret.data.holds_credentials().map_err(|message| secret.not_allowed(message))?;
    let (user, password) = (secret.text("username"), secret.text("password"));
    match (secret.text("token"), secret.text("bearerToken"), user, password) {
        (Some(token), None, None, None) => Ok(Credentials::token(token.expose_secret())),
        (None, Some(bearer), None, None) => Ok(Credentials::Bearer(bearer)),
        (None, None, Some(username), Some(password)) => Ok(Credentials::Basic { username, password }),
        _ => Err(secret.invalid("one of: username and password; token; bearerToken")),
    }
}

/// The client certificate for an address. Fails if the Secret does not allow the address.
fn identity_for(secret: &Named, url: &Url) -> Result<ClientIdentity, SourceError> {
    secret.data.does_not_refuse(url).map_err(|message| secret.not_allowed(message))?;
    identity(secret)
}

fn identity(secret: &Named) -> Result<ClientIdentity, SourceError> {
    secret.data.holds_certificates().map_err(|message| secret.not_allowed(message))?;
    let (certificate, key) = (secret.text("tls.crt"), secret.text("tls.key"));
    let (Some(certificate), Some(key_pem)) = (certificate, key) else {
        return Err(secret.invalid("tls.crt and tls.key"));
    };
    Ok(ClientIdentity { certificate_pem: certificate.expose_secret().as_bytes().to_vec(), key_pem })
}

fn own_authority(secret: &Named, url: &Url) -> Result<TlsSettings, SourceError> {
    let ca = secret.text("ca.crt").ok_or_else(|| secret.invalid("ca.crt"))?;
    let has_identity = secret.data.entries.contains_key("tls.crt");
    let identity = if has_identity { Some(identity_for(secret, url)?) } else { None };
    Ok(TlsSettings::Own { ca_pem: Some(ca.expose_secret().as_bytes().to_vec()), identity })
}
