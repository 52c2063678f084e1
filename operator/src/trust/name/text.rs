//! Names as texts: the one-line form, and RFC 4514 with what RFC 2253 adds.

use std::fmt;
use std::fmt::Write as _;

use const_oid::ObjectIdentifier;
use der::{Any, Decode};

use super::attribute::{Keyword, keyword};
use super::{DistinguishedName, RelativeName, value_bytes};

pub(super) fn parse(text: &str) -> Result<Vec<RelativeName>, String> {
    if text.len() > DistinguishedName::MAXIMUM_LENGTH {
        return Err(format!("longer than {} bytes", DistinguishedName::MAXIMUM_LENGTH));
    }
    match text.strip_prefix('/') {
        Some(rest) => one_line(rest),
        None if text.trim().is_empty() => Err("empty".to_owned()),
        None => rfc4514(text),
    }
}

/// Cuts a one-line text at each bare `separator`; a backslash keeps the character after it.
fn cut(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, c) in text.char_indices() {
        if c == separator && !escaped {
            parts.push(&text[start..index]);
            start = index + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// One attribute of a one-line text, its value still escaped.
struct Attribute {
    kind: ObjectIdentifier,
    value: String,
}

fn one_line(text: &str) -> Result<Vec<RelativeName>, String> {
    let mut names: Vec<Vec<Attribute>> = Vec::new();
    for component in cut(text, '/') {
        for (index, part) in cut(component, '+').into_iter().enumerate() {
            let separator = if index == 0 { '/' } else { '+' };
            match begins_attribute(part)? {
                Some(attribute) if index == 0 => names.push(vec![attribute]),
                Some(attribute) => names.last_mut().ok_or("a plus before the first RDN")?.push(attribute),
                None => {
                    let open = names.last_mut().and_then(|rdn| rdn.last_mut());
                    let open = open.ok_or_else(|| format!("{part:?} is no attribute with a value"))?;
                    open.value.push('\\');
                    open.value.push(separator);
                    open.value.push_str(part);
                }
            }
        }
    }
    let relative = |rdn: Vec<Attribute>| rdn.into_iter().map(|a| Ok((a.kind, unescape(&a.value)?))).collect();
    names.into_iter().map(relative).collect()
}

/// Whether a component begins an RDN. A bare separator belongs to the value before it only where it cannot.
fn begins_attribute(part: &str) -> Result<Option<Attribute>, String> {
    let Some((name, value)) = part.split_once('=') else { return Ok(None) };
    match keyword(name) {
        Keyword::Known(kind) => Ok(Some(Attribute { kind, value: value.to_owned() })),
        Keyword::Impossible => Ok(None),
        Keyword::Unknown => Err(format!(
            "{name:?} is no attribute that is known; write its number, or \\/ for a slash that belongs to a value"
        )),
    }
}

/// The value of a one-line text: `\/`, `\+` and `\xNN`; any other backslash stands for itself, as OpenSSL prints it.
fn unescape(value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'\\', [c @ (b'/' | b'+'), after @ ..]) => (*c, after),
            (b'\\', [b'x', high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_pair(*high, *low), after)
            }
            (b'\\', [b'\\', ..]) => return Err("write \\x5C for a backslash".to_owned()),
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    Ok(bytes)
}

fn hex_pair(high: u8, low: u8) -> u8 {
    let digit = |c: u8| char::from(c).to_digit(16).map_or(0, |n| u8::try_from(n).unwrap_or(0));
    digit(high) << 4 | digit(low)
}

/// Writes a value as OpenSSL's one-line form does.
pub(super) fn write_value(f: &mut fmt::Formatter<'_>, value: &[u8]) -> fmt::Result {
    for byte in value {
        match byte {
            b'/' | b'+' => write!(f, "\\{}", char::from(*byte))?,
            b' '..=b'~' if *byte != b'\\' => f.write_char(char::from(*byte))?,
            _ => write!(f, "\\x{byte:02X}")?,
        }
    }
    Ok(())
}

/// RFC 4514, least significant RDN first; and of RFC 2253 and 1779 the `;`, quoted values and white space around commas.
fn rfc4514(text: &str) -> Result<Vec<RelativeName>, String> {
    let mut names: Vec<RelativeName> = Vec::new();
    let (mut rest, mut joins) = (text, false);
    loop {
        let (attribute, value, end, tail) = attribute_value(rest)?;
        match names.last_mut() {
            Some(relative) if joins => relative.push((attribute, value)),
            _ => names.push(vec![(attribute, value)]),
        }
        let Some(separator) = end else { break };
        (rest, joins) = (tail, separator == '+');
    }
    names.reverse();
    Ok(names)
}

type Pair<'a> = (ObjectIdentifier, Vec<u8>, Option<char>, &'a str);

