//! Byte ranges (RFC 9110 section 14).

/// The requested part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestedBytes {
    /// The whole file.
    Whole,
    /// From the first to the last byte, both counted from 0 and included.
    Part {
        /// The first byte.
        first: u64,
        /// The last byte.
        last: u64,
    },
    /// No byte of the range exists in the file.
    Unsatisfiable,
}

/// Parses a `Range` header for a file of `size` bytes. A header that is not a single byte range is ignored, as the RFC
/// allows: then the whole file is wanted.
pub(super) fn wanted(header: Option<&str>, size: u64) -> RequestedBytes {
    let range = header.and_then(|header| header.trim().strip_prefix("bytes=")).filter(|range| !range.contains(','));
    let Some((first, last)) = range.and_then(|range| range.trim().split_once('-')) else {
        return RequestedBytes::Whole;
    };
    let number = |text: &str| -> Result<Option<u64>, ()> {
        match text.trim() {
            "" => Ok(None),
            text if text.bytes().all(|c| c.is_ascii_digit()) => Ok(Some(text.parse().unwrap_or(u64::MAX))),
            _ => Err(()),
        }
    };
    match (number(first), number(last)) {
        (Ok(Some(first)), Ok(last)) => {
            let last = last.unwrap_or(u64::MAX);
            match (first < size, first <= last) {
                (_, false) => RequestedBytes::Whole,
                (false, true) => RequestedBytes::Unsatisfiable,
                (true, true) => RequestedBytes::Part { first, last: last.min(size - 1) },
            }
        }
        (Ok(None), Ok(Some(0))) => RequestedBytes::Unsatisfiable,
        (Ok(None), Ok(Some(_))) if size == 0 => RequestedBytes::Unsatisfiable,
        (Ok(None), Ok(Some(count))) => RequestedBytes::Part { first: size.saturating_sub(count), last: size - 1 },
        (Ok(None), Ok(None)) | (Err(()), _) | (_, Err(())) => RequestedBytes::Whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let part = |first, last| RequestedBytes::Part { first, last };
        let cases = [
            (None, RequestedBytes::Whole),
            (Some("bytes=0-0"), part(0, 0)),
            (Some("bytes=0-"), part(0, 99)),
            (Some("bytes=10-19"), part(10, 19)),
            (Some("bytes=90-1000"), part(90, 99)),
            (Some("bytes=-10"), part(90, 99)),
            (Some("bytes=-1000"), part(0, 99)),
            (Some("bytes=100-"), RequestedBytes::Unsatisfiable),
            (Some("bytes=-0"), RequestedBytes::Unsatisfiable),
            (Some("bytes=99999999999999999999999-"), RequestedBytes::Unsatisfiable),
            (Some("bytes=5-4"), RequestedBytes::Whole),
            (Some("bytes=0-1,5-6"), RequestedBytes::Whole),
            (Some("bytes=-"), RequestedBytes::Whole),
            (Some("bytes=a-b"), RequestedBytes::Whole),
            (Some("lines=1-2"), RequestedBytes::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 100), expected, "{header:?}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), RequestedBytes::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=-5"), 0), RequestedBytes::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(header in "bytes=[0-9]{0,22}-[0-9]{0,22}|\\PC{0,20}", size in 0_u64..200) {
            if let RequestedBytes::Part { first, last } = wanted(Some(&header), size) {
                prop_assert!(first <= last && last < size);
            }
        }
    }
}
