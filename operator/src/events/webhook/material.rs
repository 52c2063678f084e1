//! The files that a delivery needs: the key of the signature, the bearer token, certificates.

use std::path::Path;

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::{Digest as _, Sha256};

use super::super::input_file::{read, unreadable, without_line_end};
use super::super::settings::WebhookSettings;
use super::super::sink::SinkError;
use super::signature::Key;

/// The largest key or token, in bytes.
const LARGEST_SECRET: u64 = 16 * 1024;

/// The largest file of certificates, in bytes. All authorities of the web have about 250 KiB.
const LARGEST_CERTIFICATES: u64 = 4 << 20;

/// The content of the files that the settings name.
pub(super) struct Material {
    /// The key of the signature.
    pub(super) key: Option<Key>,
    /// The bearer token.
    pub(super) token: Option<Token>,
    /// The files for TLS.
    pub(super) tls: TlsMaterial,
}

/// The files for TLS.
pub(super) struct TlsMaterial {
    /// The PEM certificates of the only authorities.
    pub(super) authorities: Option<Vec<u8>>,
    /// The PEM certificate of the client, and its key.
    pub(super) identity: Option<(Vec<u8>, SecretSlice<u8>)>,
}

/// A bearer token.
pub(super) struct Token(SecretString);

impl Material {
    /// Reads the files. It blocks.
    pub(super) fn read(settings: &WebhookSettings) -> Result<Self, SinkError> {
        let key = |path| Key::of_file(&read(path, LARGEST_SECRET)?).map_err(|found| unreadable(path, found));
        Ok(Self {
            key: settings.hmac_key.as_deref().map(key).transpose()?,
            token: settings.token.as_deref().map(Token::read).transpose()?,
            tls: TlsMaterial::read(settings)?,
        })
    }
}

impl TlsMaterial {
    fn read(settings: &WebhookSettings) -> Result<Self, SinkError> {
        let authorities = settings.tls.authorities.as_deref();
        let identity = |certificate: &Path, key: &Path| {
            Ok((read(certificate, LARGEST_CERTIFICATES)?, SecretSlice::from(read(key, LARGEST_CERTIFICATES)?)))
        };
        Ok(Self {
            authorities: authorities.map(|path| read(path, LARGEST_CERTIFICATES)).transpose()?,
            identity: settings
                .tls
                .identity
                .as_ref()
                .map(|(certificate, key)| identity(certificate, key))
                .transpose()?,
        })
    }

    /// The digest of the files. Connections are made again when it changes, and no private key is kept for that.
    pub(super) fn digest(&self) -> [u8; 32] {
        let identity = self.identity.as_ref();
        let parts = [
            self.authorities.as_deref(),
            identity.map(|(certificate, _)| certificate.as_slice()),
            identity.map(|(_, key)| key.expose_secret()),
        ];
        let mut digest = Sha256::new();
        for part in parts {
            // The length of a part that does not exist is that of no part.
            digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            digest.update(part.unwrap_or_default());
        }
        digest.finalize().into()
    }
}

impl Token {
    /// The token in a file: visible ASCII characters (RFC 6750 section 2.1 has fewer), and one line end that does not
    /// count.
    fn read(path: &Path) -> Result<Self, SinkError> {
        let bytes = read(path, LARGEST_SECRET)?;
        let token = without_line_end(&bytes);
        let text = str::from_utf8(token).ok().filter(|text| !text.is_empty() && text.bytes().all(is_visible));
        let refuse =
            || unreadable(path, "expected a token of visible ASCII characters, found something else".to_owned());
        Ok(Self(text.ok_or_else(refuse)?.into()))
    }

    /// The value of `Authorization`; `None` if it cannot be one.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A text without the token, which a receiver may repeat.
    pub(super) fn remove_from(&self, text: &str) -> String {
        text.replace(self.0.expose_secret(), "…")
    }
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}