fn attribute_value(text: &str) -> Result<Pair<'_>, String> {
    let (name, rest) = text.split_once('=').ok_or_else(|| format!("{text:?} is no attribute with a value"))?;
    if name.ends_with(' ') || (rest.starts_with(' ') && !rest.trim_start().is_empty()) {
        return Err("spaces around = leave open which end comes first; write it as /C=…/O=…/CN=…".to_owned());
    }
    let Keyword::Known(kind) = keyword(name.trim_start()) else {
        return Err(format!("{:?} is no attribute that is known", name.trim()));
    };
    let (value, end, tail) = match rest.as_bytes().first() {
        Some(b'#') => hexadecimal(rest)?,
        Some(b'"') => quoted(rest)?,
        _ => plain(rest)?,
    };
    Ok((kind, value, end, tail))
}

/// `#` and the DER of the value.
fn hexadecimal(rest: &str) -> Result<(Vec<u8>, Option<char>, &str), String> {
    let end = rest.find([',', ';', '+']).unwrap_or(rest.len());
    let digits = rest[1..end].trim_end();
    let der = hex::decode(digits).map_err(|_| format!("{digits:?} is no hexadecimal DER"))?;
    let value = Any::from_der(&der).map_err(|_| format!("{digits:?} is no DER value"))?;
    let (separator, tail) = split_separator(&rest[end..]);
    Ok((value_bytes(&value), separator, tail))
}

/// A value in quotation marks (RFC 1779, RFC 2253 section 4).
fn quoted(rest: &str) -> Result<(Vec<u8>, Option<char>, &str), String> {
    let mut value = Vec::new();
    let mut inner = &rest[1..];
    while !inner.starts_with('"') {
        if inner.is_empty() {
            return Err("a quotation mark is not closed".to_owned());
        }
        inner = character(inner, &mut value)?;
    }
    let after = inner[1..].trim_start();
    if !after.is_empty() && !after.starts_with([',', ';', '+']) {
        return Err(format!("{after:?} follows a quoted value"));
    }
    let (separator, tail) = split_separator(after);
    Ok((value, separator, tail))
}

fn plain(rest: &str) -> Result<(Vec<u8>, Option<char>, &str), String> {
    let mut value = Vec::new();
    let mut kept = 0;
    let mut inner = rest;
    while !inner.is_empty() && !inner.starts_with([',', ';', '+']) {
        if inner.starts_with('"') {
            return Err("a quotation mark stands inside a value".to_owned());
        }
        let bare_space = inner.starts_with(' ');
        inner = character(inner, &mut value)?;
        if !bare_space {
            kept = value.len();
        }
    }
    value.truncate(kept);
    let (separator, tail) = split_separator(inner);
    Ok((value, separator, tail))
}

/// Reads one character, escaped or not (RFC 4514 section 3: `pair`), and gives what follows it.
fn character<'a>(text: &'a str, value: &mut Vec<u8>) -> Result<&'a str, String> {
    let mut characters = text.chars();
    let first = characters.next().ok_or("it ends too early")?;
    if first != '\\' {
        value.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
        return Ok(characters.as_str());
    }
    match characters.as_str().as_bytes() {
        [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            value.push(hex_pair(*high, *low));
            Ok(&characters.as_str()[2..])
        }
        [c, ..] if b" \"#+,;<=>\\".contains(c) => {
            value.push(*c);
            Ok(&characters.as_str()[1..])
        }
        _ => Err("a backslash escapes neither a special character nor two hexadecimal digits".to_owned()),
    }
}

fn split_separator(text: &str) -> (Option<char>, &str) {
    let mut characters = text.chars();
    (characters.next(), characters.as_str())
}
