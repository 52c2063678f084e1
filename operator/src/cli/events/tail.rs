//! `events tail`: the events in the spool, and those that come.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use uuid::Uuid;

use super::super::operation::stopped;
use super::super::{WRONG_USE, config, print_more};
use super::sinks;
use crate::cache::Volume;
use crate::events::{Event, EventFilter, SinkName, Spool, SpoolView};
use crate::text::{one_line, printable_json};

/// How often `--follow` looks for new events.
const LOOK: Duration = Duration::from_millis(500);
/// How many bytes of text are written at once.
const BLOCK: usize = 64 * 1024;
/// The most characters of a message in a line for people.
const LONGEST_MESSAGE: usize = 100;
/// The most characters of another cell.
const LONGEST_CELL: usize = 64;

/// Arguments of `events tail`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The volume that has the spool
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    volume: PathBuf,
    /// Go on with the events that come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only events that wait for this sink, and those that come
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// The configuration file: of the events that wait for the sink, show only those that it gets
    #[arg(long, value_name = "FILE", requires = "sink")]
    config: Option<PathBuf>,
    /// Only the last N of the events that are there
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each event, in columns.
    Table,
    /// A JSON object on one line for each event: the event, with its number in the spool.
    Json,
}

/// Shows the events. It takes no lock.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let volume = Volume::read_only(&args.volume)?;
    let spool = Spool::read_only(&Spool::directory(volume.root()));
    let mut tail = Tail { spool, filter: None, output: args.output, next: 0, last: None, is_begun: false };
    if let Some(name) = &args.sink {
        let Some(position) = tail.position(args, name)? else { return Ok(ExitCode::from(WRONG_USE)) };
        tail.begin_at(position)?;
        if let Some(file) = &args.config {
            let Some(config) = config::read_valid(file)? else { return Ok(ExitCode::from(WRONG_USE)) };
            let Some(sink) = sinks::named(&config, file, name) else { return Ok(ExitCode::from(WRONG_USE)) };
            tail.filter = Some(sink.filter.clone());
        }
    }
    if let Some(count) = args.last {
        tail.begin_with_last(count)?;
    }
    let is_read = tail.show()?;
    if args.follow && is_read {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tail.follow())?;
    } else if is_read && !tail.is_begun {
        let which = args.sink.as_ref().map(|name| format!("waits for the sink {name}"));
        tracing::info!("no event {}", which.as_deref().unwrap_or("is in the spool"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The events of a spool from a number on.
struct Tail {
    spool: SpoolView,
    /// Only events that it takes are shown.
    filter: Option<EventFilter>,
    output: Output,
    /// The number of the first event that was not shown.
    next: u64,
    /// The number and the identity of the event before it, if it was read.
    last: Option<(u64, Uuid)>,
    /// Whether an event was shown.
    is_begun: bool,
}

impl Tail {
    /// The number of the first event that waits for a sink; `None` if the spool knows no such sink, which is logged.
    fn position(&self, args: &Args, name: &str) -> anyhow::Result<Option<u64>> {
        let positions = self.spool.positions()?;
        let found = positions.iter().find(|(sink, _)| sink.as_str() == name).map(|(_, position)| *position);
        if found.is_none() {
            let known: Vec<&str> = positions.keys().map(SinkName::as_str).collect();
            sinks::log_unknown(name, &format!("the spool of {}", args.volume.display()), &known);
        }
        Ok(found)
    }

    fn takes(&self, event: &Event) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.takes(event))
    }

    /// Begins with the event of this number.
    fn begin_at(&mut self, number: u64) -> anyhow::Result<()> {
        let before = self.spool.records(number.saturating_sub(1))?.next().transpose()?;
        self.last = before.filter(|(found, _)| *found < number).map(|(found, event)| (found, event.id));
        self.next = number;
        Ok(())
    }

    /// Begins where there are this many events, or fewer if there are not so many.
    fn begin_with_last(&mut self, count: usize) -> anyhow::Result<()> {
        let (mut firsts, mut next) = (VecDeque::new(), self.next);
        for found in self.spool.records(self.next)? {
            let (number, event) = found?;
            next = number.saturating_add(1);
            if self.takes(&event) {
                firsts.push_back(number);
                if firsts.len() > count {
                    firsts.pop_front();
                }
            }
        }
        self.begin_at(firsts.front().copied().unwrap_or(next))
    }

    /// Whether this is not the spool any more whose events were shown. If the operator ran without sinks, the spool was
    /// removed, and the numbers begin again.
    fn is_another(&self) -> anyhow::Result<bool> {
        let Some((number, id)) = self.last else { return Ok(false) };
        // Only events before others are removed.
        let found = self.spool.records(number)?.next().transpose()?;
        Ok(found.is_none_or(|(found, event)| found == number && event.id != id))
    }

    /// Shows the events that were not shown. Returns false if the reader has closed the pipe.
    fn show(&mut self) -> anyhow::Result<bool> {
        let mut text = String::new();
        for found in self.spool.records(self.next)? {
            let (number, event) = match found {
                Ok(found) => found,
                Err(error) => {
                    print_more(&text)?;
                    return Err(error.into());
                }
            };
            (self.next, self.last) = (number.saturating_add(1), Some((number, event.id)));
            if self.takes(&event) {
                text.push_str(&self.shown(number, &event)?);
            }
            if text.len() >= BLOCK {
                if !print_more(&text)? {
                    return Ok(false);
                }
                text.clear();
            }
        }
        print_more(&text)
    }

    /// Shows the events that come, until SIGINT or SIGTERM, or until the reader closes the pipe.
    async fn follow(&mut self) -> anyhow::Result<()> {
        let mut stopped = pin!(stopped()?);
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                _ = looks.tick() => {}
            }
            if self.is_another()? {
                (self.next, self.last) = (0, None);
            }
            if !self.show()? {
                return Ok(());
            }
        }
    }

    /// The line of an event, before the first one with the heads of the columns.
    fn shown(&mut self, number: u64, event: &Event) -> anyhow::Result<String> {
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        match self.output {
            Output::Json => {
                let line = serde_json::to_string(&Numbered { number, event })?;
                Ok(format!("{}\n", printable_json(&line)))
            }
            Output::Table if is_first => Ok(format!("{}{}", heads(), line(number, event))),
            Output::Table => Ok(line(number, event)),
        }
    }
}

