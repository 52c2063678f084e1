//! `config check`, and the configuration file of `run` and `reconcile`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::site::Site;
use vmcatcher_operator::events::SinkKind;
use vmcatcher_operator::events::config::{Config, parse};

use super::{Ran, once, operator};

/// A folder with a configuration file and what it names.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir(machine.path("hooks.d")).unwrap();
        fs::create_dir(machine.path("log")).unwrap();
        machine.executable("hooks.d/10-log");
        machine.executable("handler");
        for secret in ["username", "password", "hmac", "token", "ca.pem"] {
            machine.file(secret, "Hidden");
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn executable(&self, name: &str) {
        harness::program::script(&self.path(name), "");
    }

    /// Checks a configuration, in which `~` is the folder. The folder is `~` in what the command says too.
    fn check(&self, config: &str) -> Ran {
        let folder = self.0.path().to_str().unwrap();
        self.file("c.yaml", &config.replace('~', folder));
        let mut ran = operator(&["config", "check", self.path("c.yaml").to_str().unwrap()]);
        ran.shown = ran.shown.replace(folder, "~");
        ran.told = ran.told.replace(folder, "~");
        ran
    }
}

const GOOD: &str = "
events:
  spool: {limit: 1Gi}
  sinks:
  - {name: handlers, events: [Available, Expire], exec: {directory: ~/hooks.d}}
  - {name: one, phases: [after], exec: {command: [~/handler, --password=Hidden], environment: {A: Hidden}}}
  - name: broker
    amqp: {url: amqps://broker.example.org/vhost, usernameFile: ~/username, passwordFile: ~/password, tls: {caFile: ~/ca.pem}}
  - name: monitor
    phases: [after, progress]
    webhook: {url: 'https://monitor.example.org/events?token=Hidden', hmacKeyFile: ~/hmac, tokenFile: ~/token}
  - {name: log, file: {path: ~/log/events.jsonl}}
";

#[test]
fn a_good_file_is_a_table_without_secrets() {
    let ran = Machine::new().check(GOOD);
    let shown: Vec<Vec<&str>> = ran.shown.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        "SINK KIND WHERE TO EVENTS PHASES",
        "handlers exec ~/hooks.d/ Available,Expire before,after",
        "one exec ~/handler all after",
        "broker amqp amqps://broker.example.org/vhost exchange vmcatcher all after",
        "monitor webhook https://monitor.example.org/events all after,progress",
        "log file ~/log/events.jsonl all after",
        "The spool takes at most 1 GiB.",
    ];
    let expected: Vec<Vec<&str>> = expected.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(shown, expected, "{ran:?}");
    assert_eq!((ran.code, ran.told.as_str()), (Some(0), ""), "{ran:?}");
    let empty = Machine::new().check("");
    let none = "The spool takes at most 256 MiB.\nThere are no sinks.\n";
    assert_eq!((empty.code, empty.shown.as_str()), (Some(0), none), "{empty:?}");
}

#[test]
fn all_problems_of_a_bad_file_are_shown_with_their_lines() {
    let machine = Machine::new();
    let bad = GOOD
        .replace("amqps://broker", "amqps://user:Hidden@broker")
        .replace("name: monitor", "name: one")
        .replace("path: ~/", "path: ");
    let ran = machine.check(&bad);
    let expected = [
        "~/c.yaml:8: events.sinks[2].amqp.url: expected an address without user and password, found one with them; \
         usernameFile and passwordFile take the files with them\n",
        "~/c.yaml:9: events.sinks[3].name: expected another name for each sink, found that of events.sinks[1]\n",
        "~/c.yaml:12: events.sinks[4].file.path: expected an absolute path, found the text \"log/events.jsonl\"\n",
    ];
    assert_eq!((ran.code, ran.shown.as_str(), ran.told.as_str()), (Some(1), expected.concat().as_str(), ""));
    fs::write(machine.path("latin"), b"# \xe9\n").unwrap();
    let latin = operator(&["config", "check", machine.path("latin").to_str().unwrap()]);
    assert!(
        latin.code == Some(1) && latin.shown.ends_with("latin:1: expected UTF-8, found other bytes\n"),
        "{latin:?}"
    );
    let missing = operator(&["config", "check", "/nonexistent/c.yaml"]);
    assert!(missing.code == Some(3) && missing.told.contains("/nonexistent/c.yaml"), "{missing:?}");
    assert_eq!(operator(&["config", "check"]).code, Some(2));
}

