//! Progress: of a slow download, a conversion and an import, to a real sink and to `progress`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use harness::appliance::{fake_qemu_img, image, raw};
use harness::image_server::Resource;
use harness::opennebula::Dialect;
use harness::patience::until;
use harness::site::Site;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vmcatcher_operator::events::{Event, EventType, Phase};

use crate::reconcile::process::{Running, operator};
use crate::reconcile::targets;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const MEBI: u64 = 1 << 20;

/// A configuration with a sink of progress and one of everything else.
fn configuration(site: &Site) -> (String, PathBuf) {
    let (file, progress, after) = (site.path("c.yaml"), site.path("progress.jsonl"), site.path("after.jsonl"));
    let sinks = format!(
        "events:\n  sinks:\n  - {{name: bars, phases: [progress], file: {{path: {}}}}}\n  - {{name: log, file: {{path: {}}}}}\n",
        progress.display(),
        after.display()
    );
    fs::write(&file, sinks).unwrap();
    (file.to_str().unwrap().to_owned(), progress)
}

fn read(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn figures(event: &Event) -> (u64, Option<u64>) {
    event.progress.map(|progress| (progress.done, progress.total)).unwrap()
}

#[test]
fn a_slow_download_is_reported_once_a_second_and_at_its_end() {
    let site = Site::new();
    let bytes = 4 * MEBI;
    let slow = Resource::pattern(1, bytes).etag("\"v1\"").rate(MEBI);
    let served = site.serve_as(A, "1", slow);
    site.publish(&site.list("1.0", &[&served]));
    let (file, path) = configuration(&site);
    let ran = operator(&site, &["--once", "--config", &file]).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let events = read(&path);
    for event in &events {
        assert_eq!((event.event, event.phase), (EventType::Download, Phase::Progress));
        assert_eq!(event.object.as_ref().unwrap().to_string(), format!("default/{A}"));
        let image = event.image.as_ref().unwrap();
        assert_eq!((image.identifier.as_str(), image.version.as_str(), &image.sha512), (A, "1", &served.sha512));
        assert!(!image.title.is_empty() && image.uri == served.uri && image.list == harness::site::LIST, "{image:?}");
        assert_eq!(figures(event).1, Some(bytes));
    }
    let done: Vec<u64> = events.iter().map(|event| figures(event).0).collect();
    assert!(done.len() >= 3 && done.is_sorted() && done[1] > 0, "{done:?}");
    let last = events.last().unwrap();
    assert_eq!((figures(last).0, last.reason.as_deref()), (bytes, Some("Downloaded")));
    let span = last.time.duration_since(events[0].time).as_secs();
    assert!(i64::try_from(events.len()).unwrap() <= span + 3, "{} in {span} s", events.len());
    let after = read(&site.path("after.jsonl"));
    assert!(after.iter().all(|event| event.phase == Phase::After) && !after.is_empty(), "{after:?}");
}

#[test]
fn a_failed_download_ends_with_its_reason() {
    let site = Site::new();
    let wrong = Resource::pattern(1, 3 * MEBI).rate(2 * MEBI);
    let mut served = site.serve_as(A, "1", wrong);
    served.sha512 = Resource::pattern(2, 3 * MEBI).sha512();
    site.publish(&site.list("1.0", &[&served]));
    let (file, path) = configuration(&site);
    let ran = operator(&site, &["--once", "--config", &file]).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let events = read(&path);
    let last = events.iter().rev().find(|event| event.reason.is_some()).unwrap();
    assert_eq!(last.reason.as_deref(), Some("ChecksumMismatch"), "{last:?}");
    assert!(last.message.as_ref().unwrap().contains("expected"), "{last:?}");
}

#[tokio::test]
async fn a_conversion_and_an_import_are_reported() {
    let (site, cloud) = targets::site(Dialect::V5_12);
    cloud.world(|world| world.copy_seconds = Some(3600));
    let (folder, go_on) = (site.path("bin"), site.path("go-on"));
    fs::create_dir(&folder).unwrap();
    assert!(Command::new("mkfifo").arg(&go_on).status().unwrap().success());
    let real = std::env::var("PATH").unwrap();
    let script =
        format!("[ \"$1\" != convert ] || read line < {}\nPATH={real:?} exec qemu-img \"$@\"", go_on.display());
    fake_qemu_img(&folder, &script);
    let vmdk = image(&site.path(""), &raw(1, 1), "vmdk", "");
    site.publish(&site.list("1.0", &[&site.serve_as(A, "1", Resource::bytes(vmdk))]));
    let (file, path) = configuration(&site);
    let mut command = operator(&site, &["--once", "--instance", "site", "--config", &file]);
    command.env("PATH", format!("{}:{real}", folder.display())).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let of = |event: EventType| read(&path).into_iter().filter(|found| found.event == event).collect::<Vec<_>>();
    until("progress of the conversion", async || !of(EventType::Convert).is_empty()).await;
    tokio::task::spawn_blocking(move || fs::write(&go_on, "\n").unwrap()).await.unwrap();
    until("progress of the import", async || !of(EventType::Publish).is_empty()).await;
    cloud.world(|world| world.advance(4000));
    assert!(tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap().success());
    let (converts, imports) = (of(EventType::Convert), of(EventType::Publish));
    for event in converts.iter().chain(&imports) {
        assert_eq!((event.phase, event.target.as_deref()), (Phase::Progress, Some("one")));
        assert_eq!(event.image.as_ref().unwrap().version, "1");
    }
    let last = converts.last().unwrap();
    assert_eq!(last.reason.as_deref(), Some("Converted"), "{converts:?}");
    assert!(figures(last).1 == Some(figures(last).0) && figures(last).0 > 0, "{last:?}");
    assert!(matches!(converts[0].reason.as_deref(), Some("Unpack" | "Convert")), "{converts:?}");
    let reasons: Vec<_> = imports.iter().map(|event| event.reason.as_deref().unwrap()).collect();
    assert_eq!((reasons[0], reasons.last()), ("Importing", Some(&"Published")), "{imports:?}");
    assert!(imports.iter().all(|event| event.progress.is_none()), "the cloud does not report bytes: {imports:?}");
}

/// `progress`, with what it says.
struct Monitor {
    child: Child,
    lines: BufReader<ChildStdout>,
    log: BufReader<ChildStderr>,
}

fn progress(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("progress").args(arguments).env_remove("VMCATCHER_PROGRESS_URL");
    command
}

impl Monitor {
    fn start(url: &str) -> Self {
        let mut command = progress(&["--url", url]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, lines: BufReader::new(lines), log: BufReader::new(log) }
    }

    /// Reads until a line fits.
    fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
            let value: Value = serde_json::from_str(&line).unwrap();
            if fits(&value) {
                return value;
            }
        }
    }

    fn wait_for(&mut self, expected: &str) {
        let mut line = String::new();
        while !line.contains(expected) {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "expected {expected:?}");
        }
    }

    fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

