//! The list in the signed texts of a message, before and after it is combined with its signers.

use jiff::Timestamp;

use super::endorsement::{Group, Judgement};
use super::list::Succession;
use super::message::AuthenticatedMessage;
use super::{Refusal, RefusalReason, Sha256Digest, VerifiedList};
use crate::imagelist::{
    ImageList, ListError, ListFormat, ProductsPath, Updated, WantedImages, parse_checksums, parse_simple_streams,
};
use crate::trust::clock::SKEW;

/// A parsed list, before it is combined with its signers.
pub(super) struct Payload {
    pub(super) list: ImageList,
    pub(super) digest: Sha256Digest,
    /// The times of the files of a simplestreams source.
    updated: Option<Updated>,
}

/// Parses the list in the signed texts. `signed` is the time of the signatures, which is the version of a file that has
/// no other one.
pub(super) fn read(
    parts: &[AuthenticatedMessage<'_>],
    format: &ListFormat,
    wanted: Option<WantedImages<'_>>,
    signed: Option<Timestamp>,
) -> Result<Payload, Refusal> {
    let malformed = |error: ListError| Refusal::new(RefusalReason::ListMalformed, error.to_string());
    match (format, parts) {
        (ListFormat::Hepix, [message]) => {
            let json = message.payload()?;
            let list = ImageList::parse_for(&json, wanted).map_err(malformed)?;
            Ok(Payload { list, digest: digest(&json), updated: None })
        }
        (ListFormat::Checksums(rule), [message]) => {
            let signed = signed.ok_or_else(without_time)?;
            let list = parse_checksums(message.text(), rule, signed, wanted).map_err(malformed)?;
            Ok(Payload { list, digest: digest(message.text()), updated: None })
        }
        (ListFormat::SimpleStreams(rule), [index, products]) => {
            let (index, products) = (index.text(), products.text());
            let (list, updated) = parse_simple_streams(index, products, rule, wanted).map_err(malformed)?;
            let digests = [digest(index), digest(products)].map(|digest| *digest.as_bytes()).concat();
            Ok(Payload { list, digest: Sha256Digest::of(&digests), updated: Some(updated) })
        }
        (ListFormat::SimpleStreams(rule), [index]) => {
            ProductsPath::find(index.text(), rule).map_err(malformed)?;
            Err(Refusal::new(RefusalReason::ListMalformed, "expected the products file that the index has, found none"))
        }
        (ListFormat::Hepix | ListFormat::Checksums(_) | ListFormat::SimpleStreams(_) | ListFormat::Oci(_), parts) => {
            let found = format!("expected the files of the source, found {}", parts.len());
            Err(Refusal::new(RefusalReason::ListMalformed, found))
        }
    }
}

/// The digest of a text, without surrounding white space and with LF line ends.
fn digest(text: &[u8]) -> Sha256Digest {
    Sha256Digest::of_parts(text.trim_ascii().split(|byte| *byte == b'\r'))
}

fn without_time() -> Refusal {
    let message = "expected an OpenPGP signature of a trusted endorser, which says when it was made, found none";
    Refusal::new(RefusalReason::Unsigned, message)
}

/// When the newest signature was made that counts.
pub(super) fn signed(groups: &[Vec<Group<'_>>]) -> Option<Timestamp> {
    let judgements = groups.iter().flatten().flat_map(|group| &group.judgements);
    judgements.filter(|judgement| judgement.outcome.is_ok()).filter_map(|judgement| judgement.signer.made()).max()
}

impl Payload {
    /// Refuses a products file that is older than its index says, or that is from the future. (The index itself is
    /// compared with the list in force like any list.)
    pub(super) fn fits_together(&self, now: Timestamp) -> Result<(), Refusal> {
        let Some(Updated { index: _, products, announced }) = self.updated else { return Ok(()) };
        if let Some(announced) = announced.filter(|announced| *announced > products) {
            let message = format!("expected the products file that the index has, of {announced}, found {products}");
            return Err(Refusal::new(RefusalReason::VersionRollback, message));
        }
        if products.duration_since(now) > SKEW {
            let message = format!("expected a products file that exists already, found one of {products}");
            return Err(Refusal::new(RefusalReason::CreatedInFuture, message));
        }
        Ok(())
    }

    /// Combines the list with its signers. `counted` are those of each part.
    pub(super) fn verified(self, counted: &[Vec<&Judgement<'_>>], required: usize, message: &[u8]) -> VerifiedList {
        let mut all: Vec<&Judgement<'_>> = Vec::new();
        for judgement in counted.iter().flatten() {
            if !all.iter().any(|other| other.signer.is_same(judgement.signer)) {
                all.push(judgement);
            }
        }
        // If not every signer signed every part, each of them is needed.
        let same = counted.iter().all(|part| part.len() == all.len());
        VerifiedList {
            list: self.list,
            signers: all.iter().map(|judgement| judgement.signer()).collect(),
            names: all.iter().map(|judgement| judgement.signer.names()).collect(),
            certificates: all.iter().map(|judgement| judgement.signer.digest()).collect(),
            required: if same { required } else { required.max(all.len()) },
            message: Sha256Digest::of(message),
            payload: self.digest,
            succession: Succession::Whole,
            tags: Vec::new(),
        }
    }
}
