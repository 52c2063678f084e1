//! A message as it was fetched: which form it has, what is signed in it, and by which signatures.

use super::anchors::pem_blocks;
use super::certificate::Certificate;
use super::cms::SignedData;
use super::mime::{self, ContentType, Entity};
use super::{Refusal, RefusalReason, Sha256Digest, is_encrypted};

/// The largest message, in bytes.
const LARGEST: usize = 64 << 20;
/// The most signature parts of one message: RFC 1847 has one, more come from signatures that lie beside a list.
const MOST_PARTS: usize = 16;

/// A message that carries at least one signature; nothing in it is proved yet.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    form: &'static str,
    /// The text in the forms that may have been signed; the first that all signatures fit is taken.
    texts: Vec<Vec<u8>>,
    signatures: Vec<SignedData>,
}

/// A message whose signatures all fit one text.
#[derive(Debug, Clone)]
pub(super) struct ProvenMessage {
    /// The bytes that were signed.
    text: Vec<u8>,
    pub(super) signers: Vec<ProvenSigner>,
}

/// One signature that fits, and the certificate whose key made it.
#[derive(Debug, Clone)]
pub(super) struct ProvenSigner {
    pub(super) certificate: Certificate,
    /// What else the message carries, for the path.
    pub(super) carried: Vec<Certificate>,
    pub(super) weak_digests: Vec<&'static str>,
}

impl ProvenSigner {
    /// What tells this signer's certificate from every other one: SHA-256 of its DER.
    pub(super) fn digest(&self) -> Sha256Digest {
        self.certificate.digest
    }
}

impl SignedMessage {
    /// Finds out the form of a message and takes it apart: S/MIME `multipart/signed` and `application/pkcs7-mime`,
    /// CMS in PEM and DER.
    pub fn read(message: &[u8]) -> Result<Self, Refusal> {
        if message.len() > LARGEST {
            let found = format!("expected a message of at most {LARGEST} bytes, found {}", message.len());
            return Err(Refusal::new(RefusalReason::ListMalformed, found));
        }
        if is_encrypted(message) {
            return Err(Refusal::new(RefusalReason::DecryptionFailed, "the list is encrypted, and was not opened"));
        }
        let start = message.trim_ascii_start();
        if start.starts_with(b"-----BEGIN PKCS7-----") || start.starts_with(b"-----BEGIN CMS-----") {
            return Self::from_pem(start);
        }
        if message.first() == Some(&0x30) {
            return Self::opaque("CMS in DER", message);
        }
        match Entity::read(start) {
            Some(entity) => Self::from_entity(&entity),
            None => Err(unsigned(start)),
        }
    }

    /// The JSON that all its signatures fit, for tools that show or lint it. Who signed is not asked: this is no
    /// verification, and nothing that is published may come from here.
    pub fn into_payload(self) -> Result<Vec<u8>, Refusal> {
        self.prove()?.payload().map(<[u8]>::to_vec)
    }

    /// What was found, for people.
    pub(super) fn described(&self) -> String {
        let count: usize = self.signatures.iter().map(|signed| signed.signers.len()).sum();
        format!("{}, {count} signature{}", self.form, if count == 1 { "" } else { "s" })
    }

    fn from_pem(text: &[u8]) -> Result<Self, Refusal> {
        let label = if text.starts_with(b"-----BEGIN CMS") { "CMS" } else { "PKCS7" };
        match pem_blocks(text, label).as_deref() {
            Some([block]) => Self::opaque("CMS in PEM", block),
            Some(_) | None => Err(invalid("expected one PEM block of CMS, found several or a broken one")),
        }
    }

    fn opaque(form: &'static str, der: &[u8]) -> Result<Self, Refusal> {
        let mut signed = SignedData::read(der).map_err(|found| invalid(&format!("found {found}")))?;
        let text = signed
            .content
            .take()
            .ok_or_else(|| invalid("expected the text inside the signature, found a detached signature alone"))?;
        Self::of(form, vec![text], vec![signed])
    }

    fn from_entity(entity: &Entity<'_>) -> Result<Self, Refusal> {
        let Some(value) = entity.header("Content-Type") else { return Err(unsigned(entity.body)) };
        let kind = ContentType::read(&value);
        match kind.kind.as_str() {
            "multipart/signed" => Self::from_multipart(entity.body, &kind),
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => {
                let der = entity.decoded_body().map_err(|found| invalid(&format!("found {found}")))?;
                Self::opaque("S/MIME application/pkcs7-mime", &der)
            }
            other => Err(Refusal::new(RefusalReason::Unsigned, format!("expected a signed message, found {other}"))),
        }
    }

