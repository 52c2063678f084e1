//! The `exec` sink: runs handlers, one command or all programs of a directory.
//!
//! A handler is a program. It is started without a shell, in the directory `/`, with an empty standard input, in a
//! process group of its own, with the arguments and the environment of [`environment`](super::environment()) and nothing
//! else of this program but `PATH`, `HOME` and `TZ`. Its group gets SIGTERM when its time is over, and SIGKILL 5 s
//! later; what it leaves in its group when it ends gets SIGKILL too. A process that left the group (setsid(2)) is not
//! ended. Of its output the last 64 KiB are kept, and logged.

mod call;
mod directory;
mod output;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use self::call::{Call, Handler, Outcome};
use super::environment::CacheDirectories;
use super::event::Event;
use super::settings::{ExecSettings, Handlers};
use super::sink::{Delivery, Sink, SinkError};
use crate::text::{one_line, printable};

/// How often an event is tried if a handler does not end in time or cannot be started.
const MOST_ATTEMPTS: u32 = 5;
/// The most characters of what the handlers of an event returned.
const MOST_CHARACTERS: usize = 2000;

/// Runs handlers for events.
#[derive(Debug)]
pub struct ExecSink {
    settings: ExecSettings,
    directories: CacheDirectories,
    /// The names of the directory that were skipped, so that each is logged once.
    skipped: Mutex<BTreeMap<OsString, &'static str>>,
    unfinished: Attempts,
}

/// What the handlers of a `before` event returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All of them ended with 0, or there are none.
    Passed,
    /// One of them did not.
    Vetoed {
        /// The program, or the directory if it cannot be read; printable.
        handler: String,
        /// The last line that it wrote, or how it ended: one printable line.
        line: String,
    },
}

/// The attempts of an event that is delivered.
#[derive(Debug, Default)]
struct Attempts {
    event: Uuid,
    count: u32,
    /// The programs that need no further attempt.
    ended: BTreeSet<OsString>,
    /// What those said that refused.
    refusals: Vec<String>,
}

impl ExecSink {
    /// A sink with these settings. `directories` are given to the handlers.
    pub fn new(settings: ExecSettings, directories: CacheDirectories) -> Self {
        Self { settings, directories, skipped: Mutex::default(), unfinished: Attempts::default() }
    }

    /// Runs the handlers of a `before` event in their order until one vetoes: it ends with another status than 0, by a
    /// signal, not in time, or it cannot be started. A directory that cannot be read is a veto.
    pub async fn ask(&self, event: &Event) -> Verdict {
        self.run_all(event, true).await
    }

    /// Runs all handlers of a `before` event whose step cannot be vetoed, and returns the first veto.
    pub async fn announce(&self, event: &Event) -> Verdict {
        self.run_all(event, false).await
    }

    async fn run_all(&self, event: &Event, until_a_veto: bool) -> Verdict {
        let handlers = match self.handlers().await {
            Ok(handlers) => handlers,
            Err((directory, found)) => {
                let handler = printable(&directory.to_string_lossy()).into_owned();
                tracing::warn!("handlers {handler}: the directory cannot be read: {found}");
                return Verdict::Vetoed { handler, line: format!("the directory cannot be read: {found}") };
            }
        };
        let call = Call::new(event, &self.directories, &self.settings);
        let mut verdict = Verdict::Passed;
        for handler in handlers {
            match call.run(&handler).await {
                Outcome::Refused(line) | Outcome::NotHandled(line, _) if verdict == Verdict::Passed => {
                    verdict = Verdict::Vetoed { handler: handler.name(), line };
                }
                Outcome::Passed | Outcome::Refused(_) | Outcome::NotHandled(..) => {}
            }
            if until_a_veto && verdict != Verdict::Passed {
                break;
            }
        }
        verdict
    }

    /// The handlers in their order; or the directory, and why it cannot be read.
    async fn handlers(&self) -> Result<Vec<Handler>, (&Path, io::Error)> {
        let directory = match &self.settings.handlers {
            Handlers::Command(words) => {
                let (program, arguments) = words.split_first().map_or(("", [].as_slice()), |(p, a)| (p.as_str(), a));
                return Ok(vec![Handler { program: program.into(), arguments: arguments.to_vec() }]);
            }
            Handlers::Directory(directory) => directory,
        };
        let read = directory.clone();
        let listed = tokio::task::spawn_blocking(move || directory::list(&read)).await;
        let listing =
            listed.map_err(io::Error::other).and_then(|listing| listing).map_err(|e| (directory.as_path(), e))?;
        self.log_skipped(directory, listing.skipped);
        let handler = |path: std::path::PathBuf| Handler { program: path.into_os_string(), arguments: Vec::new() };
        Ok(listing.handlers.into_iter().map(handler).collect())
    }

    fn log_skipped(&self, directory: &Path, skipped: BTreeMap<OsString, &'static str>) {
        let mut known = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, why) in skipped.iter().filter(|(name, why)| known.get(*name) != Some(*why)) {
            let (directory, name) = (directory.to_string_lossy(), name.to_string_lossy());
            tracing::warn!("handlers {}: {} is skipped: {why}", printable(&directory), printable(&name));
        }
        *known = skipped;
    }

    /// Runs the handlers of an event that have not handled it yet. Returns what those said that refused it.
    async fn attempt(&mut self, event: &Event) -> Result<Option<String>, SinkError> {
        let handlers = self.handlers().await.map_err(|(directory, error)| SinkError::File {
            step: "read",
            path: directory.to_owned(),
            found: error.to_string(),
        })?;
        if self.unfinished.event != event.id {
            self.unfinished = Attempts { event: event.id, ..Attempts::default() };
        }
        let call = Call::new(event, &self.directories, &self.settings);
        let attempts = &mut self.unfinished;
        let is_last = attempts.count + 1 >= MOST_ATTEMPTS;
        let mut stopped = None;
        for handler in handlers {
            if attempts.ended.contains(&handler.program) {
                continue;
            }
            match call.run(&handler).await {
                Outcome::Passed => {}
                Outcome::Refused(line) => attempts.refusals.push(format!("{}: {line}", handler.name())),
                Outcome::NotHandled(line, _) if is_last => {
                    attempts.refusals.push(format!("{}: {line}, {MOST_ATTEMPTS} times", handler.name()));
                }
                Outcome::NotHandled(_, error) => {
                    stopped.get_or_insert(error);
                    continue;
                }
            }
            attempts.ended.insert(handler.program);
        }
        attempts.count += 1;
        if let Some(error) = stopped {
            return Err(error);
        }
        let refusals = std::mem::take(attempts).refusals.join("; ");
        Ok((!refusals.is_empty()).then(|| one_line(refusals.as_bytes(), MOST_CHARACTERS)))
    }
}

impl Sink for ExecSink {
    /// An event is refused if a handler ends with another status than 0 or by a signal; it is not tried again. If a
    /// handler does not end in time or cannot be started, the event is tried again, at most five times in all, with the
    /// handlers that have not ended yet; then it is refused. How often is not known after a restart of this program.
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        let mut delivery = Delivery::default();
        for event in events {
            match self.attempt(event).await {
                Ok(refusal) => delivery.refused.extend(refusal.map(|line| (event.id, line))),
                Err(error) => {
                    delivery.stopped = Some(error);
                    break;
                }
            }
            delivery.handled += 1;
        }
        delivery
    }
}
