//! Files of checksums, such as SHA256SUMS, SHA512SUMS and CHECKSUM: the rule of a subscription, and the list that follows
//! from a file. Pure.

mod image;
mod lines;
mod rule;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use self::lines::Sums;
pub use self::rule::ChecksumsRule;
use super::described::{self, Head, SourceId};
use super::{ImageList, ListError, WantedImages};

/// Makes the list of a file of checksums: exactly the signed text. `signed` is the time of its signature, which is the
/// version of the list.
pub(crate) fn parse(
    text: &[u8],
    rule: &ChecksumsRule,
    signed: Timestamp,
    wanted: Option<WantedImages<'_>>,
) -> Result<ImageList, ListError> {
    let sums = Sums::read(text)?;
    let url = rule.url();
    let identifier = SourceId::of(&rule.name());
    let title = url.url().path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default().to_owned();
    let head = Head { identifier, version: signed, created: signed, title, url };
    let images = rule.images().iter().map(|image| image.describe(identifier, url, &sums)).collect();
    described::list(&head, images, wanted)
}
