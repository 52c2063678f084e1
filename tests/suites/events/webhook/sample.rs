//! Events to deliver.

use uuid::Uuid;
use vmcatcher_operator::api::Kind;
use vmcatcher_operator::events::{Event, EventType, ImageMetadata, Object, Phase};

/// What readers of text and of headers trip over.
pub(in super::super) const HOSTILE: &str =
    "été 日本 🐧 \"q\" %41 \\ \u{0}\u{1b}[31m\r\n\t\u{7f}\u{85}\u{2028}\u{202e}\u{feff}";

/// The event of a number: an image became available. Its id ends with the number.
pub(in super::super) fn event(number: usize) -> Event {
    let image = ImageMetadata {
        identifier: "aaaaaaaa-0000-4000-8000-000000000001".to_owned(),
        version: number.to_string(),
        title: HOSTILE.to_owned(),
        description: "a\nb".to_owned(),
        hypervisor: "kvm".to_owned(),
        size: u64::MAX,
        uri: "https://images.example.org/a.qcow2".to_owned(),
        format: Some("qcow2".to_owned()),
        arch: "x86_64".to_owned(),
        sha512: "00".repeat(64),
        comments: String::new(),
        os: "linux".to_owned(),
        os_version: "9".to_owned(),
        list: "bbbbbbbb-0000-4000-8000-000000000001".to_owned(),
        mpuri: None,
        vo: Some("vo.example.org".to_owned()),
        file_name: None,
    };
    Event {
        id: Uuid::from_u128(number as u128),
        session: Uuid::from_u128(0xf00d),
        time: "2026-11-29T18:00:00.123456Z".parse().unwrap(),
        event: EventType::Available,
        phase: Phase::After,
        object: Some(Object { kind: Kind::Image, namespace: "vo-a".to_owned(), name: "alma-9".to_owned() }),
        target: None,
        image: Some(Box::new(image)),
        reason: None,
        message: Some(HOSTILE.to_owned()),
        progress: None,
    }
}

/// The events of the numbers below a count.
pub(in super::super) fn events(count: usize) -> Vec<Event> {
    (0..count).map(event).collect()
}
