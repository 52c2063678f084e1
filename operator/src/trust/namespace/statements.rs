//! `*.namespaces` files (`EUGridPMA` namespaces, version 1): statements of six words, on any number of lines.
//!
//! ```text
//! TO Issuer "/C=XX/CN=CA" \
//!   PERMIT Subject "/C=XX/O=People/.*"
//! TO Issuer SELF DENY Subject "/C=XX/O=Guests/.*"
//! ```

use super::{Pattern, PolicyFile, Statement, Word, split};
use crate::trust::DistinguishedName;

/// Parses a file. `own` are the subjects of the CAs whose certificate files have the same base name; `SELF` in the file
/// means these.
pub(in crate::trust) fn parse(bytes: &[u8], own: &[DistinguishedName]) -> Result<PolicyFile, String> {
    check_version(bytes)?;
    let words = split(bytes)?;
    let mut statements = Vec::new();
    for entry in words.chunks(6) {
        let [to, issuer, name, right, subject, pattern] = entry else {
            return Err("a statement of fewer than six words".to_owned());
        };
        if !to.is("TO") || !issuer.is("Issuer") || !subject.is("Subject") || !pattern.quoted {
            let said: Vec<&str> = entry.iter().map(|word| word.text.as_str()).collect();
            return Err(format!("{:?}, expected TO Issuer … PERMIT|DENY Subject \"…\"", said.join(" ")));
        }
        let permits = permits(right)?;
        for issuer in issuers(name, own)? {
            statements.push(Statement { issuer, permits, subjects: vec![Pattern::expression(&pattern.text)] });
        }
    }
    if statements.is_empty() { Err("no statement".to_owned()) } else { Ok(PolicyFile(statements)) }
}

/// The version is in a comment. Without one it is 1.
fn check_version(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("#NAMESPACES-VERSION:"));
    match version.map(str::trim) {
        None => Ok(()),
        Some(version) if version == "1" || version.starts_with("1.") => Ok(()),
        Some(version) => Err(format!("version {version:?}, expected 1.0")),
    }
}

fn permits(right: &Word) -> Result<bool, String> {
    match (right.is("PERMIT"), right.is("DENY")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        (false, false) => Err(format!("{:?}, expected PERMIT or DENY", right.text)),
    }
}

fn issuers(name: &Word, own: &[DistinguishedName]) -> Result<Vec<DistinguishedName>, String> {
    if name.text.eq_ignore_ascii_case("SELF") {
        return if own.is_empty() { Err("SELF, and no certificate of that name".to_owned()) } else { Ok(own.to_vec()) };
    }
    Ok(vec![name.text.parse().map_err(|error| format!("Issuer: {error}"))?])
}
