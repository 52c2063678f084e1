//! The cleartext signature framework (RFC 9580 section 7). No library is used, because the text must be exactly the
//! hashed bytes, and there must be no other text in the message.

use super::armor::{self, cut_line};

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// A parsed clear-signed text.
#[derive(Debug)]
pub(super) struct Cleartext {
    /// The hashed text: without dash-escapes, without white space at the ends of lines, with CRLF between lines.
    pub(super) text: Vec<u8>,
    /// The digests in its `Hash` headers, in upper case. Empty if there are no such headers.
    pub(super) hashes: Vec<String>,
    /// The signature packets.
    pub(super) signatures: Vec<u8>,
}

/// Whether a message is in this form.
pub(crate) fn is_cleartext(message: &[u8]) -> bool {
    message.trim_ascii_start().starts_with(BEGIN)
}

/// Parses a message. The error is a description of what was found.
pub(super) fn read(message: &[u8]) -> Result<Cleartext, String> {
    let (first, rest) = cut_line(message.trim_ascii_start()).ok_or("nothing")?;
    if first != BEGIN {
        return Err("text after -----BEGIN PGP SIGNED MESSAGE-----".to_owned());
    }
    let (hashes, mut rest) = read_headers(rest)?;
    let mut text: Option<Vec<u8>> = None;
    loop {
        let (line, after) = cut_line(rest).ok_or("a clear-signed text without its signature: it is cut off")?;
        if line == SIGNATURE {
            break;
        }
        let line = unescape(&rest[..rest.len() - after.len()])?;
        match &mut text {
            None => text = Some(line.to_vec()),
            Some(text) => {
                text.extend_from_slice(b"\r\n");
                text.extend_from_slice(line);
            }
        }
        rest = after;
    }
    let block = armor::read(rest)?;
    if !block.rest.trim_ascii().is_empty() {
        return Err("something after the signature".to_owned());
    }
    Ok(Cleartext { text: text.unwrap_or_default(), hashes, signatures: block.bytes })
}

/// The `Hash` headers, and the text after the empty line. Other headers are refused, because they would be unsigned
/// text.
fn read_headers(text: &[u8]) -> Result<(Vec<String>, &[u8]), String> {
    let mut hashes = Vec::new();
    let mut rest = text;
    while hashes.len() <= 16 {
        let (line, after) = cut_line(rest).ok_or("a clear-signed text that is cut off in its headers")?;
        rest = after;
        if line.is_empty() {
            return Ok((hashes, rest));
        }
        let named = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("Hash: "));
        let named = named.ok_or("a clear-signed text with another header than Hash")?;
        hashes.extend(named.split(',').map(|name| name.trim().to_ascii_uppercase()));
    }
    Err("a clear-signed text with too many Hash headers".to_owned())
}

/// A line as it was hashed (RFC 9580 sections 7.2 and 7.3). A line that begins with a dash must be escaped.
fn unescape(line: &[u8]) -> Result<&[u8], String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(0, |at| at + 1);
    match line.strip_prefix(b"- ") {
        // An empty line may be escaped, too.
        Some(_) if end < 2 => Ok(&[]),
        Some(inner) => Ok(&inner[..end - 2]),
        None if line.starts_with(b"-") => Err("a line that begins with a dash and is not escaped".to_owned()),
        None => Ok(&line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: &str = "-----BEGIN PGP SIGNATURE-----\n\nAQID\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn the_text_is_what_was_hashed() {
        let message = format!(
            "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512, sha256\n\n{{ \t\r\n- - a\n- b\n\n- \n \u{e9} \n}}\n{END}"
        );
        let read = read(message.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(read.text).unwrap(), "{\r\n- a\r\nb\r\n\r\n\r\n \u{e9}\r\n}");
        assert_eq!(read.hashes, ["SHA512", "SHA256"]);
        assert_eq!(read.signatures, [1, 2, 3]);
    }

    #[test]
    fn the_line_end_before_the_signature_is_no_part_of_the_text() {
        for (text, expected) in [("", ""), ("a\n", "a"), ("a\n\n", "a\r\n"), ("\n", ""), ("\n\n", "\r\n")] {
            let read = read(format!("-----BEGIN PGP SIGNED MESSAGE-----\n\n{text}{END}").as_bytes()).unwrap();
            assert_eq!(String::from_utf8(read.text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn text_that_nobody_signed_is_refused() {
        let begin = "-----BEGIN PGP SIGNED MESSAGE-----\n";
        let bad = [
            format!("{begin}Comment: {{}}\n\na\n{END}"),
            format!("{begin}a\n{END}"),
            format!("-----BEGIN PGP SIGNED MESSAGE-----{{}}\n\na\n{END}"),
            format!("{begin}\n-a\n{END}"),
            format!("{begin}\n-----BEGIN PGP SIGNED MESSAGE-----\n\na\n{END}"),
            format!("{begin}\na\n{END}{{}}\n"),
            format!("{begin}\na\n{END}{END}"),
            format!("{begin}\na\n-----BEGIN PGP SIGNATURE-----\n\nAQID\n"),
            format!("{begin}\na\n-----BEGIN PGP MESSAGE-----\n\nAQID\n-----END PGP MESSAGE-----\n"),
            format!("{begin}\na\n"),
            begin.to_owned(),
        ];
        for message in bad {
            assert!(read(message.as_bytes()).is_err(), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "[-a \t\r\n]{0,30}") {
            if let Ok(read) = read(format!("-----BEGIN PGP SIGNED MESSAGE-----\n\n{text}\n{END}").as_bytes()) {
                prop_assert!(!read.text.windows(3).any(|three| three == b" \r\n"), "{:?}", read.text);
            }
        }
    }
}
