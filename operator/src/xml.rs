//! A small XML reader: bounded, without entities of its own, namespaces taken as plain text.
//!
//! Namespaces are not resolved on purpose: a site may hold an attribute such as `AD:MPURI` whose prefix nobody bound,
//! and one such image must not make the whole pool unreadable.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// So many attributes an element may have: each is compared with those before it.
const MOST_ATTRIBUTES: usize = 64;

/// One element: its name as written, its attributes, its own text (entities resolved), its children in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// The name as written, prefix included.
    pub name: String,
    /// Names as written and values (entities resolved), in order; each name once.
    pub attributes: Vec<(String, String)>,
    /// All text and CDATA that stands directly in the element, joined.
    pub text: String,
    /// The elements that stand directly in it.
    pub children: Vec<Element>,
}

/// How much one document may hold. Its bytes are bounded by whoever brings them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep elements may nest.
    pub depth: usize,
    /// How many elements one subtree may have.
    pub elements: usize,
}

/// Why a text is no document that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed.
    #[error("expected XML, found a syntax error at byte {position}: {message}")]
    Syntax {
        /// Where.
        position: u64,
        /// What the parser says.
        message: String,
    },
    /// A document type or an entity that XML 1.0 does not define by itself.
    #[error("expected no document type and only predefined entities, found {found}")]
    Forbidden {
        /// What stood there.
        found: String,
    },
    /// More than the limits.
    #[error("expected at most {limit} {what}, found more")]
    TooMuch {
        /// The limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// The text ends too early, or has no root element, or something after it.
    #[error("expected one whole root element, found {found}")]
    Incomplete {
        /// What was found.
        found: &'static str,
    },
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The value of an attribute, whatever its prefix.
    pub fn attribute(&self, local_name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| local(name) == local_name);
        found.map(|(_, value)| value.as_str())
    }

    /// The name without its prefix.
    pub fn local_name(&self) -> &str {
        local(&self.name)
    }

    /// The text of the first child of this name; empty without one.
    pub fn child_text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }
}

/// The root element of a document with all that is in it.
pub fn parse(text: &str, limits: Limits) -> Result<Element, XmlError> {
    let mut source = Source::new(text, limits);
    let root = source.root()?;
    let element = match root {
        Opened::Whole(element) => element,
        Opened::Started(element) => source.subtree(element)?,
    };
    source.end()?;
    Ok(element)
}

/// Hands over the children of the root one after the other, so that a large pool is never held as one tree.
/// The limits hold for each child. Gives the root's name.
pub fn each_child(text: &str, limits: Limits, mut visit: impl FnMut(Element)) -> Result<String, XmlError> {
    let mut source = Source::new(text, limits);
    let name = match source.root()? {
        Opened::Whole(element) => element.name,
        Opened::Started(element) => {
            while let Some(child) = source.next_child()? {
                visit(child);
            }
            element.name
        }
    };
    source.end()?;
    Ok(name)
}

/// An element whose start tag was read.
enum Opened {
    /// `<a/>`.
    Whole(Element),
    /// `<a>`: its content follows.
    Started(Element),
}

struct Source<'a> {
    reader: Reader<&'a [u8]>,
    limits: Limits,
}

impl<'a> Source<'a> {
    fn new(text: &'a str, limits: Limits) -> Self {
        Self { reader: Reader::from_str(text), limits }
    }

    fn event(&mut self) -> Result<Event<'a>, XmlError> {
        let event = self.reader.read_event().map_err(|error| XmlError::Syntax {
            position: self.reader.error_position(),
            message: shorten(&error.to_string()),
        })?;
        match event {
            Event::DocType(_) => Err(XmlError::Forbidden { found: "a document type".to_owned() }),
            other => Ok(other),
        }
    }

    /// The root's start tag; only a declaration, comments and blanks may stand before it.
    fn root(&mut self) -> Result<Opened, XmlError> {
        loop {
            match self.event()? {
                Event::Start(tag) => return self.element(&tag).map(Opened::Started),
                Event::Empty(tag) => return self.element(&tag).map(Opened::Whole),
                Event::Text(text) if is_blank(&text.xml10_content()) => {}
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => return Err(XmlError::Incomplete { found: "no element" }),
                _ => return Err(XmlError::Incomplete { found: "text before the root" }),
            }
        }
    }

    /// Nothing but blanks and comments to the end.
    fn end(&mut self) -> Result<(), XmlError> {
        loop {
            match self.event()? {
                Event::Eof => return Ok(()),
                Event::Text(text) if is_blank(&text.xml10_content()) => {}
                Event::Comment(_) | Event::PI(_) => {}
                _ => return Err(XmlError::Incomplete { found: "something after the root" }),
            }
        }
    }

    /// The next child of the root; none at the root's end tag. Text between is dropped.
    fn next_child(&mut self) -> Result<Option<Element>, XmlError> {
        loop {
            match self.event()? {
                Event::Start(tag) => {
                    let root = self.element(&tag)?;
                    return self.subtree(root).map(Some);
                }
                Event::Empty(tag) => return self.element(&tag).map(Some),
                Event::End(_) => return Ok(None),
                Event::Eof => return Err(XmlError::Incomplete { found: "the end of the text" }),
                _ => {}
            }
        }
    }

    /// Everything up to the end tag of an element that was started.
    fn subtree(&mut self, root: Element) -> Result<Element, XmlError> {
        let mut open = vec![root];
        let mut elements = 1;
        loop {
            let event = self.event()?;
            let depth = open.len();
            let Some(current) = open.last_mut() else { return Err(XmlError::Incomplete { found: "no element" }) };
            match event {
                Event::Start(tag) => {
                    elements = self.count(elements)?;
                    self.deeper(depth)?;
                    open.push(self.element(&tag)?);
                }
                Event::Empty(tag) => {
                    elements = self.count(elements)?;
                    self.deeper(depth)?;
                    current.children.push(self.element(&tag)?);
                }
                Event::End(_) => {
                    let done = open.pop().unwrap_or_default();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Ok(done),
                    }
                }
                Event::Text(text) => current.text.push_str(&text.xml10_content()),
                Event::CData(text) => current.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => current.text.push(resolve(&reference)?),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
                Event::Eof => return Err(XmlError::Incomplete { found: "the end of the text" }),
            }
        }
    }

    /// An element by its start tag.
    fn element(&self, tag: &BytesStart<'_>) -> Result<Element, XmlError> {
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let position = self.reader.buffer_position();
            let bad = |message: String| XmlError::Syntax { position, message: shorten(&message) };
            let attribute = attribute.map_err(|error| bad(error.to_string()))?;
            if attributes.len() >= MOST_ATTRIBUTES {
                return Err(XmlError::TooMuch { limit: MOST_ATTRIBUTES, what: "attributes" });
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| bad(error.to_string()))?;
            attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(Element { name: tag.name().as_ref().to_owned(), attributes, ..Element::default() })
    }

    fn deeper(&self, depth: usize) -> Result<(), XmlError> {
        if depth >= self.limits.depth {
            return Err(XmlError::TooMuch { limit: self.limits.depth, what: "levels" });
        }
        Ok(())
    }

    fn count(&self, elements: usize) -> Result<usize, XmlError> {
        if elements >= self.limits.elements {
            return Err(XmlError::TooMuch { limit: self.limits.elements, what: "elements" });
        }
        Ok(elements + 1)
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{feff}'))
}

