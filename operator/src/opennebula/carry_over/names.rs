//! Names of images: of the current one, of one that is being registered, and of a retired one.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::imagelist::{ImageId, Sha512Digest};

/// The maximum length of an identifier, in bytes, so that the suffixes below fit in OpenNebula's 128 bytes.
pub const LONGEST_IDENTIFIER: usize = 96;

/// The text between the identifier and the digest in a staging name.
const STAGED: &str = "_STAGED_";

/// `<identifier>_STAGED_<first 12 digits of the SHA-512>`. It is the same for every try, so that the cloud refuses a
/// second registration of one version.
pub fn staged_name(identifier: &ImageId, digest: &Sha512Digest) -> String {
    format!("{identifier}{STAGED}{}", digest.short())
}

/// `<identifier>_2026-11-22_01-34-05_+0000-UTC`.
pub fn retired_name(identifier: &ImageId, now: Timestamp) -> String {
    let time = now.to_zoned(TimeZone::UTC);
    format!("{identifier}_{}_+0000-UTC", time.strftime("%Y-%m-%d_%H-%M-%S"))
}

/// Whether [`retired_name`] could have made a name.
pub(super) fn is_retired_name(identifier: &ImageId, name: &str) -> bool {
    let rest = name.strip_prefix(identifier.as_str()).and_then(|rest| rest.strip_prefix('_'));
    let time = rest.and_then(|rest| rest.strip_suffix("_+0000-UTC"));
    time.is_some_and(|time| jiff::civil::DateTime::strptime("%Y-%m-%d_%H-%M-%S", time).is_ok())
}

/// Whether the original handler retired an image under this name: `<identifier>_EXPIRED_…`.
pub(super) fn is_expired_name(identifier: &ImageId, name: &str) -> bool {
    name.strip_prefix(identifier.as_str()).is_some_and(|rest| rest.starts_with("_EXPIRED_"))
}

/// The reason why an identifier cannot be a name in OpenNebula, if any. All characters of an [`ImageId`] are allowed
/// there; only the length may be too large.
pub(super) fn refuse_name(identifier: &ImageId) -> Option<String> {
    let length = identifier.as_str().len();
    let too_long = length > LONGEST_IDENTIFIER;
    too_long.then(|| {
        format!("an image's name there has at most 128 bytes and needs 32 for suffixes: expected an identifier of at most {LONGEST_IDENTIFIER}, found {length}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_fits_and_is_told_apart() {
        let now: Timestamp = "2026-11-22T01:34:05Z".parse().unwrap();
        let digest = Sha512Digest::from_bytes([0xab; 64]);
        for length in [1, 36, LONGEST_IDENTIFIER] {
            let identifier: ImageId = "a".repeat(length).parse().unwrap();
            let (staged, retired) = (staged_name(&identifier, &digest), retired_name(&identifier, now));
            assert!(staged.len() <= 128 && retired.len() <= 128 && refuse_name(&identifier).is_none());
            assert!(is_retired_name(&identifier, &retired) && !is_retired_name(&identifier, &staged));
        }
        let identifier: ImageId = "x".parse().unwrap();
        assert_eq!(retired_name(&identifier, now), "x_2026-11-22_01-34-05_+0000-UTC");
        assert_eq!(staged_name(&identifier, &digest), "x_STAGED_abababababab");
        assert!(is_expired_name(&identifier, "x_EXPIRED_2014-01-01_00-00-00_+0000-UTC"));
        assert!(refuse_name(&"a".repeat(97).parse().unwrap()).is_some());
    }
}
