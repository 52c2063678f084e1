//! `get --watch`: what changes in the state of an operator.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use harness::site::Site;
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};

use super::{ONE, once, operator, over};

struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.arg("get").args(arguments).arg("--watch").arg("--volume").arg(site.path("volume"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
        line
    }

    fn end(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn only_rows_that_change_are_shown_again() {
    let site = Site::new();
    let publish = |list: &str, versions: [&str; 2]| {
        let (one, two) = (site.serve(ONE, versions[0], 1, 50_000), site.serve("two", versions[1], 2, 50_000));
        site.publish(&site.list(list, &[&one, &two]));
        let ran = once(&site, &["-o", "none"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    site.disturb_clock(-SignedDuration::from_mins(5));
    publish("1.0", ["1", "1"]);
    let mut rows = Watch::start(&site, &["images"]);
    let mut documents = Watch::start(&site, &["images", "-o", "json"]);
    assert_eq!(rows.line(), "CachedImage\n");
    assert!(rows.line().starts_with("NAMESPACE"));
    let first: Vec<String> = (0..2).map(|_| rows.line()).collect();
    assert!(first[0].contains(ONE) && first[1].contains(" two "), "{first:?}");
    for name in [ONE, "two"] {
        let document: serde_json::Value = serde_json::from_str(&documents.line()).unwrap();
        assert_eq!((&document["kind"], &document["metadata"]["name"]), (&"CachedImage".into(), &name.into()));
    }
    site.disturb_clock(SignedDuration::from_mins(1));
    publish("1.1", ["1", "2"]);
    // The first image has only another list.
    let mut row = rows.line();
    while !(row.contains(" two ") && row.contains("True")) {
        assert!(row.starts_with("default"), "no head again: {row}");
        row = rows.line();
    }
    let mut document = serde_json::Value::Null;
    while document["status"]["artifact"]["version"] != "2" {
        document = serde_json::from_str(&documents.line()).unwrap();
    }
    assert_eq!(document["metadata"]["name"], "two");
    assert_eq!((rows.end(), documents.end()), (Some(0), Some(0)));
}

#[test]
fn it_ends_with_its_reader_and_needs_a_state() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    assert_eq!(once(&site, &["-o", "none"]).code, Some(0));
    let Watch { mut child, mut lines } = Watch::start(&site, &[]);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "Endorser\n");
    drop(lines);
    // The next change has no reader.
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    once(&site, &["-o", "none"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let nowhere = operator(&["get", "-w", "--volume", site.path("elsewhere").to_str().unwrap()]);
    assert!(nowhere.code == Some(3) && nowhere.told.contains("expected what `reconcile` has kept"), "{nowhere:?}");
    assert_eq!(over(&site, &["get", "images", "-w", "--available"]).code, Some(2));
}
