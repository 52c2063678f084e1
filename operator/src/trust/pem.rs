//! PEM (RFC 7468): labelled blocks of base64, with any text around them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The labels of CMS messages: of RFC 7468, of `openssl smime`, and of older tools.
const CMS: [&str; 3] = ["CMS", "PKCS7", "PKCS #7 SIGNED DATA"];
/// The maximum number of blocks that are read.
const MOST_BLOCKS: usize = 1 << 16;

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    /// The base64 between its first and last line; `None` if the last line is missing.
    digits: Option<&'a [u8]>,
}

impl Block<'_> {
    /// Whether its label is that of a CMS message.
    pub(super) fn is_cms(&self) -> bool {
        CMS.contains(&self.label)
    }

    /// The decoded content; `None` if it is cut off or is not base64.
    pub(super) fn decoded(&self) -> Option<Vec<u8>> {
        let digits: Vec<u8> = self.digits?.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
        STANDARD.decode(digits).ok()
    }
}

/// All blocks of a text, in order. The `BEGIN` line of a block must be a whole line.
pub(super) fn blocks(text: &[u8]) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.iter().position(|c| *c == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        let Some(label) = label(line.trim_ascii()) else { continue };
        let last = format!("-----END {label}-----");
        let length = rest.windows(last.len()).position(|window| window == last.as_bytes());
        found.push(Block { label, digits: length.map(|length| &rest[..length]) });
        if length.is_none() || found.len() == MOST_BLOCKS {
            break;
        }
        rest = &rest[length.unwrap_or_default()..];
    }
    found
}

/// The decoded blocks with this label; `None` if there is none, or if one is broken.
pub(super) fn decoded(text: &[u8], label: &str) -> Option<Vec<Vec<u8>>> {
    let found = blocks(text).into_iter().filter(|block| block.label == label);
    let decoded = found.map(|block| block.decoded()).collect::<Option<Vec<_>>>()?;
    (!decoded.is_empty()).then_some(decoded)
}

fn label(line: &[u8]) -> Option<&str> {
    let inner = line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
    std::str::from_utf8(inner).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_are_found_in_any_text() {
        let text = b"a list\r\n-----BEGIN CMS-----\r\nMA\r\nA=\r\n-----END CMS-----\r\n\xff\n-----BEGIN X-----\nMAA=\n-----END Y-----\n";
        let found = blocks(text);
        assert_eq!(found.iter().map(|block| block.label).collect::<Vec<_>>(), ["CMS", "X"]);
        assert_eq!(found[0].decoded(), Some(vec![0x30, 0]));
        assert_eq!((found[0].is_cms(), found[1].is_cms(), found[1].decoded()), (true, false, None));
        assert_eq!(decoded(text, "CMS"), Some(vec![vec![0x30, 0]]));
        assert_eq!((decoded(text, "X"), decoded(text, "Y")), (None, None));
        assert!(blocks(b"x -----BEGIN CMS-----\nMAA=\n-----END CMS-----").is_empty(), "a line of its own");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "(-----BEGIN A-----\n|-----END A-----\n|[A-D=\n -]){0,12}") {
            for block in blocks(text.as_bytes()) {
                let _ = block.decoded();
            }
        }
    }
}
