//! Signed messages: the signed text, the signatures, and the keys that made them.

use std::sync::Arc;

use data_encoding::HEXUPPER;
use jiff::Timestamp;
use pgp::packet::{PublicKey as PrimaryKey, PublicSubkey, Signature, SignatureType};

use super::key::Component;
use super::statement::is_by;
use super::{Fingerprint, PublicKey, armor, cleartext, facts, packets};
use crate::trust::signed_text::SignedText;
use crate::trust::weak_digest::weak_reason;
use crate::trust::{Refusal, RefusalReason, Sha256Digest};

const SIGNATURE_LABEL: &str = "PGP SIGNATURE";

/// An OpenPGP message: its form, its text, and its signatures.
pub(in super::super) struct Message {
    pub(in super::super) form: &'static str,
    pub(in super::super) text: SignedText<'static>,
    pub(in super::super) signatures: Vec<DataSignature>,
}

/// A signature over a text, parsed but not verified.
#[derive(Debug, Clone)]
pub(in super::super) struct DataSignature {
    signature: Signature,
    created: Timestamp,
    ends: Option<Timestamp>,
}

/// The signer of a signature.
#[derive(Debug, Clone)]
pub(in super::super) struct Signer {
    /// The key that the signature names.
    claimed: String,
    /// When the signature says that it was made.
    dated: Timestamp,
    /// The key that made the signature; `None` if none of the keys that the signature names is available.
    pub(super) proven: Option<Proven>,
}

/// A verified signature, and the key that made it.
#[derive(Debug, Clone)]
pub(super) struct Proven {
    /// The key or subkey.
    pub(super) component: Fingerprint,
    /// The primary keys that it belongs to.
    primaries: Vec<Fingerprint>,
    material: Sha256Digest,
    pub(super) created: Timestamp,
    pub(super) ends: Option<Timestamp>,
    pub(super) weak_digest: Option<&'static str>,
}

/// Whether a message looks like OpenPGP: ASCII armour, or a packet type that such a message can begin with (RFC 9580
/// section 4.2).
pub(in super::super) fn is_openpgp(message: &[u8]) -> bool {
    let kind = match message.first() {
        Some(first) if first & 0xc0 == 0xc0 => first & 0x3f,
        Some(first) if first & 0xc0 == 0x80 => (first >> 2) & 0x0f,
        Some(_) | None => 0,
    };
    // Session keys, signatures, compressed and encrypted data, markers, literal data.
    message.trim_ascii_start().starts_with(b"-----BEGIN PGP ") || matches!(kind, 1..=4 | 8..=11 | 18 | 20)
}

/// Whether bytes are detached signatures.
pub(in super::super) fn is_detached(bytes: &[u8]) -> bool {
    detached(bytes).is_ok()
}

/// Parses detached signatures, in ASCII armour or binary packets.
pub(in super::super) fn detached(bytes: &[u8]) -> Result<Vec<DataSignature>, Refusal> {
    let start = bytes.trim_ascii_start();
    let found = if start.starts_with(b"-----BEGIN ") {
        let block = armor::read(start).map_err(|found| invalid(&found))?;
        if block.label != SIGNATURE_LABEL || !block.rest.trim_ascii().is_empty() {
            return Err(invalid("other armour than that of one signature"));
        }
        packets::signatures(&block.bytes)
    } else {
        packets::signatures(bytes)
    };
    found.and_then(|signatures| signatures.into_iter().map(DataSignature::read).collect()).map_err(|why| invalid(&why))
}

/// Parses a message that contains its text.
pub(in super::super) fn read(message: &[u8], largest: usize) -> Result<Message, Refusal> {
    if cleartext::is_cleartext(message) {
        return clear_signed(message);
    }
    let start = message.trim_ascii_start();
    if !start.starts_with(b"-----BEGIN ") {
        return opaque(message, largest, ["OpenPGP", "OpenPGP, compressed"]);
    }
    let block = armor::read(start).map_err(|found| invalid(&found))?;
    if block.label != "PGP MESSAGE" {
        let found = format!("expected an OpenPGP message with its text, found armour of {}", block.label);
        return Err(Refusal::new(RefusalReason::SignatureInvalid, found));
    }
    if !block.rest.trim_ascii().is_empty() {
        return Err(invalid("something after an OpenPGP message"));
    }
    opaque(&block.bytes, largest, ["OpenPGP in armour", "OpenPGP in armour, compressed"])
}

