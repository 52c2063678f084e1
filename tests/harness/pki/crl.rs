//! Certificate revocation lists, right and wrong.

use jiff::{SignedDuration, Timestamp};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;

use super::Identity;
use crate::der::{SEQUENCE, extension, integer, oid, time, tlv};

/// `reasonCode` (RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    RemoveFromCrl = 8,
}

/// What a CRL is to hold.
#[derive(Debug, Clone)]
pub struct CrlSpec<'a> {
    issuer: &'a Identity,
    begin: Timestamp,
    end: Timestamp,
    signed_by: PKey<Private>,
    entries: Vec<u8>,
    number: Vec<u8>,
    extensions: Vec<u8>,
}

impl<'a> CrlSpec<'a> {
    pub(super) fn new(issuer: &'a Identity, now: Timestamp) -> Self {
        let hour = SignedDuration::from_hours(1);
        let signed_by = issuer.key.clone();
        let (entries, extensions) = (Vec::new(), Vec::new());
        Self { issuer, begin: now - hour, end: now + hour * 168, signed_by, entries, number: vec![1], extensions }
    }

    #[must_use]
    pub fn valid(self, begin: Timestamp, end: Timestamp) -> Self {
        Self { begin, end, ..self }
    }

    /// Signed by a key that is not the issuer's.
    #[must_use]
    pub fn signed_by(self, other: &Identity) -> Self {
        Self { signed_by: other.key.clone(), ..self }
    }

    /// The CRL number, in octets.
    #[must_use]
    pub fn number(self, number: &[u8]) -> Self {
        Self { number: number.to_vec(), ..self }
    }

    /// One more extension, its value in DER.
    #[must_use]
    pub fn extension(mut self, kind: &str, critical: bool, value: &[u8]) -> Self {
        self.extensions.extend(extension(kind, critical, value));
        self
    }

    #[must_use]
    pub fn revoke(self, identity: &Identity, reason: Option<Reason>) -> Self {
        let serial = identity.certificate.serial_number().to_bn().unwrap().to_vec();
        self.revoke_serial(&serial, reason)
    }

    #[must_use]
    pub fn revoke_serial(mut self, serial: &[u8], reason: Option<Reason>) -> Self {
        let extensions = reason.map(|reason| {
            let code = tlv(0x0a, &[&[reason as u8]]);
            tlv(SEQUENCE, &[&extension("2.5.29.21", false, &code)])
        });
        let entry = tlv(SEQUENCE, &[&integer(serial), &time(self.begin), &extensions.unwrap_or_default()]);
        self.entries.extend(entry);
        self
    }

    /// As many other serial numbers as a large CA's CRL has.
    #[must_use]
    pub fn with_others(mut self, count: u32) -> Self {
        let date = time(self.begin);
        for number in 0..count {
            let serial = [&[0x11; 12][..], &number.to_be_bytes()].concat();
            self.entries.extend(tlv(SEQUENCE, &[&integer(&serial), &date]));
        }
        self
    }

    pub fn der(&self) -> Vec<u8> {
        let algorithm = tlv(SEQUENCE, &[&oid("1.2.840.10045.4.3.2")]);
        let issuer = self.issuer.certificate.subject_name().to_der().unwrap();
        let entries = if self.entries.is_empty() { Vec::new() } else { tlv(SEQUENCE, &[&self.entries]) };
        let number = extension("2.5.29.20", false, &integer(&self.number));
        let extensions = tlv(0xa0, &[&tlv(SEQUENCE, &[&number, &self.extensions])]);
        let (begin, end) = (time(self.begin), time(self.end));
        let list = tlv(SEQUENCE, &[&integer(&[1]), &algorithm, &issuer, &begin, &end, &entries, &extensions]);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.signed_by).unwrap();
        let signature = signer.sign_oneshot_to_vec(&list).unwrap();
        tlv(SEQUENCE, &[&list, &algorithm, &tlv(0x03, &[&[0], &signature])])
    }

    pub fn pem(&self) -> Vec<u8> {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(self.der());
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n")).into_bytes()
    }
}
