//! Sizes and counts (pure): sizes are displayed in binary units, such as `4.88 KiB`, and counts with the right plural.
//! Output for programs has bytes instead. Sizes of settings are parsed.

use std::fmt;

/// The units above a byte, each 1024 times the one before (IEC 80000-13).
const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A number of bytes, displayed in the largest unit that is not greater than it: `20 B`, `4.88 KiB`, `2 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = u128::from(self.0);
        let Some((power, unit)) = (1_u32..).zip(UNITS).take_while(|(power, _)| bytes >> (10 * power) > 0).last() else {
            return f.pad(&format!("{bytes} B"));
        };
        // Rounded down: 1023.999 MiB is not a GiB yet.
        let hundredths = (bytes * 100) >> (10 * power);
        match (hundredths / 100, hundredths % 100) {
            (whole, 0) => f.pad(&format!("{whole} {unit}")),
            (whole, part) => f.pad(&format!("{whole}.{part:02} {unit}")),
        }
    }
}

/// A text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of bytes such as 268435456 or 256Mi (units Ki, Mi, Gi, Ti, Pi, Ei), found {found:?}")]
pub struct SizeError {
    /// The beginning of the text.
    pub found: String,
}

/// Parses a size in bytes: `^[0-9]+(Ki|Mi|Gi|Ti|Pi|Ei)?$`, at most 2^64 - 1. These are the whole binary quantities of
/// Kubernetes (resource.Quantity).
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let malformed = || SizeError { found: text.chars().take(40).collect() };
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| malformed())?;
    let named = || UNITS.iter().position(|known| known.strip_suffix('B') == Some(unit));
    let power = if unit.is_empty() { 0 } else { 1 + named().ok_or_else(malformed)? };
    (0..power).try_fold(number, |bytes, _| bytes.checked_mul(1024)).ok_or_else(malformed)
}

/// A count of things whose plural ends in s: `1 image`, `2 images`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub usize, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, thing) = self;
        let end = if *number == 1 { "" } else { "s" };
        f.pad(&format!("{number} {thing}{end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let told = [0, 1, 2].map(|number| Count(number, "trust anchor").to_string());
        assert_eq!(told, ["0 trust anchors", "1 trust anchor", "2 trust anchors"]);
    }

    #[test]
    fn a_size_is_parsed_with_its_unit() {
        for (text, bytes) in [("0", 0), ("20", 20), ("1Ki", 1024), ("256Mi", 256 << 20), ("15Ei", 15 << 60)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "Mi", "-1", "+1", "1 Mi", "1M", "1MiB", "1.5Gi", "1ki", "16Ei", "18446744073709551616", "é"] {
            assert_eq!(parse_size(text), Err(SizeError { found: text.to_owned() }));
        }
    }

    #[test]
    fn a_size_is_shown_in_the_largest_unit_of_which_there_is_one() {
        let cases = [
            (0, "0 B"),
            (20, "20 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (5000, "4.88 KiB"),
            (1024 * 1024 - 1, "1023.99 KiB"),
            (60 << 20, "60 MiB"),
            (3 << 29, "1.50 GiB"),
            (u64::MAX, "15.99 EiB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(Size(bytes).to_string(), shown);
        }
        assert_eq!(format!("{:>8}|", Size(20)), "    20 B|");
    }
}