fn opaque(bytes: &[u8], largest: usize, [plain, compressed]: [&'static str; 2]) -> Result<Message, Refusal> {
    let signed = packets::signed(bytes, largest).map_err(|found| invalid(&found))?;
    let Some(signed) = signed else {
        return Err(Refusal::new(RefusalReason::Unsigned, "expected a signature, found an OpenPGP text without one"));
    };
    let signatures: Result<_, String> = signed.signatures.into_iter().map(DataSignature::read).collect();
    Ok(Message {
        form: if signed.compressed { compressed } else { plain },
        text: SignedText::in_any_form(signed.text),
        signatures: signatures.map_err(|found| invalid(&found))?,
    })
}

fn clear_signed(message: &[u8]) -> Result<Message, Refusal> {
    let split = cleartext::read(message).map_err(|found| invalid(&found))?;
    let found = packets::signatures(&split.signatures).map_err(|found| invalid(&found))?;
    for signature in &found {
        if signature.typ() != Some(SignatureType::Text) {
            return Err(invalid("a clear-signed text whose signature is not of the kind for texts"));
        }
        let digest = signature.hash_alg().map(|digest| digest.to_string()).unwrap_or_default();
        if !split.hashes.is_empty() && !split.hashes.contains(&digest) {
            return Err(invalid(&format!("a signature by {digest}, which the Hash header does not name")));
        }
    }
    let signatures: Result<_, String> = found.into_iter().map(DataSignature::read).collect();
    let signatures = signatures.map_err(|found| invalid(&found))?;
    Ok(Message { form: "OpenPGP, clear-signed", text: SignedText::as_it_stands(split.text), signatures })
}

impl DataSignature {
    fn read(signature: Signature) -> Result<Self, String> {
        let (created, ends) = facts::times(&signature)?;
        match signature.typ() {
            Some(SignatureType::Binary | SignatureType::Text) => Ok(Self { signature, created, ends }),
            Some(_) | None => Err("a signature that is not over a text".to_owned()),
        }
    }

    /// Finds the key that made the signature, among the keys that it names, and the form of the text that it covers. If
    /// no such key is available, the signature is not verified (`proven` is `None`). If a key is available but the
    /// signature is not valid for any form of the text, it is refused.
    pub(in super::super) fn verify_signature(
        &self,
        text: &SignedText<'_>,
        keys: &[Arc<PublicKey>],
    ) -> Result<Signer, Refusal> {
        let candidates: Vec<Candidate<'_>> = keys.iter().flat_map(|key| self.components(key)).collect();
        let Some(first) = candidates.first() else {
            return Ok(Signer { claimed: self.claimed(), dated: self.created, proven: None });
        };
        // A signature of the type `Text` is over the form with CRLF.
        let only_canonical = self.signature.typ() == Some(SignatureType::Text);
        let canonical = only_canonical.then(|| text.canonical()).into_iter();
        let forms = (!only_canonical).then(|| text.forms()).into_iter().flatten();
        for form in canonical.chain(forms) {
            let octets = form.bytes();
            if let Some(made) = candidates.iter().find(|candidate| candidate.made(&self.signature, &octets)) {
                let same = candidates.iter().filter(|other| other.fingerprint == made.fingerprint);
                let primaries = same.map(|other| other.primary.clone()).collect();
                return Ok(Signer {
                    claimed: self.claimed(),
                    dated: self.created,
                    proven: Some(self.proven(made, primaries)),
                });
            }
        }
        let name = first.fingerprint.as_name();
        Err(match self.weak_digest() {
            Some(digest) => Refusal::new(
                weak_reason(digest),
                format!("expected SHA-2 or better, found {digest}, and the signature of {name} does not fit by it"),
            ),
            None => Refusal::new(
                RefusalReason::SignatureInvalid,
                format!("the OpenPGP signature of {name} does not fit the text"),
            ),
        }
        .about(name, 0))
    }

    fn weak_digest(&self) -> Option<&'static str> {
        self.signature.hash_alg().and_then(facts::weak_digest)
    }

    fn proven(&self, made: &Candidate<'_>, primaries: Vec<Fingerprint>) -> Proven {
        Proven {
            component: made.fingerprint.clone(),
            primaries,
            material: made.material,
            created: self.created,
            ends: self.ends,
            weak_digest: self.weak_digest(),
        }
    }

    /// The key and its subkeys, as far as the signature names them. Empty if it names no key.
    fn components<'a>(&self, key: &'a PublicKey) -> Vec<Candidate<'a>> {
        if self.signature.issuer_fingerprint().is_empty() && self.signature.issuer_key_id().is_empty() {
            return Vec::new();
        }
        let primary = &key.primary;
        let candidate = |fingerprint, material, made_by| Candidate {
            fingerprint,
            primary: &primary.fingerprint,
            material,
            made_by,
        };
        let mut found = Vec::new();
        if is_by(&self.signature, &primary.fingerprint, primary.id) {
            found.push(candidate(&primary.fingerprint, primary.material, MadeBy::Primary(primary)));
        }
        let named = |subkey: &&'a Component<PublicSubkey>| is_by(&self.signature, &subkey.fingerprint, subkey.id);
        for subkey in key.subkeys.iter().filter(named) {
            found.push(candidate(&subkey.fingerprint, subkey.material, MadeBy::Subkey(subkey)));
        }
        found
    }

    /// The key that the signature names, for display.
    fn claimed(&self) -> String {
        let fingerprint = self.signature.issuer_fingerprint().first().map(|found| Fingerprint::of(found).as_name());
        let id =
            || self.signature.issuer_key_id().first().map(|id| format!("OpenPGP key {}", HEXUPPER.encode(id.as_ref())));
        fingerprint.or_else(id).unwrap_or_else(|| "an OpenPGP key that is not named".to_owned())
    }
}

