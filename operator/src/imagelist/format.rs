//! The forms in which sources publish what becomes an image list. Pure.

use super::oci::{OciRule, WantedTags};
use super::{ChecksumsRule, RuleError, SimpleStreamsRule, SourceUrl, SourceUrlError};
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
                let refused = |error: SourceUrlError| RuleError::new("source.url", error.to_string());
                Ok((url.parse().map_err(refused)?, Self::Hepix))
            }
            (None, Some(spec), None, None) => {
                let rule = ChecksumsRule::new(spec)?;
                Ok((rule.url().clone(), Self::Checksums(rule)))
            }
            (None, None, Some(spec), None) => {
                let rule = SimpleStreamsRule::new(spec)?;
                Ok((rule.url().clone(), Self::SimpleStreams(rule)))
            }
            (None, None, None, Some(spec)) => of_registry(spec),
            (url, checksums, streams, oci) => {
                let all = [url.is_some(), checksums.is_some(), streams.is_some(), oci.is_some()];
                let found = all.iter().filter(|is| **is).count();
                let message = format!("expected one of url, checksums, simpleStreams, oci, found {found}");
                Err(RuleError::new("source", message))
            }
        }
    }
}

/// The address of a repository, or of its one manifest, and its rule.
fn of_registry(spec: &api::OciSource) -> Result<(SourceUrl, ListFormat), RuleError> {
    let rule = OciRule::new(&spec.repository, spec.insecure, spec.tags.as_deref(), spec.digest.as_deref())
        .map_err(|error| RuleError::new("source.oci", error.to_string()))?;
    let below = match &rule.wanted {
        WantedTags::Matching(_) => "tags/list".to_owned(),
        WantedTags::Pinned(digest) => format!("manifests/{digest}"),
    };
    let nameless = || RuleError::new("source.oci.repository", "expected a host and a path, found another");
    let url = rule.repository.address(rule.insecure, &below).ok_or_else(nameless)?;
    Ok((url, ListFormat::Oci(rule)))
}
