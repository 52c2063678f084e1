//! The values of one level of a products file: of the file, a product, a version, or an item. Pure.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::document::Keys;
use super::leaf::Leaf;

/// The values of one level. Others are not kept; a digest such as `combined_disk-kvm-img_sha256` is not that of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) file_type: Leaf,
    pub(super) path: Leaf,
    pub(super) size: Leaf,
    pub(super) sha256: Leaf,
    pub(super) sha512: Leaf,
    pub(super) arch: Leaf,
    pub(super) os: Leaf,
    pub(super) version: Leaf,
    pub(super) release: Leaf,
    pub(super) release_title: Leaf,
    pub(super) pubname: Leaf,
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
    pub(super) fn or(&self, above: &Self) -> Self {
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
