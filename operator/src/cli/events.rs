//! `events`: the events in the spool of a volume, and the sinks that get them.

mod replay;
mod sample;
mod sinks;
mod tail;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

/// The commands of `events`.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Show the events in the spool of a volume, the newest last. It only reads, also while an operator uses the volume
    Tail(tail::Args),
    /// Send the events that are still in the spool to a sink again. The next run of the operator sends them. No operator
    /// may use the volume meanwhile. Run it as the user of the operator, who has to own what it writes
    Replay(replay::Args),
    /// Send a test event to a sink, and show what happens. The event is about an image that does not exist; the spool is
    /// not used. Exit code 1 if the sink did not take it
    Test(test::Args),
}

/// Runs one of the commands.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::Tail(args) => tail::run(args),
        Args::Replay(args) => replay::run(args),
        Args::Test(args) => test::run(args),
    }
}
