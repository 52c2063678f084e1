//! A buffer for large writes, in memory that direct writes accept. Pure.

use std::sync::{Arc, Mutex, PoisonError};

/// Direct writes begin and end at a multiple of this, in the file and in memory. Disks have blocks of 512 or 4096 bytes.
pub(super) const ALIGNMENT: usize = 4096;

/// The bytes per write.
pub(super) const BLOCK: usize = 512 << 10;

/// The spare blocks that are kept.
const MOST_SPARE: usize = 8;

/// Blocks that no transfer has, for the next one: new memory takes as long as copying into it. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct SpareBlocks(Arc<Mutex<Vec<Block>>>);

impl SpareBlocks {
    /// An empty block for so many bytes, at most [`BLOCK`].
    pub(super) fn take(&self, capacity: usize) -> Block {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(mut block) => {
                block.reset(capacity);
                block
            }
            None => Block::new(capacity),
        }
    }

    /// Keeps a block, if it is one of [`BLOCK`] bytes and there are not enough.
    pub(super) fn put(&self, block: Block) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if block.memory.len() >= BLOCK + ALIGNMENT && spare.len() < MOST_SPARE {
            spare.push(block);
        }
    }
}

/// Bytes on their way to the disk. They begin at a multiple of [`ALIGNMENT`] in memory.
pub(super) struct Block {
    memory: Vec<u8>,
    begin: usize,
    length: usize,
    capacity: usize,
}

impl Block {
    /// An empty block for so many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let memory = vec![0; capacity + ALIGNMENT];
        let begin = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, begin, length: 0, capacity }
    }

    /// Empties it, and sets how many bytes it takes, at most as many as it was made for.
    pub(super) fn reset(&mut self, capacity: usize) {
        self.length = 0;
        self.capacity = capacity.min(self.memory.len() - ALIGNMENT);
    }

    /// Copies as many of the bytes as it takes, and returns their number.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.capacity - self.length);
        let begin = self.begin + self.length;
        self.memory[begin..begin + count].copy_from_slice(&bytes[..count]);
        self.length += count;
        count
    }

    /// Whether it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.length == self.capacity
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes in it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..self.begin + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_block_is_empty_and_as_large_as_is_asked() {
        let spare = SpareBlocks::default();
        let mut block = spare.take(BLOCK);
        assert_eq!(block.fill(&vec![7; BLOCK + 1]), BLOCK);
        let memory = block.bytes().as_ptr();
        spare.put(block);
        let mut again = spare.take(3);
        assert!(again.is_empty() && again.bytes().as_ptr() == memory);
        assert_eq!(again.fill(b"abcd"), 3);
        assert!(again.is_full() && again.bytes() == b"abc");
    }

    #[test]
    fn few_blocks_are_kept_and_none_that_is_too_small() {
        let spare = SpareBlocks::default();
        spare.put(Block::new(BLOCK - 1));
        assert!(spare.0.lock().unwrap().is_empty());
        for _ in 0..=MOST_SPARE {
            spare.put(Block::new(BLOCK));
        }
        assert_eq!(spare.0.lock().unwrap().len(), MOST_SPARE);
    }
}
