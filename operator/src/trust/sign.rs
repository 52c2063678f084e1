//! Signing a list: S/MIME `multipart/signed` (RFC 8551 section 3.5.3), for small publishers and for tests.

use base64::Engine as _;
use data_encoding::HEXUPPER;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::X509;

use super::{DistinguishedName, Sha256Digest, mime};

/// A certificate, its key, and the intermediate certificates that the message contains.
#[derive(Clone)]
pub struct SigningKey {
    certificate: X509,
    key: PKey<Private>,
    chain: Vec<X509>,
}

/// The list cannot be signed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignError {
    /// The expected PEM is missing. The message never contains a key.
    #[error("expected {expected} in PEM, found none that can be read")]
    Unreadable {
        /// What was expected.
        expected: &'static str,
    },
    /// The key does not belong to the certificate.
    #[error("expected the key of the certificate of {subject}, found another one")]
    KeyMismatch {
        /// The certificate's subject.
        subject: String,
    },
    /// OpenSSL failed.
    #[error("OpenSSL could not sign: {0}")]
    OpenSsl(#[from] ErrorStack),
}

impl SigningKey {
    /// Reads a certificate, its key without a pass phrase, and the intermediate certificates, all in PEM.
    pub fn from_pem(certificate: &[u8], key: &[u8], chain: &[u8]) -> Result<Self, SignError> {
        let unreadable = |expected| SignError::Unreadable { expected };
        let mut certificates = X509::stack_from_pem(certificate).unwrap_or_default();
        if certificates.is_empty() {
            return Err(unreadable("a certificate"));
        }
        let certificate = certificates.remove(0);
        // An empty pass phrase, so that OpenSSL does not prompt for one on the terminal.
        let key = PKey::private_key_from_pem_passphrase(key, b"")
            .map_err(|_| unreadable("a private key without a pass phrase"))?;
        let further = X509::stack_from_pem(chain).map_err(|_| unreadable("the intermediates"))?;
        certificates.extend(further);
        let signing = Self { certificate, key, chain: certificates };
        if signing.certificate.public_key()?.public_eq(&signing.key) {
            return Ok(signing);
        }
        Err(SignError::KeyMismatch { subject: signing.subject().map(|name| name.to_string()).unwrap_or_default() })
    }

    /// The subject, which must be the `hv:dn` of the list.
    pub fn subject(&self) -> Result<DistinguishedName, SignError> {
        Self::name(&self.certificate.subject_name().to_der()?)
    }

    /// The issuer, which must be the `hv:ca` of the list.
    pub fn issuer(&self) -> Result<DistinguishedName, SignError> {
        Self::name(&self.certificate.issuer_name().to_der()?)
    }

    fn name(der: &[u8]) -> Result<DistinguishedName, SignError> {
        DistinguishedName::from_der(der).ok_or(SignError::Unreadable { expected: "a certificate with names" })
    }
}

/// Signs a list with SHA-256. The text in the message has LF line ends. The signature is over the text with CRLF, as
/// every S/MIME reader expects.
pub fn sign(text: &[u8], signing: &SigningKey) -> Result<Vec<u8>, SignError> {
    let mut lines = text.to_vec();
    lines.retain(|byte| *byte != b'\r');
    let mut carried = Stack::new()?;
    for certificate in &signing.chain {
        carried.push(certificate.clone())?;
    }
    let options = CMSOptions::DETACHED | CMSOptions::BINARY;
    let text = mime::with_crlf(&lines);
    let cms =
        CmsContentInfo::sign(Some(&signing.certificate), Some(&signing.key), Some(&carried), Some(&text), options)?;
    Ok(envelope(&lines, &cms.to_der()?))
}

/// Builds the message of RFC 1847 section 2.1: the text, then its signature.
fn envelope(text: &[u8], signature: &[u8]) -> Vec<u8> {
    let boundary = format!("----{}", HEXUPPER.encode(&Sha256Digest::of(text).as_bytes()[..16]));
    let encoded = base64::engine::general_purpose::STANDARD.encode(signature);
    let mut message = format!(
        "MIME-Version: 1.0\n\
         Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=\"sha-256\"; \
         boundary=\"{boundary}\"\n\n\
         This is an S/MIME signed message\n\n--{boundary}\n"
    )
    .into_bytes();
    message.extend_from_slice(text);
    message.extend_from_slice(
        format!(
            "\n--{boundary}\n\
             Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\n\
             Content-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"smime.p7s\"\n\n"
        )
        .as_bytes(),
    );
    for line in encoded.as_bytes().chunks(64) {
        message.extend_from_slice(line);
        message.push(b'\n');
    }
    message.extend_from_slice(format!("\n--{boundary}--\n\n").as_bytes());
    message
}
