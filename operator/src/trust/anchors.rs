//! Trust anchors and their CRLs.

use std::collections::{BTreeMap, BTreeSet};

use openssl::x509::X509;

use super::certificate::Certificate;
use super::crl::Crl;
use super::namespace::{Policies, PolicyFile, parse_namespaces, parse_signing_policy};
use super::{DistinguishedName, Sha256Digest, appearance, pem};

/// The largest file that is read, in bytes. The largest CRLs in use have 20 MiB.
const LARGEST_FILE: usize = 128 << 20;

/// Trust anchors and CRLs, parsed once. Shared as `Arc<Anchors>`. The signature of a CRL is checked once for each key.
#[derive(Debug, Default)]
pub struct Anchors {
    authorities: Vec<Certificate>,
    /// Indices into `authorities`, by OpenSSL's hash of the subject.
    by_hash: BTreeMap<u32, Vec<usize>>,
    /// By the issuer's name.
    crls: BTreeMap<DistinguishedName, Vec<Crl>>,
    unusable_crls: Vec<UnusableCrl>,
    policies: Policies,
}

/// A file whose name is that of a CA's CRL, but whose content is something else.
#[derive(Debug, Clone)]
struct UnusableCrl {
    /// The file name, such as `0123abcd.r0`.
    file: String,
    /// The CAs whose certificate files have the same base name.
    own: Vec<DistinguishedName>,
    /// What was expected and found.
    why: String,
}

/// Collects anchors from bytes. A file that cannot be read does not affect the others.
#[derive(Debug, Default)]
pub struct AnchorsBuilder {
    authorities: Vec<Certificate>,
    seen: BTreeSet<Sha256Digest>,
    crls: BTreeMap<DistinguishedName, Vec<Crl>>,
    unusable_crls: Vec<UnusableCrl>,
    policies: Policies,
}

/// The bytes contain no trust anchor, no CRL, or no signing policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Neither PEM nor DER certificates.
    #[error("expected certificates in PEM or DER, found {0}")]
    NoCertificate(String),
    /// No CRL that can be used.
    #[error("expected CRLs in PEM or DER, found {0}")]
    NoCrl(String),
    /// No signing policy that can be parsed.
    #[error("expected a signing policy, found {0}")]
    NoPolicy(String),
}

impl Anchors {
    /// An empty set to fill.
    pub fn builder() -> AnchorsBuilder {
        AnchorsBuilder::default()
    }

    /// The number of trust anchors.
    pub fn count(&self) -> usize {
        self.authorities.len()
    }

    /// The number of CRLs.
    pub fn crl_count(&self) -> usize {
        self.crls.values().map(Vec::len).sum()
    }

    /// The subjects of the trust anchors.
    pub fn subjects(&self) -> impl Iterator<Item = &DistinguishedName> {
        self.authorities.iter().map(|authority| &authority.subject)
    }

    /// The reason why the signing policies do not allow a CA to sign a subject. `None` if they allow it, or if there
    /// are none.
    pub fn namespace_objection(&self, issuer: &DistinguishedName, subject: &DistinguishedName) -> Option<String> {
        self.policies.objection(issuer, subject)
    }

    pub(super) fn authorities(&self) -> &[Certificate] {
        &self.authorities
    }

    /// The authorities whose subject has this hash (`X509_NAME_hash`). OpenSSL looks up issuers by this hash.
    pub(super) fn authorities_of_hash(&self, hash: u32) -> Vec<&Certificate> {
        let places = self.by_hash.get(&hash).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.authorities.get(*place)).collect()
    }

    pub(super) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The CRLs of this issuer name, in no particular order.
    pub(super) fn crls_of(&self, issuer: &DistinguishedName) -> &[Crl] {
        self.crls.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// A message that describes why there is no usable CRL of a CA: there is none, or its files contain something else,
    /// or the CA did not sign it.
    pub(super) fn instead_of_crl(&self, issuer: &Certificate) -> String {
        let unusable = self.unusable_crls_of(issuer).join("; ");
        match (unusable.is_empty(), self.crls_of(&issuer.subject).is_empty()) {
            (false, _) => format!("none that can be read: {unusable}"),
            (true, true) => "none; fetch-crl brings it, or --refresh-crls".to_owned(),
            (true, false) => "none that it signed".to_owned(),
        }
    }

    /// Whether a file with the name of this CA's CRL contains something else.
    pub(super) fn has_unusable_crl(&self, issuer: &Certificate) -> bool {
        !self.unusable_crls_of(issuer).is_empty()
    }

    /// The files whose name is that of this CA's CRL (the CA's hash, or the base name of its certificate file) but
    /// which contain something else, and a description of their content.
    fn unusable_crls_of(&self, issuer: &Certificate) -> Vec<String> {
        if self.unusable_crls.is_empty() {
            return Vec::new();
        }
        let hash = format!("{:08x}.", issuer.x509.subject_name_hash());
        let of = |crl: &&UnusableCrl| crl.own.contains(&issuer.subject) || crl.file.starts_with(&hash);
        self.unusable_crls.iter().filter(of).map(|crl| format!("{}: {}", crl.file, crl.why)).collect()
    }
}

