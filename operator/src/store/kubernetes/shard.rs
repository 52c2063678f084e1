//! The shards of an installation: which of several processes works for which namespace. Pure.

use std::fmt;
use std::num::NonZeroU16;

use sha2::{Digest as _, Sha256};

use crate::cache::{MOST_SHARDS, ShardFolder};

/// One of several parts of all namespaces. Every namespace is in exactly one of them, by rendezvous hashing (highest
/// random weight): if one more shard is added, only the namespaces that it gets change their shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    folder: ShardFolder,
    of: NonZeroU16,
}

impl Shard {
    /// The shard with this index of so many, at most [`MOST_SHARDS`]; `None` if there is none.
    pub fn new(index: u16, of: NonZeroU16) -> Option<Self> {
        let folder = ShardFolder::new(index).filter(|_| index < of.get() && of.get() <= MOST_SHARDS)?;
        Some(Self { folder, of })
    }

    /// All shards. None if there are more than [`MOST_SHARDS`].
    pub fn all(of: NonZeroU16) -> impl Iterator<Item = Self> {
        (0..of.get()).filter_map(move |index| Self::new(index, of))
    }

    /// The index, counted from 0.
    pub fn index(self) -> u16 {
        self.folder.index()
    }

    /// Its folder on a volume that all shards share.
    pub fn folder(self) -> ShardFolder {
        self.folder
    }

    /// Whether a namespace is in this shard.
    pub fn has(self, namespace: &str) -> bool {
        // Of equal weights, which do not occur in practice, the last counts.
        (0..self.of.get()).max_by_key(|index| weight(*index, namespace)) == Some(self.index())
    }
}

/// The first 8 bytes of the SHA-256 of the index and the name. It must stay so: namespaces would change their shard.
fn weight(index: u16, namespace: &str) -> [u8; 8] {
    let digest = Sha256::new().chain_update(index.to_be_bytes()).chain_update(namespace).finalize();
    let mut weight = [0; 8];
    weight.copy_from_slice(&digest[..8]);
    weight
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.index(), self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard_of(namespace: &str, of: u16) -> u16 {
        let found: Vec<_> = Shard::all(of.try_into().unwrap()).filter(|shard| shard.has(namespace)).collect();
        assert_eq!(found.len(), 1, "{namespace} is in one shard");
        found[0].index()
    }

    #[test]
    fn a_thousand_namespaces_are_spread_and_few_move() {
        let names: Vec<String> = (0..1000).map(|number| format!("vo-{number}")).collect();
        for of in [2, 3, 8] {
            let mut counts = vec![0_usize; of.into()];
            for name in &names {
                counts[usize::from(shard_of(name, of))] += 1;
                let after = shard_of(name, of + 1);
                assert!(after == of || after == shard_of(name, of), "{name} moves only to the new shard");
            }
            let fair = 1000 / usize::from(of);
            assert!(counts.iter().all(|count| count.abs_diff(fair) < fair / 2), "{counts:?}");
        }
    }

    #[test]
    fn where_a_namespace_is_never_changes() {
        let at: Vec<u16> = ["default", "egi", "vmcatcher", "vo.example.org"].map(|name| shard_of(name, 4)).into();
        assert_eq!(at, EXPECTED);
        assert_eq!(Shard::new(4, 4.try_into().unwrap()), None);
        assert_eq!(Shard::new(0, (MOST_SHARDS + 1).try_into().unwrap()), None);
    }

    const EXPECTED: [u16; 4] = [0, 0, 1, 2];
}
