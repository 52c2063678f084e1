//! What the tests of the spool share.

mod crash;
mod damage;
mod full_disk;
mod limit;
mod model;
mod sinks;
mod together;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Reader, Spool};
use crate::events::{Event, EventFilter, EventType, Phase, SinkName};

/// More than any of these tests needs.
const ROOMY: u64 = 16 * 1024 * 1024;

/// A directory in memory, where there is one: these tests sync often.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// An event that knows its number.
fn event(number: u64, kind: EventType) -> Event {
    Event {
        time: Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap()).unwrap(),
        message: Some(format!("line\nend, \u{202e} and \u{7f}; number {number}")),
        ..Event::new(Uuid::from_u128(u128::from(number)), kind, Phase::After)
    }
}

fn available(numbers: impl IntoIterator<Item = u64>) -> Vec<Event> {
    numbers.into_iter().map(|number| event(number, EventType::Available)).collect()
}

fn sink(name: &str) -> SinkName {
    SinkName::new(name).unwrap()
}

fn takes(types: &[EventType]) -> EventFilter {
    EventFilter { types: types.iter().copied().collect(), phases: BTreeSet::from([Phase::After]) }
}

/// Sinks that get everything.
fn all(names: &[&str]) -> Vec<(SinkName, EventFilter)> {
    names.iter().map(|name| (sink(name), takes(&EventType::ALL))).collect()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn numbers(events: &[(u64, Event)]) -> Vec<u64> {
    events.iter().map(|(_, event)| u64::try_from(event.id.as_u128()).unwrap()).collect()
}

/// The numbers of the events that wait for a sink. They are passed.
async fn take(reader: &mut Reader) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let events = reader.ready(7).await.unwrap();
        let Some((last, _)) = events.last() else { return found };
        found.extend(numbers(&events));
        reader.advance(*last).await.unwrap();
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let first = super::directory::segments(directory).unwrap().into_iter();
    first.map(|first| super::directory::segment_path(directory, first)).collect()
}

fn bytes_of(directory: &Path) -> u64 {
    segments(directory).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}
