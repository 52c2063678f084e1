//! Decides which version `image get` gets, and whether it may. Pure.

use jiff::Timestamp;

use crate::cli::versions::Wished;
use crate::imagelist::{ContentDigest, ListVersion};
use crate::reconcile::{Force, KnownVersion, ListInForce};

/// The maximum number of versions in a message.
const MOST_VERSIONS: usize = 10;

/// Why no version is got.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NotWanted {
    /// No version has that name or digest.
    #[error("expected a version that is known, found {wished}; known are {known}")]
    Unknown {
        /// What was asked for.
        wished: String,
        /// The versions that are known, as text.
        known: String,
    },
    /// Several contents begin with the digits.
    #[error("expected the beginning of one sha512, found {wished}, with which {found} begin")]
    Ambiguous {
        /// What was asked for.
        wished: String,
        /// The versions that begin with it, as text.
        found: String,
    },
    /// The list in force does not have the image.
    #[error(
        "expected a version after the identifier (ID@VERSION), found none, and the list in force does not have the \
         image; known are {known}"
    )]
    NoCurrent {
        /// The versions that are known, as text.
        known: String,
    },
    /// No valid list has the version.
    #[error(
        "no accepted list that is kept and still valid has version {version} ({digest}…), so nothing shows that its \
         signer is still trusted"
    )]
    NotListed {
        /// `hv:version`.
        version: ListVersion,
        /// The first digits of its digest.
        digest: String,
    },
    /// The signer of the list was revoked.
    #[error("{reason}: {message}")]
    Revoked {
        /// `CertificateRevoked` or `EndorserRevoked`.
        reason: &'static str,
        /// What was revoked, and by whom.
        message: String,
    },
    /// The subscription excludes the image.
    #[error("version {version} is excluded by the subscription's {by}")]
    Excluded {
        /// `hv:version`.
        version: ListVersion,
        /// The exclusion that matches.
        by: String,
    },
}

/// The version that is asked for: by its name, by its content, or else the pinned one, or else the list's.
pub(super) fn wanted<'v>(
    versions: &'v [KnownVersion],
    wished: Option<&Wished>,
    pin: (Option<&str>, Option<&str>),
) -> Result<&'v KnownVersion, NotWanted> {
    let all = || shown(versions.iter());
    match (wished, pin) {
        (Some(Wished::Version(version)), _) => by_version(versions, version)
            .ok_or_else(|| NotWanted::Unknown { wished: format!("{version}"), known: all() }),
        (Some(wished @ (Wished::Sha512(digits) | Wished::Sha256(digits))), _) => {
            let found: Vec<&KnownVersion> =
                versions.iter().filter(|one| one.digest.to_string().starts_with(digits)).collect();
            let Some(first) = found.first().copied() else {
                return Err(NotWanted::Unknown { wished: wished.to_string(), known: all() });
            };
            if found.iter().any(|one| one.digest != first.digest) {
                return Err(NotWanted::Ambiguous { wished: wished.to_string(), found: shown(found.into_iter()) });
            }
            Ok(newest(found.into_iter()).unwrap_or(first))
        }
        (None, (None, None)) => {
            let is_current = |one: &&KnownVersion| one.listed.as_ref().is_some_and(|listed| !listed.is_older);
            versions.iter().find(is_current).ok_or_else(|| NotWanted::NoCurrent { known: all() })
        }
        (None, (version, sha512)) => {
            let digest: Option<ContentDigest> = sha512.and_then(|text| text.parse().ok());
            let is_pinned = |one: &&KnownVersion| {
                version.is_none_or(|version| one.version.as_str() == version)
                    && (sha512.is_none() || Some(one.digest) == digest)
            };
            let wished = || format!("the pin {}", version.or(sha512).unwrap_or_default());
            let found = newest(versions.iter().filter(is_pinned));
            found.ok_or_else(|| NotWanted::Unknown { wished: wished(), known: all() })
        }
    }
}

/// If a version has several contents, that of the newest list.
fn by_version<'v>(versions: &'v [KnownVersion], version: &ListVersion) -> Option<&'v KnownVersion> {
    newest(versions.iter().filter(|one| one.version == *version))
}

/// The one that the newest list has; one that no list has is the last.
fn newest<'v>(versions: impl Iterator<Item = &'v KnownVersion>) -> Option<&'v KnownVersion> {
    versions.max_by_key(|one| one.listed.as_ref().map(|listed| (!listed.is_older, listed.list_created)))
}

