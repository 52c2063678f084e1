//! IPv4 addresses embedded in IPv6 addresses, which a translator, a tunnel or the operating system converts to an IPv4
//! connection.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Every IPv4 address that packets to an IPv6 address may reach. If a prefix is ambiguous (the administrator of a
/// translator chooses its prefix length), all possible addresses are returned.
///
/// A site's own prefix for NAT64 (RFC 6052) or 6rd (RFC 5969) cannot be distinguished from other addresses, so it is
/// not detected.
pub(super) fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [_, _, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = address.octets();
    let last = Ipv4Addr::new(b12, b13, b14, b15);
    let mut found = Vec::new();
    match address.segments() {
        // `::` and `::1` embed no address (RFC 4291 sections 2.5.2 and 2.5.3).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {}
        // IPv4-compatible and IPv4-mapped (RFC 4291 section 2.5.5), IPv4-translated (RFC 2765 section 2.1), NAT64
        // (RFC 6052 section 2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            found.push(last);
        }
        // NAT64 for local use (RFC 8215), with a prefix of 48, 56, 64 or 96 bits. Bits 64 to 71 are skipped (RFC 6052
        // section 2.2).
        [0x64, 0xff9b, 1, ..] => found.extend([
            Ipv4Addr::new(b6, b7, b9, b10),
            Ipv4Addr::new(b7, b9, b10, b11),
            Ipv4Addr::new(b9, b10, b11, b12),
            last,
        ]),
        // 6to4 (RFC 3056 section 2).
        [0x2002, ..] => found.push(Ipv4Addr::new(b2, b3, b4, b5)),
        // Teredo (RFC 4380 section 4): the server, and the client with all bits inverted.
        [0x2001, 0, ..] => {
            found.extend([Ipv4Addr::new(b4, b5, b6, b7), Ipv4Addr::new(!b12, !b13, !b14, !b15)]);
        }
        _ => {}
    }
    // ISATAP (RFC 5214 section 6.1) with any prefix. The "universal" and "group" bits may be set.
    if [b8 & !3, b9, b10, b11] == [0, 0, 0x5e, 0xfe] {
        found.push(last);
    }
    found
}
