//! Arguments, tracing, hand over to a command.

use std::process::ExitCode;

use clap::Parser;
use vmcatcher_operator::cli::{Cli, run};

fn main() -> ExitCode {
    run(&Cli::parse())
}
