//! A value of the configuration with its path, and an object whose fields are all known. Pure.

use serde_json::{Map, Value};

use super::faults::Faults;
use crate::text::nearest;
use crate::yaml::{Step, describe, one_of};

/// A value with its path.
#[derive(Debug, Clone)]
pub(super) struct Node<'v> {
    /// The path.
    pub(super) path: Vec<Step>,
    /// The value.
    pub(super) value: &'v Value,
    /// Whether the value can be a secret that was put into the wrong place. Then no message has it.
    secret: bool,
}

impl<'v> Node<'v> {
    /// A whole document.
    pub(super) fn document(value: &'v Value) -> Self {
        Self { path: Vec::new(), value, secret: false }
    }

    /// The value, which no message may have.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// What was found, for a message.
    pub(super) fn found(&self) -> String {
        match self.value {
            Value::String(_) if self.secret => "another text".to_owned(),
            Value::Number(_) if self.secret => "a number".to_owned(),
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => describe(value),
        }
    }

    /// Adds the fault that something else was expected.
    pub(super) fn expected(&self, what: &str, faults: &mut Faults) {
        faults.at_value(&self.path, format!("expected {what}, found {}", self.found()));
    }

    /// The text.
    pub(super) fn text(&self, what: &str, faults: &mut Faults) -> Option<&'v str> {
        let hint = match self.value {
            Value::String(text) => return Some(text),
            Value::Number(_) | Value::Bool(_) => "; quote it",
            Value::Null | Value::Array(_) | Value::Object(_) => "",
        };
        faults.at_value(&self.path, format!("expected {what}, found {}{hint}", self.found()));
        None
    }

    /// The items of a list. A list with more than `most` items is refused.
    pub(super) fn items(&self, most: usize, faults: &mut Faults) -> Option<Vec<Self>> {
        let Value::Array(items) = self.value else {
            let found = self.found();
            faults.at_value(&self.path, format!("expected a list, found {found}; write - before each item"));
            return None;
        };
        if items.len() > most {
            faults.at_key(&self.path, format!("expected at most {most} items, found {}", items.len()));
            return None;
        }
        let item =
            |(index, value)| Self { path: [&self.path[..], &[Step::Item(index)]].concat(), value, secret: self.secret };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The fields of an object that may have fields of any names. Nothing counts as an object without fields.
    pub(super) fn members(&self, what: &str, faults: &mut Faults) -> Option<Object<'v>> {
        let fields = match self.value {
            Value::Object(fields) => Some(fields),
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.expected(what, faults);
                return None;
            }
        };
        Some(Object { path: self.path.clone(), fields })
    }

    /// An object that has only these fields. Nothing counts as an object without fields.
    pub(super) fn object(&self, known: &[&str], faults: &mut Faults) -> Option<Object<'v>> {
        let object = self.members(&format!("an object ({})", known.join(", ")), faults)?;
        for node in object.all() {
            let Some(Step::Field(name)) = node.path.last() else { continue };
            if !known.contains(&name.as_str()) {
                let missing = known.iter().copied().filter(|field| object.field(field).is_none());
                let hint = nearest(name, missing).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                faults.at_key(&node.path, format!("expected {}, found this field{hint}", one_of(known)));
            }
        }
        Some(object)
    }
}

/// An object with its path.
#[derive(Debug, Clone)]
pub(super) struct Object<'v> {
    /// The path.
    pub(super) path: Vec<Step>,
    /// `None` for an object that is written as nothing.
    fields: Option<&'v Map<String, Value>>,
}

impl<'v> Object<'v> {
    /// All fields, in the order of the file.
    pub(super) fn all(&self) -> impl Iterator<Item = Node<'v>> {
        self.fields.into_iter().flatten().map(|(name, value)| self.node(name, value))
    }

    /// The field of this name, if it is there.
    pub(super) fn field(&self, name: &str) -> Option<Node<'v>> {
        Some(self.node(name, self.fields?.get(name)?))
    }

    /// The field of this name. Adds a fault if it is not there.
    pub(super) fn required(&self, name: &str, faults: &mut Faults) -> Option<Node<'v>> {
        let found = self.field(name);
        if found.is_none() {
            faults.at_key(&self.path, format!("expected the field {name}, found none"));
        }
        found
    }

    fn node(&self, name: &str, value: &'v Value) -> Node<'v> {
        Node { path: [&self.path[..], &[Step::Field(name.to_owned())]].concat(), value, secret: false }
    }
}
