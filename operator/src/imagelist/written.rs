//! Numbers with their original text: the JSON parser reads `1e3` as 1000.0 and `1.10` as 1.1.

use std::cell::Cell;
use std::fmt;

use serde_json::Number;

/// A number, and its original text if that differs from the text of the value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WrittenNumber {
    pub(super) value: Number,
    text: Option<Box<str>>,
}

impl From<Number> for WrittenNumber {
    fn from(value: Number) -> Self {
        Self { value, text: None }
    }
}

impl fmt::Display for WrittenNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => self.value.fmt(f),
        }
    }
}

/// Scans the document in step with the parser, from one number that is not a plain integer to the next.
#[derive(Debug)]
pub(super) struct Numbers<'p> {
    payload: &'p [u8],
    /// Where the next search begins. It is always outside of strings.
    position: Cell<usize>,
}

impl<'p> Numbers<'p> {
    pub(super) fn of(payload: &'p [u8]) -> Self {
        Self { payload, position: Cell::new(0) }
    }

    /// The number with its original text. `value` is the value that the parser has just read.
    pub(super) fn written(&self, value: Number) -> WrittenNumber {
        let text = self.next().filter(|text| *text != value.to_string());
        WrittenNumber { value, text: text.map(Into::into) }
    }

    /// The next number that does not fit a 64-bit integer: the parser returns these as `f64`.
    fn next(&self) -> Option<&'p str> {
        let mut position = self.position.get();
        let found = loop {
            match *self.payload.get(position)? {
                b'"' => position += text_length(&self.payload[position..]),
                b'-' | b'0'..=b'9' => {
                    let rest = &self.payload[position..];
                    let is_part = |c: &u8| c.is_ascii_digit() || b"+-.eE".contains(c);
                    let length = rest.iter().position(|c| !is_part(c)).unwrap_or(rest.len());
                    position += length;
                    let number = std::str::from_utf8(&rest[..length]).unwrap_or_default();
                    let is_integer = number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok();
                    if !is_integer || number == "-0" {
                        break number;
                    }
                }
                _ => position += 1,
            }
        };
        self.position.set(position);
        Some(found)
    }
}

/// The length of a string with its quotation marks; the length of the rest if the string is not closed.
fn text_length(bytes: &[u8]) -> usize {
    let mut escaped = false;
    for (index, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return index + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_that_is_no_plain_integer_is_found_in_its_order() {
        let text =
            r#"{"a\\\"1.5": [1, -7, 1e3, "2.5", 0, -0], "b": {"c": 1.10, "d": 18446744073709551616, "\\": -0.5}}"#;
        let numbers = Numbers::of(text.as_bytes());
        let mut found = Vec::new();
        while let Some(number) = numbers.next() {
            found.push(number);
        }
        assert_eq!(found, ["1e3", "-0", "1.10", "18446744073709551616", "-0.5"]);
    }
}
