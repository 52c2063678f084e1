//! Parses and writes names as texts: the one-line form here, forms with commas in [`listed`].

use std::fmt;

use const_oid::ObjectIdentifier;

use super::attribute::{Keyword, Names, hex_pair, keyword};
use super::{DistinguishedName, listed};

pub(super) fn parse(text: &str) -> Result<DistinguishedName, String> {
    if text.len() > DistinguishedName::MAXIMUM_LENGTH {
        return Err(format!("longer than {} bytes", DistinguishedName::MAXIMUM_LENGTH));
    }
    let (printed, text) = without_label(text.trim());
    let names = match text.strip_prefix('/') {
        Some(rest) => one_line(rest),
        None if text.is_empty() => Err("empty".to_owned()),
        None => listed::parse(text, printed),
    };
    names.map(DistinguishedName::from_octets)
}

/// Removes the label that `openssl x509 -subject -issuer` prints before a name. The result is whether there was a
/// label, and the rest.
fn without_label(text: &str) -> (bool, &str) {
    let label = |name| text.strip_prefix(name).and_then(|rest: &str| rest.trim_start().strip_prefix('='));
    label("subject").or_else(|| label("issuer")).map_or((false, text), |rest| (true, rest.trim_start()))
}

/// Splits a one-line text at each unescaped `separator`. A backslash escapes the next character.
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

/// One attribute of a one-line text. Its value is still escaped.
struct Attribute {
    kind: ObjectIdentifier,
    value: String,
}

fn one_line(text: &str) -> Result<Names, String> {
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

/// The attribute that a component begins with. `None` if it cannot be an attribute; then the separator before it is
/// part of the previous value.
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

/// Decodes a value of a one-line text: `\/`, `\+` and `\xNN`. Any other single backslash is literal, as OpenSSL prints
/// it.
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

/// Writes a value in OpenSSL's one-line form.
pub(super) fn write_octets<W: fmt::Write>(f: &mut W, value: &[u8]) -> fmt::Result {
    for byte in value {
        match byte {
            b'/' | b'+' => write!(f, "\\{}", char::from(*byte))?,
            b' '..=b'~' if *byte != b'\\' => f.write_char(char::from(*byte))?,
            _ => write!(f, "\\x{byte:02X}")?,
        }
    }
    Ok(())
}

/// The same, but with Unicode characters. Control characters and backslashes are escaped.
pub(super) fn write_characters<W: fmt::Write>(f: &mut W, value: &str) -> fmt::Result {
    for c in value.chars() {
        if c.is_ascii() || c.is_control() {
            write_octets(f, c.encode_utf8(&mut [0; 4]).as_bytes())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}