impl AnchorsBuilder {
    /// Adds all certificates of a file, in PEM or DER, and returns their subjects. If one of them cannot be read, it
    /// returns an error, but still adds the others.
    pub fn add_certificates(&mut self, bytes: &[u8]) -> Result<Vec<DistinguishedName>, AnchorError> {
        let refused = |why: &dyn ToString| AnchorError::NoCertificate(why.to_string());
        if bytes.len() > LARGEST_FILE {
            return Err(refused(&format!("{} bytes", bytes.len())));
        }
        let found = match bytes.first() {
            Some(0x30) => X509::from_der(bytes).map(|certificate| vec![certificate]),
            _ => X509::stack_from_pem(bytes),
        };
        let found = found.map_err(|_| refused(&appearance::of(bytes)))?;
        if found.is_empty() {
            return Err(refused(&appearance::of(bytes)));
        }
        let (mut subjects, mut bad) = (Vec::new(), None);
        for read in found.into_iter().map(Certificate::from_x509) {
            match read {
                Ok(certificate) => {
                    subjects.push(certificate.subject.clone());
                    if self.seen.insert(certificate.digest) {
                        self.authorities.push(certificate);
                    }
                }
                Err(error) => bad = Some(error),
            }
        }
        bad.map_or(Ok(subjects), |error| Err(refused(&error)))
    }

    /// Refuses every certificate of a CA that has no signing policy. Set for directories in the IGTF layout.
    pub fn require_policies(&mut self) {
        self.policies.required = true;
    }

    /// Adds the rules of an EACL file (`*.signing_policy`). `own` are the CAs whose certificate files have the same
    /// base name. If the file cannot be parsed, these CAs may sign nothing.
    pub fn add_signing_policy(&mut self, bytes: &[u8], own: &[DistinguishedName]) -> Result<(), AnchorError> {
        self.add_policy(bytes, own, |bytes, _| parse_signing_policy(bytes))
    }

    /// Adds the rules of a `*.namespaces` file. `own` are the CAs whose certificate files have the same base name. They
    /// are the `SELF` of the file, and if it cannot be parsed, they may sign nothing.
    pub fn add_namespaces(&mut self, bytes: &[u8], own: &[DistinguishedName]) -> Result<(), AnchorError> {
        self.add_policy(bytes, own, parse_namespaces)
    }

    fn add_policy(
        &mut self,
        bytes: &[u8],
        own: &[DistinguishedName],
        parse: impl Fn(&[u8], &[DistinguishedName]) -> Result<PolicyFile, String>,
    ) -> Result<(), AnchorError> {
        let names: Vec<String> = own.iter().map(ToString::to_string).collect();
        let whole = [bytes, names.join("\n").as_bytes()].concat();
        match parse(bytes, own) {
            // The same file under a second name (its hash or its alias) adds nothing.
            Ok(_) if !self.seen.insert(Sha256Digest::of(&whole)) => Ok(()),
            Ok(file) => {
                self.policies.files.push(file);
                Ok(())
            }
            Err(found) => {
                self.policies.unusable.extend_from_slice(own);
                Err(AnchorError::NoPolicy(found))
            }
        }
    }

    /// Adds all CRLs of a file, in PEM or DER, and returns their number. The same file under a second name adds none.
    pub fn add_crls(&mut self, bytes: &[u8]) -> Result<usize, AnchorError> {
        if bytes.len() > LARGEST_FILE {
            return Err(AnchorError::NoCrl(format!("{} bytes", bytes.len())));
        }
        if !self.seen.insert(Sha256Digest::of(bytes)) {
            return Ok(0);
        }
        let found = crl_blocks(bytes)?;
        let read: Result<Vec<_>, _> = found.into_iter().map(Crl::from_der).collect();
        let read = read.map_err(AnchorError::NoCrl)?;
        let count = read.len();
        for crl in read {
            self.crls.entry(crl.issuer().clone()).or_default().push(crl);
        }
        Ok(count)
    }

    /// Records that a file with the name of a CRL contains something else, for the message about the missing CRL.
    /// `file` is the name without a path. `own` are the CAs whose certificate files have the same base name.
    pub fn add_unusable_crl(&mut self, file: &str, own: &[DistinguishedName], why: &str) {
        self.unusable_crls.push(UnusableCrl { file: file.to_owned(), own: own.to_vec(), why: why.to_owned() });
    }

    /// Builds the anchors.
    pub fn build(self) -> Anchors {
        let Self { authorities, crls, unusable_crls, policies, seen: _ } = self;
        let mut by_hash: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, authority) in authorities.iter().enumerate() {
            by_hash.entry(authority.x509.subject_name_hash()).or_default().push(place);
        }
        Anchors { authorities, by_hash, crls, unusable_crls, policies }
    }
}

/// Whether the bytes contain a certificate, in PEM or DER.
pub fn holds_certificates(bytes: &[u8]) -> bool {
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    match bytes.first() {
        Some(0x30) => X509::from_der(bytes).is_ok(),
        _ => pem::blocks(bytes).iter().any(|block| labels.contains(&block.label)),
    }
}

/// The CRLs of a file in DER.
pub(super) fn crl_blocks(bytes: &[u8]) -> Result<Vec<Vec<u8>>, AnchorError> {
    match bytes.first() {
        Some(0x30) => Ok(vec![bytes.to_vec()]),
        _ => pem::decoded(bytes, "X509 CRL").ok_or_else(|| AnchorError::NoCrl(appearance::of(bytes))),
    }
}
