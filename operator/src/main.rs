//! Parses the arguments and runs the command.

use std::process::ExitCode;

use clap::Parser;
use vmcatcher_operator::cli::{Cli, run};

fn main() -> ExitCode {
    run(&Cli::parse())
}
