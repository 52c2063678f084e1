//! The log goes to standard error; standard output is for the output of the command. Spans go to the traces, if there are
//! any, and not to the log.
//!
//! Fields hold text from servers, clouds and publishers. All fields become text here, so characters that are not
//! printable are escaped here. Without that a field could forge a log line or control a terminal.
//!
//! The journal of systemd has the time of each line already, so lines of text for it have none.

use std::fmt;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use rustix::fs::fstat;
use tracing::Metadata;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, registry};

use super::traces::SpanLayer;
use crate::text::{printable, printable_json};

/// Format of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// One line of text for each event.
    Text,
    /// One JSON object for each event.
    Json,
}

/// Starts the log, with the events that the filter allows, and the traces, if there are any.
pub(super) fn start(format: LogFormat, filter: EnvFilter, traces: Option<SpanLayer>) {
    // A line of the log does not depend on whether there are traces.
    let filter = filter.and(filter_fn(is_event));
    let told = tracing_subscriber::fmt::layer().with_target(false);
    // A reader that closed the pipe (`2>&1 | head`) is not an error, and a message about it cannot be written anyway.
    let told = told.log_internal_errors(false);
    let all = registry().with(traces);
    match format {
        LogFormat::Text => {
            let told = told.with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
            let told = told.fmt_fields(format::debug_fn(write_field).delimited(" "));
            if is_journal() {
                all.with(told.without_time().with_filter(filter)).init();
            } else {
                all.with(told.with_filter(filter)).init();
            }
        }
        LogFormat::Json => {
            let told = told.json().with_current_span(false).with_span_list(false);
            all.with(told.with_writer(|| JsonLines).with_filter(filter)).init();
        }
    }
}

fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

/// Whether standard error is connected to the journal: `$JOURNAL_STREAM` has the numbers of its device and its inode,
/// systemd.exec(5). A variable that was inherited, while standard error is something else, does not count.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|about| stream == format!("{}:{}", about.st_dev, about.st_ino))
}

/// Writes one field. Its name comes from the program, its value can come from outside.
fn write_field(line: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = printable(&value);
    match field.name() {
        "message" => write!(line, "{value}"),
        name if line.has_ansi_escapes() => write!(line, "\u{1b}[3m{name}\u{1b}[0;2m=\u{1b}[0m{value}"),
        name => write!(line, "{name}={value}"),
    }
}

/// Standard error, for JSON lines.
struct JsonLines;

impl io::Write for JsonLines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Each call has whole lines, so no character is cut in two.
        io::stderr().lock().write_all(printable_json(&String::from_utf8_lossy(lines)).as_bytes())?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
