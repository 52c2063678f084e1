//! Certificates with anything that can be right or wrong with them.

use jiff::{SignedDuration, Timestamp};
use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, BigNumRef, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name, X509NameBuilder, X509NameRef};

use super::Identity;
use crate::der::{SEQUENCE, oid, tlv};

/// What a certificate says that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    EmailProtection,
    ServerAuth,
    ClientAuth,
}

/// What a certificate is to hold.
pub struct CertificateSpec {
    subject: X509Name,
    serial: Option<BigNum>,
    issuer: Option<X509Name>,
    begin: Timestamp,
    end: Timestamp,
    authority: bool,
    path_length: Option<u32>,
    proxy: bool,
    signs: bool,
    usages: Vec<Usage>,
    digest: MessageDigest,
    extensions: Vec<(String, bool, Vec<u8>)>,
    key: Option<PKey<Private>>,
}

impl CertificateSpec {
    /// A certificate authority, for twenty years.
    pub fn authority(subject: &str, now: Timestamp) -> Self {
        let decade = SignedDuration::from_hours(10 * 365 * 24);
        let spec = Self::person(subject, now).valid(now - decade, now + decade);
        Self { authority: true, usages: Vec::new(), ..spec }
    }

    /// An endorser's certificate, for S/MIME signing, a year long.
    pub fn person(subject: &str, now: Timestamp) -> Self {
        let half = SignedDuration::from_hours(182 * 24);
        Self {
            subject: subject_name(subject),
            serial: None,
            issuer: None,
            begin: now - half,
            end: now + half,
            authority: false,
            path_length: None,
            proxy: false,
            signs: true,
            usages: vec![Usage::EmailProtection, Usage::ClientAuth],
            digest: MessageDigest::sha256(),
            extensions: Vec::new(),
            key: None,
        }
    }

    /// An RFC 3820 proxy; its issuer is the user.
    pub fn proxy(subject: &str, now: Timestamp) -> Self {
        Self { proxy: true, usages: Vec::new(), ..Self::person(subject, now) }
    }

    /// Another subject, of any RDNs.
    #[must_use]
    pub fn named(self, subject: &X509NameRef) -> Self {
        Self { subject: subject.to_owned().unwrap(), ..self }
    }

    /// Another certificate's serial number.
    #[must_use]
    pub fn serial(self, serial: &BigNumRef) -> Self {
        Self { serial: Some(serial.to_owned().unwrap()), ..self }
    }

    /// Another issuer's name than that of whoever signs it.
    #[must_use]
    pub fn issued_by_name(self, issuer: &X509NameRef) -> Self {
        Self { issuer: Some(issuer.to_owned().unwrap()), ..self }
    }

    #[must_use]
    pub fn valid(self, begin: Timestamp, end: Timestamp) -> Self {
        Self { begin, end, ..self }
    }

    /// How many authorities may stand below this one.
    #[must_use]
    pub fn path_length(self, length: u32) -> Self {
        Self { path_length: Some(length), ..self }
    }

    /// The extended key usage; none at all where the list is empty.
    #[must_use]
    pub fn usages(self, usages: &[Usage]) -> Self {
        Self { usages: usages.to_vec(), ..self }
    }

    /// The key may encrypt keys and nothing else.
    #[must_use]
    pub fn encryption_only(self) -> Self {
        Self { signs: false, ..self }
    }

    /// The digest that the issuer signs over.
    #[must_use]
    pub fn signed_over(self, digest: MessageDigest) -> Self {
        Self { digest, ..self }
    }

    /// One more extension, its value in DER.
    #[must_use]
    pub fn extension(mut self, kind: &str, critical: bool, value: &[u8]) -> Self {
        self.extensions.push((kind.to_owned(), critical, value.to_vec()));
        self
    }

    /// An old key for a new certificate.
    #[must_use]
    pub fn key(self, key: &PKey<Private>) -> Self {
        Self { key: Some(key.clone()), ..self }
    }

    /// Makes it: below an issuer, or signed by itself. The chain of what comes out is empty.
    pub fn build(&self, issuer: Option<(&X509, &PKey<Private>)>) -> Identity {
        let key = self.key.clone().unwrap_or_else(new_key);
        let name = &self.subject;
        let issuer_name = self.issuer.as_deref().or(issuer.map(|(certificate, _)| certificate.subject_name()));
        let random = self.serial.is_none().then(random_serial);
        let number = self.serial.as_ref().or(random.as_ref()).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&Asn1Integer::from_bn(number).unwrap()).unwrap();
        builder.set_subject_name(name).unwrap();
        builder.set_issuer_name(issuer_name.unwrap_or(name)).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(self.begin.as_second()).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(self.end.as_second()).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        self.add_extensions(&mut builder, issuer.map(|(certificate, _)| certificate));
        builder.sign(issuer.map_or(&key, |(_, key)| key), self.digest).unwrap();
        Identity { certificate: builder.build(), key, chain: Vec::new() }
    }

    fn add_extensions(&self, builder: &mut X509Builder, issuer: Option<&X509>) {
        if self.authority {
            let mut constraints = BasicConstraints::new();
            constraints.critical().ca();
            if let Some(length) = self.path_length {
                constraints.pathlen(length);
            }
            builder.append_extension(constraints.build().unwrap()).unwrap();
        }
        let mut usage = KeyUsage::new();
        match (self.authority, self.signs) {
            (true, _) => usage.key_cert_sign().crl_sign().digital_signature(),
            (false, true) => usage.digital_signature(),
            (false, false) => usage.key_encipherment(),
        };
        builder.append_extension(usage.critical().build().unwrap()).unwrap();
        if !self.usages.is_empty() {
            let mut extended = ExtendedKeyUsage::new();
            for usage in &self.usages {
                match usage {
                    Usage::EmailProtection => extended.email_protection(),
                    Usage::ServerAuth => extended.server_auth(),
                    Usage::ClientAuth => extended.client_auth(),
                };
            }
            builder.append_extension(extended.build().unwrap()).unwrap();
        }
        let key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer.map(|i| &**i), None)).unwrap();
        builder.append_extension(key_id).unwrap();
        if self.proxy {
            let inherit_all = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid("1.3.6.1.5.5.7.21.1")])]);
            builder.append_extension(raw_extension("1.3.6.1.5.5.7.1.14", true, &inherit_all)).unwrap();
        }
        for (kind, critical, value) in &self.extensions {
            builder.append_extension(raw_extension(kind, *critical, value)).unwrap();
        }
    }
}

fn raw_extension(kind: &str, critical: bool, value: &[u8]) -> X509Extension {
    let kind = Asn1Object::from_str(kind).unwrap();
    X509Extension::new_from_der(&kind, critical, &Asn1OctetString::new_from_bytes(value).unwrap()).unwrap()
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn random_serial() -> BigNum {
    let mut number = BigNum::new().unwrap();
    number.rand(127, MsbOption::ONE, false).unwrap();
    number
}

/// A name out of its one-line form; no escapes.
pub fn subject_name(one_line: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    for part in one_line.split('/').filter(|part| !part.is_empty()) {
        let (attribute, value) = part.split_once('=').unwrap();
        name.append_entry_by_text(attribute, value).unwrap();
    }
    name.build()
}

/// A name in OpenSSL's one-line form. Only for names without anything to escape.
pub fn one_line(name: &X509NameRef) -> String {
    let entry = |entry: &openssl::x509::X509NameEntryRef| {
        let attribute = entry.object().nid().short_name().unwrap().to_owned();
        format!("/{attribute}={}", entry.data().to_string().unwrap())
    };
    name.entries().map(entry).collect()
}
