//! Attributes of an image, in the XML form of a template.
//!
//! OpenNebula accepts a template as lines `NAME="value"` or as XML. The lines have no safe escape (a value that ends in
//! a backslash also consumes the next line), so templates are sent as XML. In XML, the server silently ignores the
//! whole update if a value contains `]]>`, refuses characters outside the Basic Multilingual Plane, and trims white
//! space at both ends of a value. [`clean`] handles all three, and current and wanted values are compared after
//! [`clean`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::xml::escape;

/// The name of an attribute: a letter, then letters, digits and `_`, at most 64 characters, in upper case as OpenNebula
/// stores it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(String);

/// The text is not an attribute name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an attribute name of 1 to 64 letters, digits and _ with a letter first, found {found:?}")]
pub struct AttributeNameError {
    found: String,
}

impl FromStr for AttributeName {
    type Err = AttributeNameError;

    fn from_str(text: &str) -> Result<Self, AttributeNameError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        let starts_well = text.bytes().next().is_some_and(|c| c.is_ascii_alphabetic());
        if starts_well && text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(AttributeNameError { found: text.chars().take(64).collect() })
        }
    }
}

crate::text::checked_text!(AttributeName);

/// Attributes sorted by name, with cleaned values. An attribute without a value is left out, because the server would
/// ignore it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(BTreeMap<String, String>);

impl Template {
    /// An empty template.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute whose name is a constant of this program.
    pub fn set(&mut self, name: &'static str, value: &str) {
        debug_assert!(name.parse::<AttributeName>().is_ok(), "{name}");
        self.insert(name.to_owned(), value);
    }

    /// Sets an attribute whose name is configured by a site.
    pub fn set_checked(&mut self, name: &AttributeName, value: &str) {
        self.insert(name.as_str().to_owned(), value);
    }

    fn insert(&mut self, name: String, value: &str) {
        let value = clean(value);
        if value.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, value);
        }
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and cleaned values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Adds all attributes of another template, and replaces existing ones.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Only the attributes that differ from `present`.
    #[must_use]
    pub fn changes(&self, present: &BTreeMap<String, String>) -> Self {
        let differs =
            |(name, value): &(&String, &String)| present.get(*name).is_none_or(|there| clean(there) != **value);
        Self(self.0.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// `<TEMPLATE><NAME>value</NAME>…</TEMPLATE>`. This is the only encoding of attribute values for a server.
    pub fn to_xml(&self) -> String {
        let mut text = String::from("<TEMPLATE>");
        for (name, value) in &self.0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "<{name}>{}</{name}>", escape(value));
        }
        text.push_str("</TEMPLATE>");
        text
    }
}

/// Emptied attributes, in the line form, because the server ignores an empty value in XML. The names are only constants
/// of this program.
pub fn emptied(names: &[&'static str]) -> String {
    names.iter().flat_map(|name| [name, "=\"\"\n"]).collect()
}

/// The maximum length of a value, in characters.
const LONGEST: usize = 4096;

/// The characters that the server trims.
const BLANK: [char; 3] = [' ', '\t', '\n'];

/// A value as the server stores and returns it: at most 4096 characters of the Basic Multilingual Plane, no control
/// characters except tab and newline, no `]]>`, and no white space at the ends.
pub fn clean(value: &str) -> String {
    let kept: String = value.chars().filter_map(keep).collect();
    let kept: String = kept.replace("]]>", "]] >").trim_matches(BLANK).chars().take(LONGEST).collect();
    kept.trim_end_matches(BLANK).to_owned()
}

fn keep(c: char) -> Option<char> {
    match c {
        '\r' => Some('\n'),
        '\t' | '\n' => Some(c),
        c if c.is_control() => None,
        // U+FFFE and U+FFFF are not allowed in XML; the server refuses the other characters of these ranges.
        '\u{fffe}' | '\u{ffff}' | '\u{10000}'..='\u{10ffff}' => Some('\u{fffd}'),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::{Limits, parse};

    const LIMITS: Limits = Limits { depth: 3, elements: 100 };

    proptest! {
        /// Whatever a list says: one attribute in, the same one attribute out, and nothing the server refuses or loses.
        #[test]
        fn text_never_becomes_another_attribute(value in "\\PC{0,60}|[\\x00-\\x7f]{0,60}|(\\]\\]>|</TEMPLATE>|<PATH>|\"|\\\\|\n|\u{1F600}|&|a| ){0,20}") {
            let mut template = Template::new();
            template.set("DESCRIPTION", &value);
            let text = template.to_xml();
            prop_assert!(text.starts_with('<'));
            prop_assert!(!text.contains("]]>"));
            let taken = |c: char| c < '\u{10000}' && (!c.is_control() || c == '\n' || c == '\t');
            prop_assert!(text.chars().all(taken));
            let root = parse(&text, LIMITS).unwrap();
            let back: Vec<_> = root.children.iter().map(|child| (child.name.as_str(), child.text.clone())).collect();
            let cleaned = clean(&value);
            if cleaned.is_empty() {
                prop_assert!(back.is_empty());
            } else {
                prop_assert_eq!(back, vec![("DESCRIPTION", cleaned.clone())]);
            }
            prop_assert_eq!(clean(&cleaned), cleaned.clone());
            let present = BTreeMap::from([("DESCRIPTION".to_owned(), cleaned)]);
            prop_assert!(template.changes(&present).is_empty());
        }

        #[test]
        fn a_name_is_letters_digits_and_underscores(text in "\\PC{0,70}") {
            if let Ok(name) = text.parse::<AttributeName>() {
                prop_assert!(name.as_str().bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_'));
            }
        }
    }

    #[test]
    fn names_that_would_break_a_template_are_refused() {
        for text in ["", "1A", "AD:MPURI", "a-b", "a b", "a=\"", "_A", &"a".repeat(65)] {
            assert!(text.parse::<AttributeName>().is_err(), "{text:?}");
        }
        assert_eq!("dev_prefix".parse::<AttributeName>().unwrap().as_str(), "DEV_PREFIX");
    }

    #[test]
    fn emptied_attributes_are_lines() {
        assert_eq!(emptied(&["VMCATCHER_EVENT_VO", "X"]), "VMCATCHER_EVENT_VO=\"\"\nX=\"\"\n");
    }
}
