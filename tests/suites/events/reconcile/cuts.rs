//! A run that is cut off at any step of the volume: the events of what it did are there after the next one.

use std::collections::BTreeSet;

use harness::site::{Served, Site};
use jiff::SignedDuration;
use vmcatcher_operator::events::config::parse;
use vmcatcher_operator::events::{Event, EventType};

use super::place::{A, B, line, of_image};
use crate::reconcile::cuts::{cut_everywhere, run_cut};

const C: &str = "aaaaaaaa-0000-4000-8000-000000000003";
/// Sites at the same time: most of the time they wait.
const AT_ONCE: usize = 32;

/// A site with a file sink where one image is to be replaced, one is to go, and one is to come.
async fn scenario() -> (Site, [Served; 3]) {
    let mut site = Site::new();
    let path = site.path("events.jsonl");
    let sinks = format!("events: {{sinks: [{{name: log, file: {{path: {}}}}}]}}", path.display());
    site.events = parse(&sinks).unwrap().events;
    let (old, gone) = (site.serve(A, "1", 1, 40_000), site.serve(B, "1", 2, 30_000));
    site.publish(&site.list("1.0", &[&old, &gone]));
    site.run().await;
    site.pass_time(SignedDuration::from_mins(5));
    // One of them is large: its download has a record, and threads of its own that write and hash.
    let (new, added) = (site.serve(A, "2", 3, 50_000), site.serve(C, "1", 4, 5_000_000));
    site.publish(&site.list("1.1", &[&new, &added]));
    (site, [gone, new, added])
}

fn logged(site: &Site) -> Vec<Event> {
    let text = std::fs::read_to_string(site.path("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the events are, if they are not those of the changes, each identity counted once.
fn wrong(events: &[Event]) -> Option<String> {
    let replaced = of_image(events, A);
    let beginning = ["SubscriptionImageNew after 1", "Available after 1"];
    // A run that was cut off between both steps has announced what it did at that time.
    let ends = [["Expire after 1", "Available after 2"], ["Available after 2", "Expire after 1"]];
    let is_replaced = ends.iter().any(|end| replaced == [beginning, *end].concat());
    let gone = of_image(events, B) == [&beginning[..], &["Expire after 1"]].concat();
    let came = of_image(events, C) == beginning;
    let mut seen = BTreeSet::new();
    let once: Vec<&Event> = events.iter().filter(|event| seen.insert(event.id)).collect();
    let accepted = once.iter().filter(|event| event.event == EventType::ListAccepted).count();
    let others = once.iter().filter(|event| event.image.is_none() && event.event != EventType::ListAccepted).count();
    let good = is_replaced && gone && came && accepted == 2 && others == 0;
    (!good).then(|| format!("{:#?}", once.into_iter().map(line).collect::<Vec<_>>()))
}

#[tokio::test]
async fn a_run_cut_at_every_step_loses_no_event_and_invents_none() {
    std::panic::set_hook(Box::new(|_| {})); // the cuts are meant
    let failures = std::sync::Mutex::new(Vec::new());
    let cuts = cut_everywhere(AT_ONCE, async |place| {
        let (site, [gone, new, added]) = scenario().await;
        let ended = run_cut(&site, place).await;
        site.run().await;
        if let Some(found) = wrong(&logged(&site)) {
            failures.lock().unwrap().push(format!("cut at step {place}: {found}"));
        }
        let shelves = (site.shelf("endorsed"), site.shelf("expired").contains(&gone.entry()));
        if shelves != (vec![new.entry(), added.entry()], true) {
            failures.lock().unwrap().push(format!("cut at step {place}: {shelves:?}"));
        }
        !ended
    })
    .await;
    let _ = std::panic::take_hook();
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {cuts}: {}", failures.len(), failures.join("\n"));
    eprintln!("{cuts} cuts");
    assert!(cuts > 100, "only {cuts} steps were seen");
}
