//! vmcatcher's own events, as they were recorded: the same variables for the same images.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vmcatcher_operator::events::{CacheDirectories, Event, environment};

use super::workspace;

/// Each variable of an image, and the metadata that it is made of.
const OF_IMAGE: [(&str, &str); 17] = [
    ("DC_IDENTIFIER", "identifier"),
    ("DC_TITLE", "title"),
    ("DC_DESCRIPTION", "description"),
    ("HV_URI", "uri"),
    ("HV_SIZE", "size"),
    ("HV_VERSION", "version"),
    ("HV_HYPERVISOR", "hypervisor"),
    ("SL_ARCH", "arch"),
    ("SL_OS", "os"),
    ("SL_OSVERSION", "osVersion"),
    ("SL_COMMENTS", "comments"),
    ("SL_CHECKSUM_SHA512", "sha512"),
    ("HV_FORMAT", "format"),
    ("AD_MPURI", "mpuri"),
    ("VO", "vo"),
    ("IL_DC_IDENTIFIER", "list"),
    ("FILENAME", "fileName"),
];

type Variables = BTreeMap<String, String>;

/// The environments of the recorded events.
fn recorded() -> Vec<Variables> {
    let transcript = std::fs::read_to_string(workspace().join("tests/data/events/events-transcript.txt")).unwrap();
    let events = transcript.split("--- event at ").skip(1);
    let variable = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let variables = |event: &str| event.lines().skip(1).map_while(variable).collect();
    events.map(variables).collect()
}

/// The event of this program for the same occurrence.
fn event(recorded: &Variables) -> Event {
    let (event, phase) = match recorded["VMCATCHER_EVENT_TYPE"].as_str() {
        "ProcessPrefix" => ("Process", "before"),
        "ProcessPostfix" => ("Process", "after"),
        "AvailablePrefix" => ("Available", "before"),
        "AvailablePostfix" => ("Available", "after"),
        "ExpirePrefix" => ("Expire", "before"),
        "ExpirePostfix" => ("Expire", "after"),
        "SubscriptionImageNew" => ("SubscriptionImageNew", "after"),
        other => panic!("{other} is no event of vmcatcher"),
    };
    let mut whole = json!({
        "id": "00000000-0000-4000-8000-000000000001", "session": recorded["VMCATCHER_EVENT_UUID_SESSION"],
        "time": "2026-11-22T02:29:52Z", "event": event, "phase": phase,
    });
    let mut image = Map::new();
    for (variable, field) in OF_IMAGE {
        let value = recorded.get(&format!("VMCATCHER_EVENT_{variable}"));
        image.extend(value.map(|value| (field.to_owned(), json!(value))));
    }
    if event != "Process" {
        image["size"] = image["size"].as_str().unwrap().parse::<u64>().unwrap().into();
        whole["object"] = json!({"kind": "CachedImage", "namespace": "site", "name": image["identifier"]});
    }
    if event == "SubscriptionImageNew" {
        // This program knows more of a new image than vmcatcher.
        for field in ["format", "mpuri", "vo", "list", "fileName"] {
            image.insert(field.to_owned(), json!("more"));
        }
    }
    if event != "Process" {
        whole["image"] = Value::Object(image);
    }
    serde_json::from_value(whole).unwrap()
}

#[test]
fn each_recorded_event_has_the_same_variables() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for recorded in recorded() {
        let directory = |name: &str| recorded[&format!("VMCATCHER_CACHE_DIR_{name}")].clone().into();
        let (cache, download, expire) = (directory("CACHE"), directory("DOWNLOAD"), directory("EXPIRE"));
        let made = environment(&event(&recorded), &CacheDirectories { cache, download, expire });
        let of_vmcatcher =
            |name: &str| name.starts_with("VMCATCHER_EVENT_") || name.starts_with("VMCATCHER_CACHE_DIR_");
        let made: Variables = made
            .into_iter()
            .filter(|(name, _)| of_vmcatcher(name))
            .map(|(name, value)| (name, value.into_string().unwrap()))
            .collect();
        let expected: Variables = recorded.clone().into_iter().filter(|(name, _)| of_vmcatcher(name)).collect();
        assert_eq!(made, expected);
        *counts.entry(recorded["VMCATCHER_EVENT_TYPE"].clone()).or_default() += 1;
    }
    let expected = [
        ("AvailablePostfix", 5),
        ("AvailablePrefix", 5),
        ("ExpirePostfix", 3),
        ("ExpirePrefix", 3),
        ("ProcessPostfix", 3),
        ("ProcessPrefix", 3),
        ("SubscriptionImageNew", 1),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
}
