//! What a handler writes: its end is kept, for the log and for messages. Pure.

use crate::text::{one_line, printable};

/// How many bytes are kept.
const KEPT: usize = 64 << 10;
/// The most lines that are logged.
const MOST_LINES: usize = 100;
/// The most characters of a line, in the log and in a message.
const MOST_CHARACTERS: usize = 400;

/// The last 64 KiB of what a handler wrote to its standard output and its standard error.
#[derive(Debug, Default)]
pub(super) struct Output {
    kept: Vec<u8>,
    /// How many bytes came before those.
    dropped: u64,
}

impl Output {
    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        // Not at each call: the rest has to be moved.
        if self.kept.len() > 2 * KEPT {
            let excess = self.kept.len() - KEPT;
            self.kept.drain(..excess);
            self.dropped += excess as u64;
        }
    }

    /// The number of bytes that were written.
    pub(super) fn written(&self) -> u64 {
        self.dropped + self.kept.len() as u64
    }

    /// The last line that is not empty, one line of printable text with at most 400 characters and an ellipsis.
    pub(super) fn last_line(&self) -> Option<String> {
        let mut lines = self.kept.rsplit(|byte| *byte == b'\n').map(|line| one_line(line, MOST_CHARACTERS));
        lines.find(|line| !line.is_empty())
    }

    /// The last lines that are not empty, at most 100, each with at most 400 characters and an ellipsis; and whether
    /// there were more.
    pub(super) fn lines(&self) -> (Vec<String>, bool) {
        let mut lines = self.kept.rsplit(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let mut last: Vec<String> = lines.by_ref().take(MOST_LINES).map(shown).collect();
        last.reverse();
        let are_more = self.dropped > 0 || lines.next().is_some();
        (last, are_more)
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.trim_ascii_end());
    let end = text.char_indices().nth(MOST_CHARACTERS).map_or(text.len(), |(at, _)| at);
    let ellipsis = if end < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", printable(&text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_all_is_counted() {
        let mut output = Output::default();
        for _ in 0..1000 {
            output.push(&[b'x'; 4000]);
            assert!(output.kept.len() <= 2 * KEPT);
        }
        output.push(b"\nlast words \n\n \n");
        assert_eq!(output.written(), 4_000_000 + 16);
        assert_eq!(output.last_line().unwrap(), "last words");
        let (lines, are_more) = output.lines();
        assert_eq!((lines.len(), are_more), (2, true));
        assert_eq!(lines[0], format!("{}…", "x".repeat(MOST_CHARACTERS)));
    }

    #[test]
    fn lines_are_printable_and_bounded() {
        let mut output = Output::default();
        output.push(b"one\r\n\ttwo \x1b[31m \xff\n\nthree");
        assert_eq!(
            output.lines(),
            (vec!["one".to_owned(), "\\ttwo \\u{1b}[31m \u{fffd}".to_owned(), "three".to_owned()], false)
        );
        output.push(&b"\nline".repeat(MOST_LINES));
        assert_eq!(output.lines(), (vec!["line".to_owned(); MOST_LINES], true));
        assert_eq!(Output::default().last_line(), None);
        assert_eq!(Output::default().lines(), (Vec::new(), false));
    }
}
