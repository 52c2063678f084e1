//! A short description of unexpected bytes, for error messages.

use super::pem;

/// Magic numbers of files that are found where a list, a certificate or a CRL is expected.
const KINDS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"PK\x03\x04", "a zip file"),
    (b"%PDF", "a PDF file"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"<!DOCTYPE html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "HTML or XML"),
    (b"{", "plain JSON"),
];

/// A short description of the content of a file or a response.
pub(super) fn of(bytes: &[u8]) -> String {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let is =
        |(magic, _): &&(&[u8], &str)| start.get(..magic.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(magic));
    if start.is_empty() {
        return if bytes.is_empty() { "an empty file".to_owned() } else { "nothing but white space".to_owned() };
    }
    if let Some((_, kind)) = KINDS.iter().find(is) {
        return (*kind).to_owned();
    }
    match pem::blocks(start).first() {
        Some(block) if block.decoded().is_none() => format!("a broken PEM block of {:.40}", block.label),
        Some(block) => format!("a PEM block of {:.40}", block.label),
        None if bytes.first() == Some(&0x30) => "DER of another kind".to_owned(),
        None => format!("{} bytes of another kind", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_what_it_should_be_is_told() {
        let table: [(&[u8], &str); 8] = [
            (b"", "an empty file"),
            (b" \n", "nothing but white space"),
            (b"\x1f\x8b\x08", "a gzip file"),
            (b"\xef\xbb\xbf\r\n<!doctype HTML>", "an HTML page"),
            (b"<?xml", "HTML or XML"),
            (b"x\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "a PEM block of CERTIFICATE"),
            (b"-----BEGIN X509 CRL-----\nM", "a broken PEM block of X509 CRL"),
            (b"0\x03abc", "DER of another kind"),
        ];
        for (bytes, expected) in table {
            assert_eq!(of(bytes), expected);
        }
    }
}
