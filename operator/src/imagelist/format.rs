//! The forms in which sources publish what becomes an image list. Pure.

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
}

impl ListFormat {
    /// Checks a subscription's `spec.source`. Returns its address and its format.
    pub fn of(source: &api::ListSource) -> Result<(SourceUrl, Self), RuleError> {
        let api::ListSource { url, checksums, simple_streams, secret_ref: _, tls: _ } = source;
        match (url, checksums, simple_streams) {
            (Some(url), None, None) => {
                let url = url
                    .parse()
                    .map_err(|error: super::SourceUrlError| RuleError::new("source.url", error.to_string()))?;
                Ok((url, Self::Hepix))
            }
            (None, Some(spec), None) => {
                let rule = ChecksumsRule::new(spec)?;
                Ok((rule.url().clone(), Self::Checksums(rule)))
            }
            (None, None, Some(spec)) => {
                let rule = SimpleStreamsRule::new(spec)?;
                Ok((rule.url().clone(), Self::SimpleStreams(rule)))
            }
            (url, checksums, streams) => {
                let found = [url.is_some(), checksums.is_some(), streams.is_some()].iter().filter(|is| **is).count();
                let message = format!("expected one of url, checksums, simpleStreams, found {found}");
                Err(RuleError::new("source", message))
            }
        }
    }
}
