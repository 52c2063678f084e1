//! A list that was given on the command line, and how the commands about lists print.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::imagelist::MAXIMUM_BYTES;
use crate::trust::SignedMessage;

/// The bytes of a list and where they are from.
pub(super) struct ListInput {
    path: PathBuf,
    /// As they were found: signed or not.
    pub(super) bytes: Vec<u8>,
}

/// Reads a file, or standard input for `-`, up to the largest list.
pub(super) fn read(path: &Path) -> anyhow::Result<ListInput> {
    let shown = || format!("cannot read {}", path.display());
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).with_context(shown)?) };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAXIMUM_BYTES)?;
    source.take(limit + 1).read_to_end(&mut bytes).with_context(shown)?;
    if bytes.len() > MAXIMUM_BYTES {
        bail!("{}: expected a list of at most {MAXIMUM_BYTES} bytes, found more", path.display());
    }
    Ok(ListInput { path: path.to_owned(), bytes })
}

impl ListInput {
    /// Whether the bytes are a message that could carry a signature, and not the JSON itself.
    pub(super) fn is_signed(&self) -> bool {
        !matches!(self.bytes.trim_ascii_start().first(), Some(b'{') | None)
    }

    /// The JSON: the bytes as they are, or the text of a signed message. Nothing is said about who signed it.
    pub(super) fn into_text(self) -> anyhow::Result<Vec<u8>> {
        if !self.is_signed() {
            return Ok(self.bytes);
        }
        let message = SignedMessage::read(&self.bytes);
        message.and_then(SignedMessage::into_payload).with_context(|| format!("{}", self.path.display()))
    }
}

/// Writes to standard output; a reader that went away is no error.
pub(super) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// A text of a list on one line, safe for a terminal: control characters and those that turn the writing direction
/// are escaped, and so is the backslash, so that nothing is lost.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escape = |c: char| c.is_control() || c == '\\' || turns(c) || matches!(c, '\u{2028}' | '\u{2029}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if escape(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_holds_cannot_forge_a_line_or_drive_a_terminal() {
        assert_eq!(printable("Alma 9 – été"), "Alma 9 – été");
        assert_eq!(printable("a\nimage.hv:uri=b\\\u{1b}[31m\u{202e}"), "a\\nimage.hv:uri=b\\\\\\u{1b}[31m\\u{202e}");
    }
}
