//! `events tail`, `events replay` and `events test`.

mod replay;
mod tail;
mod test;

use std::fs;
use std::path::PathBuf;

use harness::site::{Served, Site};
use serde_json::Value;

use super::{ONE, Ran, once, operator, over};

/// A site whose operator has a `file` sink, `log`.
struct Logged(Site);

impl Logged {
    fn new() -> Self {
        let logged = Self(Site::new());
        let path = logged.log().display().to_string();
        logged.configure(&format!("{{name: log, file: {{path: {path}}}}}"));
        logged
    }

    /// The file of the sink.
    fn log(&self) -> PathBuf {
        self.0.path("events.jsonl")
    }

    fn config(&self) -> String {
        self.0.path("configuration.yaml").display().to_string()
    }

    fn configure(&self, sinks: &str) {
        fs::write(self.config(), format!("events: {{sinks: [{sinks}]}}\n")).unwrap();
    }

    /// Serves a version of the image and a list of it.
    fn publish(&self, version: u8) -> Served {
        let image = self.0.serve(ONE, &version.to_string(), version.into(), 50_000);
        self.0.publish(&self.0.list(&format!("{version}.0"), &[&image]));
        image
    }

    /// One run of the operator.
    fn run(&self) {
        let ran = once(&self.0, &["--config", &self.config(), "-o", "none"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// What the sink wrote.
    fn delivered(&self) -> Vec<Value> {
        lines(&fs::read_to_string(self.log()).unwrap_or_default())
    }

    fn executable(&self, name: &str, script: &str) -> String {
        let path = self.0.path(name);
        harness::program::script(&path, script);
        path.display().to_string()
    }
}

/// JSON lines.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// One field of many objects.
fn field<'v>(values: &'v [Value], name: &str) -> Vec<&'v Value> {
    values.iter().map(|value| &value[name]).collect()
}
