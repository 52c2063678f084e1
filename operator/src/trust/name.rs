//! Distinguished names as lists of RDNs, never as strings.

use std::fmt;
use std::str::FromStr;

/// A distinguished name (X.501): RDNs, most significant first, each a set of attribute and value.
///
/// Read from a one-line text (`/C=DE/O=…`) or RFC 4514 (`CN=…,O=…`); shown in the one-line form of OpenSSL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DistinguishedName {}

/// Why a text is no distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a distinguished name such as /C=DE/O=Example/CN=Name, found {found:?}: {why}")]
pub struct NameError {
    found: String,
    why: String,
}

impl FromStr for DistinguishedName {
    type Err = NameError;

    fn from_str(_text: &str) -> Result<Self, NameError> {
        todo!()
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
