//! YAML documents whose problems have a line: documents of a file, and the positions of values in them (pure).

mod document;
mod place;

use serde_json::Value;

pub use self::document::{Document, documents};
pub use self::place::{Place, Step, find, shown};

/// The most characters of a text in a message.
const LONGEST_TEXT: usize = 48;

/// A value as text for a message.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > LONGEST_TEXT => {
            format!("the text {:?}…", text.chars().take(LONGEST_TEXT).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Words as alternatives: `a, b or c`.
pub fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "no field".to_owned(),
    }
}
