//! The event that tries a sink. Pure.

use jiff::Timestamp;
use uuid::Uuid;

use crate::api::Kind;
use crate::events::{Event, EventType, ImageMetadata, Object, Phase};

/// The identifier of the image, which does not exist.
const IMAGE: &str = "00000000-0000-4000-8000-000000000000";
/// The identifier of its list, which does not exist.
const LIST: &str = "00000000-0000-4000-8000-000000000001";
/// The size of the image in bytes.
const SIZE: u64 = 1024 * 1024;

/// An event `Available` with the reason `Test`. Everybody can see that it is about no real image: the identifiers and the
/// digest are zeros, and names below `.invalid` do not exist (RFC 6761, section 6.4).
pub(super) fn event(phase: Phase, id: Uuid, session: Uuid, time: Timestamp) -> Event {
    let sha512 = "0".repeat(128);
    let image = ImageMetadata {
        identifier: IMAGE.to_owned(),
        version: "0".to_owned(),
        title: "A test: this image does not exist".to_owned(),
        description: "The event of `vmcatcher-operator events test`.".to_owned(),
        hypervisor: "kvm".to_owned(),
        size: SIZE,
        uri: "https://test.invalid/image.qcow2".to_owned(),
        format: Some("qcow2".to_owned()),
        arch: "x86_64".to_owned(),
        file_name: Some(format!("test/{IMAGE}/0-{}.qcow2", &sha512[..12])),
        sha512,
        comments: "test".to_owned(),
        os: "Linux".to_owned(),
        os_version: "0".to_owned(),
        list: LIST.to_owned(),
        mpuri: Some("https://test.invalid/image".to_owned()),
        vo: Some("test.invalid".to_owned()),
    };
    Event {
        session,
        time,
        object: Some(Object { kind: Kind::Image, namespace: "test".to_owned(), name: IMAGE.to_owned() }),
        image: Some(Box::new(image)),
        reason: Some("Test".to_owned()),
        message: Some("a test of the sink: this image does not exist".to_owned()),
        ..Event::new(id, EventType::Available, phase)
    }
}
