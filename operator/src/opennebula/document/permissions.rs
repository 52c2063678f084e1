//! Permissions: nine bits for use, manage and administer, for owner, group and others.

use std::fmt;
use std::str::FromStr;

use serde_with::{DeserializeFromStr, SerializeDisplay};

/// Permissions of an object: bit 8 is the owner's use, bit 0 the others' administer, as in the octal form `640`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, SerializeDisplay, DeserializeFromStr)]
pub struct Permissions(u16);

/// The text is not valid permissions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected permissions of three octal digits, such as 600, found {0:?}")]
pub struct PermissionsError(String);

impl Permissions {
    /// The owner may use and manage. A new image has these.
    pub const PRIVATE: Self = Self(0o600);
    /// The owner may use, manage and administer. A retired image has these.
    pub const RETIRED: Self = Self(0o700);

    /// Makes permissions from nine bits; higher bits are ignored.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0o777)
    }

    /// The use and manage bits. A user with the manage right may change these; the administer bits need an
    /// administrator.
    const USE_AND_MANAGE: u16 = 0o666;

    /// These permissions, with the administer bits of `other`.
    #[must_use]
    pub const fn administered_as(self, other: Self) -> Self {
        Self(self.0 & Self::USE_AND_MANAGE | other.0 & !Self::USE_AND_MANAGE)
    }

    /// The nine bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The flags in the order of `one.image.chmod`: owner use, manage, administer, then group, then others.
    pub fn flags(self) -> [bool; 9] {
        std::array::from_fn(|place| self.0 >> (8 - place) & 1 == 1)
    }

    /// The flags that differ from `before`; `None` for those that do not.
    pub fn changes_from(self, before: Self) -> [Option<bool>; 9] {
        let (old, new) = (before.flags(), self.flags());
        std::array::from_fn(|place| (old[place] != new[place]).then_some(new[place]))
    }
}

impl FromStr for Permissions {
    type Err = PermissionsError;

    fn from_str(text: &str) -> Result<Self, PermissionsError> {
        let octal = text.len() == 3 && text.bytes().all(|c| (b'0'..=b'7').contains(&c));
        let bits = u16::from_str_radix(text, 8).ok().filter(|_| octal);
        bits.map(Self).ok_or_else(|| PermissionsError(text.chars().take(20).collect()))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_512_modes_are_read_back() {
        for bits in 0..512 {
            let permissions = Permissions::from_bits(bits);
            assert_eq!(permissions.to_string().parse(), Ok(permissions));
        }
        assert_eq!(
            "640".parse::<Permissions>().unwrap().flags(),
            [true, true, false, true, false, false, false, false, false]
        );
        for text in ["", "64", "0640", "888", "+64", "u=rw"] {
            assert!(text.parse::<Permissions>().is_err(), "{text}");
        }
    }
}
