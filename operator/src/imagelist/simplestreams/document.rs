//! What the index and the products file have in common, and the index. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::super::json::describe_text;
use super::super::{ListError, MAXIMUM_BYTES, SourceUrl, date};
use super::leaf::Leaf;
use super::rule::SimpleStreamsRule;

/// The `datatype` of files.
const DOWNLOADS: &str = "image-downloads";

/// Where the products file of a mirror is, according to its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductsPath {
    path: String,
    url: SourceUrl,
}

/// The entry of the index for the products file.
#[derive(Debug)]
pub(super) struct IndexEntry {
    /// `updated` of the index.
    pub(super) updated: Timestamp,
    /// `updated` of the entry.
    pub(super) announced: Option<Timestamp>,
    /// The path of the products file.
    path: String,
    url: SourceUrl,
}

impl ProductsPath {
    /// Finds the products file in an index that is not verified yet, so that it can be fetched.
    pub fn find(index: &[u8], rule: &SimpleStreamsRule) -> Result<Self, ListError> {
        self::index(index, rule).map(|entry| Self { path: entry.path, url: entry.url })
    }

    /// Its path below the root of the mirror.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its address.
    pub fn url(&self) -> &SourceUrl {
        &self.url
    }
}

/// Reads the index.
pub(super) fn index(text: &[u8], rule: &SimpleStreamsRule) -> Result<IndexEntry, ListError> {
    let index = read(text, IndexSeed { content_id: rule.content_id() })?;
    expect("format", &index.format, "index:1.0")?;
    let path = |field: &str| format!("index[{}].{field}", rule.content_id());
    let Some(entry) = index.entry else {
        let message = "expected this content_id in the index, found no such key".to_owned();
        return Err(ListError::Field { path: format!("index[{}]", rule.content_id()), message });
    };
    expect(&path("datatype"), &entry.datatype, DOWNLOADS)?;
    expect(&path("format"), &entry.format, "products:1.0")?;
    let below = entry.path.0.unwrap_or_default();
    let url = rule.resolve(&below).map_err(|message| ListError::Field { path: path("path"), message })?;
    let announced = entry.updated.0.as_ref().map(|_| time(&path("updated"), &entry.updated));
    Ok(IndexEntry { updated: time("updated", &index.updated)?, announced: announced.transpose()?, path: below, url })
}

#[derive(Default)]
struct Index {
    format: Leaf,
    updated: Leaf,
    entry: Option<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    datatype: Leaf,
    #[serde(default)]
    format: Leaf,
    #[serde(default)]
    path: Leaf,
    #[serde(default)]
    updated: Leaf,
}

/// Reads the index without the entries of other products files.
struct IndexSeed<'r> {
    content_id: &'r str,
}

impl<'de> DeserializeSeed<'de> for IndexSeed<'_> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed<'_> {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Index, A::Error> {
        let mut index = Index::default();
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "format" => index.format = keys.once("format", &mut map)?,
                "updated" => index.updated = keys.once("updated", &mut map)?,
                "index" => {
                    keys.take("index")?;
                    index.entry = map.next_value_seed(EntrySeed { content_id: self.content_id })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(index)
    }
}

/// Reads the one entry of the index that is wanted.
struct EntrySeed<'r> {
    content_id: &'r str,
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = Option<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Entry>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = Option<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one entry for each content_id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Entry>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != self.content_id {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                return Err(again(&key));
            }
        }
        Ok(found)
    }
}

/// The keys of an object that were read. A second one of the same name is an error, because readers could differ in which
/// one they use.
#[derive(Default)]
pub(super) struct Keys(Vec<&'static str>);

impl Keys {
    pub(super) fn take<E: serde::de::Error>(&mut self, key: &'static str) -> Result<(), E> {
        if self.0.contains(&key) {
            return Err(again(key));
        }
        self.0.push(key);
        Ok(())
    }

    pub(super) fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<T, A::Error> {
        self.take(key)?;
        map.next_value()
    }
}

/// The error of a key that occurs twice.
pub(super) fn again<E: serde::de::Error>(key: &str) -> E {
    E::custom(format!("expected each key once in its object, found {} again", describe_text(key)))
}

/// Reads a whole document within the bounds of a list.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(text: &'de [u8], seed: S) -> Result<S::Value, ListError> {
    if text.len() > MAXIMUM_BYTES {
        return Err(ListError::TooLarge { limit: MAXIMUM_BYTES, found: text.len() });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| ListError::NotJson { path: "top level".to_owned(), message: error.to_string() })
}

/// Compares a value.
pub(super) fn expect(path: &str, found: &Leaf, expected: &str) -> Result<(), ListError> {
    if found.0.as_deref() == Some(expected) {
        return Ok(());
    }
    let found = found.0.as_deref().map_or_else(|| "no text".to_owned(), describe_text);
    Err(ListError::Field { path: path.to_owned(), message: format!("expected {expected:?}, found {found}") })
}

/// Reads a time: RFC 2822, as simplestreams write it, or RFC 3339.
pub(super) fn time(path: &str, leaf: &Leaf) -> Result<Timestamp, ListError> {
    let text = leaf.0.as_deref().unwrap_or_default();
    let time = jiff::fmt::rfc2822::parse(text).map(|zoned| zoned.timestamp()).ok().or_else(|| date::read(text).ok());
    time.ok_or_else(|| {
        let found = describe_text(text);
        let message = format!("expected a date such as Thu, 02 May 2024 07:52:36 +0000, found {found}");
        ListError::Field { path: path.to_owned(), message }
    })
}

/// `datatype` of a products file, which may be missing.
pub(super) fn expect_downloads(found: &Leaf) -> Result<(), ListError> {
    if found.0.is_none() { Ok(()) } else { expect("datatype", found, DOWNLOADS) }
}
