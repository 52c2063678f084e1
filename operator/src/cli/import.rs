//! `import`: moving in from vmcatcher, cloudkeeper or atrope. Prints manifests, and a table of what became of each row.

mod configuration;
mod output;
mod vmcatcher;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

/// The commands of `import`.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Read vmcatcher's database, and put the images of its cache on the volume without downloading them
    Vmcatcher(Box<vmcatcher::Args>),
    /// Read the configuration of cloudkeeper, and of cloudkeeper-one
    Cloudkeeper(configuration::Cloudkeeper),
    /// Read atrope's file of sources (hepix.yaml)
    Atrope(configuration::Atrope),
}

/// Where the manifests go.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Write the manifests into this folder, Secrets into a file that only you can read [default: print all but Secrets]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args {
        Args::Vmcatcher(args) => vmcatcher::run(args),
        Args::Cloudkeeper(args) => configuration::cloudkeeper(args),
        Args::Atrope(args) => configuration::atrope(args),
    }
}