fn start(site: &Site, listen: &str) -> (Running, String) {
    let mut running = Running::start_with(site, &["--listen", listen]);
    let line = running.wait_for("health and metrics are served");
    (running, line.rsplit_once("address=").unwrap().1.trim().to_owned())
}

#[test]
fn the_monitor_shows_what_runs_over_restarts() {
    let site = Site::new();
    let bytes = 4 * MEBI;
    let resource = || Resource::pattern(1, bytes).etag("\"v1\"");
    let served = site.serve_as(A, "1", resource().stall_after(MEBI));
    site.publish(&site.list("1.0", &[&served]));
    let (running, address) = start(&site, "127.0.0.1:0");
    let url = format!("http://{address}");
    let mut monitor = Monitor::start(&url);
    let stalled = monitor.find(|line| line["done"].as_u64() >= Some(MEBI / 2));
    let expected = ["running", "Download", "default", A, "1"];
    assert_eq!(["state", "event", "namespace", "name", "version"].map(|field| stalled[field].clone()), expected);
    assert_eq!(stalled["total"], bytes);
    let once = progress(&["--once", "--url", &url]).output().unwrap();
    assert!(once.status.success(), "{once:?}");
    let line: Value = serde_json::from_slice(&once.stdout).unwrap();
    assert_eq!((&line["name"], &line["total"]), (&A.into(), &bytes.into()));
    // It goes on when the operator comes back.
    assert!(running.terminate().success());
    monitor.wait_for("waiting");
    site.server.put(&format!("/{A}-1.img"), resource().rate(2 * MEBI));
    let (running, _) = start(&site, &address);
    monitor.wait_for("the operator answers");
    monitor.find(|line| line["state"] == "ended" && line["name"] == A);
    assert_eq!(monitor.interrupt(), Some(0));
    let once = progress(&["--once", "--url", &format!("{url}/")]).output().unwrap();
    assert!(once.status.success() && once.stdout.is_empty(), "{once:?}");
    assert!(running.terminate().success());
}

#[test]
fn who_is_no_operator_is_named() {
    let site = Site::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    site.server.put("/other/progress", Resource::bytes(b"{\"queued\": \"\x1b[2J\"}".as_slice()));
    site.server.put("/large/progress", Resource::zeros(17 * MEBI));
    let cases = [
        (format!("http://{free}"), "does it run with --listen"),
        (site.server.url(""), "found the status 404"),
        (site.server.url("/other"), "found something else"),
        (site.server.url("/large"), "expected at most 16777216 bytes"),
    ];
    for (url, expected) in cases {
        for more in [&["--once"][..], &[]] {
            let ran = progress(&[more, &["--url", &url]].concat()).output().unwrap();
            let told = String::from_utf8(ran.stderr).unwrap();
            assert!(ran.status.code() == Some(3) && told.contains(expected), "{url}: {told}");
            assert!(ran.stdout.is_empty() && !told.contains("\u{1b}[2J"), "{url}: {told}");
        }
    }
    for url in ["127.0.0.1:9090", "http://a:b@127.0.0.1", "ftp://127.0.0.1"] {
        assert_eq!(progress(&["--once", "--url", url]).output().unwrap().status.code(), Some(2), "{url}");
    }
}
