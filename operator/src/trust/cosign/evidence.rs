//! Which keys signed a manifest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bundle::Bundle;
use super::key::{CosignKey, Verdict};
use super::payload;
use crate::imagelist::oci::{Candidate, CandidateForm, Repository, TaggedManifest, is_index, only_manifest};
use crate::text::printable;
use crate::trust::{Refusal, RefusalReason, Sha256Digest};

/// The keys that signed this manifest in this repository, each once; never none. In this order: the digest of the
/// manifest, then for each candidate the signature, and what it is about. The refusal is that of the candidate that came
/// furthest.
pub(in crate::trust) fn evidence(
    tagged: &TaggedManifest,
    repository: &Repository,
    keys: &[CosignKey],
) -> Result<Vec<CosignKey>, Refusal> {
    is_what_its_digest_says(tagged)?;
    let mut signed: Vec<CosignKey> = Vec::new();
    let mut refused: Option<Refusal> = None;
    for candidate in &tagged.candidates {
        match signer(candidate, tagged, repository, keys) {
            Ok(key) => signed.extend((!signed.contains(&key)).then_some(key)),
            Err(refusal) => {
                refused = refused.filter(|first| depth(first) >= depth(&refusal)).or(Some(refusal));
            }
        }
    }
    if signed.is_empty() { Err(refused.unwrap_or_else(unsigned)) } else { Ok(signed) }
}

/// The manifest has the digest that the tag names, or is the one manifest of the index that has it.
fn is_what_its_digest_says(tagged: &TaggedManifest) -> Result<(), Refusal> {
    let digest = |expected: Sha256Digest, bytes: &[u8]| {
        let found = Sha256Digest::of(bytes);
        let message = format!("expected the manifest {expected}, found {found}: it was changed on the way");
        if found == expected { Ok(()) } else { Err(Refusal::new(RefusalReason::MessageDigestMismatch, message)) }
    };
    digest(tagged.digest, tagged.named())?;
    match &tagged.index {
        None => Ok(()),
        Some(index) => {
            let malformed = |message: String| Refusal::new(RefusalReason::ListMalformed, message);
            if !is_index(index) {
                return Err(malformed("expected an index, found something else".to_owned()));
            }
            digest(only_manifest(index).map_err(|error| malformed(error.to_string()))?, &tagged.manifest)
        }
    }
}

/// The key that made a candidate.
fn signer(
    candidate: &Candidate,
    tagged: &TaggedManifest,
    repository: &Repository,
    keys: &[CosignKey],
) -> Result<CosignKey, Refusal> {
    if Sha256Digest::of(&candidate.bytes) != candidate.digest {
        let message =
            format!("expected a signed payload {}, found another: it was changed on the way", candidate.digest);
        return Err(Refusal::new(RefusalReason::SignatureInvalid, message));
    }
    match &candidate.form {
        CandidateForm::SimpleSigning { signature } => {
            let decoded = signature.as_ref().and_then(|text| STANDARD.decode(text.trim()).ok());
            let signature = decoded.ok_or_else(|| invalid("expected a signature in base64, found none"))?;
            let key = key_of(&[signature], &candidate.bytes, keys, None)?;
            payload::is_about(&candidate.bytes, tagged.digest, repository)?;
            Ok(key)
        }
        CandidateForm::Bundle => {
            let bundle = Bundle::read(&candidate.bytes, tagged.digest)?;
            let text = bundle.text.as_deref().unwrap_or(tagged.named());
            let key = key_of(&bundle.signatures, text, keys, Some(&bundle.hint))?;
            bundle.is_about(tagged.digest, repository)?;
            Ok(key)
        }
    }
}

/// The key that made one of these signatures over a text. A signature does not say which key made it, but a bundle can:
/// the refusal says so if it names a key that is here.
fn key_of(signatures: &[Vec<u8>], text: &[u8], keys: &[CosignKey], hint: Option<&str>) -> Result<CosignKey, Refusal> {
    let mut malformed = !keys.is_empty();
    for key in keys {
        for signature in signatures {
            match key.verify(signature, text) {
                Verdict::Valid => return Ok(key.clone()),
                Verdict::Malformed => {}
                Verdict::Other => malformed = false,
            }
        }
    }
    let hint = hint.filter(|hint| !hint.is_empty());
    if let Some(key) = hint.and_then(|hint| keys.iter().find(|key| key.is_hinted_by(hint))) {
        return Err(invalid(&format!(
            "expected a signature by {}, found one that this key did not make",
            key.as_name()
        )));
    }
    if malformed {
        return Err(invalid("expected a signature by a key of an endorser, found bytes that are no such signature"));
    }
    let named = hint.map(|hint| format!(" (of the key {})", printable(&payload::cut(hint)))).unwrap_or_default();
    let message = format!(
        "expected a signature by one of {} keys of the endorsers, found one by another key{named}, or a changed one",
        keys.len()
    );
    Err(Refusal::new(RefusalReason::EndorserNotTrusted, message))
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(RefusalReason::SignatureInvalid, message)
}

fn unsigned() -> Refusal {
    let message = "expected a signature of cosign (a referrer, or the tag sha256-….sig), found none";
    Refusal::new(RefusalReason::Unsigned, message)
}

/// How far a candidate came: a signature by a known key is further than one of a stranger.
fn depth(refusal: &Refusal) -> usize {
    const ORDER: [RefusalReason; 3] =
        [RefusalReason::SignatureInvalid, RefusalReason::MessageDigestMismatch, RefusalReason::RepositoryMismatch];
    ORDER.iter().position(|reason| *reason == refusal.reason).map_or(0, |position| position + 1)
}
