//! The rule of a subscription for a file of checksums. Pure.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use super::super::{RuleError, SourceUrl};
use crate::api;

/// The most images of one file.
const MOST_IMAGES: usize = 100;
/// The longest regular expression, in characters.
const LONGEST_PATTERN: usize = 512;
/// The most memory of one regular expression, in bytes.
const PATTERN_SIZE: usize = 256 << 10;
/// The longest name of an image, in characters.
const LONGEST_NAME: usize = 63;
/// The group of a regular expression that is the version.
pub(super) const VERSION: &str = "version";

/// A checked `source.checksums`.
#[derive(Debug, Clone)]
pub struct ChecksumsRule {
    url: SourceUrl,
    signature: Option<SourceUrl>,
    images: Vec<ImageRule>,
}

/// One image in a file of checksums.
#[derive(Debug, Clone)]
pub(super) struct ImageRule {
    pub(super) name: String,
    /// Matches the whole name of a file.
    pub(super) file: Regex,
    pub(super) title: Option<String>,
    pub(super) os: String,
    pub(super) os_version: String,
    pub(super) arch: String,
}

impl ChecksumsRule {
    /// Checks a subscription's `spec.source.checksums`.
    pub fn new(spec: &api::ChecksumsSource) -> Result<Self, RuleError> {
        const FIELD: &str = "source.checksums";
        let api::ChecksumsSource { url, signature, images } = spec;
        let found = images.len();
        if !(1..=MOST_IMAGES).contains(&found) {
            let message = format!("expected 1 to {MOST_IMAGES} images, found {found}");
            return Err(RuleError::new(format!("{FIELD}.images"), message));
        }
        let mut names = BTreeSet::new();
        if let Some(again) = images.iter().find(|image| !names.insert(&image.name)) {
            let message = format!("expected each name once, found {:?} again", again.name);
            return Err(RuleError::new(format!("{FIELD}.images"), message));
        }
        let signature = signature.as_ref().map(|url| RuleError::url(&format!("{FIELD}.signature"), url));
        Ok(Self {
            url: RuleError::url(&format!("{FIELD}.url"), url)?,
            signature: signature.transpose()?,
            images: images.iter().map(ImageRule::new).collect::<Result<_, _>>()?,
        })
    }

    /// The address of the file.
    pub fn url(&self) -> &SourceUrl {
        &self.url
    }

    /// The address of its detached signature; `None` if it follows from the file.
    pub fn signature(&self) -> Option<&SourceUrl> {
        self.signature.as_ref()
    }

    pub(super) fn images(&self) -> &[ImageRule] {
        &self.images
    }

    /// The name that the identifier of the list is made from: the address without its query.
    pub(super) fn name(&self) -> String {
        let mut url = self.url.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        url.into()
    }
}

impl ImageRule {
    fn new(spec: &api::ChecksumImage) -> Result<Self, RuleError> {
        let api::ChecksumImage { name, file, title, os, os_version, arch } = spec;
        if name.len() > LONGEST_NAME || !super::super::select::is_match_name(name) {
            let expected = format!("expected a name of 1 to {LONGEST_NAME} lower-case letters, digits, - and .");
            return Err(RuleError::new("source.checksums.images", format!("{expected}, found {name:?}")));
        }
        let field = |field: &str| format!("source.checksums.images[{name}].{field}");
        Ok(Self {
            name: name.clone(),
            file: pattern(file).map_err(|message| RuleError::new(field("file"), message))?,
            title: title.clone(),
            os: os.clone().unwrap_or_default(),
            os_version: os_version.clone().unwrap_or_default(),
            arch: arch.clone().unwrap_or_default(),
        })
    }
}

/// A regular expression for a whole name.
fn pattern(text: &str) -> Result<Regex, String> {
    let length = text.chars().count();
    if !(1..=LONGEST_PATTERN).contains(&length) {
        return Err(format!("expected a regular expression of 1 to {LONGEST_PATTERN} characters, found {length}"));
    }
    let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_SIZE).build();
    // Alone first: with a parenthesis too many it could be another expression inside of the group.
    build(text).and_then(|_| build(&format!(r"\A(?:{text})\z"))).map_err(|error| {
        let message = error.to_string();
        let line = message.lines().next_back().unwrap_or_default();
        format!("expected a regular expression, found {text:?}: {}", line.trim_start_matches("error: "))
    })
}
