//! The folders of shards on a volume that several shards share. Pure.

use std::fmt;
use std::str::FromStr;

use super::name::NameError;

/// The most shards of an installation.
pub const MOST_SHARDS: u16 = 64;

/// What each name begins with.
const PREFIX: &str = "shard-";

/// The name of the folder that a shard has on a shared volume: `shard-0` to `shard-63`. It is one component of a path, and
/// it is in the addresses of the shard's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardFolder(u16);

impl ShardFolder {
    /// The folder of the shard with this index, counted from 0; `None` from [`MOST_SHARDS`] on.
    pub fn new(index: u16) -> Option<Self> {
        (index < MOST_SHARDS).then_some(Self(index))
    }

    /// The folders of all shards, in the order of their indices.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..MOST_SHARDS).map(Self)
    }

    /// The index of the shard, counted from 0.
    pub fn index(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ShardFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for ShardFolder {
    type Err = NameError;

    /// Only the one spelling that [`fmt::Display`] has: no sign, no further zeros, no blanks.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_canonical = |index: &&str| {
            index.bytes().all(|byte| byte.is_ascii_digit()) && (*index == "0" || !index.starts_with('0'))
        };
        let index = text.strip_prefix(PREFIX).filter(is_canonical).and_then(|index| index.parse().ok());
        index.and_then(Self::new).ok_or_else(|| NameError::new("shard-0 to shard-63", text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_has_one_name() {
        for folder in ShardFolder::all() {
            assert_eq!(folder.to_string().parse(), Ok(folder));
        }
        assert_eq!(ShardFolder::all().count(), usize::from(MOST_SHARDS));
        assert_eq!(ShardFolder::new(MOST_SHARDS), None);
        let others = [
            "",
            "shard-",
            "shard-64",
            "shard-65536",
            "shard-+1",
            "shard--1",
            "shard-01",
            "shard-1 ",
            " shard-1",
            "Shard-1",
            "shard-1/",
            "shard-1/..",
            "shard-..",
            "..",
            "shard-1\0",
            "shard-\u{661}",
            "1",
        ];
        for other in others {
            assert!(other.parse::<ShardFolder>().is_err(), "{other:?}");
        }
        let error = "shard-../..".parse::<ShardFolder>().unwrap_err();
        assert_eq!(error.to_string(), "expected shard-0 to shard-63, found \"shard-../..\"");
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_name(text in "\\PC{0,20}|shard-\\PC{0,6}") {
            if let Ok(folder) = text.parse::<ShardFolder>() {
                prop_assert_eq!(folder.to_string(), text);
            }
        }
    }
}
