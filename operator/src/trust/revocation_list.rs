//! A single CRL, for fetching CRLs and deciding whether a new CRL may replace the stored one.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::anchors::{AnchorError, crl_blocks};
use super::certificate::Certificate;
use super::crl::{Crl, newest_signed};
use super::{Anchors, DistinguishedName};

/// A CRL whose structure was checked. [`RevocationList::is_signed_by_any`] checks its signature.
#[derive(Debug)]
pub struct RevocationList(Crl);

/// The state of the CRL of a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// There is a CRL that the CA signed. It is valid until this time.
    Fresh(Timestamp),
    /// There is no CRL that the CA signed. The text describes what there is instead.
    Missing(String),
    /// The CRL expired at this time.
    Expired(Timestamp),
    /// The CRL is not valid before this time.
    NotYetValid(Timestamp),
}

impl RevocationList {
    /// Reads exactly one CRL, in PEM or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, AnchorError> {
        let mut blocks = crl_blocks(bytes)?;
        match (blocks.pop(), blocks.is_empty()) {
            (Some(block), true) => Crl::from_der(block).map(Self).map_err(AnchorError::NoCrl),
            (Some(_), false) | (None, _) => Err(AnchorError::NoCrl("several in one file".to_owned())),
        }
    }

    /// The name of its issuer. The signature is not checked here.
    pub fn issuer(&self) -> &DistinguishedName {
        self.0.issuer()
    }

    /// Its `thisUpdate`.
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// Its `nextUpdate`.
    pub fn next_update(&self) -> Timestamp {
        self.0.next_update
    }

    /// Whether a trust anchor with the issuer's name signed it.
    pub fn is_signed_by_any(&self, anchors: &Anchors) -> bool {
        let named = anchors.authorities().iter().filter(|authority| authority.subject == *self.issuer());
        named.filter(|authority| authority.may_sign_crls()).any(|authority| self.0.is_signed_by(authority))
    }

    /// Whether it is older than another CRL: its `thisUpdate` is earlier, or its CRL number (RFC 5280 section 5.2.3) is
    /// lower.
    pub fn goes_back_behind(&self, other: &Self) -> bool {
        let (new, old) = (self.0.number(), other.0.number());
        let lower = match (&new, &old) {
            (Some(new), Some(old)) => (new.len(), new) < (old.len(), old),
            (_, None) | (None, _) => false,
        };
        lower || self.this_update() < other.this_update()
    }

    /// The CRL in PEM, as in trust directories.
    pub fn to_pem(&self) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(self.0.der());
        let mut pem = String::from("-----BEGIN X509 CRL-----\n");
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END X509 CRL-----\n");
        pem
    }
}

impl Anchors {
    /// The state of the CRLs of a CA and of the CAs above it, as far as they are trust anchors. The CA is first. Empty
    /// if the CA is not an anchor (it is an intermediate inside a message).
    pub fn crl_freshness(&self, issuer: &DistinguishedName, at: Timestamp) -> Vec<(DistinguishedName, Freshness)> {
        let mut found: Vec<(DistinguishedName, Freshness)> = Vec::new();
        let mut next = issuer.clone();
        while let Some(authority) = self.authorities().iter().find(|authority| authority.subject == next) {
            if found.iter().any(|(name, _)| *name == next) {
                break;
            }
            found.push((next, self.freshness(authority, at)));
            next = authority.issuer.clone();
        }
        found
    }

    /// The `nextUpdate` of each trust anchor's own CRL, which may be in the past, for metrics. Sorted by name, each
    /// name once, with the earliest time. Anchors without a CRL that they signed are left out.
    pub fn crl_ends(&self, at: Timestamp) -> Vec<(DistinguishedName, Timestamp)> {
        let mut ends: BTreeMap<DistinguishedName, Timestamp> = BTreeMap::new();
        for authority in self.authorities() {
            let Some(crl) = self.own_crl(authority, at) else { continue };
            let end = ends.entry(authority.subject.clone()).or_insert(crl.next_update);
            *end = (*end).min(crl.next_update);
        }
        ends.into_iter().collect()
    }

    fn freshness(&self, authority: &Certificate, at: Timestamp) -> Freshness {
        match self.own_crl(authority, at) {
            None => Freshness::Missing(self.instead_of_crl(authority)),
            Some(crl) if crl.this_update > at => Freshness::NotYetValid(crl.this_update),
            Some(crl) if crl.next_update <= at => Freshness::Expired(crl.next_update),
            Some(crl) => Freshness::Fresh(crl.next_update),
        }
    }

    /// The newest CRL that an authority signed. One whose `thisUpdate` has been reached is preferred.
    fn own_crl(&self, authority: &Certificate, at: Timestamp) -> Option<&Crl> {
        newest_signed(self.crls_of(&authority.subject).iter(), authority, at)
    }
}
