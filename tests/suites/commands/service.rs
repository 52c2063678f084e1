//! A service of systemd: it says when it is ready and when it stops, and the journal gets lines without times.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;

use harness::patience::PATIENCE;
use harness::site::Site;
use rustix::process::{Pid, Signal, kill_process};

use super::ONE;
use crate::reconcile::process::operator;

/// The next message to systemd.
fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("a message in time");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_service_is_ready_when_its_lists_were_asked_for() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let socket = UnixDatagram::bind(site.path("notify")).unwrap();
    let mut command = operator(&site, &["--quiet", "--quiet"]);
    let mut child = command.env("NOTIFY_SOCKET", site.path("notify")).spawn().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let ready = next(&socket);
    assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
    assert_eq!(site.server.requests("/image.list").len(), 1, "the list was read before");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(next(&socket), "STOPPING=1\n");
    assert!(child.wait().unwrap().success());
}

/// The log of a run with a stream of the journal that is, or is not, the file of its standard error.
fn logged(site: &Site, is_journal: bool) -> String {
    let path = site.path("log");
    let file = File::create(&path).unwrap();
    let about = file.metadata().unwrap();
    let stream = format!("{}:{}", about.dev(), about.ino() + u64::from(!is_journal));
    let mut command = operator(site, &["--once"]);
    let status = command.env("JOURNAL_STREAM", stream).stdout(std::process::Stdio::null()).stderr(file).status();
    assert!(status.unwrap().success());
    fs::read_to_string(&path).unwrap()
}

#[test]
fn lines_for_the_journal_have_no_time_and_no_colour() {
    let site = Site::new();
    let image = site.serve(ONE, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let journal = logged(&site, true);
    assert!(journal.lines().count() > 0 && !journal.contains('\u{1b}'), "{journal}");
    for line in journal.lines() {
        assert!(line.trim_start().starts_with("INFO "), "{line}");
    }
    let image = site.serve(ONE, "2", 2, 50_000);
    site.publish(&site.list("2.0", &[&image]));
    let file = logged(&site, false);
    assert!(file.lines().count() > 0 && file.lines().all(|line| line.starts_with("20")), "{file}");
}
