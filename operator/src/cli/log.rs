//! What happens is reported on standard error; standard output is the command's own.
//!
//! Fields hold words of servers, clouds and publishers. Here, where all of them become text, what is not printable is
//! escaped, so that none of them forges a line or drives a terminal.

use std::fmt;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{self, Writer};

use crate::text::{printable, printable_json};

/// How what happens is reported.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// One line each, for people.
    Text,
    /// One JSON object each, for programs.
    Json,
}

/// Tells from now on what the filter lets through.
pub(super) fn start(format: LogFormat, filter: EnvFilter) {
    let told = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A reader that went away (`2>&1 | head`) is no fault; to say so on standard error would be one.
    let told = told.log_internal_errors(false);
    match format {
        LogFormat::Text => told
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .fmt_fields(format::debug_fn(write_field).delimited(" "))
            .init(),
        LogFormat::Json => told.with_writer(|| JsonLines).json().init(),
    }
}

/// A field on its line. The names are the program's, the values anybody's.
fn write_field(line: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = printable(&value);
    match field.name() {
        "message" => write!(line, "{value}"),
        name if line.has_ansi_escapes() => write!(line, "\u{1b}[3m{name}\u{1b}[0;2m=\u{1b}[0m{value}"),
        name => write!(line, "{name}={value}"),
    }
}

/// Standard error, for lines of JSON.
struct JsonLines;

impl io::Write for JsonLines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Whole lines come, so no character is cut.
        io::stderr().lock().write_all(printable_json(&String::from_utf8_lossy(lines)).as_bytes())?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
