//! ASCII armour (RFC 9580 section 6.2). No library is used, because no text may be around or between the blocks.

use super::super::mime::decode_base64;

/// The maximum length of an armour header line in bytes, and the maximum number of such lines.
const LONGEST_HEADER: usize = 4 << 10;
const MOST_HEADERS: usize = 64;

/// One block of armour.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// The label in its first line: `PGP SIGNATURE`.
    pub(super) label: &'a str,
    pub(super) bytes: Vec<u8>,
    /// The bytes after its last line.
    pub(super) rest: &'a [u8],
}

/// Splits off the first line, and removes its line end and trailing white space.
pub(super) fn cut_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    let (line, rest) = bytes.split_at(end);
    Some((line.trim_ascii_end(), rest))
}

/// The label of a line `-----BEGIN …-----` or `-----END …-----`.
fn label<'a>(line: &'a [u8], word: &str) -> Option<&'a str> {
    let inner = line.strip_prefix(b"-----")?.strip_suffix(b"-----")?;
    std::str::from_utf8(inner).ok()?.strip_prefix(word)?.strip_prefix(' ')
}

/// Parses the block at the beginning of the text, after white space. The checksum is not verified: RFC 9580 section 6.1
/// forbids to reject a block because of it, and the content is signed anyway.
pub(super) fn read(text: &[u8]) -> Result<Block<'_>, String> {
    let (first, mut rest) = cut_line(text.trim_ascii_start()).ok_or("nothing where armour was expected")?;
    let label = label(first, "BEGIN").ok_or("no armour: its first line is not -----BEGIN …-----")?;
    rest = skip_headers(rest)?;
    let mut digits = Vec::new();
    let mut ended = false;
    while let Some((line, after)) = cut_line(rest) {
        rest = after;
        if line.starts_with(b"-----") {
            let end = self::label(line, "END");
            if end != Some(label) {
                return Err(format!("armour of {label} that does not end with its own line"));
            }
            let bytes = decode_base64(&digits).map_err(|error| format!("armour of {label} with {error}"))?;
            return Ok(Block { label, bytes, rest });
        }
        if ended {
            return Err(format!("armour of {label} with text after its checksum"));
        }
        ended = line.starts_with(b"=");
        if !ended {
            digits.extend_from_slice(line);
        }
    }
    Err(format!("armour of {label} that is cut off"))
}

/// Skips the headers, such as `Version: …`, and the empty line after them.
fn skip_headers(text: &[u8]) -> Result<&[u8], String> {
    let mut rest = text;
    for _ in 0..MOST_HEADERS {
        let (line, after) = cut_line(rest).ok_or("armour that is cut off in its headers")?;
        rest = after;
        if line.is_empty() {
            return Ok(rest);
        }
        if line.len() > LONGEST_HEADER || !line.contains(&b':') {
            return Err("armour without an empty line after its headers".to_owned());
        }
    }
    Err(format!("armour with more than {MOST_HEADERS} headers"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_and_what_follows_it() {
        let text = b" \n-----BEGIN PGP SIGNATURE-----\r\nVersion: 1\r\n\r\nAQID\r\nBA==\r\n=abcd\r\n-----END PGP SIGNATURE-----\r\nrest";
        let block = read(text).unwrap();
        assert_eq!(
            (block.label, block.bytes.as_slice(), block.rest),
            ("PGP SIGNATURE", &[1, 2, 3, 4][..], &b"rest"[..])
        );
    }

    #[test]
    fn what_is_no_armour() {
        let bad = [
            "",
            "AQID",
            "-----BEGIN PGP SIGNATURE-----\n",
            "-----BEGIN PGP SIGNATURE-----\nAQID\n-----END PGP SIGNATURE-----\n",
            "-----BEGIN PGP SIGNATURE-----\n\nAQID\n-----END PGP MESSAGE-----\n",
            "-----BEGIN PGP SIGNATURE-----\n\nAQID\n-----BEGIN PGP SIGNATURE-----\n",
            "-----BEGIN PGP SIGNATURE-----\n\nAQID\n",
            "-----BEGIN PGP SIGNATURE-----\n\nA*ID\n-----END PGP SIGNATURE-----\n",
            "-----BEGIN PGP SIGNATURE-----\n\nAQID\n=abcd\nAQID\n-----END PGP SIGNATURE-----\n",
            "x -----BEGIN PGP SIGNATURE-----\n\nAQID\n-----END PGP SIGNATURE-----\n",
        ];
        for text in bad {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "(-----BEGIN PGP A-----\n)?[A-D:=\n -]{0,40}(-----END PGP A-----)?") {
            let _ = read(text.as_bytes());
        }
    }
}
