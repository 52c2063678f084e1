//! What all sources without an image list have in common: identifiers that follow from names, versions that follow from
//! times, and addresses of files beside the source. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ContentDigest, ImageId, ImageList, ImageRefusal, LeftOut, ListError, ListVersion, ListedImage, RefusedImage,
    Sha512Digest, SourceUrl, WantedImages,
};
use crate::digest::Sha256Digest;
use crate::text::{displayed, is_printable};

/// The longest path of a file, in bytes.
const LONGEST_PATH: usize = 1024;
/// The longest text of an image, in characters.
const LONGEST_TEXT: usize = 256;

/// The identifier of a list: UUID version 5 (RFC 9562 section 5.5) in the namespace for URLs, of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SourceId(Uuid);

impl SourceId {
    pub(super) fn of(name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
    }

    /// The identifier of one of its images: UUID version 5 in the namespace of the list's identifier.
    pub(super) fn image(self, name: &str) -> Self {
        Self(Uuid::new_v5(&self.0, name.as_bytes()))
    }

    pub(super) fn identifier(self) -> Result<ImageId, ListError> {
        self.0.to_string().parse().map_err(|error| field("identifier", &error))
    }
}

/// An image of the source.
pub(super) struct Described {
    pub(super) identifier: SourceId,
    /// The name in the rule, for messages.
    pub(super) name: String,
    /// The image, or why it cannot be used.
    pub(super) outcome: Result<DescribedImage, String>,
}

/// The properties of a usable image.
#[derive(Debug)]
pub(super) struct DescribedImage {
    pub(super) version: String,
    pub(super) title: String,
    pub(super) size: Option<u64>,
    pub(super) digest: ContentDigest,
    pub(super) uri: SourceUrl,
    /// The path of the file, as in the source.
    pub(super) path: String,
    pub(super) os: String,
    pub(super) os_version: String,
    pub(super) arch: String,
}

/// The properties of the list.
pub(super) struct Head<'a> {
    pub(super) identifier: SourceId,
    pub(super) version: Timestamp,
    pub(super) created: Timestamp,
    pub(super) title: String,
    pub(super) url: &'a SourceUrl,
}

/// Makes the list. Images that are not wanted are left out.
pub(super) fn list(
    head: &Head<'_>,
    images: Vec<Described>,
    wanted: Option<WantedImages<'_>>,
) -> Result<ImageList, ListError> {
    let mut list = empty(head)?;
    let mut times: HashMap<Uuid, usize> = HashMap::new();
    for image in &images {
        *times.entry(image.identifier.0).or_default() += 1;
    }
    for Described { identifier, name, outcome } in images {
        let once = times.get(&identifier.0).is_some_and(|times| *times == 1);
        let identifier = identifier.identifier()?;
        let twice = (ImageRefusal::IdentifierDuplicate, "expected its name once, found it again".to_owned());
        let outcome = outcome.and_then(|found| listed(identifier.clone(), found));
        let outcome = outcome.map_err(|message| (ImageRefusal::ImageMalformed, message));
        match outcome.and_then(|found| if once { Ok(found) } else { Err(twice) }) {
            Ok(found) if wanted.is_none_or(|wanted| wanted.has(&found)) => list.images.push(found),
            Ok(_) => list.left_out.images += 1,
            Err((reason, message)) => {
                let asked_for = wanted.is_none_or(|wanted| wanted.names(identifier.as_str()));
                if !asked_for && list.refused.len() >= WantedImages::REFUSED {
                    list.left_out.refused += 1;
                    continue;
                }
                let message = format!("{}: {message}", text(&name));
                list.refused.push(RefusedImage { identifier: identifier.to_string(), reason, message });
            }
        }
    }
    Ok(list)
}