/// An event with its number in the spool.
#[derive(Serialize)]
struct Numbered<'e> {
    number: u64,
    #[serde(flatten)]
    event: &'e Event,
}

fn heads() -> String {
    columns("NUMBER", ["TIME", "EVENT", "PHASE", "OBJECT", "TARGET", "VERSION"], "MESSAGE")
}

fn line(number: u64, event: &Event) -> String {
    let cell = |text: &str, most: usize| match one_line(text.as_bytes(), most) {
        line if line.is_empty() => "-".to_owned(),
        line => line,
    };
    let object = event.object.as_ref().map(ToString::to_string).unwrap_or_default();
    let version = event.image.as_ref().map(|image| image.version.as_str()).unwrap_or_default();
    let message = event.message.as_deref().or(event.reason.as_deref()).unwrap_or_default();
    let (time, target) = (format!("{:.0}", event.time), event.target.as_deref().unwrap_or_default());
    let cells = [&time, event.event.as_str(), event.phase.as_str(), &object, target, version];
    let cells = cells.map(|text| cell(text, LONGEST_CELL));
    columns(&number.to_string(), cells.each_ref().map(String::as_str), &cell(message, LONGEST_MESSAGE))
}

/// Columns of fixed widths: what comes is not known when the first line is written.
fn columns(number: &str, cells: [&str; 6], message: &str) -> String {
    let [time, event, phase, object, target, version] = cells;
    format!("{number:<8} {time:<20}  {event:<20}  {phase:<5}  {object:<44}  {target:<10}  {version:<10}  {message}\n")
}
