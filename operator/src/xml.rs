//! A small XML reader with limits. It has only the predefined entities, and does not resolve namespaces.
//!
//! Namespaces are deliberately not resolved: a site can have an attribute such as `AD:MPURI` with an undeclared prefix,
//! and one such image must not make the whole image pool unreadable.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// The most attributes of an element: each is compared with those before it.
const MOST_ATTRIBUTES: usize = 64;

/// One element: its name, attributes, text and children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// The name as written, with its prefix.
    pub name: String,
    /// Names as written and values (entities resolved), in order; each name occurs once.
    pub attributes: Vec<(String, String)>,
    /// The text and CDATA directly in the element (entities resolved), joined.
    pub text: String,
    /// The direct child elements, in order.
    pub children: Vec<Element>,
}

/// Limits for one document. The size in bytes is not limited here; the caller limits it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The deepest nesting of elements.
    pub depth: usize,
    /// The most elements in one subtree.
    pub elements: usize,
}

/// Why a document is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed.
    #[error("expected XML, found a syntax error at byte {position}: {message}")]
    Syntax {
        /// Byte offset of the error.
        position: u64,
        /// The parser's message.
        message: String,
    },
    /// A document type declaration, or an entity that XML 1.0 does not predefine.
    #[error("expected no document type and only predefined entities, found {found}")]
    Forbidden {
        /// The declaration or the entity.
        found: String,
    },
    /// A limit is exceeded.
    #[error("expected at most {limit} {what}, found more")]
    TooMuch {
        /// The limit.
        limit: usize,
        /// What is limited.
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
    /// The first child with this name, prefix included.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The value of an attribute with this local name, with any prefix.
    pub fn attribute(&self, local_name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| local(name) == local_name);
        found.map(|(_, value)| value.as_str())
    }

    /// The name without its prefix.
    pub fn local_name(&self) -> &str {
        local(&self.name)
    }

    /// The text of the first child with this name; empty if there is none.
    pub fn child_text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }
}

/// Parses a document. Returns its root element.
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

/// Calls `visit` for each child of the root, in order. A large pool is never in memory as one tree. The limits apply to
/// each child. Returns the name of the root.
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
    /// An empty element, `<a/>`.
    Whole(Element),
    /// A start tag, `<a>`: its content follows.
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

    /// Reads the root's start tag. Only a declaration, comments, processing instructions and white space may be before
    /// it.
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

    /// Reads to the end. Only white space, comments and processing instructions may follow.
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

    /// The next child of the root; `None` at the root's end tag. Text between children is dropped.
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

    /// Reads an element to its end tag, after its start tag was read.
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

    /// Makes an element from its start tag.
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

/// Resolves a character reference or one of the five predefined entities (XML 1.0, section 4.6).
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

/// Whether XML 1.0 section 2.2 allows the character in a document.
pub fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Escapes text for element content: markup, and a carriage return as a reference. Characters that XML does not allow
/// become U+FFFD.
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