    fn from_multipart(body: &[u8], kind: &ContentType) -> Result<Self, Refusal> {
        let boundary = kind.parameter("boundary").ok_or_else(|| invalid("expected a boundary, found none"))?;
        let parts = mime::parts(body, boundary).map_err(|found| invalid(&format!("found {found}")))?;
        let [text, signatures @ ..] = parts.as_slice() else { return Err(invalid("expected a text, found no part")) };
        if !(1..=MOST_PARTS).contains(&signatures.len()) {
            let found = signatures.len();
            return Err(invalid(&format!("expected the text and 1 to {MOST_PARTS} signatures, found {found}")));
        }
        let signatures: Result<Vec<_>, _> = signatures.iter().map(|part| detached_signature(part)).collect();
        let texts = std::iter::once(text.to_vec()).chain(mime::with_crlf(text)).collect();
        Self::of("S/MIME multipart/signed", texts, signatures?)
    }

    fn of(form: &'static str, texts: Vec<Vec<u8>>, signatures: Vec<SignedData>) -> Result<Self, Refusal> {
        if signatures.iter().all(|signed| signed.signers.is_empty()) {
            return Err(Refusal::new(RefusalReason::Unsigned, "expected a signature, found a CMS message without one"));
        }
        Ok(Self { form, texts, signatures })
    }

    /// Proves every signature: all of them must fit one and the same text.
    pub(super) fn prove(self) -> Result<ProvenMessage, Refusal> {
        let Self { form: _, texts, signatures } = self;
        let mut refused = None;
        for text in texts {
            match prove_over(&signatures, &text) {
                Ok(signers) => return Ok(ProvenMessage { text, signers }),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        Err(refused.unwrap_or_else(|| invalid("found no text")))
    }
}

/// The signature in a part of its own.
fn detached_signature(part: &[u8]) -> Result<SignedData, Refusal> {
    let entity = Entity::read(part).ok_or_else(|| invalid("found a signature part without headers"))?;
    let kind = ContentType::read(&entity.header("Content-Type").unwrap_or_default()).kind;
    if !matches!(kind.as_str(), "application/pkcs7-signature" | "application/x-pkcs7-signature") {
        return Err(invalid(&format!("expected application/pkcs7-signature, found {kind:?}")));
    }
    let der = entity.decoded_body().map_err(|found| invalid(&format!("found {found}")))?;
    let signed = SignedData::read(&der).map_err(|found| invalid(&format!("found {found}")))?;
    if signed.content.is_some() {
        return Err(invalid("expected a detached signature, found one with a text of its own"));
    }
    Ok(signed)
}

fn prove_over(signatures: &[SignedData], text: &[u8]) -> Result<Vec<ProvenSigner>, Refusal> {
    let mut signers = Vec::new();
    for signed in signatures {
        for signer in &signed.signers {
            let certificate = signed.prove(signer, text)?.clone();
            let weak_digests = signer.weak_digests.clone();
            signers.push(ProvenSigner { certificate, carried: signed.certificates.clone(), weak_digests });
        }
    }
    Ok(signers)
}

impl ProvenMessage {
    /// The JSON in the signed text: all of it, or what follows the MIME headers that were signed with it.
    pub(super) fn payload(&self) -> Result<&[u8], Refusal> {
        let text = self.text.as_slice();
        if text.trim_ascii_start().starts_with(b"{") {
            return Ok(text);
        }
        let Some(entity) = Entity::read(text.trim_ascii_start()) else { return Ok(text) };
        let encoding = entity.header("Content-Transfer-Encoding").unwrap_or_default().to_ascii_lowercase();
        if matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
            return Ok(entity.body);
        }
        let found = format!("expected the list as it stands, found the transfer encoding {encoding:?}");
        Err(Refusal::new(RefusalReason::ListMalformed, found))
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(RefusalReason::SignatureInvalid, why)
}

fn unsigned(text: &[u8]) -> Refusal {
    let found = match text.first() {
        None => "nothing",
        Some(b'{') => "plain JSON without a signature",
        Some(b'<') => "HTML or XML",
        Some(_) if text.starts_with(b"-----BEGIN PGP") => "an OpenPGP message, which is not supported",
        Some(_) => "something else",
    };
    Refusal::new(RefusalReason::Unsigned, format!("expected a signed message (S/MIME), found {found}"))
}
