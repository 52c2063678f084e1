//! `hv:version` of lists and images, and the order of versions.

use std::cmp::Ordering;
use std::str::FromStr;

use jiff::Timestamp;
use serde_with::{DeserializeFromStr, SerializeDisplay};

use crate::text::is_printable;

/// An `hv:version`: 1 to 128 printable characters, ordered as vmcatcher ordered them.
///
/// There is no `Ord`: `1.0` and `1-0` are equal as versions but not as texts, so an order would not agree with `Eq`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, SerializeDisplay, DeserializeFromStr)]
pub struct ListVersion(String);

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a version of 1 to 128 printable characters, without controls and format characters, found {found:?}")]
pub struct VersionError {
    found: String,
}

impl ListVersion {
    /// The version of something that has only a time: `YYYYMMDDHHMMSS` in UTC.
    pub fn of_time(time: Timestamp) -> Result<Self, VersionError> {
        time.strftime("%Y%m%d%H%M%S").to_string().parse()
    }

    /// Compares two versions. They are split at `- , . /`. Two numbers are compared by value, a number is newer than
    /// text, and two texts are compared by their runs of digits and other characters. If all common parts are equal,
    /// the version with more parts is newer.
    pub fn compare(&self, other: &Self) -> Ordering {
        compare_parts(parts(&self.0), parts(&other.0), compare_part)
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(['-', ',', '.', '/'])
}

/// Compares part by part. If one version has no more parts, the longer one is newer.
fn compare_parts<'a>(
    mut left: impl Iterator<Item = &'a str>,
    mut right: impl Iterator<Item = &'a str>,
    by: fn(&str, &str) -> Ordering,
) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match by(a, b) {
                Ordering::Equal => {}
                decided => return decided,
            },
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    numbers_first(a, b, |a, b| compare_parts(runs(a), runs(b), |a, b| numbers_first(a, b, str::cmp)))
}

/// Compares two numbers by value. A number is newer than a text; two texts are compared by `texts`.
fn numbers_first(a: &str, b: &str, texts: fn(&str, &str) -> Ordering) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => compare_numbers(a, b),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => texts(a, b),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// Compares numbers of any length: leading zeros are ignored, and more digits are more.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The runs of digits and of other characters, in order.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

impl FromStr for ListVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let length = text.chars().count();
        if (1..=128).contains(&length) && text.chars().all(is_printable) {
            Ok(Self(text.to_owned()))
        } else {
            Err(VersionError { found: text.chars().take(64).collect() })
        }
    }
}

crate::text::checked_text!(ListVersion);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(a: &str, b: &str) -> Ordering {
        a.parse::<ListVersion>().unwrap().compare(&b.parse().unwrap())
    }

    /// The comparisons that the original was seen to make (reference: its run 06), and what the rule says beyond.
    #[test]
    fn ordered_as_the_original_orders_them() {
        let newer = [
            ("2.0.1", "2.0"),
            ("10.0", "2.0.1"),
            ("2.0.1", "2.a"),
            ("10.0", "2.0-3"),
            ("20150618211400", "20150618211359"),
            ("3.3.0-1", "3.3.0"),
            ("1.rc10", "1.rc9"),
            ("1.b", "1.a"),
            ("1.26-13", "1.26-9"),
            ("99999999999999999999999999", "99999999999999999999999998"),
        ];
        for (new, old) in newer {
            assert_eq!(compare(new, old), Ordering::Greater, "{new} {old}");
            assert_eq!(compare(old, new), Ordering::Less, "{old} {new}");
        }
        for (a, b) in [("1.0", "1-0"), ("01", "1"), ("a", "a")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn what_is_not_seen_or_turns_the_writing_is_no_version() {
        for c in
            ['\u{1b}', '\n', '\u{7f}', '\u{9b}', '\u{ad}', '\u{200b}', '\u{200f}', '\u{202e}', '\u{2029}', '\u{2067}']
        {
            let error = format!("1.0{c}").parse::<ListVersion>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {:?}", format!("1.0{c}"))), "{error}");
        }
        assert!("1.0 β (été)".parse::<ListVersion>().is_ok());
    }

    proptest! {
        #[test]
        fn a_total_order(a in "[0-9a-c.-]{1,8}", b in "[0-9a-c.-]{1,8}", c in "[0-9a-c.-]{1,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
