//! The versions in the status of an image. Pure.

use jiff::Timestamp;

use super::check::Checked;
use super::observed::Observed;
use crate::api::{VersionStatus, time};
use crate::cache::Entry;
use crate::imagelist::ContentDigest;
use crate::reconcile::exchange::ListInForce;
use crate::reconcile::versions::{KnownVersion, ListedVersion, Place, known, listed};

/// The maximum number of versions in a status.
const MOST_VERSIONS: usize = 50;

/// The versions that are known after the steps, from these entries on the volume.
pub(super) fn versions(
    checked: &Checked,
    observed: &Observed,
    endorsed: &[Entry],
    archived: &[Entry],
) -> Vec<VersionStatus> {
    let before = &observed.status.versions;
    let listed = match observed.list.as_deref() {
        Some(list) if is_complete(list, before) => {
            with_those_before(list, listed(list, &checked.image.identifier), before)
        }
        // The next pass of the subscription reads the older lists.
        Some(_) => Vec::new(),
        None => before.iter().filter_map(|one| of_status(one, one.state != "Listed")).collect(),
    };
    known(endorsed, archived, &listed).iter().take(MOST_VERSIONS).map(status).collect()
}

/// Whether all lists are known: the older ones were read now, or their versions are in the status already.
fn is_complete(list: &ListInForce, before: &[VersionStatus]) -> bool {
    list.looked_back || list.kept.is_empty() || before.iter().any(|version| version.list_version.is_some())
}

/// The versions that the lists have, and those that the status has of older lists that were not read now.
fn with_those_before(
    list: &ListInForce,
    mut listed: Vec<ListedVersion>,
    before: &[VersionStatus],
) -> Vec<ListedVersion> {
    if list.looked_back {
        return listed;
    }
    let is_kept = |one: &ListedVersion| {
        // A status has whole seconds.
        let same = |created: Timestamp| created.as_second() == one.list_created.as_second();
        list.kept.iter().any(|kept| kept.version == one.list_version && same(kept.created))
    };
    for older in before.iter().filter_map(|version| of_status(version, true)).filter(is_kept) {
        if !listed.iter().any(|known| known.is(&older.version, &older.digest)) {
            listed.push(older);
        }
    }
    listed.sort_by_key(|one| std::cmp::Reverse((!one.is_older, one.list_created)));
    listed
}

fn of_status(status: &VersionStatus, is_older: bool) -> Option<ListedVersion> {
    Some(ListedVersion {
        version: status.version.parse().ok()?,
        digest: digest(status)?,
        size: status.size,
        list_version: status.list_version.as_ref()?.parse().ok()?,
        list_created: status.list_created.as_ref()?.0,
        is_older,
        entry: None,
        addresses: Vec::new(),
    })
}

fn digest(status: &VersionStatus) -> Option<ContentDigest> {
    match (&status.sha512, &status.sha256) {
        (Some(sha512), _) => sha512.parse().ok(),
        (None, sha256) => format!("sha256:{}", sha256.as_ref()?).parse().ok(),
    }
}

fn status(known: &KnownVersion) -> VersionStatus {
    let archived_time = match &known.place {
        Place::Archived(entry) => entry.archived_time.map(time),
        Place::Endorsed(_) | Place::Elsewhere => None,
    };
    let listed = known.listed.as_ref();
    VersionStatus {
        version: known.version.to_string(),
        sha512: known.digest.sha512().map(|digest| digest.to_string()),
        sha256: known.digest.sha256().map(|digest| digest.digits()),
        state: known.state().to_owned(),
        archived_time,
        size: listed.and_then(|listed| listed.size),
        list_version: listed.map(|listed| listed.list_version.to_string()),
        list_created: listed.map(|listed| time(listed.list_created)),
    }
}
