//! Parses a fetched message: its form, its signed text, and its signatures.

use std::borrow::Cow;
use std::sync::Arc;

use super::cms::SignedData;
use super::mime::{self, ContentType, Entity};
use super::signed_text::{SignedText, TextForm};
use super::signer::AuthenticatedSigner;
use super::{PublicKey, Refusal, RefusalReason, appearance, is_encrypted, openpgp, pem};
use crate::imagelist::SignedFile;

/// The maximum size of a message, in bytes.
const LARGEST: usize = 64 << 20;
/// The maximum number of signature parts in one message. RFC 1847 has exactly one; a list with detached signatures in
/// separate files can have more.
const MOST_PARTS: usize = 16;
/// The maximum number of signatures in one message, over all its parts. Each is verified over the whole text.
const MOST_SIGNATURES: usize = 16;

/// A message with at least one signature. Nothing in it is verified yet.
#[derive(Debug, Clone)]
pub struct SignedMessage<'m> {
    form: &'static str,
    /// The signed text. The first of its forms for which all signatures are valid is used.
    text: SignedText<'m>,
    signatures: Vec<SignedData>,
    /// Signatures of OpenPGP over the same text.
    openpgp: Vec<openpgp::DataSignature>,
}

/// A message whose signatures are all valid.
#[derive(Debug, Clone)]
pub(super) struct AuthenticatedMessage<'m> {
    /// The text that was signed.
    text: SignedText<'m>,
    pub(super) signers: Vec<AuthenticatedSigner>,
}

impl<'m> SignedMessage<'m> {
    /// Detects the form of a message and parses it: S/MIME `multipart/signed` and `application/pkcs7-mime`, CMS in PEM
    /// and DER, OpenPGP clear-signed and signed.
    pub fn read(message: &'m [u8]) -> Result<Self, Refusal> {
        if message.len() > LARGEST {
            let found = format!("expected a message of at most {LARGEST} bytes, found {}", message.len());
            return Err(Refusal::new(RefusalReason::ListMalformed, found));
        }
        if is_encrypted(message) {
            return Err(Refusal::new(RefusalReason::DecryptionFailed, "the list is encrypted, and was not opened"));
        }
        if message.first() == Some(&0x30) {
            return Self::opaque("CMS in DER", message);
        }
        if openpgp::is_openpgp(message) {
            let openpgp::Message { form, text, signatures } = openpgp::read(message, LARGEST)?;
            return Ok(Self { form, text, signatures: Vec::new(), openpgp: signatures });
        }
        let start = mime::without_preface(message);
        if start.starts_with(b"{") {
            return Err(unsigned(start));
        }
        let entity = Entity::read(start);
        let signed = entity.as_ref().and_then(Self::from_entity);
        signed.or_else(|| Self::from_pem(start)).unwrap_or_else(|| Err(unsigned(start)))
    }

    /// A file that is clear-signed, or has a detached OpenPGP signature.
    pub(super) fn of_file(file: SignedFile<'m>) -> Result<Self, Refusal> {
        let is_clear_signed = openpgp::is_cleartext(file.text);
        match file.signature {
            None if is_clear_signed => Self::read(file.text),
            None => {
                let found = appearance::of(file.text);
                let message = format!("expected a clear-signed file or a signature beside it, found {found}");
                Err(Refusal::new(RefusalReason::Unsigned, message))
            }
            Some(_) if is_clear_signed => {
                Err(invalid("expected a plain file for its detached signature, found a clear-signed file"))
            }
            Some(signature) => {
                let signatures = openpgp::detached(signature)?;
                Self::of("OpenPGP, detached", SignedText::in_any_form(file.text), Vec::new(), signatures)
            }
        }
    }

    /// The text of a signed file, of which no signature is verified. It only says where the other files of its source are.
    pub(super) fn unverified_text(file: SignedFile<'m>) -> Result<Vec<u8>, Refusal> {
        Self::of_file(file).map(|message| message.text.bytes().to_vec())
    }

    /// The signed JSON, for tools that show or lint it. The CMS signatures must be valid, but the signers are not
    /// checked, and OpenPGP signatures are not verified. So this is not a verification, and its result must never be
    /// published.
    pub fn into_payload(self) -> Result<Vec<u8>, Refusal> {
        self.verify_signature(&[])?.payload().map(Cow::into_owned)
    }