/// A character reference or one of the five entities of XML 1.0 section 4.6.
fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    let forbidden = || XmlError::Forbidden { found: format!("&{};", shorten(reference)) };
    if reference.is_char_ref() {
        let character = reference.resolve_char_ref().ok().flatten();
        return character.filter(|&c| is_xml_character(c)).ok_or_else(forbidden);
    }
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(forbidden()),
    }
}

/// What XML 1.0 section 2.2 allows in a document.
pub fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Text for element content: markup escaped, a carriage return kept by a reference, what XML cannot hold as U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            c if is_xml_character(c) => escaped.push(c),
            _ => escaped.push('\u{fffd}'),
        }
    }
    escaped
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { depth: 4, elements: 5 };

    #[test]
    fn hostile_documents_are_refused() {
        let cases: &[(&str, &str)] = &[
            ("", "one whole root element"),
            ("text", "one whole root element"),
            ("<a>", "one whole root element"),
            ("<a></a><b/>", "one whole root element"),
            ("<a></b>", "syntax error"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "no document type"),
            ("<a>&b;</a>", "predefined entities"),
            ("<a>&#0;</a>", "predefined entities"),
            ("<a>&#xD800;</a>", "predefined entities"),
            ("<a><b><c><d><e/></d></c></b></a>", "at most"),
            ("<a><b><c><d><e></e></d></c></b></a>", "at most 4 levels"),
            ("<a><b/><b/><b/><b/><b/></a>", "at most 5 elements"),
            ("<a b='&c;'/>", "syntax error"),
            ("<a b='1' b='2'/>", "syntax error"),
            ("<a b=1/>", "syntax error"),
        ];
        for (text, expected) in cases {
            let error = parse(text, LIMITS).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn an_unbound_prefix_is_plain_text() {
        let element = parse("<T><AD:MPURI><![CDATA[a<b]]></AD:MPURI></T>", LIMITS).unwrap();
        assert_eq!(element.child_text("AD:MPURI"), "a<b");
    }

    #[test]
    fn attributes_are_found_by_their_names_without_prefix() {
        let element = parse("<o:A o:id='1' href = \"a&amp;&#66;\nc\"/>", LIMITS).unwrap();
        assert_eq!((element.local_name(), element.attribute("id")), ("A", Some("1")));
        let many: Vec<String> = (0..65).map(|n| format!("a{n}=''")).collect();
        assert!(
            parse(&format!("<a {}/>", many.join(" ")), LIMITS)
                .unwrap_err()
                .to_string()
                .contains("at most 64 attributes")
        );
        assert_eq!((element.attribute("href"), element.attribute("o:id")), (Some("a&B c"), None));
    }

    #[test]
    fn children_come_one_by_one_and_the_limits_hold_for_each() {
        let mut seen = Vec::new();
        let pool = "<P><a>1</a><a><b/><b/></a>\n<a/></P>";
        let name = each_child(pool, LIMITS, |child| seen.push((child.text, child.children.len()))).unwrap();
        assert_eq!((name.as_str(), seen), ("P", vec![("1".to_owned(), 0), (String::new(), 2), (String::new(), 0)]));
        assert!(each_child("<P><a>1</a>", LIMITS, |_| {}).is_err());
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back(text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
            let expected: String = text.chars().map(|c| if is_xml_character(c) { c } else { '\u{fffd}' }).collect();
            let element = parse(&format!("<a>{}</a>", escape(&text)), LIMITS).unwrap();
            prop_assert_eq!(element.text, expected);
        }

        #[test]
        fn garbage_never_panics(text in "[<>&;a-c/!\\[\\]\"'# ?\\-\\x00-\\x1f]{0,200}") {
            let _ = parse(&text, LIMITS);
            let _ = each_child(&text, LIMITS, |_| {});
        }
    }
}
