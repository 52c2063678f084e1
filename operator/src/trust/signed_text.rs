//! The forms of a text that may have been signed.

use std::borrow::Cow;

use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};

use super::mime;

/// The minimum size of a piece in octets. Lines may be short, so several are combined.
const PIECE: usize = 64 << 10;

/// The text of a message: unchanged, and with CRLF line ends if that is different. The forms differ only in line ends,
/// so their JSON is the same.
#[derive(Debug, Clone)]
pub(super) struct SignedText<'m> {
    text: Cow<'m, [u8]>,
    /// Whether the form with CRLF may have been signed, too.
    canonical: bool,
}

/// One form of a text. The octets of the form with CRLF are made on demand and not stored, because a text may be large.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextForm<'t> {
    text: &'t [u8],
    /// Whether the line ends have to be changed to CRLF.
    crlf: bool,
}

impl<'m> SignedText<'m> {
    /// A text that may have been signed in either form.
    pub(super) fn in_any_form(text: impl Into<Cow<'m, [u8]>>) -> Self {
        Self { text: text.into(), canonical: true }
    }

    /// A text that was signed unchanged.
    pub(super) fn as_it_stands(text: impl Into<Cow<'m, [u8]>>) -> Self {
        Self { text: text.into(), canonical: false }
    }

    /// The forms. The unchanged one is first.
    pub(super) fn forms(&self) -> impl Iterator<Item = TextForm<'_>> {
        let canonical = std::iter::once_with(|| self.canonical()).filter(|form| form.crlf);
        std::iter::once(TextForm { text: &self.text, crlf: false }).chain(canonical)
    }

    /// The form with CRLF. It may be the same as the unchanged text.
    pub(super) fn canonical(&self) -> TextForm<'_> {
        TextForm { text: &self.text, crlf: self.canonical && mime::has_bare_line_feeds(&self.text) }
    }

    /// The unchanged text.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.text
    }
}

impl<'t> TextForm<'t> {
    /// Its octets.
    pub(super) fn bytes(self) -> Cow<'t, [u8]> {
        if self.crlf { Cow::Owned(mime::with_crlf(self.text)) } else { Cow::Borrowed(self.text) }
    }

    /// Calls `take` with the octets piece by piece, so that they are never all in memory at once.
    pub(super) fn pieces(self, mut take: impl FnMut(&[u8]) -> Result<(), ErrorStack>) -> Result<(), ErrorStack> {
        if !self.crlf {
            return take(self.text);
        }
        let mut piece = Vec::with_capacity(2 * PIECE);
        for part in mime::crlf_pieces(self.text) {
            piece.extend_from_slice(part);
            if piece.len() >= PIECE {
                take(&piece)?;
                piece.clear();
            }
        }
        take(&piece)
    }

    /// Its digest.
    pub(super) fn digest(self, algorithm: MessageDigest) -> Result<Vec<u8>, ErrorStack> {
        let mut hasher = Hasher::new(algorithm)?;
        self.pieces(|piece| hasher.update(piece))?;
        Ok(hasher.finish()?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_digest_is_that_of_the_octets(
            text in prop::collection::vec(prop::sample::select(b"a\r\n".to_vec()), 0..200),
            times in prop::sample::select(vec![1_usize, 1000]),
        ) {
            let text = text.repeat(times);
            let signed = SignedText::in_any_form(text.as_slice());
            let forms = signed.forms().collect::<Vec<_>>();
            let bare = text.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || text[at - 1] != b'\r'));
            prop_assert_eq!(forms.len(), if bare { 2 } else { 1 });
            prop_assert_eq!(&*forms[0].bytes(), text.as_slice());
            for form in forms.into_iter().chain([signed.canonical()]) {
                for algorithm in [MessageDigest::sha256(), MessageDigest::sha512()] {
                    let whole = openssl::hash::hash(algorithm, &form.bytes()).unwrap();
                    prop_assert_eq!(form.digest(algorithm).unwrap(), whole.to_vec());
                }
            }
        }
    }
}
