//! A program that is killed again and again: its file has each event once, by identity, and in order.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use harness::site::Served;
use vmcatcher_operator::events::{Event, EventType};

use super::place::{A, B, Place, line};

const KILLS: u64 = 20;

fn started(place: &Place) -> Child {
    place.command().args(["-v", "-v"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// The events of the file, each identity once. A kill can tear a line, which is written again.
fn once_each(place: &Place) -> Vec<Event> {
    let text = std::fs::read_to_string(place.site.path("events.jsonl")).unwrap();
    let mut seen = BTreeSet::new();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    events.filter(|event| seen.insert(event.id)).collect()
}

/// The versions on a shelf, as events name them.
fn on_shelf(place: &Place, shelf: &str, identifier: &str) -> BTreeSet<String> {
    let entries = place.site.shelf(shelf);
    let of = entries.iter().filter_map(|entry| entry.strip_prefix(&format!("{identifier}/")));
    of.map(|entry| entry.split('-').next().unwrap().to_owned()).collect()
}

/// The versions that the events of this type name, in order.
fn versions(events: &[Event], identifier: &str, kind: EventType) -> Vec<String> {
    let of = events.iter().filter(|event| event.event == kind);
    let images = of.filter_map(|event| event.image.as_ref()).filter(|image| image.identifier == identifier);
    images.map(|image| image.version.clone()).collect()
}

/// How many lists were accepted, according to the record of the subscription.
fn accepted_lists(place: &Place) -> usize {
    let record = std::fs::read(place.site.path("volume/state/lists/default/vo.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let older = record.get("older").or_else(|| record["value"].get("older"));
    1 + older.and_then(serde_json::Value::as_array).map_or(0, Vec::len)
}

/// A moment is a line of the log: how many there are is known from a run that is not interrupted.
#[test]
fn killed_at_twenty_moments_the_file_has_every_event_once() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    place.configure(&[&place.file_sink()]);
    place.site.subscribe("retention: {keepVersions: 10, keepFor: 24h}");
    let mut lines = 0;
    // What was on the volume at any time: the archive does not keep all of it.
    let mut cached = [A, B].map(|identifier| (identifier, BTreeSet::new()));
    for version in 1..=KILLS + 1 {
        let serve =
            |identifier, number| place.site.serve(identifier, &version.to_string(), 2 * version + number, 20_000);
        let (a, b) = (serve(A, 0), serve(B, 1));
        let images: Vec<&Served> = if version % 4 == 0 { vec![&a] } else { vec![&a, &b] };
        place.site.publish(&place.site.list(&format!("1.{version}"), &images));
        let mut child = started(&place);
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        if version == 1 {
            let all: Vec<String> = told.collect();
            assert!(child.wait().unwrap().success(), "{}", all.join("\n"));
            lines = all.len();
            continue;
        }
        let _last = told.nth(random.usize(..lines));
        child.kill().unwrap();
        child.wait().unwrap();
        for (identifier, versions) in &mut cached {
            versions.extend(on_shelf(&place, "endorsed", identifier));
            versions.extend(on_shelf(&place, "expired", identifier));
        }
    }
    let last = place.once();
    assert_eq!(last.code, Some(0), "SEED={seed}: {}", last.text);
    assert_whole(&place, cached, seed);
}

/// The events of the file are those of what was on the volume.
fn assert_whole(place: &Place, cached: [(&str, BTreeSet<String>); 2], seed: u64) {
    let events = once_each(place);
    let shown = || format!("SEED={seed}: {:#?}", events.iter().map(line).collect::<Vec<_>>());
    for (identifier, mut cached) in cached {
        assert_in_order(&events, identifier, &shown);
        let endorsed = on_shelf(place, "endorsed", identifier);
        cached.extend(endorsed.iter().cloned());
        let available: BTreeSet<String> = versions(&events, identifier, EventType::Available).into_iter().collect();
        let gone: BTreeSet<String> = versions(&events, identifier, EventType::Expire).into_iter().collect();
        assert_eq!(available, cached, "{}", shown());
        assert_eq!(gone, &cached - &endorsed, "{}", shown());
        assert_eq!(versions(&events, identifier, EventType::SubscriptionImageNew).len(), 1, "{}", shown());
    }
    let accepted = events.iter().filter(|event| event.event == EventType::ListAccepted).count();
    assert_eq!(accepted, accepted_lists(place), "{}", shown());
    let known = [EventType::Available, EventType::Expire, EventType::SubscriptionImageNew, EventType::ListAccepted];
    assert!(
        events.iter().all(|event| known.contains(&event.event) || event.event == EventType::Process),
        "{}",
        shown()
    );
}

/// A version becomes available once, and expires after it; at the end only the newest is there.
fn assert_in_order(events: &[Event], identifier: &str, shown: &dyn Fn() -> String) {
    let mut there = BTreeSet::new();
    let mut newest = 0;
    let of = events.iter().filter_map(|event| Some((event.event, event.image.as_ref()?)));
    for (kind, image) in of.filter(|(_, image)| image.identifier == identifier) {
        let version: u64 = image.version.parse().unwrap();
        if kind == EventType::Available {
            assert!(version > newest && there.insert(version), "{version}: {}", shown());
            newest = version;
        }
        if kind == EventType::Expire {
            assert!(there.remove(&version), "{version}: {}", shown());
        }
    }
    assert!(there.len() == 1 && there.contains(&newest), "{there:?}: {}", shown());
}
