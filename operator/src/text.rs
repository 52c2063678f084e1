//! Escapes text from outside before it is displayed: control and format characters can change what a terminal or a
//! reader of logs sees (pure).
//!
//! A title, a server's message or a file's name can hold escape sequences, line ends that forge a log line, or
//! bidirectional controls that change the order of the displayed characters (CVE-2021-42574).

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use serde::Serialize;
use serde_json::Value;

/// Implements `Debug` for a type of which only the name may be shown, or is worth it.
macro_rules! opaque {
    ($type:ty, $shown:literal) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($shown)
            }
        }
    };
}
pub(crate) use opaque;

/// Gives out the text of a type around a `String` that was checked when it was made.
macro_rules! checked_text {
    ($type:ty) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}
pub(crate) use checked_text;

/// Whether a character is displayed as itself: it is not a control (C0, C1, DEL), a line or paragraph separator, or an
/// invisible format character that changes the display of others (Unicode Standard Annex 44, `Cc`, `Cf`, `Zl`, `Zp`).
pub fn is_printable(c: char) -> bool {
    let category = || CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(c, ' '..='~')
        || !matches!(
            category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

/// A text on one line. Characters that are not printable are escaped as in Rust: `\n`, `\u{202e}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_printable, |c, shown| shown.extend(c.escape_default()))
}

/// The beginning of a text for display: at most `most` characters, with those that are not printable replaced.
pub fn displayed(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if is_printable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The words of untrusted bytes, with one space between them.
pub fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Untrusted bytes as one line of text: at most `most` characters, one space between words, and printable characters
/// only.
pub fn one_line(bytes: &[u8], most: usize) -> String {
    let line = words(bytes);
    let mut shown = printable(&line.chars().take(most).collect::<String>()).into_owned();
    if line.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// The text of an error and its causes. A cause whose text is already included is left out.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

/// The first error of a type among an error and its causes.
pub fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The `source` of an `io::Error` is the source of its inner error, not the inner error itself.
        if let Some(found) = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()?.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Lines of text: line ends stay, all other characters that are not printable are escaped.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || is_printable(c), |c, shown| shown.extend(c.escape_default()))
}

/// JSON (RFC 8259) with all characters that are not printable as `\u…`. It is the same document.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Control characters in JSON strings are already escaped; outside of strings they are white space.
    let escaped = |c: char, shown: &mut String| {
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    };
    escape(json, |c| c < ' ' || is_printable(c), escaped)
}

/// A value as indented JSON, with a line end.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("{}\n", printable_json(&serde_json::to_string_pretty(value)?)))
}

/// A value as a YAML document, with characters that are not printable escaped. It is the same document.
pub fn yaml(value: &impl Serialize) -> Result<String, serde_yaml::Error> {
    let text = serde_yaml::to_string(value)?;
    if text.chars().all(|c| c == '\n' || is_printable(c)) {
        return Ok(text);
    }
    // YAML has escapes only in double quotes, and the writer does not escape all these characters. So texts that need
    // escapes are replaced by placeholders, which do not occur elsewhere, and put in after writing.
    let mut quoted = Quoted { word: unused_word(&text), texts: Vec::new() };
    let value = quoted.take(serde_json::to_value(value).map_err(<serde_yaml::Error as serde::ser::Error>::custom)?);
    let mut shown = serde_yaml::to_string(&value)?;
    for (number, text) in quoted.texts.iter().enumerate() {
        shown = shown.replace(&quoted.placeholder(number), text);
    }
    Ok(shown)
}

/// The texts of a YAML document that are written in double quotes. Each has a placeholder in the document.
struct Quoted {
    word: String,
    texts: Vec<String>,
}

impl Quoted {
    fn placeholder(&self, number: usize) -> String {
        format!("{}{number}x", self.word)
    }

