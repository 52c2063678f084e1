//! The signed messages that a stored message consists of: one, or one for each file of its source.

use super::message::{AuthenticatedMessage, SignedMessage};
use super::signer::AuthenticatedSigner;
use super::{Check, Refusal, RefusalReason, Rule, VerifyRequest, payload, repository};
use crate::imagelist::{ImageList, ListFormat, SignedFile, SignedFilesError, read_signed_files};

/// The names of the files of a checksums source.
pub const CHECKSUMS: [&str; 1] = ["checksums"];
/// The names of the files of a simplestreams source.
pub const SIMPLE_STREAMS: [&str; 2] = ["index", "products"];

/// The text of a signed file, of which no signature is verified, to find the other files of its source.
pub fn unverified_text(file: SignedFile<'_>) -> Result<Vec<u8>, Refusal> {
    SignedMessage::unverified_text(file)
}

/// The texts of the files in a stored message of a source that has several, for tools that show them. No signature is
/// verified.
pub fn unverified_texts(message: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let malformed = |error: SignedFilesError| Refusal::new(RefusalReason::ListMalformed, error.to_string());
    let files = match read_signed_files(message, CHECKSUMS) {
        Ok(files) => files.to_vec(),
        Err(_) => read_signed_files(message, SIMPLE_STREAMS).map_err(malformed)?.to_vec(),
    };
    // Without a products file, its text is empty.
    files.into_iter().filter(|file| !file.text.is_empty()).map(unverified_text).collect()
}

/// One signed message.
pub(super) struct Part<'m> {
    /// The name of its file, if there are several.
    name: Option<&'static str>,
    message: Result<SignedMessage<'m>, Refusal>,
}

/// Parses a message that is signed as a whole, or each of whose files is. A file that is not signed is an error of its part.
pub(super) fn read<'m>(message: &'m [u8], format: &ListFormat) -> Result<Vec<Part<'m>>, Refusal> {
    let malformed = |error: SignedFilesError| Refusal::new(RefusalReason::ListMalformed, error.to_string());
    match format {
        ListFormat::Hepix => Ok(vec![Part { name: None, message: SignedMessage::read(message) }]),
        // Its artefacts are signed one by one, and verified elsewhere.
        ListFormat::Oci(_) => {
            let message = "expected a message that is signed as a whole, found the artefacts of a repository";
            Err(Refusal::new(RefusalReason::ListMalformed, message))
        }
        ListFormat::Checksums(_) => {
            let [file] = read_signed_files(message, CHECKSUMS).map_err(malformed)?;
            Ok(vec![Part { name: None, message: SignedMessage::of_file(file) }])
        }
        ListFormat::SimpleStreams(_) => {
            let files = read_signed_files(message, SIMPLE_STREAMS).map_err(malformed)?;
            // Without a products file, the index says why it could not be fetched.
            let there = |(file, _): &(SignedFile<'_>, _)| !file.text.is_empty();
            let named = files.into_iter().zip(SIMPLE_STREAMS).take_while(there);
            Ok(named.map(|(file, name)| Part { name: Some(name), message: SignedMessage::of_file(file) }).collect())
        }
    }
}

/// The list in a stored message, for tools that show it. CMS signatures must be valid, but no signer is checked, and
/// OpenPGP signatures are not verified. So this is not a verification, and its result must never be published.
pub fn read_unverified(message: &[u8], format: &ListFormat) -> Result<ImageList, Refusal> {
    if let ListFormat::Oci(_) = format {
        return repository::unverified(message);
    }
    let parts = read(message, format)?.into_iter().map(|part| part.message?.verify_signature(&[]));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let signed = parts.iter().flat_map(|part| &part.signers).filter_map(AuthenticatedSigner::dated).max();
    payload::read(&parts, format, None, signed).map(|payload| payload.list)
}

/// Parses a message, and verifies the signatures of each part.
pub(super) fn authenticate<'m>(
    message: &'m [u8],
    request: &VerifyRequest<'_>,
    checks: &mut Vec<Check>,
) -> Result<Vec<AuthenticatedMessage<'m>>, Refusal> {
    let parts = read(message, request.format).map_err(|refusal| failed(Rule::Message, refusal, checks))?;
    parts.into_iter().map(|part| part.authenticate(request, checks)).collect()
}

impl<'m> Part<'m> {
    fn authenticate(
        self,
        request: &VerifyRequest<'_>,
        checks: &mut Vec<Check>,
    ) -> Result<AuthenticatedMessage<'m>, Refusal> {
        let Self { name, message } = self;
        let of_file = |text: String| name.map_or(text.clone(), |name| format!("{name}: {text}"));
        let about = |refusal: Refusal| Refusal { message: of_file(refusal.message.clone()), ..refusal };
        let read = message.map_err(|refusal| failed(Rule::Message, about(refusal), checks))?;
        checks.push(Check::passed(Rule::Message, of_file(read.described())));
        let proven = read
            .verify_signature(&request.public_keys())
            .map_err(|refusal| failed(Rule::Signature, about(refusal), checks))?;
        for signer in &proven.signers {
            let by = of_file(format!("by {}", signer.shown()));
            checks.push(if signer.is_proven() {
                Check::passed(Rule::Signature, by)
            } else {
                Check::not_asked(Rule::Signature, format!("{by}, whose key is not here"))
            });
        }
        Ok(proven)
    }
}

fn failed(rule: Rule, refusal: Refusal, checks: &mut Vec<Check>) -> Refusal {
    checks.push(Check::failed(rule, format!("{}: {}", refusal.reason, refusal.message)));
    refusal
}
