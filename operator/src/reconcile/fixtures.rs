//! Values for unit tests of plans: lists, images, blobs, without a socket or a file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Map;

use crate::cache::VerifiedBlob;
use crate::cache::retention::Retention;
use crate::imagelist::{ImageList, LeftOut, ListedImage, Selection, Sha512Digest};
use crate::reconcile::exchange::{Force, ListInForce, ListOrigin};
use crate::reconcile::tls::CheckedTls;
use crate::trust::AcceptedList;

/// The identifier of the image that most tests are about.
pub(super) const IMAGE: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// The time of the tests.
pub(super) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// The digest of a version: each version has bytes of its own.
pub(super) fn digest(version: u8) -> Sha512Digest {
    Sha512Digest::from_bytes([version; 64])
}

/// Verified bytes of a version.
pub(super) fn blob(version: u8) -> VerifiedBlob {
    VerifiedBlob::for_tests(digest(version), now())
}

/// An image as a list has it.
pub(super) fn listed(identifier: &str, version: u8) -> ListedImage {
    let text = || "x".to_owned();
    ListedImage {
        identifier: identifier.parse().unwrap(),
        version: version.to_string().parse().unwrap(),
        title: text(),
        description: text(),
        size: Some(1000),
        digest: digest(version).into(),
        learned: None,
        uri: format!("https://example.org/{version}.img").parse().unwrap(),
        os: text(),
        os_version: text(),
        arch: text(),
        hypervisor: text(),
        comments: text(),
        format: None,
        mpuri: None,
        expires: None,
        extra: Map::new(),
    }
}

/// A list of these images that was made a day ago and is good for a week.
pub(super) fn list(version: u8, images: Vec<ListedImage>) -> ImageList {
    let day = SignedDuration::from_hours(24);
    ImageList {
        identifier: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
        version: version.to_string().parse().unwrap(),
        created: now() - day,
        expires: now() + 7 * day,
        title: "t".to_owned(),
        description: "d".to_owned(),
        source: "s".to_owned(),
        uri: "https://example.org/list".to_owned(),
        endorsers: Vec::new(),
        vo: Some("vo.example.org".to_owned()),
        images,
        refused: Vec::new(),
        left_out: LeftOut::default(),
        extra: Map::new(),
    }
}

/// The list in force of a subscription that wants all of its images.
pub(super) fn in_force(list: ImageList) -> ListInForce {
    let all = crate::api::ImageSelection {
        include: crate::api::Include {
            r#match: vec![serde_json::from_str(r#"{"name": "all"}"#).unwrap()],
            ..crate::api::Include::default()
        },
        ..crate::api::ImageSelection::default()
    };
    ListInForce {
        generation: Some(1),
        places: OnceLock::new(),
        digest: OnceLock::new(),
        known: list.images.iter().map(|image| image.identifier.to_string()).collect::<BTreeSet<_>>(),
        expires: list.expires,
        accepted: Arc::new(AcceptedList::for_tests(list, now())),
        older: Vec::new(),
        looked_back: false,
        kept: Vec::new(),
        withdrawn: Vec::new(),
        force: Force::InForce,
        frozen: false,
        expiring: true,
        last_fetch: Some(now()),
        selection: Selection::new(&all).unwrap(),
        retention: Retention { keep_versions: 1, keep_for: SignedDuration::ZERO },
        interval: Duration::from_hours(1),
        suspend: false,
        retire: false,
        requested_at: None,
        deleting: false,
        targets: Vec::new(),
        source: ListOrigin {
            url: "https://example.org/list".parse().unwrap(),
            secret: None,
            tls: CheckedTls::System(None),
            registry: None,
        },
    }
}

/// Where a file of the volume would be.
pub(super) fn path(name: &str) -> PathBuf {
    PathBuf::from("/volume").join(name)
}
