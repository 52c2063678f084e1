//! Each kind of sink, tried: one that takes the event, and one that does not.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::{Logged, Ran, operator};

/// Tries the sink `tried`.
fn tried(logged: &Logged, sink: &str) -> Ran {
    logged.configure(&format!("{{name: tried, {sink}}}, {{name: other, file: {{path: /nonexistent/other}}}}"));
    let volume = logged.0.path("volume");
    let arguments = ["events", "test", "tried", "--config", &logged.config(), "--volume", volume.to_str().unwrap()];
    let ran = operator(&arguments);
    assert!(!volume.exists(), "nothing is written on the volume");
    ran
}

fn is_taken(ran: &Ran) -> bool {
    ran.code == Some(0) && ran.shown.ends_with("\nAvailable after: taken\n")
}

fn is_not_taken(ran: &Ran, why: &str) -> bool {
    ran.code == Some(1)
        && ran.shown.contains("\nAvailable after: ")
        && ran.shown.contains(why)
        && ran.shown.contains("\nWhat to do: ")
}

#[test]
fn a_file_gets_an_event_that_nobody_takes_for_a_real_one() {
    let logged = Logged::new();
    let path = logged.log().display().to_string();
    let ran = tried(&logged, &format!("file: {{path: {path}}}"));
    assert!(is_taken(&ran) && ran.told.is_empty(), "{ran:?}");
    assert!(ran.shown.starts_with(&format!("sink tried (file): {path}\n")), "{ran:?}");
    let delivered = logged.delivered();
    let [event] = &delivered[..] else { panic!("{delivered:?}") };
    assert_eq!(
        (&event["event"], &event["phase"], &event["reason"]),
        (&"Available".into(), &"after".into(), &"Test".into())
    );
    assert_eq!(event["image"]["uri"], "https://test.invalid/image.qcow2");
    assert!(event["message"].as_str().unwrap().contains("does not exist"));

    let filtered = tried(&logged, &format!("events: [Expire], file: {{path: {path}}}"));
    assert!(is_taken(&filtered) && filtered.told.contains("gets no event Available after"), "{filtered:?}");
    let missing = tried(&logged, "file: {path: /nonexistent/events}");
    assert!(
        is_not_taken(&missing, "not taken, it would be sent again: cannot open /nonexistent/events"),
        "{missing:?}"
    );
}

#[test]
fn handlers_are_asked_before_and_called_after() {
    let logged = Logged::new();
    let out = logged.0.path("out").display().to_string();
    let script = format!("echo \"$3 $4 $VMCATCHER_EVENT_TYPE $VMCATCHER_CACHE_DIR_CACHE\" >> {out}");
    let good = logged.executable("good", &script);
    let ran = tried(&logged, &format!("exec: {{command: [{good}]}}"));
    assert!(is_taken(&ran) && ran.shown.contains("\nAvailable before: passed, the step would be done\n"), "{ran:?}");
    let cache = logged.0.path("volume/endorsed").display().to_string();
    let expected = format!("Available before AvailablePrefix {cache}\nAvailable after AvailablePostfix {cache}\n");
    assert_eq!(fs::read_to_string(&out).unwrap(), expected);

    let after = tried(&logged, &format!("phases: [after], exec: {{command: [{good}]}}"));
    assert!(is_taken(&after) && !after.shown.contains("Available before"), "{after:?}");
    let before = tried(&logged, &format!("phases: [before], exec: {{command: [{good}]}}"));
    assert!(before.code == Some(0) && !before.shown.contains("Available after"), "{before:?}");

    let bad = logged.executable("bad", "echo no room; exit 3");
    let vetoed = tried(&logged, &format!("exec: {{command: [{bad}]}}"));
    let expected = format!("\nAvailable before: vetoed by {bad}, the step would not be done: no room\n");
    assert!(vetoed.shown.contains(&expected), "{vetoed:?}");
    assert!(
        is_not_taken(&vetoed, "refused, it would not be sent again: ") && vetoed.told.contains("no room"),
        "{vetoed:?}"
    );
    let missing = tried(&logged, "phases: [after], exec: {command: [/nonexistent/handler]}");
    assert!(is_not_taken(&missing, "cannot start /nonexistent/handler"), "{missing:?}");
    let slow = logged.executable("slow", "exec sleep 600");
    let slow = tried(&logged, &format!("phases: [after], exec: {{command: [{slow}], timeout: 1s}}"));
    assert!(is_not_taken(&slow, "in 1 s"), "{slow:?}");
}

/// Answers one request, and returns its body.
fn receiver(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let receiving = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            let value = line.to_ascii_lowercase().strip_prefix("content-length:").map(|value| value.trim().parse());
            length = value.map_or(length, Result::unwrap);
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        (&stream).write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
        String::from_utf8(body).unwrap()
    });
    (address, receiving)
}

#[test]
fn a_webhook_is_called() {
    let logged = Logged::new();
    let (address, receiving) = receiver("204 No Content");
    let ran = tried(&logged, &format!("webhook: {{url: 'http://{address}/events?key=Hidden'}}"));
    assert!(
        is_taken(&ran) && ran.shown.starts_with(&format!("sink tried (webhook): http://{address}/events\n")),
        "{ran:?}"
    );
    let body: serde_json::Value = serde_json::from_str(&receiving.join().unwrap()).unwrap();
    assert_eq!(body["type"], "io.vmcatcher-operator.Available.after");
    assert_eq!(body["source"], "/vmcatcher-operator/vmcatcher");
    assert_eq!(body["data"]["reason"], "Test");

    for (answer, why) in [("401 Unauthorized", "401"), ("400 Bad Request", "400"), ("503 Service Unavailable", "503")] {
        let (address, receiving) = receiver(answer);
        let ran = tried(&logged, &format!("webhook: {{url: 'http://{address}/events?key=Hidden'}}"));
        receiving.join().unwrap();
        assert!(is_not_taken(&ran, why) && !format!("{ran:?}").contains("Hidden"), "{answer}: {ran:?}");
    }
}

#[test]
fn who_does_not_listen_is_said() {
    let logged = Logged::new();
    // A port whose listener is gone refuses connections.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for sink in [format!("webhook: {{url: 'http://{address}/'}}"), format!("amqp: {{url: 'amqp://{address}/'}}")] {
        let ran = tried(&logged, &sink);
        assert!(is_not_taken(&ran, "not taken, it would be sent again: cannot reach"), "{ran:?}");
        assert!(ran.shown.contains("What to do: check the address"), "{ran:?}");
    }
}

#[test]
fn a_sink_that_is_not_in_the_file_is_not_tried() {
    let logged = Logged::new();
    let run = |name: &str| operator(&["events", "test", name, "--config", &logged.config()]);
    logged.configure("{name: monitor, file: {path: /nonexistent/a}}, {name: log, file: {path: /nonexistent/b}}");
    let near = run("monitro");
    assert_eq!((near.code, near.shown.as_str()), (Some(2), ""));
    assert!(near.told.contains("found \"monitro\"") && near.told.contains("monitor, log; is it monitor?"), "{near:?}");
    let far = run("elsewhere");
    assert!(far.told.contains("has monitor, log\n") && far.code == Some(2), "{far:?}");
    logged.configure("");
    let none = run("log");
    assert!(none.code == Some(2) && none.told.contains("has no sinks"), "{none:?}");
    fs::remove_file(logged.config()).unwrap();
    let unread = run("log");
    assert!(unread.code == Some(3) && unread.told.contains("cannot read the configuration file"), "{unread:?}");
}
