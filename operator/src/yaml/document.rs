//! Splits a file into YAML documents.

use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A document of a file.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Counted from 1.
    pub number: usize,
    /// The line of the file that it begins on, counted from 1.
    pub line: usize,
    /// The text, with the `---` before it.
    pub text: &'a str,
}

/// The documents of a file. Each begins with `---` at the start of a line, which cannot occur inside a document (YAML
/// 1.2, 9.1.2). So a document with a syntax error does not affect the others.
pub fn documents(text: &str) -> impl Iterator<Item = Document<'_>> {
    let mut starts = vec![(0, 1)];
    let (mut offset, mut marked) = (0, false);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        // Comments and directives before the first `---` belong to the first document.
        if begins_document(line) && (marked || !is_blank(&text[..offset])) {
            starts.push((offset, index + 1));
        }
        marked = marked || begins_document(line);
        offset += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]).collect();
    let whole = starts.into_iter().zip(ends).enumerate();
    whole.map(|(index, ((start, line), end))| Document { number: index + 1, line, text: &text[start..end] })
}

fn begins_document(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Whether a text has only comments, directives and document markers.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = if begins_document(line) { &line[3..] } else { line };
        let line = line.trim();
        line.is_empty() || line.starts_with(['#', '%']) || line == "..."
    })
}

impl Document<'_> {
    /// Parses the document. A key that occurs twice in an object is an error, because readers could differ in which one
    /// they use.
    pub fn value(&self) -> Result<Value, serde_yaml::Error> {
        let mut documents = serde_yaml::Deserializer::from_str(self.text);
        let Some(first) = documents.next() else { return Ok(Value::Null) };
        let left = Cell::new(expanded(self.text));
        let value = Unique { left: &left }.deserialize(first)?;
        match documents.next() {
            None => Ok(value),
            Some(_) => {
                Err(<serde_yaml::Error as serde::de::Error>::custom("expected --- before each document, found ..."))
            }
        }
    }

    /// The line in the file of a syntax error, and its message.
    pub fn malformed(&self, error: &serde_yaml::Error) -> (usize, String) {
        let line = error.location().map_or(1, |location| location.line());
        let beginning = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let blanks: String = beginning.chars().take_while(|c| c.is_whitespace()).collect();
        let hint = match beginning {
            _ if blanks.contains('\t') => "; YAML is indented by spaces, and a tab is here",
            _ if self.text.contains("{{") => "; a template is rendered first, such as by `helm template`",
            _ => "",
        };
        // Parsed again with blank lines before it, so that the message has the line of the file.
        let placed = format!("{}{}", "\n".repeat(self.line - 1), self.text);
        let left = Cell::new(expanded(self.text));
        let again = serde_yaml::Deserializer::from_str(&placed).next();
        let again = again.map(|document| Unique { left: &left }.deserialize(document));
        let message = again.and_then(Result::err).map_or_else(|| error.to_string(), |error| error.to_string());
        (self.line + line - 1, format!("{message}{hint}"))
    }
}

/// How much a document may hold after its aliases are replaced, in values and bytes of text. An alias of a few bytes can
/// repeat a long text, so a small document could need much memory.
fn expanded(text: &str) -> usize {
    const ALWAYS: usize = 1 << 20;
    text.len().saturating_mul(2).saturating_add(ALWAYS)
}

/// Parses a value whose objects have no duplicate keys.
#[derive(Clone, Copy)]
struct Unique<'b> {
    /// How much the document may still hold.
    left: &'b Cell<usize>,
}

impl Unique<'_> {
    fn spend<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let left = self.left.get().checked_sub(text.len() + 1);
        self.left
            .set(left.ok_or_else(|| E::custom("expected a document without long repetitions, found many aliases"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend("")?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false, null, a list or an object")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom(format!("expected a number, found {value}")))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        value.to_string().parse().map_err(E::custom).and_then(|value| self.visit_f64(value))
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        value.to_string().parse().map_err(E::custom).and_then(|value| self.visit_f64(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value)?;
        Ok(value.into())
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key_seed(NewKey(&object))? {
            self.spend(&key)?;
            let value = members.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// Parses a key that is not in the object yet.
struct NewKey<'o>(&'o Map<String, Value>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if self.0.contains_key(key) {
            return Err(E::custom(format!("expected each key once in its object, found {key:?} again")));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::{Step, find};

    fn read(text: &str) -> Vec<(usize, usize, Result<Value, String>)> {
        let one = |document: Document<'_>| {
            let value = document.value().map_err(|error| {
                let (line, message) = document.malformed(&error);
                format!("{line}: {message}")
            });
            (document.number, document.line, value)
        };
        documents(text).map(one).collect()
    }

    #[test]
    fn each_document_has_its_number_and_line() {
        let text = "# of the file\n%YAML 1.2\n---\na: 1\n--- # second\nb: |\n  ---\n---  \n\n---\r\nc: 3\n";
        let found = read(text);
        let places: Vec<_> = found.iter().map(|(number, line, _)| (*number, *line)).collect();
        assert_eq!(places, [(1, 1), (2, 5), (3, 8), (4, 10)]);
        let values: Vec<Value> = found.into_iter().map(|(_, _, value)| value.unwrap()).collect();
        let expected = [r#"{"a":1}"#, r#"{"b":"---\n"}"#, "null", r#"{"c":3}"#];
        assert_eq!(values.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        assert_eq!(read("a: 1\n---\nb: 2").len(), 2);
        assert_eq!(read("# nothing\n"), [(1, 1, Ok(Value::Null))]);
    }

    proptest! {
        #[test]
        fn documents_are_all_of_the_text_and_nothing_panics(text in "(---|[-a:{}\\[\\]\"'&*!|>%@# \t\r\n\u{feff}é]){0,40}") {
            let read: Vec<Document<'_>> = documents(&text).collect();
            prop_assert_eq!(read.iter().map(|document| document.text).collect::<String>(), text.clone());
            for document in read {
                let value = document.value();
                prop_assert!(value.is_ok() || value.is_err_and(|error| document.malformed(&error).0 >= document.line));
                let path = [Step::Field("a".to_owned()), Step::Item(0)];
                let _ = (find(document.text, &path, true), find(document.text, &[], false));
            }
        }
    }

    #[test]
    fn one_that_is_no_yaml_is_placed_and_costs_no_other() {
        let found = read("a: 1\n---\nb: [\n---\nc: 3\n---\nd:\n\te: 1\n---\nf: {g: 1,\n    g: 2}\n");
        let words = |index: usize| found[index].2.as_ref().unwrap_err().clone();
        assert!(words(1).starts_with("4: ") || words(1).starts_with("3: "), "{}", words(1));
        assert!(words(3).starts_with("8: ") && words(3).contains("a tab is here"), "{}", words(3));
        assert!(words(4).starts_with("11: ") && words(4).contains("found \"g\" again at line 11"), "{}", words(4));
        assert!(found[0].2.is_ok() && found[2].2.is_ok());
    }

    /// An alias of three bytes repeats any text: 80 kB would become 400 MB.
    #[test]
    fn aliases_do_not_fill_the_memory() {
        let (long, aliases) = ("x".repeat(20_000), "*a,".repeat(20_000));
        let found = read(&format!("a: &a {long}\nb: [{aliases}]\n"));
        let words = found[0].2.as_ref().unwrap_err();
        assert!(words.contains("found many aliases"), "{words}");
        let few = read("a: &a {x: 1}\nb: [*a, *a]\n");
        assert_eq!(few[0].2.as_ref().unwrap().to_string(), r#"{"a":{"x":1},"b":[{"x":1},{"x":1}]}"#);
    }
}