/// The list without its images.
fn empty(head: &Head<'_>) -> Result<ImageList, ListError> {
    Ok(ImageList {
        identifier: head.identifier.identifier()?,
        version: ListVersion::of_time(head.version).map_err(|error| field("version", &error))?,
        created: head.created,
        expires: ImageList::NEVER,
        title: text(&head.title),
        description: String::new(),
        source: head.url.to_string(),
        uri: head.url.to_string(),
        endorsers: Vec::new(),
        vo: None,
        images: Vec::new(),
        refused: Vec::new(),
        left_out: LeftOut::default(),
        extra: serde_json::Map::new(),
    })
}

fn listed(identifier: ImageId, found: DescribedImage) -> Result<ListedImage, String> {
    Ok(ListedImage {
        identifier,
        version: found.version.parse().map_err(|error: super::VersionError| error.to_string())?,
        title: text(&found.title),
        description: text(&found.path),
        size: found.size,
        digest: found.digest,
        learned: None,
        uri: found.uri,
        os: text(&found.os),
        os_version: text(&found.os_version),
        arch: text(&found.arch),
        hypervisor: String::new(),
        comments: String::new(),
        format: None,
        mpuri: None,
        expires: None,
        extra: serde_json::Map::new(),
    })
}

/// The strongest of the digests that a source has for a file.
pub(super) fn strongest(sha512: Option<Sha512Digest>, sha256: Option<Sha256Digest>) -> Option<ContentDigest> {
    sha512.map(ContentDigest::Sha512).or(sha256.map(ContentDigest::Sha256))
}

/// The address of a file: a plain path below the folder of `base`, whose last `above` segments are not part of it. A path
/// with `.` or `..`, an absolute path, a backslash or a character that is not printable is refused.
pub(super) fn beside(base: &SourceUrl, above: usize, path: &str) -> Result<SourceUrl, String> {
    let refused = |found: &str| Err(format!("expected a plain relative path, found {found}"));
    if path.is_empty() || path.len() > LONGEST_PATH {
        return refused(&format!("one of {} bytes", path.len()));
    }
    if path.contains('\\') || !path.chars().all(is_printable) {
        return refused("a backslash or a character that is not printable in it");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refused(&super::json::describe_text(path));
    }
    let mut url = base.url().clone();
    url.set_query(None);
    url.set_fragment(None);
    match url.path_segments_mut() {
        Ok(mut segments) => {
            (0..above).for_each(|_| {
                segments.pop();
            });
            segments.extend(path.split('/'));
        }
        Err(()) => return refused("an address that has no path"),
    }
    url.as_str().parse().map_err(|error: super::SourceUrlError| error.to_string())
}

/// A text for display: at most [`LONGEST_TEXT`] characters, with characters that are not printable replaced.
pub(super) fn text(text: &str) -> String {
    displayed(text, LONGEST_TEXT)
}

/// An error of the whole source.
pub(super) fn field(path: &str, message: &impl ToString) -> ListError {
    ListError::Field { path: path.to_owned(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_folder() {
        let base: SourceUrl = "https://host/a/b/SUMS?token=s3cret#x".parse().unwrap();
        for (path, expected) in [
            ("c.img", "https://host/a/b/c.img"),
            ("d/c.img", "https://host/a/b/d/c.img"),
            ("%2e%2e/c.img", "https://host/a/b/%252e%252e/c.img"),
            ("c.img?d#e", "https://host/a/b/c.img%3Fd%23e"),
            ("//other/c.img", ""),
            ("/c.img", ""),
            ("../c.img", ""),
            ("d/../../c.img", ""),
            ("./c.img", ""),
            ("d//c.img", ""),
            ("c\\..\\img", ""),
            ("c\n.img", ""),
            ("", ""),
            ("https://other/c.img", ""),
        ] {
            let found = beside(&base, 1, path);
            assert_eq!(found.map(|url| url.url().to_string()).unwrap_or_default(), expected, "{path:?}");
        }
        assert_eq!(beside(&base, 2, "c").unwrap().to_string(), "https://host/a/c");
        assert_eq!(beside(&base, 1, "a:b/c").unwrap().to_string(), "https://host/a/b/a:b/c");
    }
}