    fn take(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.take_text(text)),
            Value::Array(values) => values.into_iter().map(|value| self.take(value)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(key, value)| (self.take_text(key), self.take(value))).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }

    fn take_text(&mut self, text: String) -> String {
        if text.chars().all(|c| c == '\n' || is_printable(c)) {
            return text;
        }
        let escaped = escape(
            &text,
            |c| is_printable(c) && c != '"' && c != '\\',
            |c, shown| {
                // YAML 1.2, section 5.7: the code point with four or eight digits.
                let _ = match u32::from(c) {
                    0x22 | 0x5c => write!(shown, "\\{c}"),
                    code @ ..0x1_0000 => write!(shown, "\\u{code:04x}"),
                    code => write!(shown, "\\U{code:08x}"),
                };
            },
        );
        self.texts.push(format!("\"{escaped}\""));
        self.placeholder(self.texts.len() - 1)
    }
}

/// A word that does not occur in a text.
fn unused_word(text: &str) -> String {
    let mut word = "quoted".to_owned();
    while text.contains(&word) {
        word.push('q');
    }
    word
}

/// The known word that is most similar to `word`, ignoring case; `None` if none is near. One edit is allowed for every
/// three characters.
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |known: &str| strsim::osa_distance(&lower, &known.to_lowercase());
    let near = known.map(|known| (distance(known), known)).filter(|(distance, known)| *distance <= known.len() / 3);
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

fn escape(text: &str, stays: impl Fn(char) -> bool, escaped: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if stays(c) { shown.push(c) } else { escaped(c, &mut shown) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One of each kind that a terminal or a reader trips over.
    const HOSTILE: &str =
        "a\u{1b}[31m\u{9b}2J\u{7}\r\n\u{7f}\u{85}\u{ad}\u{200b}\u{200f}\u{202e}\u{2028}\u{2066}\u{feff}\u{e0041}";

    #[test]
    fn what_drives_a_terminal_or_turns_the_writing_is_escaped_and_all_else_stays() {
        let good = "Alma 9 – été, 日本語, שלום, 🐧 \\ \"quoted\"";
        assert_eq!(printable(good), good);
        let shown = "a\\u{1b}[31m\\u{9b}2J\\u{7}\\r\\n\\u{7f}\\u{85}\\u{ad}\\u{200b}\\u{200f}\\u{202e}\\u{2028}\\u{2066}\\u{feff}\\u{e0041}";
        assert_eq!(printable(HOSTILE), shown);
        assert_eq!(printable_lines("a\r\nb"), "a\\r\nb");
    }

    #[test]
    fn the_nearest_word_is_the_one_that_was_meant() {
        let near = |word: &str| nearest(word, ["url", "secretRef", "tls", "kind"].into_iter());
        assert_eq!(
            [near("uri"), near("secretref"), near("secertRef")],
            [Some("url"), Some("secretRef"), Some("secretRef")]
        );
        assert_eq!([near("x"), near("labels"), near(&"url".repeat(99))], [None; 3]);
    }

    #[test]
    fn documents_have_escapes_and_are_the_same_documents() {
        let value = serde_json::json!({"title": HOSTILE, HOSTILE: ["quoted0x", {"a": "b\nc", "n": 1.5, "t": "\t\"\\\u{202e}"}]});
        let (json, yaml) = (json(&value).unwrap(), yaml(&value).unwrap());
        for text in [&json, &yaml] {
            assert!(text.chars().all(|c| c == '\n' || is_printable(c)), "{text:?}");
        }
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value, "{json}");
        assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), value, "{yaml}");
        assert!(json.contains("\\u202e\\u2028"));
        assert_eq!(super::yaml(&serde_json::json!({"a": "b"})).unwrap(), "a: b\n");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_its_document(key in "\\PC{0,3}\\p{C}?", text in "(\\p{C}|\\PC){0,12}") {
            let value = serde_json::json!({key: [&text, {"a": text}]});
            let (json, yaml) = (json(&value).unwrap(), yaml(&value).unwrap());
            prop_assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), &value);
            prop_assert_eq!(&serde_yaml::from_str::<Value>(&yaml).unwrap(), &value);
            prop_assert!(printable(&json.replace('\n', "")).as_ref() == json.replace('\n', ""));
            prop_assert!(yaml.chars().all(|c| c == '\n' || is_printable(c)));
        }
    }
}
