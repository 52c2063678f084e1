//! Bodies of any size without memory: each byte is a function of its offset.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use openssl::hash::{Hasher, MessageDigest};

/// What a resource consists of.
#[derive(Debug, Clone)]
pub enum Body {
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// So many zero bytes: what a sparse file reads as.
    Zeros(u64),
    /// So many bytes that a seed and their offset tell.
    Pattern {
        /// Different seeds, different bytes.
        seed: u64,
        /// How many.
        size: u64,
    },
}

impl Body {
    /// Number of bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(size) | Self::Pattern { size, .. } => *size,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on; how many there were.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        let buffer = &mut buffer[..count];
        match self {
            Self::Bytes(bytes) => {
                let from = usize::try_from(offset).expect("an offset in memory");
                buffer.copy_from_slice(&bytes[from..from + count]);
            }
            Self::Zeros(_) => buffer.fill(0),
            Self::Pattern { seed, .. } => {
                let mut word = offset / 8;
                let mut skipped = usize::try_from(offset % 8).expect("below eight");
                let mut rest = buffer;
                while !rest.is_empty() {
                    let bytes = mix(seed.wrapping_add(word)).to_le_bytes();
                    let (now, later) = rest.split_at_mut(rest.len().min(8 - skipped));
                    now.copy_from_slice(&bytes[skipped..skipped + now.len()]);
                    (word, skipped, rest) = (word + 1, 0, later);
                }
            }
        }
        count
    }

    /// All bytes, for bodies that fit into memory.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.size()).expect("a body that fits into memory")];
        self.read_at(0, &mut bytes);
        bytes
    }

    /// SHA-512 of all bytes, as hexadecimal digits.
    pub fn sha512(&self) -> String {
        let mut hasher = Hasher::new(MessageDigest::sha512()).expect("SHA-512");
        let (mut offset, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            let count = self.read_at(offset, &mut buffer);
            if count == 0 {
                return HEXLOWER.encode(&hasher.finish().expect("a digest"));
            }
            hasher.update(&buffer[..count]).expect("hashing");
            offset += count as u64;
        }
    }
}

/// splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
