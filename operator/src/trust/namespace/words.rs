//! Words of a policy file, separated by white space. A word with white space is in quotation marks. `#` begins a
//! comment, and a backslash at the end of a line joins the next line.

/// A word, and whether it was in quotation marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) quoted: bool,
}

impl Word {
    /// Whether it is this keyword, regardless of case. A quoted word is never a keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// Splits a text into words. A quotation mark that is not closed is an error. Text in quotation marks is unchanged.
pub(super) fn split(bytes: &[u8]) -> Result<Vec<Word>, String> {
    if bytes.len() > super::LARGEST {
        return Err(format!("{} bytes, expected at most {}", bytes.len(), super::LARGEST));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(words) };
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '#' => after.split_once('\n').map_or("", |(_, next)| next),
            '\\' if after.trim_start_matches([' ', '\t', '\r']).starts_with('\n') => after,
            '"' | '\'' => {
                let (inside, next) = after.split_once(first).ok_or("a quotation mark that is not closed")?;
                words.push(Word { text: inside.to_owned(), quoted: true });
                next
            }
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(Word { text: rest[..end].to_owned(), quoted: false });
                &rest[end..]
            }
        };
    }
}
