//! A DER (X.690) parser that copies nothing. It is used where the exact bytes are needed (certificates, signatures),
//! and for structures with very many elements (CRL entries).

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tlv<'a> {
    /// The identifier octet.
    pub(super) tag: u8,
    /// The contents octets.
    pub(super) content: &'a [u8],
    /// All octets, header included.
    pub(super) whole: &'a [u8],
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const UNIVERSAL_STRING: u8 = 0x1c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag of a context-specific, constructed element.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Reads elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element. `None` at the end, and if the bytes are not an element with a low tag number and a definite
    /// length.
    pub(super) fn next(&mut self) -> Option<Tlv<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, header) = match first {
            0..=0x7f => (usize::from(first), 2),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let octets = rest.get(..count)?;
                (octets.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b)), 2 + count)
            }
            _ => return None,
        };
        let end = header.checked_add(length)?;
        let whole = self.0.get(..end)?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        self.0 = &self.0[end..];
        Some(Tlv { tag, content: &whole[header..], whole })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Tlv<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element, if it has this tag. Otherwise nothing is read.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Tlv<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }

    /// All remaining elements; `None` if one cannot be read.
    pub(super) fn all(mut self) -> Option<Vec<Tlv<'a>>> {
        let mut elements = Vec::new();
        while !self.is_empty() {
            elements.push(self.next()?);
        }
        Some(elements)
    }
}

/// The single element with this tag that the bytes consist of.
pub(super) fn only(bytes: &[u8], tag: u8) -> Option<Tlv<'_>> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.is_empty().then_some(element)
}

/// One extension, not decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extension<'a> {
    /// The contents octets of its object identifier.
    pub(super) kind: &'a [u8],
    pub(super) critical: bool,
    /// Its value in DER.
    pub(super) value: &'a [u8],
}

/// All extensions of a certificate, a CRL or one of its entries (RFC 5280 section 4.1.2.9); `None` if one cannot be read.
pub(super) fn extensions(bytes: &[u8]) -> Option<Vec<Extension<'_>>> {
    Reader::new(bytes).all()?.into_iter().map(extension).collect()
}

fn extension(element: Tlv<'_>) -> Option<Extension<'_>> {
    let mut inner = Reader::new(only(element.whole, SEQUENCE)?.content);
    let kind = inner.expect(OBJECT_IDENTIFIER)?.content;
    let critical = inner.optional(BOOLEAN).is_some_and(|flag| flag.content != [0]);
    let value = inner.expect(OCTET_STRING)?.content;
    inner.is_empty().then_some(Extension { kind, critical, value })
}

/// Writes one element.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(length + 10);
    bytes.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
            bytes.push(0x80 | u8::try_from(octets.len()).unwrap_or(8));
            bytes.extend_from_slice(&octets);
        }
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(content in prop::collection::vec(any::<u8>(), 0..400)) {
            let bytes = write(SEQUENCE, &[&content, &content]);
            let element = only(&bytes, SEQUENCE).unwrap();
            prop_assert_eq!(element.content, [content.clone(), content].concat());
        }

        #[test]
        fn no_bytes_make_it_read_past_the_end(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(elements) = Reader::new(&bytes).all() {
                prop_assert_eq!(elements.iter().map(|e| e.whole.len()).sum::<usize>(), bytes.len());
            }
        }
    }
}