/// A key that may have made a signature.
struct Candidate<'a> {
    fingerprint: &'a Fingerprint,
    primary: &'a Fingerprint,
    material: Sha256Digest,
    made_by: MadeBy<'a>,
}

/// The key packet.
enum MadeBy<'a> {
    Primary(&'a Component<PrimaryKey>),
    Subkey(&'a Component<PublicSubkey>),
}

impl Candidate<'_> {
    fn made(&self, signature: &Signature, text: &[u8]) -> bool {
        match self.made_by {
            MadeBy::Primary(key) => key.made(signature, text),
            MadeBy::Subkey(key) => key.made(signature, text),
        }
    }
}

impl Signer {
    /// The key that made the signature, or else the key that it names.
    pub(in super::super) fn shown(&self) -> String {
        self.proven.as_ref().map_or_else(|| self.claimed.clone(), |proven| proven.component.as_name())
    }

    /// SHA-256 of the key in X.509 form.
    pub(in super::super) fn material(&self) -> Option<Sha256Digest> {
        self.proven.as_ref().map(|proven| proven.material)
    }

    /// Whether two signatures were made by the same key, or by keys of the same primary key.
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        match (&self.proven, &other.proven) {
            (Some(one), Some(other)) => {
                one.material == other.material || one.primaries.iter().any(|primary| other.primaries.contains(primary))
            }
            (None, None) => self.claimed == other.claimed,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether a fingerprint is that of the key that signed, or of its primary key.
    pub(in super::super) fn is(&self, fingerprint: &Fingerprint) -> bool {
        match &self.proven {
            Some(proven) => proven.component == *fingerprint || proven.primaries.contains(fingerprint),
            None => self.claimed == fingerprint.as_name(),
        }
    }

    /// All fingerprints by which a list can name the signer.
    pub(in super::super) fn fingerprints(&self) -> Vec<Fingerprint> {
        let proven = self.proven.iter();
        proven.flat_map(|proven| std::iter::once(&proven.component).chain(&proven.primaries)).cloned().collect()
    }

    /// The refusal `EndorserNotTrusted` for this signer.
    pub(super) fn untrusted(&self, message: String) -> Refusal {
        Refusal::new(RefusalReason::EndorserNotTrusted, message).about(self.shown(), 0)
    }

    /// When the signature says that it was made, whether it was verified or not.
    pub(in super::super) fn dated(&self) -> Timestamp {
        self.dated
    }

    /// When the signature was made, if it was verified.
    pub(in super::super) fn made(&self) -> Option<Timestamp> {
        self.proven.as_ref().map(|proven| proven.created)
    }

    /// Whether the signature was verified.
    pub(in super::super) fn is_proven(&self) -> bool {
        self.proven.is_some()
    }
}

fn invalid(found: &str) -> Refusal {
    Refusal::new(RefusalReason::SignatureInvalid, format!("expected a signed OpenPGP message, found {found}"))
}
