//! The values of products, versions and files, and the image that follows from them. Pure.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::super::described::{self, Described, DescribedImage, SourceId};
use super::super::json::describe_text;
use super::document::Keys;
use super::leaf::Leaf;
use super::rule::SimpleStreamsRule;
use super::stream::Newest;

/// The values of one level. Others are not kept; a digest such as `combined_disk-kvm-img_sha256` is not that of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    file_type: Leaf,
    path: Leaf,
    size: Leaf,
    sha256: Leaf,
    sha512: Leaf,
    arch: Leaf,
    os: Leaf,
    version: Leaf,
    release: Leaf,
    release_title: Leaf,
    pubname: Leaf,
}

/// A product that matches, and its newest version.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) name: String,
    pub(super) tags: Tags,
    pub(super) newest: Option<Box<Newest>>,
}

impl Tags {
    /// Reads the value of a key, or skips it.
    pub(super) fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        keys: &mut Keys,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "ftype" => self.file_type = keys.once("ftype", map)?,
            "path" => self.path = keys.once("path", map)?,
            "size" => self.size = keys.once("size", map)?,
            "sha256" => self.sha256 = keys.once("sha256", map)?,
            "sha512" => self.sha512 = keys.once("sha512", map)?,
            "arch" => self.arch = keys.once("arch", map)?,
            "os" => self.os = keys.once("os", map)?,
            "version" => self.version = keys.once("version", map)?,
            "release" => self.release = keys.once("release", map)?,
            "release_title" => self.release_title = keys.once("release_title", map)?,
            "pubname" => self.pubname = keys.once("pubname", map)?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }

    pub(super) fn is_of(&self, file_type: &str) -> bool {
        self.file_type.0.as_deref() == Some(file_type)
    }

    /// The values of this level, or else those of the level above.
    fn or(&self, above: &Self) -> Self {
        let or = |own: &Leaf, above: &Leaf| Leaf(own.0.clone().or_else(|| above.0.clone()));
        Self {
            file_type: or(&self.file_type, &above.file_type),
            path: or(&self.path, &above.path),
            size: or(&self.size, &above.size),
            sha256: or(&self.sha256, &above.sha256),
            sha512: or(&self.sha512, &above.sha512),
            arch: or(&self.arch, &above.arch),
            os: or(&self.os, &above.os),
            version: or(&self.version, &above.version),
            release: or(&self.release, &above.release),
            release_title: or(&self.release_title, &above.release_title),
            pubname: or(&self.pubname, &above.pubname),
        }
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TagsVisitor)
    }
}

struct TagsVisitor;

impl<'de> Visitor<'de> for TagsVisitor {
    type Value = Tags;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
        let (mut tags, mut keys) = (Tags::default(), Keys::default());
        while let Some(key) = map.next_key::<String>()? {
            tags.read(&key, &mut keys, &mut map)?;
        }
        Ok(tags)
    }
}

impl Product {
    /// Adds the values of the whole file.
    pub(super) fn inherit(&mut self, above: &Tags) {
        self.tags = self.tags.or(above);
    }

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
