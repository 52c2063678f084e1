//! Parses the durations of specs and of the configuration file (pure).

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text has a wrong form.
    #[error("expected a duration such as 90s, 6h or 1h30m (units h, m, s, ms; no days), found {0:?}")]
    Malformed(String),
    /// The duration is shorter than the field allows.
    #[error("expected at least {least}, found {found:?}")]
    TooShort {
        /// The minimum.
        least: &'static str,
        /// The text.
        found: String,
    },
}

/// Parses `^([0-9]{1,5}(h|m|s|ms)){1,4}$`, the form of GEP-2257 (durations of the Gateway API), which CEL's `duration()` reads too.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.chars().take(40).collect());
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut terms = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
        let (number, tail) = rest.split_at(digits);
        if !(1..=5).contains(&number.len()) || terms == 4 {
            return Err(malformed());
        }
        let number: u64 = number.parse().map_err(|_| malformed())?;
        let (unit, after) = unit(tail).ok_or_else(malformed)?;
        total += Duration::from_millis(number * unit);
        rest = after;
        terms += 1;
    }
    if terms == 0 { Err(malformed()) } else { Ok(total) }
}

/// The unit that a text begins with, in milliseconds, and what follows it.
fn unit(text: &str) -> Option<(u64, &str)> {
    [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        .into_iter()
        .find_map(|(name, milliseconds)| Some((milliseconds, text.strip_prefix(name)?)))
}

/// Parses a duration that has a lower bound.
pub fn parse_duration_of_at_least(text: &str, least: &'static str) -> Result<Duration, DurationError> {
    let found = parse_duration(text)?;
    if found < parse_duration(least)? {
        return Err(DurationError::TooShort { least, found: text.to_owned() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_specs_use() {
        let cases = [("90s", 90_000), ("6h", 21_600_000), ("1h30m", 5_400_000), ("1m500ms", 60_500), ("0s", 0)];
        for (text, milliseconds) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "6", "h", "1d", "-1h", "1.5h", "100000s", "1h1h1h1h1h", "1 h", "1H", "é"] {
            assert!(matches!(parse_duration(text), Err(DurationError::Malformed(_))), "{text}");
        }
        let error = parse_duration_of_at_least("59s", "1m").unwrap_err();
        assert_eq!(error.to_string(), "expected at least 1m, found \"59s\"");
    }
}
