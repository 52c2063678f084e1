//! Handlers: real programs, that do what they should and what they should not.

mod calls;
mod delivery;
mod directory;
mod endings;
mod examples;
mod recorded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::program;
use rustix::process::{Pid, test_kill_process_group};
use serde_json::{Value, json};
use vmcatcher_operator::events::{CacheDirectories, Event, ExecSettings, ExecSink, Handlers, Verdict};

/// Longer than any handler takes that ends by itself.
const LONG: Duration = Duration::from_mins(1);
/// For handlers that never end.
const SHORT: Duration = Duration::from_secs(2);

/// A folder with handlers, and one where they write.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("handlers")).unwrap();
        std::fs::create_dir(folder.path().join("out")).unwrap();
        Self { folder }
    }

    fn handlers(&self) -> PathBuf {
        self.folder.path().join("handlers")
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    /// What a handler wrote, without the last line end; nothing if it wrote nothing.
    fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.out(name)).unwrap_or_default().trim_end_matches('\n').to_owned()
    }

    /// Adds a handler in the language of the shell.
    fn add(&self, name: &str, script: &str) -> PathBuf {
        let path = self.handlers().join(name);
        program::script(&path, script);
        path
    }

    /// Adds a file that is not executable.
    fn add_text(&self, name: &str) -> PathBuf {
        let path = self.handlers().join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        path
    }

    fn settings(&self, handlers: Handlers, timeout: Duration) -> ExecSettings {
        let environment = BTreeMap::from([("OUT".to_owned(), self.out("").display().to_string())]);
        ExecSettings { handlers, timeout, environment }
    }

    /// A sink with the folder.
    fn sink(&self, timeout: Duration) -> ExecSink {
        ExecSink::new(self.settings(Handlers::Directory(self.handlers()), timeout), directories())
    }

    /// A sink with one command.
    fn command(&self, words: &[&str], timeout: Duration) -> ExecSink {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        ExecSink::new(self.settings(Handlers::Command(words), timeout), directories())
    }

    /// The one handler of this name is asked. It writes its process number to `group` first.
    async fn asked(&self, script: &str, timeout: Duration) -> Verdict {
        self.add("handler", &format!("echo $$ > \"$OUT/group\"\n{script}"));
        self.sink(timeout).ask(&before()).await
    }

    /// The group of the last handler.
    fn group(&self) -> i32 {
        self.written("group").parse().unwrap()
    }
}

fn directories() -> CacheDirectories {
    CacheDirectories { cache: "/v/cache".into(), download: "/v/partial".into(), expire: "/v/expired".into() }
}

fn image() -> Value {
    json!({
        "identifier": "0ca205cc-61e9-537e-ac6d-cb5fbfa8534b", "version": "1", "title": "Image", "description": "An image",
        "hypervisor": "KVM", "size": 1, "uri": "https://images.example.org/1", "format": "qcow2", "arch": "x86_64",
        "sha512": "ab".repeat(64), "comments": "", "os": "Linux", "osVersion": "1", "list": "list-1",
        "fileName": "0ca205cc-61e9-537e-ac6d-cb5fbfa8534b",
    })
}

fn event(number: u32, event: &str, phase: &str) -> Event {
    let event = json!({
        "id": format!("00000000-0000-4000-8000-{number:012}"), "session": "98b60e5c-e61c-11f1-9103-02fc00000001",
        "time": "2026-11-22T02:29:52Z", "event": event, "phase": phase,
        "object": {"kind": "CachedImage", "namespace": "site", "name": "image"}, "image": image(),
    });
    serde_json::from_value(event).unwrap()
}

fn before() -> Event {
    event(1, "Available", "before")
}

fn after(number: u32) -> Event {
    event(number, "Available", "after")
}

/// What was said against the step.
fn veto(verdict: Verdict) -> String {
    match verdict {
        Verdict::Vetoed { line, .. } => line,
        Verdict::Passed => panic!("expected a veto"),
    }
}

/// The processes of a group that still run. A zombie does not run: it waits for its parent, or for process 1.
fn survivors(group: i32) -> Vec<String> {
    if test_kill_process_group(Pid::from_raw(group).unwrap()).is_err() {
        return Vec::new();
    }
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let status = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (_, fields) = status.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        (fields[0] != "Z" && fields[2] == group.to_string()).then_some(status)
    });
    processes.collect()
}

fn assert_none_survives(site: &Site) {
    assert_eq!(survivors(site.group()), Vec::<String>::new());
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
