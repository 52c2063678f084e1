//! Display of sizes and counts: sizes in binary units, such as `4.88 KiB`, and counts with the right plural. Output for
//! programs has bytes instead.

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
