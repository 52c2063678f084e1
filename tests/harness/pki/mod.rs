//! A public key infrastructure made in memory: authorities, endorsers and what can be wrong with them, CRLs of every kind.
//!
//! Keys are P-256, since they are made in a moment. Everything is relative to the time that [`Pki::at`] is given.

mod certificate;
mod crl;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

pub use certificate::{CertificateSpec, Usage, one_line, subject_name};
pub use crl::{CrlSpec, Reason};

/// A certificate, its key, and the certificates between it and its root (its issuer first, without the root).
#[derive(Debug, Clone)]
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
    pub chain: Vec<X509>,
}

impl Identity {
    /// The subject as `hv:dn` holds it.
    pub fn subject(&self) -> String {
        one_line(self.certificate.subject_name())
    }

    /// The issuer as `hv:ca` holds it.
    pub fn issuer(&self) -> String {
        one_line(self.certificate.issuer_name())
    }

    /// Issues a certificate below this one.
    #[must_use]
    pub fn issue(&self, spec: &CertificateSpec) -> Self {
        let own = self.certificate.clone();
        let is_root = own.subject_name().try_cmp(own.issuer_name()).unwrap().is_eq();
        let mut issued = spec.build(Some((&self.certificate, &self.key)));
        issued.chain = if is_root { Vec::new() } else { [vec![own], self.chain.clone()].concat() };
        issued
    }

    /// A CRL of this authority that begins an hour before and ends a week after the time.
    pub fn crl(&self, now: Timestamp) -> CrlSpec<'_> {
        CrlSpec::new(self, now)
    }

    /// The certificate and its key in PEM.
    pub fn pem(&self) -> (Vec<u8>, Vec<u8>) {
        (self.certificate.to_pem().unwrap(), self.key.private_key_to_pem_pkcs8().unwrap())
    }
}

/// A root, an intermediate below it, and endorsers below that, each with one thing about it.
#[derive(Debug, Clone)]
pub struct Pki {
    pub now: Timestamp,
    pub root: Identity,
    pub intermediate: Identity,
    /// Everything is right with it.
    pub endorser: Identity,
    /// Another one, with which everything is right.
    pub second: Identity,
    /// Issued by the root itself.
    pub direct: Identity,
    /// On the intermediate's CRL, key compromise.
    pub revoked: Identity,
    /// On the intermediate's CRL, superseded.
    pub superseded: Identity,
    pub expired: Identity,
    pub not_yet_valid: Identity,
    /// A host certificate: serverAuth and clientAuth only.
    pub host: Identity,
    /// Its key usage allows no signatures.
    pub encryption_only: Identity,
    /// Its certificate was signed over SHA-1.
    pub weak: Identity,
    /// An RFC 3820 proxy of the endorser.
    pub proxy: Identity,
    /// A good certificate of a root that nobody trusts.
    pub stranger: Identity,
    /// The root that nobody trusts, with the same name as the trusted one.
    pub impostor: Identity,
}

pub const ROOT: &str = "/DC=org/DC=example/CN=Root CA";
pub const INTERMEDIATE: &str = "/DC=org/DC=example/CN=Issuing CA";
pub const ENDORSER: &str = "/DC=org/DC=example/O=People/CN=Erin Endorser";

impl Pki {
    /// For programs that look at the clock themselves.
    #[expect(clippy::new_without_default, reason = "it makes keys, which is no default")]
    pub fn new() -> Self {
        Self::at(Timestamp::now())
    }

    /// Everything is relative to this time.
    pub fn at(now: Timestamp) -> Self {
        let person = |name: &str| CertificateSpec::person(&format!("/DC=org/DC=example/O=People/CN={name}"), now);
        let root = CertificateSpec::authority(ROOT, now).build(None);
        let intermediate = root.issue(&CertificateSpec::authority(INTERMEDIATE, now));
        let endorser = intermediate.issue(&CertificateSpec::person(ENDORSER, now));
        let day = SignedDuration::from_hours(24);
        let stranger_root = CertificateSpec::authority("/DC=org/DC=elsewhere/CN=Root CA", now).build(None);
        let host = CertificateSpec::person("/DC=org/DC=example/O=Hosts/CN=lists.example.org", now);
        Self {
            second: intermediate.issue(&person("Sam Second")),
            direct: root.issue(&person("Dora Direct")),
            revoked: intermediate.issue(&person("Rita Revoked")),
            superseded: intermediate.issue(&person("Sue Superseded")),
            expired: intermediate.issue(&person("Eve Expired").valid(now - day * 30, now - day)),
            not_yet_valid: intermediate.issue(&person("Nora Notyet").valid(now + day, now + day * 30)),
            host: intermediate.issue(&host.usages(&[Usage::ServerAuth, Usage::ClientAuth])),
            encryption_only: intermediate.issue(&person("Olga Onlyencrypts").encryption_only()),
            weak: intermediate.issue(&person("Will Weak").signed_over(openssl::hash::MessageDigest::sha1())),
            proxy: endorser.issue(&CertificateSpec::proxy(&format!("{ENDORSER}/CN=1234567890"), now)),
            stranger: stranger_root.issue(&person("Sid Stranger")),
            impostor: CertificateSpec::authority(ROOT, now).build(None),
            now,
            root,
            intermediate,
            endorser,
        }
    }

    /// The root's CRL: nobody is on it.
    pub fn root_crl(&self) -> Vec<u8> {
        self.root.crl(self.now).der()
    }

    /// The intermediate's CRL, with those on it that belong there.
    pub fn intermediate_crl(&self) -> Vec<u8> {
        let crl = self.intermediate.crl(self.now).revoke(&self.revoked, Some(Reason::KeyCompromise));
        crl.revoke(&self.superseded, Some(Reason::Superseded)).der()
    }

    /// Writes a trust directory: the root and both CRLs, under their hashes.
    pub fn write_trust_dir(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let hash = |identity: &Identity| format!("{:08x}", identity.certificate.subject_name_hash());
        let (root, intermediate) = (hash(&self.root), hash(&self.intermediate));
        std::fs::write(folder.join(format!("{root}.0")), self.root.certificate.to_pem().unwrap()).unwrap();
        let below = self.intermediate.certificate.to_pem().unwrap();
        std::fs::write(folder.join(format!("{intermediate}.0")), below).unwrap();
        std::fs::write(folder.join(format!("{root}.r0")), self.root_crl()).unwrap();
        std::fs::write(folder.join(format!("{intermediate}.r0")), self.intermediate_crl()).unwrap();
    }
}
