//! Reads JSON with limits: as a tree that borrows from the payload, or with images passed on one at a time.
//!
//! Depth, string lengths, the number of values and the number of images are checked during parsing, so that parsing
//! stops at the first excess. A duplicate key in an object is an error at any level.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::written::{Numbers, WrittenNumber};
use super::{ListError, MAXIMUM_BYTES, MAXIMUM_DEPTH, MAXIMUM_HELD, MAXIMUM_IMAGES, MAXIMUM_TEXT, MAXIMUM_VALUES};

/// A JSON value. Strings without escapes borrow from the payload.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(WrittenNumber),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Object<'a>),
    /// The array of images, whose elements were passed to the sink.
    Images,
}

/// An object: its members in order. A taken member becomes `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, Option<Node<'a>>)>,
}

impl<'a> Object<'a> {
    /// Takes a member out.
    pub(super) fn take(&mut self, key: &str) -> Option<Node<'a>> {
        self.members.iter_mut().find(|(name, _)| name == key).and_then(|(_, node)| node.take())
    }

    /// The members that were not taken, in order.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.members.iter().filter_map(|(name, node)| Some((name.as_ref(), node.as_ref()?)))
    }

    /// The value of a member that was not taken.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.members().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// This object followed by the members of another one, which must have no common keys.
    pub(super) fn joined_by(mut self, other: Self) -> Self {
        self.members.extend(other.members);
        self
    }

    /// The members that were not taken, as owned JSON.
    pub(super) fn into_map(self) -> Map<String, Value> {
        let mut map = Map::with_capacity(self.members().count());
        map.extend(self.members.into_iter().filter_map(|(name, node)| Some((name.into_owned(), node?.into_value()))));
        map
    }
}

impl Node<'_> {
    /// The value as text for a message: its kind, and its content if that is short.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(text) => describe_text(text),
            Self::Array(_) | Self::Images => "an array".to_owned(),
            Self::Object(object) => describe_object(object),
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(number.value),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Array(nodes) => nodes.into_iter().map(Node::into_value).collect(),
            Self::Images => Value::Array(Vec::new()),
            Self::Object(object) => Value::Object(object.into_map()),
        }
    }
}

/// A text for a message: quoted, with control characters escaped, cut to 48 characters.
pub(super) fn describe_text(text: &str) -> String {
    let shown: String = text.chars().take(48).collect();
    if shown.len() < text.len() { format!("{shown:?}…") } else { format!("{shown:?}") }
}

fn describe_object(object: &Object<'_>) -> String {
    let keys: Vec<String> = object.members().take(5).map(|(key, _)| step(key)).collect();
    if keys.is_empty() { "an empty object".to_owned() } else { format!("an object with {}", keys.join(", ")) }
}

/// A key as a step of a path: escaped and cut, because the publisher chose it.
fn step(key: &str) -> String {
    key.chars().take(48).collect::<String>().escape_debug().to_string()
}

/// Receives an image: its index in the array, counted from 0, and its value.
pub(super) type ImageSink<'s> = &'s dyn Fn(usize, Node<'_>);

/// Reads a whole document. With a sink, the elements of `hv:images` (at the top level, or in `hv:imagelist`) are passed
/// to it as they are read, and [`Node::Images`] replaces the array.
pub(super) fn read<'a>(payload: &'a [u8], sink: Option<ImageSink<'_>>) -> Result<Node<'a>, ListError> {
    if payload.len() > MAXIMUM_BYTES {
        return Err(ListError::TooLarge { limit: MAXIMUM_BYTES, found: payload.len() });
    }
    if let Some(found) = other_encoding(payload) {
        return Err(ListError::Encoding { found });
    }
    let (numbers, held) = (Numbers::of(payload), Cell::new(0));
    let values = Cell::new(0);
    let walk = Walk { sink, numbers, refusal: RefCell::default(), steps: RefCell::default(), values, held };
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let seed = NodeSeed { walk: &walk, depth: 0, place: Place::Top };
    let outcome = seed.deserialize(&mut deserializer).and_then(|node| deserializer.end().map(|()| node));
    outcome.map_err(|error| walk.error(&error))
}

/// The encoding of a text that is not JSON in UTF-8 without a byte order mark (RFC 8259 section 8.1). JSON begins with
/// an ASCII character, so a zero byte beside it is half of a UTF-16 unit.
fn other_encoding(payload: &[u8]) -> Option<&'static str> {
    match payload {
        [0xef, 0xbb, 0xbf, ..] => Some("a byte order mark before it"),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=0xff, ..] | [1..=0xff, 0, 0, 0, ..] => {
            Some("UTF-32")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0xff, ..] | [1..=0xff, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// An error without its path.
type Refusal = Box<dyn FnOnce(String) -> ListError>;

/// The shared state of a parse: the sink, the number of values, and the error.
struct Walk<'s> {
    sink: Option<ImageSink<'s>>,
    numbers: Numbers<'s>,
    refusal: RefCell<Option<Refusal>>,
    /// The path of the error, the innermost step first. It is only written when an error is returned, so it costs
    /// nothing before.
    steps: RefCell<Vec<String>>,
    values: Cell<usize>,
    /// The number of values in memory: those of the current image, and those outside of the images.
    held: Cell<usize>,
}

impl Walk<'_> {
    fn error(&self, error: &serde_json::Error) -> ListError {
        let mut path = String::new();
        for step in self.steps.borrow().iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        if path.is_empty() {
            path.push_str("top level");
        }
        match self.refusal.borrow_mut().take() {
            Some(refusal) => refusal(path),
            None => ListError::NotJson { path, message: error.to_string() },
        }
    }

    /// Stops parsing with this error.
    fn refuse<E: serde::de::Error>(&self, refusal: impl FnOnce(String) -> ListError + 'static) -> E {
        *self.refusal.borrow_mut() = Some(Box::new(refusal));
        E::custom("refused")
    }

    fn went_through(&self, step: String) {
        self.steps.borrow_mut().push(step);
    }

    fn count_value<E: serde::de::Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        self.held.set(self.held.get() + 1);
        let limit = match self.sink {
            _ if self.values.get() > MAXIMUM_VALUES => MAXIMUM_VALUES,
            Some(_) if self.held.get() > MAXIMUM_HELD => MAXIMUM_HELD,
            Some(_) | None => return Ok(()),
        };
        Err(self.refuse(move |path| ListError::TooManyValues { path, limit }))
    }

    fn check_text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        let found = text.len();
        if found > MAXIMUM_TEXT {
            return Err(self.refuse(move |path| ListError::TextTooLong { path, limit: MAXIMUM_TEXT, found }));
        }
        Ok(())
    }
}

