//! `completions`: completes the commands and options in a shell.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, print_bytes};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Prints the script that the shell reads.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut program = Cli::command();
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut program, &name, &mut script);
    print_bytes(mended(&name, &String::from_utf8_lossy(&script)).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// In the script for bash, clap_complete 4.6 writes the hyphen of the program's name in two ways, so that no command below
/// the program is found. The scripts for other shells have neither.
fn mended(name: &str, script: &str) -> String {
    let [wrong, right] = ["__subcmd__", "__"].map(|hyphen| name.replace('-', hyphen));
    script.replace(&format!("{wrong}__subcmd__"), &format!("{right}__subcmd__"))
}
