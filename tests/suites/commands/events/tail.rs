//! What people see of the spool, also beside an operator that writes it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vmcatcher_operator::events::config::parse;
use vmcatcher_operator::events::{Event, EventFilter, SinkName, Spool};

use super::{Logged, ONE, Ran, field, lines, over};
use crate::reconcile::process::Running;

fn tail(logged: &Logged, more: &[&str]) -> Ran {
    over(&logged.0, &[&["events", "tail"], more].concat())
}

/// `events tail --follow`, which runs.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    fn start(logged: &Logged, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.args(["events", "tail", "--follow", "-o", "json", "--volume"]).arg(logged.0.path("volume")).args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The events up to the first one that is as wanted.
    fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut found = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the end came before: {found:?}");
            found.push(serde_json::from_str(&line).unwrap());
            if found.last().is_some_and(&is_wanted) {
                return found;
            }
        }
    }

    fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

fn is_available(version: &str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "Available" && event["image"]["version"] == version
}

#[test]
fn the_events_of_a_run_are_lines_for_people_and_for_programs() {
    let logged = Logged::new();
    logged.publish(1);
    logged.run();
    let json = tail(&logged, &["-o", "json"]);
    let mut found = lines(&json.shown);
    let numbers: Vec<u64> = found.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=u64::try_from(found.len()).unwrap()).collect::<Vec<_>>(), "{json:?}");
    // But for the number, a line is the one of the `file` sink.
    for event in &mut found {
        event.as_object_mut().unwrap().remove("number");
        let _event: Event = serde_json::from_value(event.clone()).unwrap();
    }
    assert_eq!(found, logged.delivered());
    assert_eq!((json.code, json.told.as_str()), (Some(0), ""));

    let table = tail(&logged, &[]);
    let rows: Vec<Vec<&str>> = table.shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NUMBER", "TIME", "EVENT", "PHASE", "OBJECT", "TARGET", "VERSION", "MESSAGE"]);
    assert_eq!(rows.len(), found.len() + 1);
    let object = format!("default/{ONE}");
    let row = rows.iter().find(|row| row[2] == "Available").unwrap();
    assert_eq!((row[3], row[4], row[5], row[6]), ("after", object.as_str(), "-", "1"), "{table:?}");
    assert!(row[1].ends_with('Z') && row[1].len() == 20, "{table:?}");
    let last = rows.last().unwrap();
    assert_eq!(last[2..], ["Process", "after", "-", "-", "-", "-"], "the newest is last: {table:?}");

    let two = tail(&logged, &["-n", "2"]);
    let expected: Vec<&str> = table.shown.lines().skip(rows.len() - 2).collect();
    assert_eq!(two.shown.lines().skip(1).collect::<Vec<_>>(), expected);
    assert_eq!(tail(&logged, &["-n", "100"]).shown, table.shown);
    let none = tail(&logged, &["-n", "0"]);
    assert_eq!((none.code, none.shown.as_str()), (Some(0), ""), "{none:?}");
}

#[test]
fn what_waits_for_a_sink_begins_at_its_position() {
    let logged = Logged::new();
    logged.publish(1);
    logged.run();
    let nothing = tail(&logged, &["--sink", "log"]);
    assert!(nothing.shown.is_empty() && nothing.told.contains("no event waits for the sink log"), "{nothing:?}");
    let path = logged.log().display().to_string();
    let slow =
        format!("{{name: log, file: {{path: {path}}}}}, {{name: slow, events: [Expire], file: {{path: {path}2}}}}");
    logged.configure(&slow);
    // As an operator does whose sinks do not take events.
    let events = logged.delivered().into_iter().map(|event| serde_json::from_value(event).unwrap());
    let events: Vec<Event> = events.collect();
    spool(&logged).append(&events).unwrap();
    let waiting = lines(&tail(&logged, &["--sink", "slow", "-o", "json"]).shown);
    let count = u64::try_from(events.len()).unwrap();
    assert_eq!(field(&waiting, "number"), (count + 1..=2 * count).collect::<Vec<_>>(), "the second half");
    let config = logged.config();
    let gets = tail(&logged, &["--sink", "slow", "--config", &config]);
    assert!(gets.code == Some(0) && gets.told.contains("no event waits for the sink slow"), "it gets none: {gets:?}");

    let unknown = tail(&logged, &["--sink", "slwo"]);
    assert_eq!((unknown.code, unknown.shown.as_str()), (Some(2), ""));
    assert!(unknown.told.contains("log, slow; is it slow?"), "{unknown:?}");
    assert_eq!(tail(&logged, &["--config", &config]).code, Some(2), "a configuration without a sink has no effect");
}