/// The position of a value, as far as it is needed to find the images.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    List,
    Images,
    Elsewhere,
}

impl Place {
    fn of_member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "hv:imagelist") => Self::List,
            (Self::Top | Self::List, "hv:images") => Self::Images,
            (Self::Top | Self::List | Self::Images | Self::Elsewhere, _) => Self::Elsewhere,
        }
    }
}

#[derive(Clone, Copy)]
struct NodeSeed<'w> {
    walk: &'w Walk<'w>,
    depth: usize,
    place: Place,
}

impl NodeSeed<'_> {
    /// The seed of the values inside this value. Fails at the largest depth.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAXIMUM_DEPTH {
            return Err(self.walk.refuse(|path| ListError::TooDeep { path, limit: MAXIMUM_DEPTH }));
        }
        Ok(Self { depth: self.depth + 1, place: Place::Elsewhere, ..self })
    }

    /// Reads the images one by one, and passes each to the sink before the next is read.
    fn hand_over<'de, A: SeqAccess<'de>>(self, sink: ImageSink<'_>, mut array: A) -> Result<Node<'de>, A::Error> {
        let inner = self.inner()?;
        let held = self.walk.held.get();
        for index in 0.. {
            self.walk.held.set(held);
            match array.next_element_seed(inner).inspect_err(|_| self.walk.went_through(format!("[{index}]")))? {
                None => break,
                Some(_) if index == MAXIMUM_IMAGES => {
                    return Err(self.walk.refuse(|path| ListError::TooManyImages { path, limit: MAXIMUM_IMAGES }));
                }
                Some(node) => sink(index, node),
            }
        }
        Ok(Node::Images)
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        self.walk.count_value()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(Number::from(value).into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(Number::from(value).into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node<'de>, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Node::Number(self.walk.numbers.written(number)))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        self.walk.check_text(text)?;
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        self.walk.check_text(text)?;
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Node<'de>, A::Error> {
        if let (Place::Images, Some(sink)) = (self.place, self.walk.sink) {
            return self.hand_over(sink, array);
        }
        let inner = self.inner()?;
        let mut nodes = Vec::new();
        let at = |index: usize| self.walk.went_through(format!("[{index}]"));
        while let Some(node) = array.next_element_seed(inner).inspect_err(|_| at(nodes.len()))? {
            nodes.push(node);
        }
        Ok(Node::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let inner = self.inner()?;
        let mut object = Object::default();
        let mut keys = Keys::default();
        while let Some(key) = map.next_key_seed(KeySeed { walk: self.walk })? {
            if !keys.insert(&object, key.clone()) {
                self.walk.went_through(step(&key));
                return Err(self.walk.refuse(|path| ListError::DuplicateKey { path }));
            }
            let seed = NodeSeed { place: self.place.of_member(&key), ..inner };
            let node = map.next_value_seed(seed).inspect_err(|_| self.walk.went_through(step(&key)))?;
            object.members.push((key, Some(node)));
        }
        Ok(Node::Object(object))
    }
}

/// The keys of one object: a linear search while they are few, a set when they are many.
#[derive(Default)]
struct Keys<'a> {
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    const FEW: usize = 32;

    /// Returns false if the key was there before.
    fn insert(&mut self, object: &Object<'a>, key: Cow<'a, str>) -> bool {
        if object.members.len() < Self::FEW {
            return object.members.iter().all(|(seen, _)| *seen != key);
        }
        if self.many.is_empty() {
            self.many.extend(object.members.iter().map(|(seen, _)| seen.clone()));
        }
        self.many.insert(key)
    }
}

struct KeySeed<'w> {
    walk: &'w Walk<'w>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        self.walk.check_text(key)?;
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Cow<'de, str>, E> {
        self.walk.check_text(key)?;
        Ok(Cow::Owned(key.to_owned()))
    }
}