/// Checks that the version may be got by the rules of trust, and returns what a person should know of it.
pub(super) fn allowed(
    one: &KnownVersion,
    list: Option<&ListInForce>,
    now: Timestamp,
) -> Result<Vec<String>, NotWanted> {
    if let Some(ListInForce { force: Force::Withdrawn { reason, message }, .. }) = list {
        return Err(NotWanted::Revoked { reason, message: message.clone() });
    }
    let (Some(list), Some(listed)) = (list, &one.listed) else {
        return Err(NotWanted::NotListed { version: one.version.clone(), digest: one.digest.short() });
    };
    let excluded = listed.entry.as_ref().and_then(|entry| list.selection.excludes(entry));
    if let Some(by) = excluded {
        return Err(NotWanted::Excluded { version: one.version.clone(), by: by.to_string() });
    }
    let mut notes = Vec::new();
    if list.force == Force::Expired {
        notes.push(format!("the list {} expired at {}", list.accepted.list().version, list.expires));
    }
    let identifier = listed.entry.as_ref().map(|entry| &entry.identifier);
    if !list.accepted.list().images.iter().any(|image| Some(&image.identifier) == identifier) {
        notes.push(format!("the list in force, {}, does not have this image any more", list.accepted.list().version));
    }
    let expires = listed.entry.as_ref().and_then(|entry| entry.expires).filter(|expires| *expires <= now);
    notes.extend(expires.map(|expires| format!("version {} expired at {expires}", one.version)));
    Ok(notes)
}

/// Versions as text, the first ones.
fn shown<'v>(versions: impl Iterator<Item = &'v KnownVersion>) -> String {
    let all: Vec<String> = versions.map(|one| format!("{} ({})", one.version, one.digest.short())).collect();
    let more = if all.len() > MOST_VERSIONS { ", and more" } else { "" };
    let first: Vec<String> = all.into_iter().take(MOST_VERSIONS).collect();
    if first.is_empty() { "none".to_owned() } else { format!("{}{more}", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imagelist::Sha512Digest;
    use crate::reconcile::{ListedVersion, Place};

    /// A version whose digest begins with zeros and has this byte at its end; `list` is the age in days of its list.
    fn version(version: &str, end: u8, list: Option<i64>) -> KnownVersion {
        let mut bytes = [0; 64];
        bytes[63] = end;
        let (version, digest): (ListVersion, ContentDigest) =
            (version.parse().unwrap(), Sha512Digest::from_bytes(bytes).into());
        let listed = list.map(|days| ListedVersion {
            version: version.clone(),
            digest,
            size: Some(1),
            list_version: days.to_string().parse().unwrap(),
            list_created: Timestamp::UNIX_EPOCH - jiff::SignedDuration::from_hours(24 * days),
            is_older: days > 0,
            entry: None,
            addresses: Vec::new(),
        });
        KnownVersion { version, digest, place: Place::Elsewhere, listed }
    }

    #[test]
    fn a_version_is_found_by_name_by_content_by_pin_or_as_the_lists() {
        let versions = [version("1", 1, Some(9)), version("1", 2, Some(8)), version("3", 3, Some(0))];
        let got = |wished: Option<&str>, pin| {
            let wished: Option<Wished> = wished.map(|text| text.parse().unwrap());
            wanted(&versions, wished.as_ref(), pin).map(|one| one.digest.sha512().unwrap().as_bytes()[63])
        };
        let none = (None, None);
        assert_eq!(got(None, none), Ok(3), "that of the list in force");
        assert_eq!(got(Some("1"), none), Ok(2), "that of the newest list");
        assert_eq!(got(Some(&versions[0].digest.to_string()), none), Ok(1));
        assert_eq!(got(None, (Some("1"), None)), Ok(2));
        let digest = versions[0].digest.to_string();
        assert_eq!(got(None, (Some("1"), Some(&digest))), Ok(1));
        assert_eq!(got(Some("3"), (Some("1"), None)), Ok(3), "what is asked for wins over the pin");
        let ambiguous = got(Some("sha512:00000000"), none).unwrap_err().to_string();
        assert!(ambiguous.contains("found sha512:00000000, with which 1 (000000000000), 1 ("), "{ambiguous}");
        let unknown = got(Some("2"), none).unwrap_err().to_string();
        assert!(unknown.contains("found 2; known are 1 ("), "{unknown}");
        let pinned = got(None, (Some("2"), None)).unwrap_err().to_string();
        assert!(pinned.contains("found the pin 2;"), "{pinned}");
        let gone = wanted(&versions[..2], None, none).unwrap_err().to_string();
        assert!(gone.contains("the list in force does not have the image"), "{gone}");
    }

    #[test]
    fn what_no_list_has_is_not_got() {
        let archived = version("1", 1, None);
        let refused = allowed(&archived, None, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(refused.contains("nothing shows that its signer is still trusted"), "{refused}");
    }
}
