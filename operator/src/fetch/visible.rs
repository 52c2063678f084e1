//! Bytes from elsewhere, as text for people.

use crate::text::printable;

/// Untrusted bytes as one line of text: at most `most` characters, one space between words, and printable characters
/// only.
pub(super) fn visible(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let mut shown = printable(&line.chars().take(most).collect::<String>()).into_owned();
    if line.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
