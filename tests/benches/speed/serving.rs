//! The image server beside nginx: one large image, and HEAD requests over one connection.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::serve::Tickets;

use super::measured::{RUNS, Took, better, report, run, shell};
use super::publisher::{Publisher, free_port, wait_for};

/// HEAD requests.
const HEADS: usize = 10_000;

struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ended = self.0.wait();
    }
}

/// An image of this many MiB.
pub(crate) fn serve(mebibytes: u64) {
    let publisher = Publisher::start();
    publisher.publish(1, mebibytes << 20, false);
    run(&mut publisher.once(&[]));
    let port = free_port();
    let operator = start(&publisher, port);
    let url = format!("http://127.0.0.1:{port}{}", path(&publisher.path("volume")));
    let theirs = publisher.url("0.img", 0);
    let get = |url: &str| run(&mut shell(&format!("curl -sf -o /dev/null {url}")));
    pair(&format!("serving {mebibytes} MiB"), || get(&url), || get(&theirs));
    // The number is in the query, which both ignore: one process of curl keeps the connection.
    let heads = |url: &str| run(&mut shell(&format!("curl -sfI -o /dev/null '{url}?[1-{HEADS}]'")));
    pair(&format!("{HEADS} HEAD requests"), || heads(&url), || heads(&theirs));
    drop(operator);
}

fn pair(what: &str, ours: impl Fn() -> Took, theirs: impl Fn() -> Took) {
    let (mut best, mut other) = (None, None);
    for _ in 0..RUNS {
        better(&mut best, ours());
        better(&mut other, theirs());
    }
    // The processor time is that of the client.
    report(what, best.unwrap(), ("nginx", other.unwrap()));
}

fn start(publisher: &Publisher, port: u16) -> Operator {
    let mut command = Command::new(super::program());
    command.args(["reconcile", "--quiet", "--image-server", &format!("127.0.0.1:{port}")]);
    for (option, folder) in [("--manifests", "manifests"), ("--volume", "volume"), ("--trust", "trust")] {
        command.arg(option).arg(publisher.path(folder));
    }
    let operator = Operator(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_for(port);
    operator
}

/// The path of the only image, with a ticket.
fn path(volume: &Path) -> String {
    let volume = Volume::read_only(volume).unwrap();
    let digest = volume.blobs().unwrap()[0];
    let tickets = Tickets::read(&volume).unwrap().expect("the server has made its key");
    let path = tickets.path(&digest, "raw", Timestamp::now()).unwrap();
    format!("/{}", path.trim_start_matches('/'))
}
