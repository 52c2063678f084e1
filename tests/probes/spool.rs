//! Writes events into a spool and delivers them to its own output, in a process that tests can kill.
//!
//! usage: spool DIRECTORY FIRST COUNT
//!
//! It appends COUNT events with the numbers from FIRST, one to five in a call. `appended N` is printed when the call
//! with the number N has returned, `failed N …` if it failed; `delivered N` when the sink gets it. It ends when all are
//! appended and delivered, or when appends have failed ten times.

#![allow(clippy::print_stdout, reason = "its output is what the tests read")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use vmcatcher_operator::events::{
    Delivery, Event, EventFilter, EventType, Phase, Sink, SinkName, SinkStates, Spool, deliver, drain,
};

/// Small, so that there are many segments.
const LIMIT: u64 = 2 * 1024 * 1024;

struct Printer;

impl Sink for Printer {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        for event in events {
            println!("delivered {}", event.message.as_deref().unwrap_or_default());
        }
        Delivery { handled: events.len(), ..Delivery::default() }
    }
}

fn event(number: u64) -> anyhow::Result<Event> {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let value = json!({
        "id": id,
        "session": id,
        "time": "2026-01-01T00:00:00Z",
        "event": "Available",
        "phase": "after",
        "message": number.to_string(),
    });
    Ok(serde_json::from_value(value)?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, first, count] = arguments.as_slice() else { bail!("expected DIRECTORY FIRST COUNT") };
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let name = SinkName::new("printer").context("a name")?;
    let filter = EventFilter { types: EventType::ALL.into(), phases: [Phase::After].into() };
    let spool = Spool::open(Path::new(directory), LIMIT, &[(name.clone(), filter)])?;
    let (states, stop) = (SinkStates::default(), CancellationToken::new());
    let mut reader = spool.reader(&name)?;
    let delivering = {
        let (states, stop) = (states.clone(), stop.clone());
        tokio::spawn(async move { deliver(&mut reader, &mut Printer, &states, Duration::ZERO, &stop).await })
    };
    let appended = tokio::task::spawn_blocking({
        let spool = spool.clone();
        move || append(&spool, first, count)
    });
    appended.await??;
    stop.cancel();
    delivering.await?;
    let left = drain(&mut spool.reader(&name)?, &mut Printer, &states, Duration::from_mins(1)).await;
    println!("remaining {}", left.remaining.context("the spool can be read")?);
    Ok(())
}

fn append(spool: &Spool, first: u64, count: u64) -> anyhow::Result<()> {
    let (mut number, mut failures) = (first, 0);
    while number < first + count && failures < 10 {
        let end = (number + 1 + number % 5).min(first + count);
        let events: Vec<Event> = (number..end).map(event).collect::<anyhow::Result<_>>()?;
        match spool.append(&events) {
            Ok(appended) => {
                anyhow::ensure!(appended.lost.is_empty(), "the limit is too low for this test");
                (number..end).for_each(|number| println!("appended {number}"));
                number = end;
            }
            Err(error) => {
                println!("failed {number} {error}");
                failures += 1;
            }
        }
    }
    Ok(())
}
