//! Templates, in both of their forms.

use vmcatcher_operator::xml::{Limits, parse};

/// A template that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(pub String);

/// Name and value of each attribute, in order; names in upper case, values trimmed. Vectors are kept as their text.
pub fn parse_template(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    if text.starts_with('<') { from_xml(text) } else { from_lines(text) }
}

fn from_xml(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    let malformed = |_| ParseError("Parse error: XML Template malformed.".to_owned());
    let root = parse(text, Limits { depth: 4, elements: 5000 }).map_err(malformed)?;
    let leaves = root.children.into_iter().map(|leaf| (name(&leaf.name), leaf.text.trim().to_owned()));
    Ok(leaves.filter(|(_, value)| !value.is_empty()).collect())
}

fn name(text: &str) -> String {
    let upper = text.to_uppercase();
    if upper.starts_with(|c: char| c.is_ascii_digit()) { format!("ONE_{upper}") } else { upper }
}

fn from_lines(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    let unexpected = |what: &str| ParseError(format!("Parse error: syntax error, unexpected {what}"));
    let mut attributes = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        if key.is_empty() {
            return Err(unexpected("VARIABLE, expecting EQUAL or EQUAL_EMPTY"));
        }
        let Some(after) = after.strip_prefix('=') else {
            return Err(unexpected("$end, expecting EQUAL or EQUAL_EMPTY"));
        };
        let (value, after) = value(after).ok_or_else(|| unexpected("$end, expecting OBRACKET or CCDATA or STRING"))?;
        if value.contains("]]>") {
            return Err(ParseError("Parse error.".to_owned()));
        }
        let name = name(key);
        // A name is trimmed by whoever takes it, for versions differ.
        let value = if name == "NAME" { value } else { value.trim().to_owned() };
        attributes.push((name, value));
        rest = after.trim_start();
    }
    Ok(attributes)
}

/// A quoted text (a backslash only escapes a quote), a vector, or the rest of the line.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    if let Some(quoted) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut characters = quoted.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => return Some((value, &quoted[at + 1..])),
                '\\' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                    value.push('"');
                    characters.next();
                }
                c => value.push(c),
            }
        }
        return None;
    }
    if text.starts_with('[') {
        let end = text.find(']')?;
        return Some((text[..=end].to_owned(), &text[end + 1..]));
    }
    let end = text.find('\n').unwrap_or(text.len());
    (end > 0 || text.starts_with('\n')).then(|| (text[..end].to_owned(), &text[end..]))
}
