//! CMS `SignedData` (RFC 5652 section 5): it is parsed here, and its signatures are verified one by one.
//!
//! Each signature is verified on its own, against one certificate that this module chose. So the certificate that
//! verified the signature is the same as the one whose names are checked, and each signer has its own result.

use openssl::cms::CmsContentInfo;

use super::certificate::Certificate;
use super::signed_text::TextForm;
use super::signer_info::SignerInfo;
use super::tlv::{self, Reader, Tlv};
use super::{Refusal, RefusalReason};

/// `id-signedData` and `id-data` (RFC 5652 sections 5.1 and 4).
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// The maximum number of signatures and of certificates in one message.
const MOST_SIGNERS: usize = 16;
const MOST_CERTIFICATES: usize = 64;
/// The maximum number of certificates in the message that match one signer identifier. A CA uses a serial number only
/// once, and each matching certificate is tried.
const MOST_NAMED: usize = 4;

/// A parsed `SignedData`.
#[derive(Debug, Clone)]
pub(super) struct SignedData {
    /// The signed text; `None` for a detached signature.
    pub(super) content: Option<Vec<u8>>,
    /// The certificates in it. Those that cannot be read are left out.
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo>,
}

impl SignedData {
    /// Reads DER. BER is converted to DER by OpenSSL first (streaming signers write indefinite lengths).
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if let Some(read) = Self::from_der(bytes) {
            return read;
        }
        let not_cms = || "a signature that is no CMS SignedData (RFC 5652)".to_owned();
        let der = CmsContentInfo::from_der(bytes).and_then(|cms| cms.to_der()).map_err(|_| not_cms())?;
        Self::from_der(&der).ok_or_else(not_cms)?
    }

    /// `None` if it is not DER of this structure; an error if it is but exceeds a limit.
    fn from_der(bytes: &[u8]) -> Option<Result<Self, String>> {
        let mut info = Reader::new(tlv::only(bytes, tlv::SEQUENCE)?.content);
        info.expect(tlv::OBJECT_IDENTIFIER).filter(|kind| kind.content == SIGNED_DATA)?;
        let tagged = info.expect(tlv::context(0))?;
        let mut inner = Reader::new(tlv::only(tagged.content, tlv::SEQUENCE)?.content);
        inner.expect(tlv::INTEGER)?;
        inner.expect(tlv::SET)?;
        let content = read_content(inner.expect(tlv::SEQUENCE)?)?.first().map(|text| text.content.to_vec());
        let carried = inner.optional(tlv::context(0)).map_or(&[][..], |set| set.content);
        inner.optional(tlv::context(1));
        let signers = Reader::new(inner.expect(tlv::SET)?.content).all()?;
        let carried = Reader::new(carried).all()?;
        if signers.len() > MOST_SIGNERS || carried.len() > MOST_CERTIFICATES {
            let found = format!("{} signatures and {} certificates", signers.len(), carried.len());
            return Some(Err(format!("expected at most {MOST_SIGNERS} and {MOST_CERTIFICATES}, found {found}")));
        }
        let signers = signers.into_iter().map(SignerInfo::read).collect::<Option<Vec<_>>>()?;
        let plain = carried.into_iter().filter(|element| element.tag == tlv::SEQUENCE);
        let certificates = plain.filter_map(|element| Certificate::from_der(element.whole).ok()).collect();
        Some(Ok(Self { content, certificates, signers }))
    }

    /// The certificate whose key made this signature over this text. An error if there is none.
    pub(super) fn verify_signature(&self, signer: &SignerInfo, text: TextForm<'_>) -> Result<&Certificate, Refusal> {
        let named: Vec<_> = self.certificates.iter().filter(|certificate| signer.names(certificate)).collect();
        let Some(first) = named.first() else {
            let why = format!("expected the certificate of {} in the message, found none", signer.shown());
            return Err(Refusal::new(RefusalReason::SignatureInvalid, why));
        };
        if named.len() > MOST_NAMED {
            let why = format!("expected one certificate of {}, found {}", signer.shown(), named.len());
            return Err(Refusal::new(RefusalReason::SignatureInvalid, why));
        }
        if !signer.digest_is_known() {
            let why = format!("the signature of {} uses a digest that is not known", signer.shown());
            return Err(Refusal::new(RefusalReason::SignatureInvalid, why).about(first.shown(), 0));
        }
        let made_by = |certificate: &&&Certificate| signer.is_by(certificate, text).unwrap_or(false);
        let proved = signer.is_over(text).then(|| named.iter().find(made_by)).flatten();
        proved.copied().ok_or_else(|| signer.mismatch(first, text).about(first.shown(), 0))
    }
}

/// The octets of the encapsulated text; empty for a detached signature. Only the content type `id-data` is accepted.
fn read_content(element: Tlv<'_>) -> Option<Vec<Tlv<'_>>> {
    let mut inner = Reader::new(element.content);
    inner.expect(tlv::OBJECT_IDENTIFIER).filter(|kind| kind.content == DATA)?;
    match inner.optional(tlv::context(0)) {
        Some(tagged) => Some(vec![tlv::only(tagged.content, tlv::OCTET_STRING)?]),
        None => Some(Vec::new()),
    }
}
