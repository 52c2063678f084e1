//! `events replay`: a sink gets again what is still in the spool.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;

use super::super::{NOT_GOOD, WRONG_USE, config, print};
use super::sinks;
use crate::cache::Volume;
use crate::duration::parse_duration;
use crate::events::{EventFilter, EventSettings, SinkName, SinkSettings, Spool, SpoolError, SpoolView, Waiting};
use crate::size::Count;

/// Arguments of `events replay`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The volume that has the spool
    #[arg(long, value_name = "DIR", env = "VMCATCHER_VOLUME")]
    volume: PathBuf,
    /// The configuration file of the operator
    #[arg(long, value_name = "FILE", env = "VMCATCHER_CONFIG")]
    config: PathBuf,
    /// The sink that gets the events again
    #[arg(long, value_name = "NAME")]
    sink: String,
    #[command(flatten)]
    start: Start,
}

/// Which events are sent again.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Start {
    /// All events that are still in the spool
    #[arg(long)]
    all: bool,
    /// The events from this time on, such as 2026-11-22T02:30:00Z, or from this long ago, such as 6h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// The events from this number on; `events tail` shows the numbers
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
}

/// Sets the position of the sink back.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(config) = config::read_valid(&args.config)? else { return Ok(ExitCode::from(WRONG_USE)) };
    let Some(sink) = sinks::named(&config, &args.config, &args.sink) else { return Ok(ExitCode::from(WRONG_USE)) };
    // Read first: `Volume::open` would create a volume that does not exist.
    Volume::read_only(&args.volume)?;
    let owned = Volume::open(&args.volume).context("events are sent again only if no operator uses the volume")?;
    let directory = Spool::directory(owned.root());
    let view = Spool::read_only(&directory);
    if let Some(unknown) = not_configured(&view, &config.events)? {
        tracing::error!(
            "expected a configuration with all sinks of the spool, found one without {unknown}: what waits for these \
             sinks would be removed; name the file of this volume's operator, or run the operator with this one first"
        );
        return Ok(ExitCode::from(WRONG_USE));
    }
    let Some(first) = view.records(0)?.next().transpose()? else {
        tracing::error!("no event is in the spool: there is nothing to send again");
        return Ok(ExitCode::from(NOT_GOOD));
    };
    let (number, since) = (first.0, first.1.time);
    if number > 1 && args.start.is_before(number, since) {
        tracing::warn!(
            "events before number {number} ({since:.0}) are not in the spool any more, and are not sent again"
        );
    }
    let from = args.start.number(&view)?;
    let moved = move_back(&directory, &config.events, sink, from)?;
    print(&format!("{}\n", moved.shown(&sink.name)))?;
    Ok(if moved.after.events > 0 { ExitCode::SUCCESS } else { ExitCode::from(NOT_GOOD) })
}

impl Start {
    /// Whether events are wanted that occurred before the first one of the spool.
    fn is_before(&self, number: u64, time: Timestamp) -> bool {
        self.all || self.from.is_some_and(|from| from < number) || self.since.is_some_and(|since| since < time)
    }

    /// The number of the first wanted event.
    fn number(&self, view: &SpoolView) -> Result<u64, SpoolError> {
        let Some(since) = self.since else { return Ok(self.from.unwrap_or(0)) };
        for found in view.records(0)? {
            let (number, event) = found?;
            if event.time >= since {
                return Ok(number);
            }
        }
        Ok(u64::MAX)
    }
}

/// The sinks that have a position in the spool and are not in the settings, with commas between them.
fn not_configured(view: &SpoolView, settings: &EventSettings) -> Result<Option<String>, SpoolError> {
    let is_configured = |name: &SinkName| settings.sinks.iter().any(|sink| sink.name == *name);
    let positions = view.positions()?;
    let unknown: Vec<&str> = positions.keys().filter(|name| !is_configured(name)).map(SinkName::as_str).collect();
    Ok((!unknown.is_empty()).then(|| unknown.join(", ")))
}

/// What waited for a sink before its position was set back, and what waits for it now.
struct Moved {
    before: Waiting,
    after: Waiting,
}

fn move_back(
    directory: &std::path::Path,
    settings: &EventSettings,
    sink: &SinkSettings,
    from: u64,
) -> anyhow::Result<Moved> {
    let sinks: Vec<(SinkName, EventFilter)> =
        settings.sinks.iter().map(|sink| (sink.name.clone(), sink.filter.clone())).collect();
    let spool = Spool::open(directory, settings.spool_limit, &sinks).context("cannot open the spool of events")?;
    let waiting = || Ok::<_, SpoolError>(spool.status()?.sinks.get(&sink.name).copied().unwrap_or_default());
    let before = waiting()?;
    if from < before.position {
        spool.set_position(&sink.name, from)?;
    }
    Ok(Moved { before, after: waiting()? })
}

impl Moved {
    fn shown(&self, sink: &SinkName) -> String {
        let count = |events: u64| Count(usize::try_from(events).unwrap_or(usize::MAX), "event");
        let again = self.after.events.saturating_sub(self.before.events);
        let oldest = self.after.oldest.map(|time| format!(", the first one of {time:.0}")).unwrap_or_default();
        let waited = match self.before.events {
            0 => String::new(),
            waited => format!("; {} waited for it already", count(waited)),
        };
        if again == 0 {
            return format!("no event is sent to {sink} again: there is none that it had from there on{waited}");
        }
        let (again, from) = (count(again), self.after.position);
        format!("the next run sends {again} to {sink} again, from number {from} on{oldest}{waited}")
    }
}

/// Parser for a time, or for a duration before now.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = parse_duration(text).ok().and_then(|ago| Timestamp::now().checked_sub(ago).ok());
    ago.ok_or_else(|| "expected a time such as 2026-11-22T02:30:00Z, or a duration such as 6h or 1h30m".to_owned())
}
