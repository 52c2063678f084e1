//! A script that runs servers: it says that they are ready, takes orders, and ends with its input, so that nothing is left
//! however a test ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// A running script.
pub(crate) struct Served {
    line: Mutex<Line>,
    _process: Child,
}

/// The way to the script.
struct Line {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Served {
    /// Starts a script, and returns its first line, which it writes when its servers are ready.
    pub(crate) fn start(command: &mut Command) -> (Self, String) {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the script starts");
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        (Self { line: Mutex::new(Line { input, output }), _process: process }, first)
    }

    /// Gives an order, and waits until it is carried out.
    pub(crate) fn order(&self, order: &str) {
        let mut line = self.line.lock().unwrap();
        writeln!(line.input, "{order}").unwrap();
        let mut answer = String::new();
        line.output.read_line(&mut answer).unwrap();
        assert_eq!(answer, "ok\n", "{order}");
    }
}