#[test]
fn what_this_machine_does_not_have_is_a_warning() {
    let machine = Machine::new();
    for name in ["password", "token"] {
        fs::remove_file(machine.path(name)).unwrap();
    }
    machine.executable("hooks.d/20-log.sh");
    machine.file("hooks.d/README", "");
    fs::remove_file(machine.path("handler")).unwrap();
    fs::create_dir(machine.path("handler")).unwrap();
    fs::remove_dir(machine.path("log")).unwrap();
    let ran = machine.check(&GOOD.replace("amqps://", "amqp://").replace(", tls: {caFile: ~/ca.pem}", ""));
    let expected = [
        "handlers: expected a name of letters, digits, _ and -, found ~/hooks.d/20-log.sh: it is skipped",
        "handlers: expected an executable file at ~/hooks.d/README, found: Permission denied (os error 13): it is skipped",
        "one: expected an executable file at ~/handler, found: a directory",
        "broker: expected a readable file at ~/password, found: No such file or directory (os error 2)",
        "broker: expected an address of amqps, found one without TLS: anyone on the network path can read the user name and password",
        "monitor: expected a readable file at ~/token, found: No such file or directory (os error 2)",
        "log: expected a directory that can be written at ~/log, found: No such file or directory (os error 2)",
    ];
    let told: Vec<&str> = ran.told.lines().filter_map(|line| Some(line.split_once("sink ")?.1)).collect();
    assert_eq!(told, expected, "{ran:?}");
    assert_eq!(ran.code, Some(0), "the file may be for another machine");
    fs::remove_dir_all(machine.path("hooks.d")).unwrap();
    let ran =
        machine.check("events: {sinks: [{name: a, exec: {directory: ~/hooks.d}}, {name: b, amqp: {url: amqp://b}}]}");
    assert!(ran.told.contains("sink a: expected a directory at ~/hooks.d, found: No such file"), "{ran:?}");
    assert!(ran.told.contains("sink b: expected usernameFile and passwordFile"), "{ran:?}");
    fs::create_dir(machine.path("hooks.d")).unwrap();
    let ran = machine.check("events: {sinks: [{name: a, exec: {directory: ~/hooks.d}}]}");
    assert!(ran.told.contains("sink a: expected handlers in ~/hooks.d, found none"), "{ran:?}");
}

#[test]
fn the_operator_does_not_start_with_a_bad_file() {
    let site = Site::new();
    let file = site.path("c.yaml");
    let file = file.to_str().unwrap();
    fs::write(file, "events:\n  sinks:\n  - name: a\n").unwrap();
    let told = format!("{file}:3: events.sinks[0]: expected one of exec, amqp, webhook or file, found none");
    let refused = once(&site, &["--config", file]);
    assert!(refused.code == Some(2) && refused.told.contains(&told), "{refused:?}");
    let manifests = site.path("manifests");
    let manifests = manifests.to_str().unwrap();
    let check = ["reconcile", "--manifests", manifests, "--check", "--config", file];
    assert_eq!(operator(&check).code, Some(2));
    let mut run = Command::new(env!("CARGO_BIN_EXE_operator"));
    run.args(["run", "--volume", "/nonexistent"]).env("VMCATCHER_CONFIG", file);
    let by_environment: Ran = run.output().unwrap().into();
    assert!(by_environment.code == Some(2) && by_environment.told.contains(&told), "{by_environment:?}");
    let missing = once(&site, &["--config", "/nonexistent/c.yaml"]);
    assert!(missing.code == Some(3) && missing.told.contains("/nonexistent/c.yaml"), "{missing:?}");
    fs::write(file, "events: {sinks: [{name: a, file: {path: /nonexistent/a}}]}\n").unwrap();
    let ran = once(&site, &["--config", file]);
    assert!(!matches!(ran.code, Some(2 | 3)), "{ran:?}");
}

/// The sample with all of its examples: # and one space is a comment, # and anything else is an example.
#[test]
fn the_sample_is_read_with_every_field() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("config/configuration.yaml");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(parse(&text), Ok(Config::default()), "all of it is commented out");
    let is_example = |rest: &&str| !rest.starts_with(' ') || rest.starts_with("  ");
    let lines = text.lines().map(|line| line.strip_prefix('#').filter(is_example).unwrap_or(line));
    let examples = lines.collect::<Vec<_>>().join("\n");
    let events = parse(&examples).unwrap_or_else(|problems| panic!("{problems:#?}")).events;
    let kinds: Vec<&str> = events.sinks.iter().map(|sink| kind(&sink.kind)).collect();
    assert_eq!(kinds, ["exec", "exec", "amqp", "webhook", "file"]);
    let known = [
        "limit",
        "sinks",
        "name",
        "events",
        "phases",
        "directory",
        "command",
        "environment",
        "url",
        "exchange",
        "declare",
        "usernameFile",
        "passwordFile",
        "mode",
        "hmacKeyFile",
        "tokenFile",
        "timeout",
        "caFile",
        "certFile",
        "keyFile",
        "path",
    ];
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    for field in known {
        assert!(examples.contains(&format!("{field}:")), "{field} is not in the sample");
        assert!(page.contains(&format!("{field}`")), "{field} is not in docs/configuration.md");
    }
}

fn kind(kind: &SinkKind) -> &'static str {
    match kind {
        SinkKind::Exec(_) => "exec",
        SinkKind::Amqp(_) => "amqp",
        SinkKind::Webhook(_) => "webhook",
        SinkKind::File(_) => "file",
    }
}
