//! The forms in which sources publish what becomes an image list. Pure.

use super::oci::OciRule;

/// How the messages of a source become an image list.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum ListFormat {
    /// A HEPiX image list: JSON, signed as a whole.
    #[default]
    Hepix,
    /// A repository of OCI artefacts, each signed for itself.
    Oci(OciRule),
}
