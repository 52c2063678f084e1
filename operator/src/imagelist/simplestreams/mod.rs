//! simplestreams mirrors: the rule of a subscription, and the list that follows from an index and a products file. Pure.
//!
//! Both are JSON. The index (`format: index:1.0`) says where the products file of each `content_id` is. The products file
//! (`format: products:1.0`) has products, their versions, and the files of each version. A value that is set higher up
//! applies below it.

mod document;
mod image;
mod leaf;
mod rule;
mod stream;
mod tags;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use self::document::ProductsPath;
pub use self::rule::SimpleStreamsRule;
use super::described::{self, Head, SourceId};
use super::{ImageList, ListError, WantedImages};

/// The most products of one file that match. The largest known mirrors have some hundred.
const MOST_PRODUCTS: usize = 10_000;
/// The most versions of one product. The largest known mirrors have some hundred.
const MOST_VERSIONS: usize = 10_000;

/// The times that the two files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Updated {
    /// `updated` of the index.
    pub(crate) index: Timestamp,
    /// `updated` of the products file.
    pub(crate) products: Timestamp,
    /// The `updated` that the index has for the products file.
    pub(crate) announced: Option<Timestamp>,
}

/// Makes the list of an index and a products file: exactly the signed texts. The version of the list is the time of the
/// products file, and it was created at the time of the index.
pub(crate) fn parse(
    index: &[u8],
    products: &[u8],
    rule: &SimpleStreamsRule,
    wanted: Option<WantedImages<'_>>,
) -> Result<(ImageList, Updated), ListError> {
    let entry = document::index(index, rule)?;
    let stream = stream::read(products, rule)?;
    let identifier = SourceId::of(&rule.name());
    let url = rule.url();
    let title = rule.content_id().to_owned();
    let head = Head { identifier, version: stream.updated, created: entry.updated, title, url };
    let images = stream.products.into_iter().map(|product| product.describe(identifier, rule)).collect();
    let updated = Updated { index: entry.updated, products: stream.updated, announced: entry.announced };
    Ok((described::list(&head, images, wanted)?, updated))
}
