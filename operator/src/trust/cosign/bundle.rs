//! Sigstore bundles with a key (`application/vnd.dev.sigstore.bundle.v0.3+json`, protobuf-specs): a DSSE envelope with an
//! in-toto statement, or a signature over the manifest itself.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::payload::{cut, names};
use crate::imagelist::oci::Repository;
use crate::trust::{Refusal, RefusalReason, Sha256Digest};

/// The media type of the bundle.
const KIND: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The type of the payload of an envelope.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The types of statements (in-toto attestation framework, version 1 and its predecessor).
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// The predicate of a signature. Other predicates (bills of materials, results of scans) describe an artefact; they are
/// no endorsement of it.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The most signatures in one envelope; the specification of bundles has one.
const MOST_SIGNATURES: usize = 4;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<Hint>,
}

#[derive(Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: Option<MessageDigest>,
    signature: String,
}

#[derive(Deserialize)]
struct MessageDigest {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    name: Option<String>,
    digest: BTreeMap<String, String>,
}

/// A parsed bundle: what was signed, by which signatures.
pub(super) struct Bundle {
    /// The key that made it, as the bundle says.
    pub(super) hint: String,
    /// The signatures; one is enough.
    pub(super) signatures: Vec<Vec<u8>>,
    /// The text that they sign; `None` for the manifest itself.
    pub(super) text: Option<Vec<u8>>,
    statement: Option<Vec<u8>>,
}

impl Bundle {
    /// Parses a bundle. Nothing in it is verified.
    pub(super) fn read(bytes: &[u8], digest: Sha256Digest) -> Result<Self, Refusal> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| refused(format!("expected a bundle, found {error}")))?;
        if document.media_type != KIND {
            return Err(refused(format!(
                "expected a bundle of the type {KIND}, found {:?}",
                cut(&document.media_type)
            )));
        }
        let Some(Hint { hint }) = document.verification_material.public_key else {
            return Err(refused("expected a bundle of a key pair, found one of a certificate (keyless)".to_owned()));
        };
        match (document.dsse_envelope, document.message_signature) {
            (Some(envelope), None) => Self::of_envelope(hint, envelope),
            (None, Some(signature)) => Self::of_message(hint, &signature, digest),
            (Some(_), Some(_)) | (None, None) => {
                Err(refused("expected one of dsseEnvelope and messageSignature, found both or none".to_owned()))
            }
        }
    }

    fn of_envelope(hint: String, envelope: Envelope) -> Result<Self, Refusal> {
        let Envelope { payload, payload_type, signatures } = envelope;
        if payload_type != IN_TOTO {
            return Err(refused(format!("expected a payload of the type {IN_TOTO}, found {:?}", cut(&payload_type))));
        }
        if !(1..=MOST_SIGNATURES).contains(&signatures.len()) {
            let found = signatures.len();
            return Err(refused(format!("expected 1 to {MOST_SIGNATURES} signatures in the envelope, found {found}")));
        }
        let statement = decoded(&payload)?;
        let signatures = signatures.iter().map(|one| decoded(&one.sig)).collect::<Result<_, _>>()?;
        let text = Some(pre_authentication_encoding(&payload_type, &statement));
        Ok(Self { hint, signatures, text, statement: Some(statement) })
    }

    fn of_message(hint: String, signature: &MessageSignature, digest: Sha256Digest) -> Result<Self, Refusal> {
        if let Some(MessageDigest { algorithm, digest: found }) = &signature.message_digest {
            if algorithm != "SHA2_256" {
                return Err(refused(format!("expected a digest of SHA2_256, found {:?}", cut(algorithm))));
            }
            if decoded(found)? != digest.as_bytes() {
                let message = format!("expected a signature of {digest}, found one of another digest");
                return Err(Refusal::new(RefusalReason::MessageDigestMismatch, message));
            }
        }
        Ok(Self { hint, signatures: vec![decoded(&signature.signature)?], text: None, statement: None })
    }

    /// Whether its statement is about this manifest, and in this repository if it names one. Its signature is already
    /// verified. A signature over the manifest itself is about nothing else.
    pub(super) fn is_about(&self, digest: Sha256Digest, repository: &Repository) -> Result<(), Refusal> {
        let Some(statement) = &self.statement else { return Ok(()) };
        let Statement { kind, predicate_type, subject } = serde_json::from_slice(statement)
            .map_err(|error| refused(format!("expected an in-toto statement, found {error}")))?;
        if !STATEMENTS.contains(&kind.as_str()) || predicate_type != SIGNATURE {
            let found = format!("{:?} with {:?}", cut(&kind), cut(&predicate_type));
            return Err(refused(format!("expected a statement with the predicate {SIGNATURE}, found {found}")));
        }
        let hexadecimal = digest.digits();
        let is_this =
            |one: &&Subject| one.digest.get("sha256").is_some_and(|found| found.eq_ignore_ascii_case(&hexadecimal));
        let Some(subject) = subject.iter().find(is_this) else {
            let found = subject.first().and_then(|one| one.digest.get("sha256")).map(|found| cut(found));
            let message =
                format!("expected a signature of {digest}, found one of sha256:{}", found.unwrap_or_default());
            return Err(Refusal::new(RefusalReason::MessageDigestMismatch, message));
        };
        match subject.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => names(repository, name),
            None => Ok(()),
        }
    }
}

/// What an envelope's signature is over (DSSE protocol, "PAE").
fn pre_authentication_encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut text = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    text.extend_from_slice(payload);
    text
}

fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|_| refused("expected base64 in the bundle, found something else".to_owned()))
}

fn refused(message: String) -> Refusal {
    Refusal::new(RefusalReason::SignatureInvalid, message)
}
