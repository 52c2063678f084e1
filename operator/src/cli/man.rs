//! `man`: a manual page for each command, made of the same text as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::Cli;
use crate::fs::{remove_leftovers_in, write_atomic};

/// The section of the pages: user commands, man-pages(7).
const SECTION: &str = "1";

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder for the pages. It has to be there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Writes the pages: `vmcatcher-operator.1`, `vmcatcher-operator-list-verify.1` and so on.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    remove_leftovers_in(&args.output)?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    for page in pages(&program, &program)? {
        let path = args.output.join(&page.file);
        write_atomic(&path, &page.text, 0o644).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A manual page.
struct Page {
    file: String,
    text: Vec<u8>,
}

/// The pages of a command and of all commands below it.
fn pages(program: &Command, command: &Command) -> anyhow::Result<Vec<Page>> {
    let source = format!("{} {}", program.get_name(), program.get_version().unwrap_or_default());
    // The date is not empty, because an empty one is left out and the fields after it would take its place.
    let page = Man::new(command.clone()).section(SECTION).date(" ").source(source).manual(program.get_name());
    let mut text = Vec::new();
    page.render(&mut text).context("cannot make a manual page")?;
    let mut made = vec![Page { file: page.get_filename(), text }];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        made.extend(pages(program, below)?);
    }
    Ok(made)
}
