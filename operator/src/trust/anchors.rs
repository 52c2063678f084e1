//! The certificates that paths may end in, and their CRLs.

/// Trust anchors and CRLs, parsed once. Shared as `Arc<Anchors>`.
#[derive(Debug, Default)]
pub struct Anchors {}

/// Gathers anchors from bytes; a file that cannot be read costs only itself.
#[derive(Debug, Default)]
pub struct AnchorsBuilder {}

/// Why bytes hold no trust anchor or no CRL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Neither PEM nor DER certificates.
    #[error("expected certificates in PEM or DER, found {0}")]
    NoCertificate(String),
    /// Not a CRL that can be used.
    #[error("expected a CRL in PEM or DER, found {0}")]
    NoCrl(String),
}

impl Anchors {
    /// An empty set to fill.
    pub fn builder() -> AnchorsBuilder {
        AnchorsBuilder::default()
    }
}

impl AnchorsBuilder {
    /// Adds all certificates of a file, PEM or DER; gives how many.
    pub fn add_certificates(&mut self, _bytes: &[u8]) -> Result<usize, AnchorError> {
        todo!()
    }

    /// Adds all CRLs of a file, PEM or DER; gives how many.
    pub fn add_crls(&mut self, _bytes: &[u8]) -> Result<usize, AnchorError> {
        todo!()
    }

    /// The anchors, ready for use.
    pub fn build(self) -> Anchors {
        todo!()
    }
}
