//! A text in the forms that may have been signed.

use std::borrow::Cow;

use super::mime;

/// The text of a message: as it is, and with CRLF at each line's end where that is another. The second form is made
/// when it is asked for, and not kept: a text may be large. The forms differ in line ends alone, so their JSON is the same.
#[derive(Debug, Clone)]
pub(super) struct SignedText<'m> {
    text: Cow<'m, [u8]>,
    /// Whether the form with CRLF counts too.
    canonical: bool,
}

impl<'m> SignedText<'m> {
    /// A text that may have been signed in either form.
    pub(super) fn in_any_form(text: impl Into<Cow<'m, [u8]>>) -> Self {
        Self { text: text.into(), canonical: true }
    }

    /// A text that was signed as it is.
    pub(super) fn as_it_stands(text: impl Into<Cow<'m, [u8]>>) -> Self {
        Self { text: text.into(), canonical: false }
    }

    /// The forms, each made when its turn comes: as it is first.
    pub(super) fn forms(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let canonical = std::iter::once_with(|| self.with_crlf()).flatten().map(Cow::Owned);
        std::iter::once(Cow::Borrowed(&*self.text)).chain(canonical)
    }

    /// The form with CRLF alone, which may be the text as it is.
    pub(super) fn canonical(&self) -> Cow<'_, [u8]> {
        self.with_crlf().map_or(Cow::Borrowed(&*self.text), Cow::Owned)
    }

    /// The text as it is.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.text
    }

    fn with_crlf(&self) -> Option<Vec<u8>> {
        if self.canonical { mime::with_crlf(&self.text) } else { None }
    }
}
