//! DER, written by hand: CRLs, extensions and signed attributes that no builder makes.

use jiff::Timestamp;

pub const INTEGER: u8 = 0x02;
pub const OCTET_STRING: u8 = 0x04;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// An element: its tag, its length, and what is in it.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match content.len() {
        short @ 0..0x80 => vec![u8::try_from(short).unwrap()],
        long => {
            let octets: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            [vec![0x80 | u8::try_from(octets.len()).unwrap()], octets].concat()
        }
    };
    [vec![tag], length, content].concat()
}

/// An object identifier out of its numbers.
pub fn oid(text: &str) -> Vec<u8> {
    let identifier = ::der::asn1::ObjectIdentifier::new_unwrap(text);
    tlv(0x06, &[identifier.as_bytes()])
}

/// A positive integer.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if bytes.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    tlv(INTEGER, &[padding, bytes])
}

/// `GeneralizedTime` in whole seconds.
pub fn time(time: Timestamp) -> Vec<u8> {
    tlv(0x18, &[time.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
}

/// An extension of a certificate, a CRL or an entry.
pub fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    tlv(SEQUENCE, &[&oid(kind), flag, &tlv(OCTET_STRING, &[value])])
}
