//! Reads the products file. Only the products that match are kept, and of each only its newest version, so that memory
//! follows from what is wanted and not from the size of the file. Pure.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::super::ListError;
use super::document::{Keys, again, expect, expect_downloads, read as read_document, time};
use super::leaf::Leaf;
use super::rule::SimpleStreamsRule;
use super::tags::Tags;
use super::{MOST_PRODUCTS, MOST_VERSIONS};
use crate::imagelist::ListVersion;

/// The wanted part of a products file.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) updated: Timestamp,
    pub(super) products: Vec<Product>,
}

/// A product that matches, and its newest version.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) name: String,
    pub(super) tags: Tags,
    pub(super) newest: Option<Box<Newest>>,
}

/// The newest version of a product that has a file of the wanted type.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) serial: ListVersion,
    pub(super) version: Tags,
    pub(super) item: Item,
}

/// The file of the wanted type.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) tags: Tags,
    /// Whether the version has another one of the same type, so that it is not clear which one is meant.
    pub(super) is_ambiguous: bool,
}

/// Reads a products file.
pub(super) fn read(text: &[u8], rule: &SimpleStreamsRule) -> Result<Stream, ListError> {
    let file = read_document(text, Seed::<File>::of(rule))?;
    expect("format", &file.format, "products:1.0")?;
    expect("content_id", &file.content_id, rule.content_id())?;
    expect_downloads(&file.datatype)?;
    let mut products = file.products;
    for product in &mut products {
        product.tags = product.tags.or(&file.tags);
    }
    Ok(Stream { updated: time("updated", &file.updated)?, products })
}

#[derive(Default)]
struct ProductsFile {
    format: Leaf,
    content_id: Leaf,
    datatype: Leaf,
    updated: Leaf,
    tags: Tags,
    products: Vec<Product>,
}

/// Reads an object of one level of the file.
struct Seed<'r, L> {
    rule: &'r SimpleStreamsRule,
    level: PhantomData<L>,
}

/// The whole file.
struct File;
/// `products`: the products by name.
struct Products;
/// One product.
struct OneProduct;
/// `versions`: the versions of a product by serial.
struct Versions;
/// One version.
struct Version;
/// `items`: the files of a version.
struct Items;

impl<'r, L> Seed<'r, L> {
    fn of(rule: &'r SimpleStreamsRule) -> Self {
        Self { rule, level: PhantomData }
    }
}

/// Reads an object with the method `read` of the level.
macro_rules! object {
    ($level:ty, $value:ty, $expected:literal) => {
        impl<'de> DeserializeSeed<'de> for Seed<'_, $level> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_map(self)
            }
        }

        impl<'de> Visitor<'de> for Seed<'_, $level> {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expected)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$value, A::Error> {
                self.read(map)
            }
        }
    };
}

object!(File, ProductsFile, "an object with products");
object!(Products, Vec<Product>, "an object with one entry for each product");
object!(OneProduct, (Tags, Option<Box<Newest>>), "a product");
object!(Versions, Option<Box<Newest>>, "an object with one entry for each version");
object!(Version, (Tags, Option<Item>), "a version");
object!(Items, Option<Item>, "an object with one entry for each file");

impl Seed<'_, File> {
    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<ProductsFile, A::Error> {
        let mut file = ProductsFile::default();
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "format" => file.format = keys.once("format", &mut map)?,
                "content_id" => file.content_id = keys.once("content_id", &mut map)?,
                "datatype" => file.datatype = keys.once("datatype", &mut map)?,
                "updated" => file.updated = keys.once("updated", &mut map)?,
                "products" => {
                    keys.take("products")?;
                    file.products = map.next_value_seed(Seed::<Products>::of(self.rule))?;
                }
                key => file.tags.read(key, &mut keys, &mut map)?,
            }
        }
        Ok(file)
    }
}

impl Seed<'_, Products> {
    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Product>, A::Error> {
        let mut products = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !self.rule.has(&name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if !names.insert(name.clone()) {
                return Err(again(&name));
            }
            if names.len() > MOST_PRODUCTS {
                return Err(serde::de::Error::custom(format!("expected at most {MOST_PRODUCTS} products, found more")));
            }
            let (tags, newest) = map.next_value_seed(Seed::<OneProduct>::of(self.rule))?;
            products.push(Product { name, tags, newest });
        }
        Ok(products)
    }
}

/// Reads the values of a level, and what `below` reads from the key `inner` in it.
fn level<'de, A: MapAccess<'de>, S, T>(
    mut map: A,
    inner: &'static str,
    below: impl Fn() -> S,
) -> Result<(Tags, Option<T>), A::Error>
where
    S: DeserializeSeed<'de, Value = Option<T>>,
{
    let (mut tags, mut found) = (Tags::default(), None);
    let mut keys = Keys::default();
    while let Some(key) = map.next_key::<String>()? {
        if key == inner {
            keys.take(inner)?;
            found = map.next_value_seed(below())?;
        } else {
            tags.read(&key, &mut keys, &mut map)?;
        }
    }
    Ok((tags, found))
}

impl Seed<'_, OneProduct> {
    fn read<'de, A: MapAccess<'de>>(self, map: A) -> Result<(Tags, Option<Box<Newest>>), A::Error> {
        level(map, "versions", || Seed::<Versions>::of(self.rule))
    }
}

impl Seed<'_, Versions> {
    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Box<Newest>>, A::Error> {
        let mut newest: Option<Box<Newest>> = None;
        let mut serials = HashSet::new();
        while let Some(serial) = map.next_key::<String>()? {
            if serials.contains(&serial) {
                return Err(again(&serial));
            }
            if serials.len() == MOST_VERSIONS {
                return Err(serde::de::Error::custom(format!("expected at most {MOST_VERSIONS} versions, found more")));
            }
            let (version, item) = map.next_value_seed(Seed::<Version>::of(self.rule))?;
            // A serial that is no version, such as one with control characters, is not a candidate.
            if let (Some(item), Ok(found)) = (item, serial.parse::<ListVersion>())
                && newest.as_ref().is_none_or(|before| found.compare(&before.serial).is_gt())
            {
                newest = Some(Box::new(Newest { serial: found, version, item }));
            }
            serials.insert(serial);
        }
        Ok(newest)
    }
}

impl Seed<'_, Version> {
    fn read<'de, A: MapAccess<'de>>(self, map: A) -> Result<(Tags, Option<Item>), A::Error> {
        level(map, "items", || Seed::<Items>::of(self.rule))
    }
}

impl Seed<'_, Items> {
    fn read<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Item>, A::Error> {
        let mut found: Option<Item> = None;
        while map.next_key::<IgnoredAny>()?.is_some() {
            let tags: Tags = map.next_value()?;
            if tags.is_of(self.rule.file_type()) {
                found = Some(Item { tags, is_ambiguous: found.is_some() });
            }
        }
        Ok(found)
    }
}
