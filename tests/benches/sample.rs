//! Events for benchmarks.

use serde_json::json;
use vmcatcher_operator::events::Event;

/// An event as long as real ones.
pub(crate) fn event(number: usize) -> Event {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let image = json!({
        "identifier": id, "version": "2026.01.01", "title": "Image for tests [Scientific Linux/6.4/KVM]",
        "description": "A description of the usual length, with what is in the image and for whom it is.",
        "hypervisor": "kvm", "size": 10_737_418_240_u64, "uri": "https://images.example/vm/scientific-linux.qcow2",
        "format": "qcow2", "arch": "x86_64", "sha512": "0123456789abcdef".repeat(8), "comments": "", "os": "linux",
        "osVersion": "6.4", "list": id, "fileName": format!("site/{id}/2026.01.01.qcow2"),
    });
    let object = json!({ "kind": "CachedImage", "namespace": "site", "name": id });
    serde_json::from_value(json!({
        "id": id, "session": id, "time": "2026-01-01T00:00:00Z", "event": "Available", "phase": "after",
        "object": object, "image": image,
    }))
    .expect("an event")
}
