//! Extensions of certificates, of CRLs and of their entries (RFC 5280 section 4.1.2.9).

use super::tlv::{self, Reader, Tlv};

/// One extension, not decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extension<'a> {
    /// The contents octets of its object identifier.
    pub(super) kind: &'a [u8],
    pub(super) critical: bool,
    /// Its value in DER.
    pub(super) value: &'a [u8],
}

/// All extensions; `None` if one cannot be read.
pub(super) fn all(bytes: &[u8]) -> Option<Vec<Extension<'_>>> {
    Reader::new(bytes).all()?.into_iter().map(read).collect()
}

fn read(element: Tlv<'_>) -> Option<Extension<'_>> {
    let mut inner = Reader::new(tlv::only(element.whole, tlv::SEQUENCE)?.content);
    let kind = inner.expect(tlv::OBJECT_IDENTIFIER)?.content;
    let critical = inner.optional(tlv::BOOLEAN).is_some_and(|flag| flag.content != [0]);
    let value = inner.expect(tlv::OCTET_STRING)?.content;
    inner.is_empty().then_some(Extension { kind, critical, value })
}
