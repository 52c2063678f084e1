//! Decides which version `image get` gets, and whether it may. Pure.

use jiff::Timestamp;

use crate::cli::versions::Wished;
use crate::imagelist::{ListVersion, Sha512Digest};
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
        (Some(wished @ Wished::Sha512(digits)), _) => {
            let found: Vec<&KnownVersion> =
                versions.iter().filter(|one| one.sha512.to_string().starts_with(digits)).collect();
            let Some(first) = found.first().copied() else {
                return Err(NotWanted::Unknown { wished: wished.to_string(), known: all() });
            };
            if found.iter().any(|one| one.sha512 != first.sha512) {
                return Err(NotWanted::Ambiguous { wished: wished.to_string(), found: shown(found.into_iter()) });
            }
            Ok(newest(found.into_iter()).unwrap_or(first))
        }
        (None, (None, None)) => {
            let is_current = |one: &&KnownVersion| one.listed.as_ref().is_some_and(|listed| !listed.is_older);
            versions.iter().find(is_current).ok_or_else(|| NotWanted::NoCurrent { known: all() })
        }
        (None, (version, sha512)) => {
            let digest: Option<Sha512Digest> = sha512.and_then(|text| text.parse().ok());
            let is_pinned = |one: &&KnownVersion| {
                version.is_none_or(|version| one.version.as_str() == version)
                    && (sha512.is_none() || Some(one.sha512) == digest)
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
        return Err(NotWanted::NotListed { version: one.version.clone(), digest: one.sha512.short() });
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
    let all: Vec<String> = versions.map(|one| format!("{} ({})", one.version, one.sha512.short())).collect();
    let more = if all.len() > MOST_VERSIONS { ", and more" } else { "" };
    let first: Vec<String> = all.into_iter().take(MOST_VERSIONS).collect();
    if first.is_empty() { "none".to_owned() } else { format!("{}{more}", first.join(", ")) }
}
