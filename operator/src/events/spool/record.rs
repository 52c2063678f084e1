//! The form of a record, one line: `<CRC-32 of the rest, 8 hexadecimal digits> <sequence> <event as JSON>`. Pure.
//!
//! JSON has no line end within, so the line end is the length of a record. A file of positions has the same form, with
//! the number only.

use flate2::Crc;
use serde::Deserialize;

use crate::events::event::{Event, EventType, Phase};

/// Sequence numbers are below this. What is above was not written by the spool.
pub(super) const SEQUENCES: u64 = 1 << 62;

/// The most bytes of a line without its end. A longer one is not written, and is damage if it is found.
pub(super) const LONGEST_LINE: usize = 8 * 1024 * 1024;

/// The most bytes of a line that are not its JSON, with its end.
pub(super) const OVERHEAD: usize = 8 + 1 + 20 + 1 + 1;

/// A record whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub sequence: u64,
    json: &'a [u8],
}

/// The part of an event that says who gets it and since when it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Head {
    pub time: jiff::Timestamp,
    pub event: EventType,
    pub phase: Phase,
}

impl<'a> Record<'a> {
    /// The record of a line without its end; `None` if it is damaged.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let body = verified(line)?;
        let space = body.iter().position(|byte| *byte == b' ')?;
        let (number, json) = body.split_at(space);
        Some(Self { sequence: sequence(number)?, json: json.get(1..)? })
    }

    /// The event; `None` if the JSON is not one, as in the log of a later version.
    pub(super) fn event(&self) -> Option<Event> {
        serde_json::from_slice(self.json).ok()
    }

    /// The head of the event; `None` if the JSON is not an event.
    pub(super) fn head(&self) -> Option<Head> {
        serde_json::from_slice(self.json).ok()
    }
}

/// Adds the line of a record.
pub(super) fn add_record(lines: &mut Vec<u8>, sequence: u64, json: &str) {
    let body = format!("{sequence} {json}");
    add_line(lines, body.as_bytes());
}

/// The line of a position.
pub(super) fn position_line(position: u64) -> Vec<u8> {
    let mut line = Vec::new();
    add_line(&mut line, position.to_string().as_bytes());
    line
}

/// The position of a file; `None` if it is damaged.
pub(super) fn parse_position(file: &[u8]) -> Option<u64> {
    sequence(verified(file.strip_suffix(b"\n")?)?)
}

fn add_line(lines: &mut Vec<u8>, body: &[u8]) {
    lines.extend_from_slice(checksum(body).as_bytes());
    lines.push(b' ');
    lines.extend_from_slice(body);
    lines.push(b'\n');
}

/// What follows the checksum, if the checksum is right.
fn verified(line: &[u8]) -> Option<&[u8]> {
    let (found, rest) = line.split_at_checked(8)?;
    let body = rest.strip_prefix(b" ")?;
    (checksum(body).as_bytes() == found).then_some(body)
}

/// The CRC-32 of ISO 3309 (as in gzip, RFC 1952 section 8): it detects every change of one bit.
fn checksum(body: &[u8]) -> String {
    let mut crc = Crc::new();
    crc.update(body);
    format!("{:08x}", crc.sum())
}

fn sequence(digits: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number < SEQUENCES).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_a_person_reads_and_every_flipped_bit_is_seen() {
        let mut line = Vec::new();
        add_record(&mut line, 7, "{}");
        // `printf '7 {}' | gzip | tail -c8` has the same checksum, the lowest byte first.
        assert_eq!(line, b"968af458 7 {}\n");
        let line = &line[..line.len() - 1];
        assert_eq!(Record::parse(line).map(|record| (record.sequence, record.json)), Some((7, b"{}".as_slice())));
        for bit in 0..line.len() * 8 {
            let mut spoiled = line.to_vec();
            spoiled[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::parse(&spoiled), None, "bit {bit}");
        }
        for end in 0..line.len() {
            assert_eq!(Record::parse(&line[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn a_position_is_read_as_it_was_written_and_not_otherwise() {
        for position in [0, 1, SEQUENCES - 1] {
            assert_eq!(parse_position(&position_line(position)), Some(position));
        }
        for bad in [position_line(SEQUENCES), position_line(u64::MAX), b"17\n".to_vec(), Vec::new()] {
            assert_eq!(parse_position(&bad), None, "{bad:?}");
        }
        let whole = position_line(123);
        for end in 0..whole.len() {
            assert_eq!(parse_position(&whole[..end]), None);
        }
    }
}
