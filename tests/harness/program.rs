//! Programs that a test makes and runs.
//!
//! Another process writes them. A file that a process has open for writing cannot be executed (`ETXTBSY`, execve(2)), and a
//! child that another thread forks at that moment has it open too, until it executes its own program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes an executable file of this content.
pub fn write(path: &Path, content: &str) {
    let mut child = install("/dev/stdin".as_ref(), path).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{}", path.display());
}

/// Makes a script of the shell.
pub fn script(path: &Path, commands: &str) {
    write(path, &format!("#!/bin/sh\n{commands}\n"));
}

/// Copies a program.
pub fn copy(program: &Path, path: &Path) {
    assert!(install(program, path).status().unwrap().success(), "{}", path.display());
}

fn install(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("install");
    command.args(["-m", "755"]).arg(from).arg(to);
    command
}
