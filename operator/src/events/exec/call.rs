//! One call of a handler for an event: what it is given, what it returned, and what is logged.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::output::Output;
use super::process::{End, Program};
use crate::events::environment::{CacheDirectories, arguments, environment};
use crate::events::event::Event;
use crate::events::settings::ExecSettings;
use crate::events::sink::SinkError;
use crate::text::printable;

/// The `PATH` of handlers if this program has none.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handler {
    /// The path of the program, or a name without `/` that is searched in `PATH`.
    pub program: OsString,
    /// The arguments that come before those of the event.
    pub arguments: Vec<String>,
}

impl Handler {
    /// The program as people know it, printable.
    pub(super) fn name(&self) -> String {
        printable(&self.program.to_string_lossy()).into_owned()
    }
}

/// What a handler returned.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ended with 0.
    Passed,
    /// It ended with another status, or by a signal: one line.
    Refused(String),
    /// It did not end in time, or could not be started: one line, and the error.
    NotHandled(String, SinkError),
}

/// What all handlers of an event get.
pub(super) struct Call {
    arguments: Vec<String>,
    environment: BTreeMap<OsString, OsString>,
    timeout: Duration,
}

impl Call {
    pub(super) fn new(event: &Event, directories: &CacheDirectories, settings: &ExecSettings) -> Self {
        let mut variables = inherited();
        variables.extend(settings.environment.iter().map(|(name, value)| (name.into(), value.into())));
        variables.extend(environment(event, directories).into_iter().map(|(name, value)| (name.into(), value)));
        Self { arguments: arguments(event), environment: variables, timeout: settings.timeout }
    }

    /// Runs a handler.
    pub(super) async fn run(&self, handler: &Handler) -> Outcome {
        let program = Program {
            path: handler.program.clone(),
            arguments: [handler.arguments.as_slice(), &self.arguments].concat(),
            environment: self.environment.clone(),
            timeout: self.timeout,
        };
        let began = Instant::now();
        let (end, output) = program.run().await;
        let outcome = self.outcome(handler, &end, &output);
        log(handler, &self.arguments, &outcome, &output, began.elapsed());
        outcome
    }

    fn outcome(&self, handler: &Handler, end: &End, output: &Output) -> Outcome {
        let with_output = |found: String| match output.last_line() {
            Some(line) => format!("{found}; its last line: {line}"),
            None => found,
        };
        match end {
            End::Exited(status) => match (status.code(), status.signal()) {
                (Some(0), _) => Outcome::Passed,
                (Some(code), _) => {
                    Outcome::Refused(output.last_line().unwrap_or_else(|| format!("it ended with status {code}")))
                }
                (None, signal) => {
                    let signal = signal.map_or_else(|| "a signal".to_owned(), |number| format!("signal {number}"));
                    Outcome::Refused(with_output(format!("it was killed by {signal}")))
                }
            },
            End::TimedOut => {
                let line = with_output(format!("no end within {} s", self.timeout.as_secs_f64()));
                Outcome::NotHandled(line, SinkError::TimedOut { address: handler.name(), after: self.timeout })
            }
            End::NotStarted(error) => {
                let found = not_started(handler, error);
                let path = PathBuf::from(&handler.program);
                Outcome::NotHandled(
                    format!("it cannot be started: {found}"),
                    SinkError::File { step: "start", path, found },
                )
            }
        }
    }
}

/// Of the environment of this program: where programs and the home are, and the time zone.
fn inherited() -> BTreeMap<OsString, OsString> {
    let own = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut variables = BTreeMap::from([
        ("PATH".into(), own("PATH").unwrap_or_else(|| USUAL_PATH.into())),
        ("HOME".into(), own("HOME").unwrap_or_else(|| "/".into())),
        ("LANG".into(), "C.UTF-8".into()),
    ]);
    variables.extend(own("TZ").map(|zone| ("TZ".into(), zone)));
    variables
}

fn not_started(handler: &Handler, error: &io::Error) -> String {
    // For a script this error is also about the program in its first line (execve(2)).
    let is_there = std::path::Path::new(&handler.program).exists();
    match error.kind() {
        io::ErrorKind::NotFound if is_there => format!("its interpreter or loader is missing: {error}"),
        _ => error.to_string(),
    }
}

fn log(handler: &Handler, arguments: &[String], outcome: &Outcome, output: &Output, took: Duration) {
    let (name, event) = (handler.name(), arguments.join(" "));
    let (event, took) = (printable(&event), took.as_secs_f64());
    let (lines, are_more) = output.lines();
    let start = if are_more { "; the output starts before the next lines" } else { "" };
    let written = output.written();
    match outcome {
        Outcome::Passed => {
            tracing::debug!("handler {name}: {event}: ended with 0 in {took:.3} s, {written} bytes of output{start}");
            for line in lines {
                tracing::debug!("handler {name}: {line}");
            }
        }
        Outcome::Refused(found) | Outcome::NotHandled(found, _) => {
            tracing::warn!("handler {name}: {event}: {found} ({took:.3} s, {written} bytes of output{start})");
            for line in lines {
                tracing::warn!("handler {name}: {line}");
            }
        }
    }
}