    /// A short description of the message, for the checks.
    pub(super) fn described(&self) -> String {
        let certified: usize = self.signatures.iter().map(|signed| signed.signers.len()).sum();
        let count = certified + self.openpgp.len();
        format!("{}, {count} signature{}", self.form, if count == 1 { "" } else { "s" })
    }

    /// Reads one PEM block of CMS. The text around it is not signed and is ignored. `None` if there is no such block.
    fn from_pem(text: &[u8]) -> Option<Result<Self, Refusal>> {
        let found: Vec<_> = pem::blocks(text).into_iter().filter(pem::Block::is_cms).collect();
        let broken = || Err(invalid("expected a PEM block of CMS, found one that is cut off or no base64"));
        match found.as_slice() {
            [] => None,
            [block] => Some(block.decoded().map_or_else(broken, |der| Self::opaque("CMS in PEM", &der))),
            several => {
                Some(Err(invalid(&format!("expected one PEM block of CMS, found {} PEM blocks", several.len()))))
            }
        }
    }

    fn opaque(form: &'static str, der: &[u8]) -> Result<Self, Refusal> {
        let mut signed = SignedData::read(der).map_err(|found| invalid(&format!("found {found}")))?;
        let text = signed
            .content
            .take()
            .ok_or_else(|| invalid("expected the text inside the signature, found a detached signature alone"))?;
        Self::of(form, SignedText::as_it_stands(text), vec![signed], Vec::new())
    }

    /// `None` if it is not a signed entity.
    fn from_entity(entity: &Entity<'m>) -> Option<Result<Self, Refusal>> {
        let kind = ContentType::read(&entity.header("Content-Type")?);
        match kind.kind.as_str() {
            "multipart/signed" => Some(Self::from_multipart(entity.body, &kind)),
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
                let der = entity.decoded_body().map_err(|found| invalid(&format!("found {found}")));
                Some(der.and_then(|der| Self::opaque("S/MIME application/pkcs7-mime", &der)))
            }
            _ => None,
        }
    }

    fn from_multipart(body: &'m [u8], kind: &ContentType) -> Result<Self, Refusal> {
        let boundary = kind.parameter("boundary").ok_or_else(|| invalid("expected a boundary, found none"))?;
        let parts = mime::parts(body, boundary).map_err(|found| invalid(&format!("found {found}")))?;
        let [text, signatures @ ..] = parts.as_slice() else { return Err(invalid("expected a text, found no part")) };
        if !(1..=MOST_PARTS).contains(&signatures.len()) {
            let found = signatures.len();
            return Err(invalid(&format!("expected the text and 1 to {MOST_PARTS} signatures, found {found}")));
        }
        let (mut certified, mut openpgp) = (Vec::new(), Vec::new());
        for part in signatures {
            match detached_signature(part)? {
                Detached::Cms(signed) => certified.push(signed),
                Detached::OpenPgp(found) => openpgp.extend(found),
            }
        }
        let form = if certified.is_empty() { "PGP/MIME multipart/signed" } else { "S/MIME multipart/signed" };
        Self::of(form, SignedText::in_any_form(*text), certified, openpgp)
    }

    fn of(
        form: &'static str,
        text: SignedText<'m>,
        signatures: Vec<SignedData>,
        openpgp: Vec<openpgp::DataSignature>,
    ) -> Result<Self, Refusal> {
        let certified: usize = signatures.iter().map(|signed| signed.signers.len()).sum();
        match certified + openpgp.len() {
            0 => Err(Refusal::new(RefusalReason::Unsigned, "expected a signature, found a CMS message without one")),
            1..=MOST_SIGNATURES => Ok(Self { form, text, signatures, openpgp }),
            many => Err(invalid(&format!("expected at most {MOST_SIGNATURES} signatures, found {many}"))),
        }
    }

    /// Verifies every signature. All CMS signatures must be valid for the same form of the text; an OpenPGP signature
    /// may be valid for any form.
    pub(super) fn verify_signature(self, keys: &[Arc<PublicKey>]) -> Result<AuthenticatedMessage<'m>, Refusal> {
        let Self { form: _, text, signatures, openpgp } = self;
        let mut signers = if signatures.is_empty() { Vec::new() } else { verify_any_form(&signatures, &text)? };
        for signature in openpgp {
            signers.push(AuthenticatedSigner::OpenPgp(signature.verify_signature(&text, keys)?));
        }
        Ok(AuthenticatedMessage { text, signers })
    }
}

