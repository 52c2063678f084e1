//! EACL files, `*.signing_policy`: lines of three words.
//!
//! ```text
//! access_id_CA   X509    '/C=XX/CN=CA'
//! pos_rights     globus  CA:sign
//! cond_subjects  globus  '"/C=XX/O=People/*" "/C=XX/O=Hosts/*"'
//! ```
//! A file may contain several such blocks. `neg_rights` denies. An unknown line makes the whole file unusable, because
//! it could be a condition.

use super::{Pattern, PolicyFile, Statement, Word, split};
use crate::trust::DistinguishedName;

/// Reads a file.
pub(in crate::trust) fn parse(bytes: &[u8]) -> Result<PolicyFile, String> {
    let words = split(bytes)?;
    let mut statements = Vec::new();
    let mut block = Block::default();
    for entry in words.chunks(3) {
        let [key, authority, value] = entry else { return Err("an entry of fewer than three words".to_owned()) };
        block.read(key, authority, value, &mut statements)?;
    }
    if statements.is_empty() {
        Err("no cond_subjects of an access_id_CA".to_owned())
    } else {
        Ok(PolicyFile(statements))
    }
}

/// The lines of the current block so far.
#[derive(Default)]
struct Block {
    issuer: Option<DistinguishedName>,
    permits: Option<bool>,
}

impl Block {
    fn read(&mut self, key: &Word, authority: &Word, value: &Word, to: &mut Vec<Statement>) -> Result<(), String> {
        let of = |name: &str| authority.is(name);
        match key.text.as_str() {
            "access_id_CA" if of("X509") => {
                let name = value.text.trim().trim_matches('"');
                self.issuer = Some(name.parse().map_err(|error| format!("access_id_CA: {error}"))?);
                self.permits = None;
            }
            right @ ("pos_rights" | "neg_rights") if of("globus") && value.text == "CA:sign" => {
                self.permits = Some(right == "pos_rights");
            }
            "cond_subjects" if of("globus") => {
                let issuer = self.issuer.clone().ok_or("cond_subjects before access_id_CA")?;
                let permits = self.permits.ok_or("cond_subjects before pos_rights")?;
                to.push(Statement { issuer, permits, subjects: patterns(&value.text)? });
            }
            _ => return Err(format!("{:?} {:?} {:?}, which is not understood", key.text, authority.text, value.text)),
        }
        Ok(())
    }
}

/// Parses one pattern, or several that are each in quotation marks.
fn patterns(value: &str) -> Result<Vec<Pattern>, String> {
    if !value.contains('"') {
        return Ok(vec![Pattern::glob(value.trim())]);
    }
    let words = split(value.as_bytes())?;
    if words.iter().any(|word| !word.quoted) {
        return Err(format!("cond_subjects {value:?}, expected patterns in quotation marks"));
    }
    Ok(words.iter().map(|word| Pattern::glob(&word.text)).collect())
}
