//! The spool: appends a second, and how long a log of 256 MiB takes to open. `sinks` has the passage of events. Run with
//! `cargo bench -p vmcatcher-tests --bench spool`. A directory after `--` is where the spool is made.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "figures are printed for people")]

mod sample;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use vmcatcher_operator::events::{Event, EventFilter, EventType, Phase, SinkName, Spool};

use self::sample::event;

const LIMIT: u64 = 256 * 1024 * 1024;

fn sinks() -> Vec<(SinkName, EventFilter)> {
    let filter = EventFilter { types: EventType::ALL.into(), phases: [Phase::After].into() };
    vec![(SinkName::new("counter").expect("a name"), filter)]
}

/// Resident memory in KiB: now, and at most.
fn memory() -> [u64; 2] {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    })
}

fn appends(directory: &Path, calls: usize, events_of_call: usize) {
    let spool = Spool::open(directory, LIMIT, &sinks()).unwrap();
    let batch: Vec<Event> = (0..events_of_call).map(event).collect();
    let began = Instant::now();
    for _ in 0..calls {
        spool.append(&batch).unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    let events = u32::try_from(calls * events_of_call).unwrap();
    println!("{events_of_call} a call: {:.0} events a second", f64::from(events) / seconds);
    drop(spool);
    Spool::open(directory, LIMIT, &[]).unwrap();
}

/// A log of 256 MiB of which no sink has read anything.
fn reopening(directory: &Path) {
    let spool = Spool::open(directory, LIMIT, &sinks()).unwrap();
    let batch: Vec<Event> = (0..1000).map(event).collect();
    let mut bytes = 0;
    while bytes < LIMIT - 2 * 1024 * 1024 {
        spool.append(&batch).unwrap();
        bytes += u64::try_from(serde_json::to_vec(&batch).unwrap().len()).unwrap();
    }
    drop(spool);
    let [before, _] = memory();
    let began = Instant::now();
    let spool = Spool::open(directory, LIMIT, &sinks()).unwrap();
    let opened = began.elapsed();
    let began = Instant::now();
    let waiting = spool.status().unwrap().sinks[&sinks()[0].0];
    let looked = began.elapsed();
    let began = Instant::now();
    spool.status().unwrap();
    let again = began.elapsed();
    let [after, _] = memory();
    println!(
        "{} MiB, {} events: opened in {opened:.1?}, first status {looked:.1?}, next {again:.1?}; RSS {before} to {after} KiB",
        waiting.bytes >> 20,
        waiting.events
    );
}

fn main() {
    let place = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let folder = tempfile::tempdir_in(place.unwrap_or_else(std::env::temp_dir)).unwrap();
    let directory = folder.path().join("spool");
    appends(&directory, 2000, 1);
    appends(&directory, 500, 100);
    reopening(&directory);
}
