//! Names as the octets of their attributes, and what their texts have in common.

use const_oid::ObjectIdentifier;

/// RDNs, most significant first, with the octets of their values.
pub(super) type Names = Vec<Vec<(ObjectIdentifier, Vec<u8>)>>;

pub(super) fn hex_pair(high: u8, low: u8) -> u8 {
    let digit = |c: u8| char::from(c).to_digit(16).map_or(0, |n| u8::try_from(n).unwrap_or(0));
    digit(high) << 4 | digit(low)
}
