//! The id of an image in a cloud.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of an image in any cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CloudImageId {
    /// A number, as in OpenNebula.
    Number(u32),
    /// A UUID, as in OpenStack.
    Uuid(Uuid),
}

impl From<u32> for CloudImageId {
    fn from(id: u32) -> Self {
        Self::Number(id)
    }
}

impl From<Uuid> for CloudImageId {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl fmt::Display for CloudImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Uuid(id) => id.fmt(f),
        }
    }
}

/// An id that is not of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct IdError {
    expected: &'static str,
    found: String,
}

impl TryFrom<CloudImageId> for u32 {
    type Error = IdError;

    fn try_from(id: CloudImageId) -> Result<Self, IdError> {
        match id {
            CloudImageId::Number(id) => Ok(id),
            CloudImageId::Uuid(id) => {
                Err(IdError { expected: "the id of an image as a number", found: id.to_string() })
            }
        }
    }
}

impl TryFrom<CloudImageId> for Uuid {
    type Error = IdError;

    fn try_from(id: CloudImageId) -> Result<Self, IdError> {
        match id {
            CloudImageId::Uuid(id) => Ok(id),
            CloudImageId::Number(id) => {
                Err(IdError { expected: "the id of an image as a UUID", found: id.to_string() })
            }
        }
    }
}

impl FromStr for CloudImageId {
    type Err = IdError;

    /// A number in decimal digits, or a UUID with hyphens.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
        let uuid = || text.parse().ok().filter(|_| is_hyphenated).map(Self::Uuid);
        text.parse()
            .map(Self::Number)
            .ok()
            .or_else(uuid)
            .ok_or_else(|| IdError { expected: "a number or a UUID", found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_or_a_uuid() {
        let uuid = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
        for text in ["0", "4294967295", uuid] {
            let id: CloudImageId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, if text == uuid { format!("\"{uuid}\"") } else { text.to_owned() });
            assert_eq!(serde_json::from_str::<CloudImageId>(&json).unwrap(), id);
        }
        for text in
            ["", "-1", "4294967296", "a", "858a817e0ca2473f89d3d5bdfc51968e", "{858a817e-0ca2-473f-89d3-d5bdfc51968e}"]
        {
            assert!(text.parse::<CloudImageId>().is_err(), "{text}");
        }
    }
}
