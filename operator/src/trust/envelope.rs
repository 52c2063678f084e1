//! What can surround a signed message: encryption to the site's key, and detached signatures in separate files.

use std::borrow::Cow;

use base64::Engine as _;
use data_encoding::HEXUPPER;
use openssl::cms::CmsContentInfo;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::mime::{ContentType, Entity, without_preface};
use super::sign::SignError;
use super::{Refusal, RefusalReason, Sha256Digest, openpgp, pem};

/// `id-envelopedData` and `id-ct-authEnvelopedData` (RFC 5652 section 6, RFC 5083), as object identifiers in DER.
const ENVELOPED: [&[u8]; 2] = [
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03],
    &[0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17],
];

/// The site's key for lists that are encrypted to it. `Debug` does not show it.
#[derive(Clone)]
pub struct DecryptionKey {
    certificate: X509,
    key: PKey<Private>,
}

crate::text::opaque!(DecryptionKey, "DecryptionKey");

impl DecryptionKey {
    /// Reads the certificate that lists are encrypted to, and its private key without a pass phrase, both in PEM.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, SignError> {
        let unreadable = |expected| SignError::Unreadable { expected };
        let certificate = X509::from_pem(certificate).map_err(|_| unreadable("a certificate"))?;
        let key = PKey::private_key_from_pem_passphrase(key, b"")
            .map_err(|_| unreadable("a private key without a pass phrase"))?;
        Ok(Self { certificate, key })
    }
}

/// Whether a message is encrypted: S/MIME `application/pkcs7-mime`, or CMS in PEM or DER.
pub fn is_encrypted(message: &[u8]) -> bool {
    enveloped(message).is_some()
}

/// The signed message inside an encrypted one. A message that is not encrypted is returned unchanged. The signature
/// inside protects the content, so all decryption failures have the same error.
pub fn decrypt<'a>(message: &'a [u8], key: Option<&DecryptionKey>) -> Result<Cow<'a, [u8]>, Refusal> {
    let Some(der) = enveloped(message) else { return Ok(Cow::Borrowed(message)) };
    let failed = |why: &str| Refusal::new(RefusalReason::DecryptionFailed, why);
    let key = key.ok_or_else(|| failed("the list is encrypted, and there is no key to open it with"))?;
    let opened = CmsContentInfo::from_der(&der).and_then(|cms| cms.decrypt(&key.key, &key.certificate));
    let opened = opened.map_err(|_| failed("expected a list that is encrypted to the site's certificate"))?;
    if is_encrypted(&opened) {
        return Err(failed("expected a signed list inside, found another encrypted one"));
    }
    Ok(Cow::Owned(opened))
}

/// The CMS of an encrypted message.
fn enveloped(message: &[u8]) -> Option<Vec<u8>> {
    let start = without_preface(message);
    let entity = Entity::read(start);
    let kind = entity.as_ref().map(kind).unwrap_or_default();
    let cms = match (&entity, kind.as_str()) {
        _ if message.first() == Some(&0x30) => Cow::Borrowed(message),
        (Some(entity), "application/pkcs7-mime" | "application/x-pkcs7-mime") => entity.decoded_body().ok()?,
        // These kinds are not searched for PEM, because the message may be large.
        (_, "multipart/signed") => return None,
        _ if openpgp::is_openpgp(message) || start.starts_with(b"{") => return None,
        _ => Cow::Owned(pem::blocks(start).iter().find(|block| block.is_cms())?.decoded()?),
    };
    // The type follows the header of the outer SEQUENCE, which has 2 to 6 octets (one for an indefinite length).
    let is_type =
        |start: usize| ENVELOPED.iter().any(|kind| cms.get(start..).is_some_and(|rest| rest.starts_with(kind)));
    (2..=6).any(is_type).then(|| cms.into_owned())
}

/// The `Content-Type` of an entity, without its parameters.
fn kind(entity: &Entity<'_>) -> String {
    entity.header("Content-Type").map(|value| ContentType::read(&value).kind).unwrap_or_default()
}

/// Joins a list and its detached signatures (`<url>.p7s`, CMS in DER or PEM; `<url>.asc`, OpenPGP in ASCII armour or
/// packets) into one message, which is stored and verified like any other. RFC 1847 allows exactly one signature; more
/// than one is an extension that only this operator writes and reads.
pub fn join_detached(list: &[u8], signatures: &[Vec<u8>]) -> Vec<u8> {
    let whole = signatures.iter().fold(list.to_vec(), |whole, signature| [whole, signature.clone()].concat());
    let boundary = format!("----{}", HEXUPPER.encode(&Sha256Digest::of(&whole).as_bytes()[..16]));
    let head = format!("MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=\"{boundary}\"\n\n--{boundary}\n");
    let mut message = [head.as_bytes(), list].concat();
    for signature in signatures {
        let (kind, bytes) = if is_openpgp_signature(signature) {
            ("application/pgp-signature", None)
        } else {
            let der = pem::blocks(signature).iter().find(|block| block.is_cms()).and_then(pem::Block::decoded);
            ("application/pkcs7-signature", der)
        };
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes.as_ref().unwrap_or(signature));
        let part = format!("\n--{boundary}\nContent-Type: {kind}\nContent-Transfer-Encoding: base64\n\n{encoded}");
        message.extend_from_slice(part.as_bytes());
    }
    message.extend_from_slice(format!("\n--{boundary}--\n").as_bytes());
    message
}

/// Whether the bytes of a `.asc` file are OpenPGP signatures. A server may return an HTML page for a file that does not
/// exist.
pub fn is_openpgp_signature(bytes: &[u8]) -> bool {
    openpgp::is_detached(bytes)
}

/// Whether the text of a message may be larger than the message, judged by its first bytes. OpenPGP packets may be
/// compressed.
pub fn expands(beginning: &[u8]) -> bool {
    openpgp::is_openpgp(beginning) && !openpgp::is_cleartext(beginning)
}

/// Whether a message is the plain text of a list. Its signature may be a separate file.
pub fn is_plain_list(message: &[u8]) -> bool {
    message.trim_ascii_start().starts_with(b"{")
}
