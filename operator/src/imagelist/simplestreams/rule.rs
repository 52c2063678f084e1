//! The rule of a subscription for a simplestreams mirror. Pure.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::super::{RuleError, SourceUrl, described};
use crate::api;
use crate::text::is_printable;

/// The most globs.
const MOST_PRODUCTS: usize = 100;
/// The longest `content_id` or glob, in characters.
const LONGEST: usize = 256;
/// The longest file type, in characters.
const LONGEST_TYPE: usize = 64;
/// The folders of an index below the root of its mirror.
const FOLDERS: [&str; 2] = ["streams", "v1"];

/// A checked `source.simpleStreams`.
#[derive(Debug, Clone)]
pub struct SimpleStreamsRule {
    url: SourceUrl,
    content_id: String,
    products: GlobSet,
    file_type: String,
}

impl SimpleStreamsRule {
    /// Checks a subscription's `spec.source.simpleStreams`.
    pub fn new(spec: &api::SimpleStreamsSource) -> Result<Self, RuleError> {
        const FIELD: &str = "source.simpleStreams";
        let api::SimpleStreamsSource { url, content_id, products, file_type } = spec;
        let at = |field: &str| format!("{FIELD}.{field}");
        let url = RuleError::url(&at("url"), url)?;
        let segments: Vec<&str> = url.url().path_segments().map(Iterator::collect).unwrap_or_default();
        let is_index = matches!(segments.as_slice(), [.., streams, v1, name]
            if [*streams, *v1] == FOLDERS && !name.is_empty());
        if !is_index || url.url().query().is_some() || url.url().fragment().is_some() {
            let message = format!("expected an address ROOT/streams/v1/NAME, found {url}");
            return Err(RuleError::new(at("url"), message));
        }
        let text = |field: &str, text: &str, most: usize| {
            let good = (1..=most).contains(&text.chars().count()) && text.chars().all(is_printable);
            let message = || format!("expected 1 to {most} printable characters, found {text:?}");
            if good { Ok(text.to_owned()) } else { Err(RuleError::new(at(field), message())) }
        };
        Ok(Self {
            content_id: text("contentId", content_id, LONGEST)?,
            products: globs(products).map_err(|message| RuleError::new(at("products"), message))?,
            file_type: text("fileType", file_type, LONGEST_TYPE)?,
            url,
        })
    }

    /// The address of the index.
    pub fn url(&self) -> &SourceUrl {
        &self.url
    }

    /// `content_id` of the products file.
    pub fn content_id(&self) -> &str {
        &self.content_id
    }

    pub(super) fn file_type(&self) -> &str {
        &self.file_type
    }

    /// Whether a product is wanted.
    pub(super) fn has(&self, product: &str) -> bool {
        self.products.is_match(product)
    }

    /// The address of a path in the mirror. The error says what was expected and found.
    pub fn resolve(&self, path: &str) -> Result<SourceUrl, String> {
        described::beside(&self.url, FOLDERS.len() + 1, path)
    }

    /// The name that the identifier of the list is made from: `URL#CONTENT_ID`.
    pub(super) fn name(&self) -> String {
        format!("{}#{}", self.url.url(), self.content_id)
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let found = patterns.len();
    if !(1..=MOST_PRODUCTS).contains(&found) {
        return Err(format!("expected 1 to {MOST_PRODUCTS} globs, found {found}"));
    }
    let mut set = GlobSetBuilder::new();
    for (index, pattern) in patterns.iter().enumerate() {
        if patterns[..index].contains(pattern) {
            return Err(format!("expected each glob once, found {pattern:?} again"));
        }
        let length = pattern.chars().count();
        if !(1..=LONGEST).contains(&length) {
            return Err(format!("expected globs of 1 to {LONGEST} characters, found one of {length}"));
        }
        set.add(
            Glob::new(pattern)
                .map_err(|error| format!("expected a glob (* ? [a-z] {{a,b}}), found {pattern:?}: {}", error.kind()))?,
        );
    }
    set.build().map_err(|error| format!("expected globs that can be used together: {}", error.kind()))
}
