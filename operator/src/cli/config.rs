//! `config`: the configuration file of `run` and `reconcile`.

pub(super) mod machine;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use url::Url;

use super::table::render;
use super::{NOT_GOOD, print};
use crate::events::config::{Config, ConfigProblem, LARGEST, parse_bytes};
use crate::events::{EventFilter, EventType, Handlers, SinkKind, SinkSettings};
use crate::size::Size;

/// The commands of `config`.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Check a configuration file, and show its sinks. Files and handlers that it names are looked for on this machine
    Check(Check),
}

/// Arguments of `config check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command. What is not as it should be on this machine is a warning, because the file may be for another one.
pub(super) fn run(Args::Check(args): &Args) -> anyhow::Result<ExitCode> {
    let config = match read(&args.file)? {
        Ok(config) => config,
        Err(problems) => {
            let lines: Vec<String> =
                problems.iter().map(|problem| format!("{}\n", problem.in_file(&args.file))).collect();
            print(&lines.concat())?;
            return Ok(ExitCode::from(NOT_GOOD));
        }
    };
    print(&shown(&config))?;
    for sink in &config.events.sinks {
        for warning in machine::warnings(sink) {
            tracing::warn!("sink {}: {warning}", sink.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration file. Fails if the file cannot be read; returns its problems if it is wrong.
pub(super) fn read(file: &Path) -> anyhow::Result<Result<Config, Vec<ConfigProblem>>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|opened| opened.take(LARGEST as u64 + 1).read_to_end(&mut bytes));
    opened.with_context(|| format!("cannot read the configuration file {}", file.display()))?;
    Ok(parse_bytes(&bytes))
}

/// Reads a configuration file. `None` if it is wrong; its problems are logged then.
pub(super) fn read_valid(file: &Path) -> anyhow::Result<Option<Config>> {
    match read(file)? {
        Ok(config) => Ok(Some(config)),
        Err(problems) => {
            for problem in problems {
                tracing::error!("{}", problem.in_file(file));
            }
            Ok(None)
        }
    }
}

/// The configuration as a table, without secrets.
fn shown(config: &Config) -> String {
    let sinks = &config.events.sinks;
    let limit = format!("The spool takes at most {}.\n", Size(config.events.spool_limit));
    if sinks.is_empty() {
        return format!("{limit}There are no sinks.\n");
    }
    let rows = sinks.iter().map(|SinkSettings { name, filter, kind }| {
        let (kind, place) = receiver(kind);
        let (events, phases) = (events(filter), phases(filter));
        vec![name.to_string(), kind.to_owned(), place, events, phases]
    });
    let head = ["sink", "kind", "where to", "events", "phases"];
    format!("{}{limit}", render(head.into_iter(), rows.collect()))
}

/// The kind of a sink, and where its events go. Arguments and queries are left out: they can have secrets.
pub(super) fn receiver(kind: &SinkKind) -> (&'static str, String) {
    match kind {
        SinkKind::Exec(exec) => match &exec.handlers {
            Handlers::Directory(directory) => ("exec", format!("{}/", directory.display())),
            Handlers::Command(command) => ("exec", command.first().cloned().unwrap_or_default()),
        },
        SinkKind::Amqp(amqp) => ("amqp", format!("{} exchange {}", without_secrets(&amqp.url), amqp.exchange)),
        SinkKind::Webhook(webhook) => ("webhook", without_secrets(&webhook.url)),
        SinkKind::File(file) => ("file", file.path.display().to_string()),
    }
}

fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.into()
}

fn events(filter: &EventFilter) -> String {
    if filter.types.len() == EventType::ALL.len() {
        return "all".to_owned();
    }
    filter.types.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(",")
}

fn phases(filter: &EventFilter) -> String {
    filter.phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(",")
}