/// The content of a signature part.
enum Detached {
    Cms(SignedData),
    OpenPgp(Vec<openpgp::DataSignature>),
}

/// The detached signature in a part (RFC 8551 section 3.5.3, RFC 3156 section 5).
fn detached_signature(part: &[u8]) -> Result<Detached, Refusal> {
    let entity = Entity::read(part).ok_or_else(|| invalid("found a signature part without headers"))?;
    let kind = ContentType::read(&entity.header("Content-Type").unwrap_or_default()).kind;
    let bytes = || entity.decoded_body().map_err(|found| invalid(&format!("found {found}")));
    match kind.as_str() {
        "application/pgp-signature" => openpgp::detached(&bytes()?).map(Detached::OpenPgp),
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => {
            let signed = SignedData::read(&bytes()?).map_err(|found| invalid(&format!("found {found}")))?;
            if signed.content.is_some() {
                return Err(invalid("expected a detached signature, found one that contains a text"));
            }
            Ok(Detached::Cms(signed))
        }
        other => {
            Err(invalid(&format!("expected application/pkcs7-signature or application/pgp-signature, found {other:?}")))
        }
    }
}

/// Verifies the signatures over each form of the text, until all are valid for one form. If there is none, a refusal
/// about a form that a signature covers is preferred.
fn verify_any_form(signatures: &[SignedData], text: &SignedText<'_>) -> Result<Vec<AuthenticatedSigner>, Refusal> {
    let mut refused = None;
    for form in text.forms() {
        match verify_form(signatures, form) {
            Ok(signers) => return Ok(signers),
            Err(refusal) => {
                let other_form = |first: &Refusal| first.reason == RefusalReason::MessageDigestMismatch;
                refused = refused.filter(|first| !other_form(first) || other_form(&refusal)).or(Some(refusal));
            }
        }
    }
    Err(refused.unwrap_or_else(|| invalid("found no text")))
}

fn verify_form(signatures: &[SignedData], text: TextForm<'_>) -> Result<Vec<AuthenticatedSigner>, Refusal> {
    let mut signers = Vec::new();
    for signed in signatures {
        for signer in &signed.signers {
            let certificate = signed.verify_signature(signer, text)?.clone();
            let weak_digests = signer.weak_digests.clone();
            signers.push(AuthenticatedSigner::X509 { certificate, carried: signed.certificates.clone(), weak_digests });
        }
    }
    Ok(signers)
}

impl AuthenticatedMessage<'_> {
    /// The signed text, unchanged.
    pub(super) fn text(&self) -> &[u8] {
        self.text.bytes()
    }

    /// The JSON in the signed text: the whole text, or the body of the signed MIME entity with its transfer encoding
    /// decoded. (The signature is over the encoded text, RFC 8551 section 3.1.)
    pub(super) fn payload(&self) -> Result<Cow<'_, [u8]>, Refusal> {
        let text = self.text.bytes();
        if text.trim_ascii_start().starts_with(b"{") {
            return Ok(Cow::Borrowed(text));
        }
        let Some(entity) = Entity::read(text.trim_ascii_start()) else { return Ok(Cow::Borrowed(text)) };
        let refused = |found| Refusal::new(RefusalReason::ListMalformed, format!("in the signed part: found {found}"));
        entity.decoded_body().map_err(refused)
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(RefusalReason::SignatureInvalid, why)
}

fn unsigned(text: &[u8]) -> Refusal {
    let kind = Entity::read(text).and_then(|entity| entity.header("Content-Type"));
    let found = match (text.first(), kind) {
        (None, _) => "nothing".to_owned(),
        (Some(b'{'), _) => "plain JSON without a signature".to_owned(),
        (Some(_), Some(kind)) => format!("a message of the type {:.80}", ContentType::read(&kind).kind),
        (Some(_), None) => appearance::of(text),
    };
    Refusal::new(RefusalReason::Unsigned, format!("expected a signed message (S/MIME, OpenPGP), found {found}"))
}
