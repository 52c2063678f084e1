//! Reads a file line by line, in blocks, so that memory is bounded whatever is in the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::record::LONGEST_LINE;

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// The lines of a part of a file.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    /// The offset in the file of the next line.
    offset: u64,
    /// Nothing is read from here on.
    end: u64,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    at: usize,
}

/// A line with its end in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The offset of its first byte.
    pub start: u64,
    /// The offset behind its end.
    pub end: u64,
    /// Its bytes without the end; empty if it has more than [`LONGEST_LINE`].
    pub bytes: &'a [u8],
}

impl Lines {
    /// The lines from `offset`, where one begins, to `end`.
    pub(super) const fn new(file: File, offset: u64, end: u64) -> Self {
        Self { file, offset, end, buffer: Vec::new(), at: 0 }
    }

    /// The next line; `None` if no line end follows.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let start = self.offset;
        let (mut searched, mut dropped) = (self.at, 0);
        loop {
            let rest = self.buffer.get(searched..).unwrap_or_default();
            if let Some(found) = rest.iter().position(|byte| *byte == b'\n') {
                let (from, to) = (self.at, searched + found);
                self.at = to + 1;
                self.offset = start + dropped + as_u64(self.at - from);
                let bytes = if dropped > 0 { &[] } else { self.buffer.get(from..to).unwrap_or_default() };
                return Ok(Some(Line { start, end: self.offset, bytes }));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            if self.buffer.len() > LONGEST_LINE {
                dropped += as_u64(self.buffer.len());
                self.buffer.clear();
            }
            searched = self.buffer.len();
            if !self.fill(start + dropped)? {
                return Ok(None);
            }
        }
    }

    /// Reads the next block behind what is in the buffer, whose first byte is at `begin`; false if there is none.
    fn fill(&mut self, begin: u64) -> io::Result<bool> {
        let have = self.buffer.len();
        let from = begin + as_u64(have);
        let wanted = usize::try_from(self.end.saturating_sub(from)).unwrap_or(BLOCK).min(BLOCK);
        self.buffer.resize(have + wanted, 0);
        let read = self.file.read_at(self.buffer.get_mut(have..).unwrap_or_default(), from);
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(bytes: &[u8], offset: u64, end: u64) -> Vec<(u64, u64, Vec<u8>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::new(file, offset, end);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.start, line.end, line.bytes.to_vec()));
        }
        found
    }

    #[test]
    fn only_whole_lines_within_the_part_are_returned() {
        let line = |start, end, text: &str| (start, end, text.as_bytes().to_vec());
        assert_eq!(lines(b"a\n\nbc\nd", 0, 8), [line(0, 2, "a"), line(2, 3, ""), line(3, 6, "bc")]);
        assert_eq!(lines(b"a\n\nbc\nd", 2, 5), [line(2, 3, "")]);
        assert_eq!(lines(b"a\n", 0, u64::MAX), [line(0, 2, "a")]);
        assert_eq!(lines(b"a\n", 9, 4), []);
    }

    #[test]
    fn lines_over_blocks_are_whole_and_too_long_ones_are_passed_over() {
        let mut bytes = vec![b'x'; BLOCK + 10];
        bytes.push(b'\n');
        let first = bytes.len();
        bytes.extend(vec![b'y'; LONGEST_LINE + 3 * BLOCK]);
        bytes.extend(b"\nz\n");
        let end = as_u64(bytes.len());
        let found = lines(&bytes, 0, end);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].2.len(), BLOCK + 10);
        assert_eq!((found[1].0, found[1].1, found[1].2.len()), (as_u64(first), end - 2, 0));
        assert_eq!(found[2], (end - 2, end, b"z".to_vec()));
    }
}
