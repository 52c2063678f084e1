//! Finds values in the text of a document.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field of an object.
    Field(String),
    /// An item of a list, counted from 0.
    Item(usize),
}

/// A path as text: `spec.credentials[0].name`.
pub fn shown(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Field(name) if shown.is_empty() => shown.push_str(name),
            Step::Field(name) => shown.extend([".", name]),
            Step::Item(index) => drop(write!(shown, "[{index}]")),
        }
    }
    shown
}

/// The position of a value, and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The line of the text, counted from 1.
    pub line: usize,
    /// The text of a scalar value: `1.0`, not the number after parsing.
    pub scalar: Option<String>,
}

/// Finds the value at a path, or its key.
pub fn find(text: &str, path: &[Step], key: bool) -> Option<Place> {
    let scalar = RefCell::new(None);
    let seek = Seek { path, key, scalar: &scalar };
    // The visitor returns an error at the wanted value, because serde_yaml gives positions only for errors.
    let error = seek.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    let line = error.location()?.line();
    Some(Place { line, scalar: scalar.into_inner() })
}

#[derive(Clone, Copy)]
struct Seek<'p> {
    path: &'p [Step],
    key: bool,
    scalar: &'p RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.path.first() {
            Some(Step::Field(_)) => deserializer.deserialize_map(self),
            Some(Step::Item(_)) => deserializer.deserialize_seq(self),
            None => deserializer.deserialize_str(self),
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place")
    }

    fn visit_str<E: serde::de::Error>(self, scalar: &str) -> Result<(), E> {
        *self.scalar.borrow_mut() = Some(scalar.to_owned());
        Err(E::custom("here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((Step::Field(name), rest)) = self.path.split_first() else { return Err(A::Error::custom("here")) };
        let at_key = self.key && rest.is_empty();
        while let Some(found) = members.next_key_seed(Key { name, at_key })? {
            if found {
                return members.next_value_seed(Self { path: rest, ..self });
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Item(index), rest)) = self.path.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..*index {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Self { path: rest, ..self }).map(|_| ())
    }
}

/// Compares a key with a name. With `at_key`, returns an error at the matching key, which gives its position.
struct Key<'p> {
    name: &'p str,
    at_key: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        match key == self.name {
            true if self.at_key => Err(E::custom("here")),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    #[test]
    fn keys_and_values_are_found_with_their_lines() {
        let text = "---\na: 1\nspec:\n  list:\n  - {v: x}\n  - v:\n      1.10\n  map: {}\n";
        let value = [field("spec"), field("list"), Step::Item(1), field("v")];
        assert_eq!(shown(&value), "spec.list[1].v");
        assert_eq!(find(text, &value, false), Some(Place { line: 7, scalar: Some("1.10".to_owned()) }));
        assert_eq!(find(text, &value, true), Some(Place { line: 6, scalar: None }));
        assert_eq!(find(text, &[field("spec"), field("map")], false), Some(Place { line: 8, scalar: None }));
        assert_eq!(find(text, &[field("spec"), field("none")], true), None);
        assert_eq!(find(text, &[], false).map(|place| place.line), Some(2));
    }
}