/// The spool with the sinks of the configuration, as the operator opens it.
fn spool(logged: &Logged) -> Spool {
    let settings = parse(&fs::read_to_string(logged.config()).unwrap()).unwrap().events;
    let sinks: Vec<(SinkName, EventFilter)> =
        settings.sinks.iter().map(|sink| (sink.name.clone(), sink.filter.clone())).collect();
    Spool::open(&Spool::directory(&logged.0.path("volume")), settings.spool_limit, &sinks).unwrap()
}

#[test]
fn who_follows_a_running_operator_sees_what_comes() {
    let logged = Logged::new();
    logged.publish(1);
    let config = logged.config();
    let mut running = Running::start_with(&logged.0, &["--config", &config]);
    running.wait_for("ImageDownloaded");
    let mut all = Following::start(&logged, &[]);
    let first = all.until(is_available("1"));
    assert_eq!(first[0]["number"], 1);
    let mut new = Following::start(&logged, &["-n", "1"]);
    let newest = new.until(|_| true);
    logged.publish(2);
    assert_eq!(over(&logged.0, &["refresh", "ils"]).code, Some(0));
    let since = all.until(is_available("2"));
    let found = [first, since].concat();
    let numbers: Vec<u64> = found.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "each once, in order: {numbers:?}");
    let came = [newest, new.until(is_available("2"))].concat();
    assert_eq!(found[found.len() - came.len()..], came, "the same from the newest one on");
    assert!(came.len() < found.len());
    assert!(running.terminate().success());
    assert_eq!((all.interrupt(), new.interrupt()), (Some(0), Some(0)));
}

#[test]
fn a_spool_that_goes_and_comes_again_is_followed() {
    let logged = Logged::new();
    logged.publish(1);
    logged.run();
    let mut following = Following::start(&logged, &[]);
    following.until(is_available("1"));
    let spool = logged.0.path("volume/spool");
    let segment = spool.join(format!("{:020}.log", 1));
    let text = fs::read(&segment).unwrap();
    // An append that a crash cut off.
    fs::write(&segment, [&text[..], &text[..text.len() / 2]].concat()).unwrap();
    fs::write(&segment, &text[..text.len() - 1]).unwrap();
    // As an operator without sinks does. The next one begins with the number 1.
    fs::remove_dir_all(&spool).unwrap();
    logged.publish(2);
    logged.run();
    let since = following.until(is_available("2"));
    let numbers: Vec<u64> = since.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    let of_second = numbers.len() - numbers.iter().rposition(|number| *number == 1).unwrap();
    assert!(numbers[numbers.len() - of_second..].is_sorted_by(|one, next| one + 1 == *next), "{numbers:?}");
    assert_eq!(following.interrupt(), Some(0));
}

#[test]
fn a_volume_without_events_and_a_reader_that_went_are_no_faults() {
    let logged = Logged::new();
    logged.publish(1);
    let missing = tail(&logged, &[]);
    assert!(missing.code == Some(3) && missing.told.contains("expected the volume's directory"), "{missing:?}");
    assert_eq!(super::once(&logged.0, &["-o", "none"]).code, Some(0));
    let empty = tail(&logged, &[]);
    assert_eq!((empty.code, empty.shown.as_str()), (Some(0), ""));
    assert!(empty.told.contains("no event is in the spool"), "{empty:?}");
    logged.publish(2);
    logged.run();
    for more in [&[][..], &["--follow"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.args(["events", "tail", "--volume"]).arg(logged.0.path("volume")).args(more);
        assert_eq!(command.stdout(writer).status().unwrap().code(), Some(0), "{more:?}");
    }
}
