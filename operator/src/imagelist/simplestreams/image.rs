//! The image that follows from a product. Pure.

use std::fmt;

use super::super::described::{self, Described, DescribedImage, SourceId};
use super::super::json::describe_text;
use super::leaf::Leaf;
use super::rule::SimpleStreamsRule;
use super::stream::{Newest, Product};

impl Product {
    /// The image, or why it cannot be used.
    pub(super) fn describe(self, list: SourceId, rule: &SimpleStreamsRule) -> Described {
        let identifier = list.image(&format!("{}/{}", self.name, rule.file_type()));
        Described { identifier, outcome: self.image(rule), name: self.name }
    }

    fn image(&self, rule: &SimpleStreamsRule) -> Result<DescribedImage, String> {
        let none = || format!("expected a version with a file of the type {:?}, found none", rule.file_type());
        let Newest { serial, version, item } = self.newest.as_deref().ok_or_else(none)?;
        if item.is_ambiguous {
            let file_type = rule.file_type();
            return Err(format!("version {serial}: expected one file of the type {file_type:?}, found several"));
        }
        let tags = item.tags.or(&version.or(&self.tags));
        let at = |field: &str, message: String| format!("version {serial}: {field}: {message}");
        let path = tags.path.0.unwrap_or_default();
        let uri = rule.resolve(&path).map_err(|message| at("path", message))?;
        let sha512 = digest("", &tags.sha512).map_err(|message| at("sha512", message))?;
        let sha256 = digest("sha256:", &tags.sha256).map_err(|message| at("sha256", message))?;
        let digest = described::strongest(sha512, sha256)
            .ok_or_else(|| at("sha256", "expected a digest, found no such key".to_owned()))?;
        let size = tags.size.0.as_deref().map(|text| size(text).map_err(|message| at("size", message)));
        let release = tags.release_title.0.or(tags.release.0);
        let title = match (&tags.os.0, release) {
            (Some(os), Some(release)) => Some(format!("{os} {release}")),
            (None, _) | (_, None) => tags.pubname.0,
        };
        Ok(DescribedImage {
            version: serial.to_string(),
            title: title.unwrap_or_else(|| self.name.clone()),
            size: size.transpose()?,
            digest,
            uri,
            path,
            os: tags.os.0.unwrap_or_default(),
            os_version: tags.version.0.unwrap_or_default(),
            arch: tags.arch.0.unwrap_or_default(),
        })
    }
}

/// A digest in hexadecimal digits; `None` if there is none.
fn digest<T: std::str::FromStr<Err: fmt::Display>>(prefix: &str, leaf: &Leaf) -> Result<Option<T>, String> {
    let Some(digits) = &leaf.0 else { return Ok(None) };
    format!("{prefix}{digits}").parse().map(Some).map_err(|error: T::Err| error.to_string())
}

fn size(text: &str) -> Result<u64, String> {
    let number = text.parse::<u64>().ok().filter(|size| (1..=i64::MAX.unsigned_abs()).contains(size));
    number.ok_or_else(|| format!("expected a whole number of bytes, at least 1, found {}", describe_text(text)))
}
