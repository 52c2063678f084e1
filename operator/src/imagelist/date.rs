//! Dates of lists and images.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// Reads an RFC 3339 `date-time` with everything that section 5.6 allows (fractions, offsets, lower case, a space
/// instead of the `T`, a leap second), or a `full-date` alone, which means midnight in UTC.
///
/// Fractions are cut to nanoseconds, and a leap second becomes the second before it. A time in 9999 that is after the
/// last [`Timestamp`] (late on 9999-12-30) becomes the last one, because publishers write `9999-12-31` for "never".
pub(super) fn read(text: &str) -> Result<Timestamp, String> {
    parse(text).ok_or_else(|| {
        let shown: String = text.chars().take(48).collect();
        format!("expected an RFC 3339 date such as 2026-11-22T01:34:05Z, found {shown:?}")
    })
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let date = parse_date(date)?;
    if rest.is_empty() {
        return timestamp(date.to_datetime(Time::midnight()), Offset::UTC);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let time = parse_clock(clock)?;
    let (nanoseconds, zone) = parse_fraction(rest)?;
    let time = time.with().subsec_nanosecond(nanoseconds).build().ok()?;
    timestamp(date.to_datetime(time), parse_zone(zone)?)
}

fn timestamp(local: DateTime, offset: Offset) -> Option<Timestamp> {
    match offset.to_timestamp(local) {
        Ok(timestamp) => Some(timestamp),
        Err(_) if local.year() == 9999 => Some(Timestamp::MAX),
        Err(_) => None,
    }
}

/// `YYYY-MM-DD`.
fn parse_date(text: &str) -> Option<Date> {
    let [year, month, day] = fields(text, '-', [4, 2, 2])?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `hh:mm:ss`.
fn parse_clock(text: &str) -> Option<Time> {
    let [hour, minute, second] = fields(text, ':', [2, 2, 2])?;
    let second = if second == 60 { 59 } else { second };
    let part = |number: i16| i8::try_from(number).ok();
    Time::new(part(hour)?, part(minute)?, part(second)?, 0).ok()
}

/// Reads `.` and digits, if there are any. Returns the nanoseconds, and the rest of the text, which is the zone.
fn parse_fraction(text: &str) -> Option<(i32, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|&end| end > 0)?;
    let (digits, zone) = rest.split_at(end);
    let nanoseconds: String = digits.chars().chain("000000000".chars()).take(9).collect();
    Some((nanoseconds.parse().ok()?, zone))
}

/// `Z` or `±hh:mm`.
fn parse_zone(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = fields(text.strip_prefix(['+', '-'])?, ':', [2, 2])?;
    let in_range = hours <= 23 && minutes <= 59;
    in_range.then(|| Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok())?
}

/// Parses numbers with exactly these widths and this separator.
fn fields<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i16; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        let digits = part.len() == width && part.bytes().all(|c| c.is_ascii_digit());
        *number = digits.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_rfc_3339_is_read() {
        let cases = [
            ("2011-03-10T17:09:12Z", "2011-03-10T17:09:12Z"),
            ("2011-03-10t17:09:12z", "2011-03-10T17:09:12Z"),
            ("2011-03-10 17:09:12Z", "2011-03-10T17:09:12Z"),
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.52Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"),
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.87Z"),
            ("2026-11-22T01:34:05.1234567891234-00:00", "2026-11-22T01:34:05.123456789Z"),
            ("2026-11-22", "2026-11-22T00:00:00Z"),
            ("2499-12-31T22:00:00Z", "2499-12-31T22:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.999999999Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            "",
            "never",
            "2026",
            "2026-11",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T01:34Z",
            "2026-11-22T01:34:05",
            "2026-11-22T01:34:05.Z",
            "2026-11-22T01:34:05.5",
            "2026-11-22T01:34:05+0100",
            "2026-11-22T01:34:05+01",
            "2026-11-22T01:34:05+24:00",
            "2026-11-22T01:34:05Z[UTC]",
            "2026-11-22T01:34:05Z ",
            "+2026-11-22T01:34:05Z",
            "2026-11-2é",
            "20261122T013405Z",
            "１９９０-12-31T23:59:60Z",
            "2026-11-22T+1:34:05Z",
        ];
        for text in cases {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("expected an RFC 3339 date such as 2026-11-22T01:34:05Z, found "), "{error}");
        }
    }
}
