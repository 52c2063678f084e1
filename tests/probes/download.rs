//! Downloads one image onto a volume and publishes it, as the operator does, in a process that tests can kill.
//!
//! usage: download VOLUME URL SHA512|sha256:SHA256 SIZE|- [--cut-at N] [--steps] [--replace]
//!
//! With `--cut-at N` the process kills itself just before the N-th change of the volume (counted from 0); with `--steps`
//! it prints the name of each, and when the image is downloaded, published and in the place of others. With `--replace` it
//! archives the other versions. At its end it prints, as JSON, how it went and what it took.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what the tests read")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rustix::process::{Signal, getpid, kill_process};
use vmcatcher_operator::cache::{DownloadRequest, ImageKey, JobLimits, JobState, Jobs, Volume};
use vmcatcher_operator::fetch::{Client, ClientSettings, Source};
use vmcatcher_operator::fs::Steps;

struct Cutter {
    made: AtomicUsize,
    cut_at: Option<usize>,
    shown: bool,
}

impl Steps for Cutter {
    fn before(&self, step: &'static str) {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        if self.shown {
            say(&format!("step {number}: {step}"));
        }
        if Some(number) == self.cut_at {
            let _never = kill_process(getpid(), Signal::KILL);
        }
    }
}

/// Writes a line to standard error in one call, so that it is one for those who trace calls.
fn say(line: &str) {
    let _unread = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [volume, url, digest, size, options @ ..] = arguments.as_slice() else {
        bail!("expected VOLUME URL SHA512 SIZE");
    };
    let cut_at =
        options.iter().position(|option| option == "--cut-at").and_then(|at| options.get(at + 1)?.parse().ok());
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    let shown = has("--steps");
    let reached = |what: &str| {
        if shown {
            say(what);
        }
    };
    let cutter = Arc::new(Cutter { made: AtomicUsize::new(0), cut_at, shown });
    let waits = |error: &_| eprintln!("{error}");
    let volume = Volume::open_waiting(Path::new(volume), waits).await?.with_steps(cutter.clone());
    let client = Client::new(&ClientSettings::default())?;
    let limits = JobLimits { first_wait: Duration::from_millis(20), ..JobLimits::default() };
    let jobs = Jobs::new(volume.clone(), client, limits);
    let mut changed = jobs.changed();
    let source = Source::public(url.parse()?);
    let size = if size == "-" { None } else { Some(size.parse()?) };
    let (namespace, digest) = ("site".parse()?, digest.parse()?);
    let request = DownloadRequest { namespace, digest, size, source, sha1: false };
    let key = jobs.start(request);
    let blob = loop {
        match jobs.look(&key).context("the job is known")? {
            JobState::Queued | JobState::Running { .. } => changed.changed().await?,
            JobState::Done(blob) => break blob,
            JobState::Failed(error) => return Err(error.into()),
        }
    };
    let image = ImageKey { namespace: "site".parse()?, identifier: "image".parse()? };
    reached("downloaded");
    let path = volume.publish(&image, &"1.0".parse()?, &blob)?;
    reached("published");
    if has("--replace") {
        for other in volume.entries(&image)?.endorsed.iter().filter(|other| other.digest != *blob.digest()) {
            volume.archive(&image, other, Timestamp::now())?;
        }
        reached("replaced");
    }
    let facts = serde_json::json!({
        "path": path,
        "steps": cutter.made.load(Ordering::SeqCst),
        "peakKiB": figure("/proc/self/status", "VmHWM:")?,
        "charactersRead": figure("/proc/self/io", "rchar:")?,
    });
    println!("{facts}");
    Ok(())
}

/// The number after a name in one of the kernel's files about this process.
fn figure(file: &str, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{name} in {file}"))?;
    Ok(line.split_whitespace().next().context("a number")?.parse()?)
}
