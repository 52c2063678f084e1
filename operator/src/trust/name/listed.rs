//! Names as texts with commas: RFC 4514 with the additions of RFC 2253, and the output of OpenSSL 3.

use const_oid::ObjectIdentifier;
use data_encoding::HEXLOWER_PERMISSIVE;

use super::attribute::{Keyword, Names, hex_pair, keyword};
use super::value::Value;
use crate::trust::tlv::Reader;

/// `C` and `DC`: a name that has one of these begins with it.
const MOST_SIGNIFICANT: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("2.5.4.6"), ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25")];

/// Parses RFC 4514, with the least significant RDN first. Of RFC 2253 and RFC 1779, it also accepts `;` as a separator,
/// quoted values, and white space around commas.
///
/// OpenSSL prints the most significant RDN first: `C = DE, O = …` up to 3.1, `C=DE, O=…` from 3.2 on. The former is
/// recognised by the spaces around each `=`. The latter is recognised by a space after every comma, if in addition the
/// text had OpenSSL's label in front (`printed`), or the name begins with `C` or `DC` and does not end with one.
pub(super) fn parse(text: &str, printed: bool) -> Result<Names, String> {
    let mut names = Names::new();
    let mut spacing = Spacing::default();
    let (mut rest, mut joins) = (text, false);
    loop {
        let pair = attribute_value(rest)?;
        spacing.see(&pair);
        match names.last_mut() {
            Some(relative) if joins => relative.push((pair.attribute, pair.value)),
            _ => names.push(vec![(pair.attribute, pair.value)]),
        }
        let Some(separator) = pair.end else { break };
        (rest, joins) = (pair.tail, separator == '+');
    }
    if !spacing.most_significant_first(&names, printed)? {
        names.reverse();
    }
    Ok(names)
}

/// The spacing of a text, which shows which program wrote it.
#[derive(Default)]
struct Spacing {
    around_equals: bool,
    no_space_around_equals: bool,
    /// Whether there was a comma without a space after it, or a `;`.
    bare_separator: bool,
}

impl Spacing {
    fn see(&mut self, pair: &Pair<'_>) {
        if pair.spaced {
            self.around_equals = true;
        } else {
            self.no_space_around_equals = true;
        }
        self.bare_separator |= match pair.end {
            None => false,
            Some(separator) => separator == ';' || (separator == ',' && !pair.tail.starts_with(' ')),
        };
    }

    fn most_significant_first(&self, names: &Names, printed: bool) -> Result<bool, String> {
        if self.around_equals && self.no_space_around_equals {
            return Err(
                "spaces around some = and not around others make the order of the attributes unclear; write it as \
                        /C=…/O=…/CN=…"
                    .to_owned(),
            );
        }
        if self.around_equals {
            return Ok(true);
        }
        let is_top = |name: Option<&Vec<(ObjectIdentifier, Vec<u8>)>>| {
            name.is_some_and(|pairs| pairs.iter().any(|(attribute, _)| MOST_SIGNIFICANT.contains(attribute)))
        };
        let begins = is_top(names.first()) && !is_top(names.last());
        Ok(names.len() > 1 && !self.bare_separator && (printed || begins))
    }
}

/// One attribute, the separator after it, and the rest of the text.
struct Pair<'a> {
    attribute: ObjectIdentifier,
    value: Vec<u8>,
    /// Whether there is a space before and after its `=`.
    spaced: bool,
    end: Option<char>,
    tail: &'a str,
}

fn attribute_value(text: &str) -> Result<Pair<'_>, String> {
    let (name, rest) = text.split_once('=').ok_or_else(|| format!("{text:?} is no attribute with a value"))?;
    let inner = rest.trim_start();
    let (before, after) = (name.ends_with(' '), inner.len() < rest.len());
    if before != after && !inner.is_empty() {
        return Err(
            "a space on only one side of = makes the order of the attributes unclear; write it as /C=…/O=…/CN=…"
                .to_owned(),
        );
    }
    let Keyword::Known(attribute) = keyword(name.trim()) else {
        return Err(format!("{:?} is no attribute that is known", name.trim()));
    };
    let (value, end, tail) = match inner.as_bytes().first() {
        Some(b'#') => hexadecimal(inner)?,
        Some(b'"') => quoted(inner)?,
        _ => plain(inner)?,
    };
    Ok(Pair { attribute, value, spaced: before, end, tail })
}

/// `#` and the DER of the value.
fn hexadecimal(rest: &str) -> Result<(Vec<u8>, Option<char>, &str), String> {
    let end = rest.find([',', ';', '+']).unwrap_or(rest.len());
    let digits = rest[1..end].trim_end();
    let der = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| format!("{digits:?} is no hexadecimal DER"))?;
    let value = tlv_value(&der).ok_or_else(|| format!("{digits:?} is no DER value"))?;
    let (separator, tail) = split_separator(&rest[end..]);
    Ok((value, separator, tail))
}

/// The text of a value in DER.
fn tlv_value(der: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(der);
    let element = reader.next().filter(|_| reader.is_empty())?;
    Some(Value::of_element(element.tag, element.content).text.into_bytes())
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
            return Err("a quotation mark is inside a value".to_owned());
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

/// Reads one character, escaped or not (RFC 4514 section 3: `pair`), and returns the rest of the text.
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
