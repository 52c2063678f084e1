//! `list verify` of a list of 1,000 images, from exec to exit: the median of 20 runs.
//!
//! Run with `cargo bench -p vmcatcher-tests --bench list_verify`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "figures are printed for people")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::list::ListBuilder;
use harness::pki::Pki;
use harness::signer::{Form, sign};

const RUNS: usize = 20;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let text = ListBuilder::new("bench", pki.now).endorser(&pki.endorser).images(1000).json();
    let list = folder.path().join("image.list");
    std::fs::write(&list, sign(&text, &pki.endorser, Form::Detached)).unwrap();

    let plain = folder.path().join("one");
    pki.write_trust_dir(&plain);
    report("1,000 images, one CA and its sub-CA", &list, &plain, Duration::from_millis(50));

    let long = folder.path().join("long");
    pki.write_trust_dir(&long);
    for (name, identity) in [("a", &pki.root), ("b", &pki.intermediate), ("c", &pki.impostor)] {
        let crl = identity.crl(pki.now).with_others(10_000).pem();
        std::fs::write(long.join(format!("{name}.r1")), crl).unwrap();
    }
    report("the same with three CRLs of 10,000 entries", &list, &long, Duration::from_millis(60));
}

fn report(what: &str, list: &Path, trust: &Path, goal: Duration) {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| once(list, trust)).collect();
    times.sort();
    let median = times[RUNS / 2];
    let verdict = if median <= goal { "within" } else { "OVER" };
    println!("list verify, {what}: median {median:.1?} of {RUNS} ({verdict} {goal:?}), fastest {:.1?}", times[0]);
}

fn once(list: &Path, trust: &Path) -> Duration {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    let status = command.args(["list", "verify"]).arg(list).arg("--trust").arg(trust).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    began.elapsed()
}
