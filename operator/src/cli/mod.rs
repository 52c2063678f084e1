//! The commands, one file each.
//!
//! Exit codes, the same for all commands: 0: the work is done and everything is good; 1: the work is done, and
//! something is not good (a list was refused, an image is not ready, a blob is damaged); 2: the command line is wrong;
//! 3: the work could not be done.

mod algorithms;
mod available;
mod bars;
mod cache;
mod completions;
mod config;
mod crds;
mod doctor;
mod dry_run;
mod endorser;
mod events;
mod get;
mod image;
mod import;
mod kept;
mod kind;
mod list_input;
mod list_lint;
mod list_show;
mod list_sign;
mod list_source;
mod list_subscription;
mod list_verify;
mod log;
mod man;
mod manifest;
mod operation;
mod pin;
mod progress;
mod reconcile;
mod refresh;
mod run;
mod service;
mod standing;
mod survey;
mod table;
#[cfg_attr(not(feature = "opentelemetry"), path = "no_traces.rs")]
mod traces;
mod versions;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{ArgAction, Parser, Subcommand};
use jiff::{Timestamp, Unit};
use tracing_subscriber::EnvFilter;

use self::log::LogFormat;
use self::traces::Traces;
use crate::store::directory::EVENTS;
use crate::text;

/// The work is done, and something is not good.
const NOT_GOOD: u8 = 1;
/// The command line is wrong in a way that clap does not detect.
const WRONG_USE: u8 = 2;
/// The work could not be done.
const NOT_DONE: u8 = 3;

/// The current time, rounded to the second, for output.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

/// Keeps a site's VM images equal to what trusted endorsers publish.
///
/// Exit codes: 0: done, and everything is good; 1: done, and something is not good; 2: the command line is wrong; 3: it
/// could not be done.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more (twice: everything)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log only changes and failures (twice: only errors)
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
    /// Format of the log on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the volume equal to a folder of manifests: once, or for as long as it runs
    Reconcile(reconcile::Args),
    /// Keep the volume equal to the resources of a Kubernetes cluster
    Run(run::Args),
    /// Show resources and their conditions, as kubectl would
    Get(get::Args),
    /// Show the downloads, conversions and imports that run in an operator, over its port --listen
    Progress(progress::Args),
    /// Reconcile objects now: ask their servers, and try again what was given up after failures
    Refresh(refresh::Args),
    /// Keep an image at a version: print the manifest that pins it, or write it
    Pin(pin::Pin),
    /// Let a pinned image follow its list again
    Unpin(pin::Unpin),
    /// Look at the versions of an image, and get one of them as a file
    #[command(subcommand)]
    Image(image::Args),
    /// Make Endorser manifests: whose signatures are trusted
    #[command(subcommand)]
    Endorser(endorser::Args),
    /// Move in: print what vmcatcher, cloudkeeper or atrope have as manifests, and take over vmcatcher's images
    #[command(subcommand)]
    Import(import::Args),
    /// Look at signed image lists
    #[command(subcommand)]
    List(List),
    /// Look at the images on a volume
    #[command(subcommand)]
    Cache(cache::Args),
    /// Find out what is wrong with a site, and which command mends it. Nothing is changed. Exit code 1 if something is wrong
    Doctor(doctor::Args),
    /// Look at events, send them again, try a sink
    #[command(subcommand)]
    Events(events::Args),
    /// Look at the configuration file
    #[command(subcommand)]
    Config(config::Args),
    /// Print the custom resource definitions
    Crds(crds::Args),
    /// Write the manual pages
    Man(man::Args),
    /// Print the script that completes commands and options in a shell
    Completions(completions::Args),
}

#[derive(Debug, Subcommand)]
enum List {
    /// Show a list, as it was signed or in other formats
    Show(list_show::Args),
    /// Check a list for what sites refuse or have trouble with
    Lint(list_lint::Args),
    /// Verify a signed list and explain every check
    Verify(list_verify::Args),
    /// Sign a list
    Sign(list_sign::Args),
}

/// Runs a command.
pub fn run(cli: &Cli) -> ExitCode {
    let traces = tell(cli);
    let ended = match &cli.command {
        Command::Reconcile(args) => reconcile::run(args, cli.quiet > 0),
        Command::Run(args) => run::run(args),
        Command::Get(args) => get::run(args),
        Command::Progress(args) => progress::run(args),
        Command::Refresh(args) => refresh::run(args),
        Command::Pin(args) => pin::pin(args),
        Command::Unpin(args) => pin::unpin(args),
        Command::Image(args) => image::run(args),
        Command::Endorser(args) => endorser::run(args),
        Command::Import(args) => import::run(args),
        Command::List(List::Show(args)) => list_show::run(args),
        Command::List(List::Lint(args)) => list_lint::run(args),
        Command::List(List::Verify(args)) => list_verify::run(args),
        Command::List(List::Sign(args)) => list_sign::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Doctor(args) => doctor::run(args, cli.quiet > 0),
        Command::Events(args) => events::run(args),
        Command::Config(args) => config::run(args),
        Command::Crds(args) => crds::run(args),
        Command::Man(args) => man::run(args),
        Command::Completions(args) => completions::run(args),
    };
    let code = ended.unwrap_or_else(|error| {
        tracing::error!("{}", with_causes(&error));
        ExitCode::from(NOT_DONE)
    });
    traces.end();
    code
}

/// Starts the log, at the level that `--verbose` and `--quiet` ask for, and the traces.
fn tell(cli: &Cli) -> Traces {
    let level = match (cli.verbose, cli.quiet) {
        (0, 0) => "info",
        (1, _) => "debug",
        (2.., _) => "trace",
        (0, 1) => "warn",
        (0, 2..) => "error",
    };
    // Libraries log requests, addresses and headers. They are shown only with `-vv`.
    let others = if cli.verbose >= 2 { "debug" } else { "warn" };
    // Events of objects are changes, and `--quiet` still shows changes.
    let events = if level == "warn" { "info" } else { level };
    // The AMQP library returns each error too, and logs whole messages.
    let filter = format!("{others},lapin=off,vmcatcher_operator={level},{EVENTS}={events}");
    let (traces, failure) = Traces::start();
    log::start(cli.log_format, EnvFilter::new(filter), traces.layer());
    if let Some(error) = failure {
        tracing::warn!(error, "there are no traces");
    }
    traces
}

/// The text of an error and its causes. A cause whose text is already included is left out, because many errors repeat
/// their cause.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes the output of a command. Control and format characters are escaped. A reader that closed the pipe (`| head`)
/// is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    write(text::printable_lines(text).as_bytes())
}

/// Writes a value as JSON.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&text::json(value)?)
}

/// Writes bytes unchanged. Fails if the output is a terminal and the bytes have control or format characters.
fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let acted_on = |c: char| !c.is_ascii_whitespace() && !text::is_printable(c);
    if std::io::stdout().is_terminal() && String::from_utf8_lossy(bytes).contains(acted_on) {
        bail!("expected text that a terminal only shows, found control or format characters: write it to a file");
    }
    write(bytes)
}

/// As [`print()`], for a command that goes on. Returns false if the reader closed the pipe: then it should end.
fn print_more(text: &str) -> anyhow::Result<bool> {
    written(text::printable_lines(text).as_bytes())
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    written(bytes).map(drop)
}

/// Writes bytes to standard output. Returns whether a reader is there: false after it has closed the pipe.
fn written(bytes: &[u8]) -> anyhow::Result<bool> {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}
