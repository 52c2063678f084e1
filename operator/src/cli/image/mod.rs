//! `image`: the versions of an image, and the bytes of one of them. The volume is only read, so both commands work while
//! an operator owns it.

mod candidates;
mod download;
mod get;
mod lookup;
mod output;
mod versions;
mod wanted;

use std::process::ExitCode;

use clap::Subcommand;

/// The commands of `image`.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// List the versions of an image that are known: on the volume, in the list in force, in older accepted lists
    Versions(versions::Args),
    /// Get the bytes of a version: from the volume, or else from the addresses that accepted lists have for it
    Get(get::Args),
}

/// Runs one of the commands.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args {
        Args::Versions(args) => runtime.block_on(versions::run(args)),
        Args::Get(args) => runtime.block_on(get::run(args)),
    }
}
