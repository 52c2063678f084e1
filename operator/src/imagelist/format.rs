//! The forms in which sources publish what becomes an image list. Pure.

use super::oci::{OciRule, WantedTags};
use super::{ChecksumsRule, RuleError, SimpleStreamsRule, SourceUrl};
use crate::api;

/// How the messages of a source become an image list.
#[derive(Debug, Clone, Default)]
pub enum ListFormat {
    /// A `HEPiX` image list: JSON, signed as a whole.
    #[default]
    Hepix,
    /// A file of checksums and its signature.
    Checksums(ChecksumsRule),
    /// The index and the products file of a simplestreams mirror, each signed.
    SimpleStreams(SimpleStreamsRule),
    /// A repository of OCI artefacts, each signed for itself.
    Oci(OciRule),
}

impl ListFormat {
    /// Checks a subscription's `spec.source`. Returns its address and its format.
    pub fn of(source: &api::ListSource) -> Result<(SourceUrl, Self), RuleError> {
        let api::ListSource { url, checksums, simple_streams, oci, secret_ref: _, tls: _ } = source;
        match (url, checksums, simple_streams, oci) {
            (Some(url), None, None, None) => {
                let invalid = |error: super::SourceUrlError| RuleError::new("source.url", error.to_string());
                Ok((url.parse().map_err(invalid)?, Self::Hepix))
            }
            (None, Some(spec), None, None) => {
                let rule = ChecksumsRule::new(spec)?;
                Ok((rule.url().clone(), Self::Checksums(rule)))
            }
            (None, None, Some(spec), None) => {
                let rule = SimpleStreamsRule::new(spec)?;
                Ok((rule.url().clone(), Self::SimpleStreams(rule)))
            }
            (None, None, None, Some(spec)) => repository(spec),
            (url, checksums, streams, oci) => {
                let set = [url.is_some(), checksums.is_some(), streams.is_some(), oci.is_some()];
                let found = set.iter().filter(|is| **is).count();
                let message = format!("expected exactly one of url, checksums, simpleStreams and oci, found {found}");
                Err(RuleError::new("source", message))
            }
        }
    }
}

/// A repository of OCI artefacts.
fn repository(oci: &api::OciSource) -> Result<(SourceUrl, ListFormat), RuleError> {
    let rule = OciRule::new(&oci.repository, oci.insecure, oci.tags.as_deref(), oci.digest.as_deref())
        .map_err(|error| RuleError::new("source.oci", error.to_string()))?;
    let below = match &rule.wanted {
        WantedTags::Matching(_) => "tags/list".to_owned(),
        WantedTags::Pinned(digest) => format!("manifests/{digest}"),
    };
    let url = rule.repository.address(rule.insecure, &below);
    let expected = "expected a host and a path, found another";
    let url = url.ok_or_else(|| RuleError::new("source.oci.repository", expected))?;
    Ok((url, ListFormat::Oci(rule)))
}
