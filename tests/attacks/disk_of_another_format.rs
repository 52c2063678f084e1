//! An endorsed disk is handed over as what it is not: the cloud opens it without a word of its format, and QEMU takes it
//! for one that names files. So whatever QEMU takes for another format is never raw here, nor an archive, nor anything
//! else that goes on: shown for as many mutated headers as fit into half a minute, by QEMU itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::disk_headers::{DiskFile, mutated, originals};
use vmcatcher_operator::convert::header::{FileBytes, inspect, look};
use vmcatcher_operator::convert::sniff::{Format, Sniffed};

/// Headers in all.
const HEADERS: usize = 12_000;
/// So many go to one process.
const BATCH: usize = 250;
/// Of so many, one is shown to `qemu-img info` by itself too.
const ALONE: usize = 50;
const LARGEST: u64 = 1 << 40;

/// A program that reads hostile bytes: with limits, and without a network where that can be had.
fn confined(program: &str, folder: &Path) -> Command {
    let limits = ["--as=2147483648", "--cpu=120", "--fsize=0", "--core=0", "--nofile=64", "--"];
    let network = ["--user", "--map-current-user", "--net", "--"];
    let allowed = Command::new("unshare").args(network).arg("true").stderr(Stdio::null()).status();
    let mut command = if allowed.is_ok_and(|status| status.success()) {
        let mut command = Command::new("unshare");
        command.args(network).arg("prlimit");
        command
    } else {
        Command::new("prlimit")
    };
    command.args(limits).arg(program).current_dir(folder).stdin(Stdio::null()).env("LC_ALL", "C");
    command
}

/// What QEMU takes files for, each in turn by one process; `None`: it can open it as nothing, so it does not take it for
/// raw. A process that one of them ends goes on after that one.
fn taken_for(folder: &Path, names: &[String]) -> Vec<Option<String>> {
    const NEXT: &str = "close -- close the current open file\n";
    let mut found = Vec::new();
    while found.len() < names.len() {
        let mut command = confined("qemu-io", folder);
        for name in &names[found.len()..] {
            command.args(["-c", &format!("open -r {name}"), "-c", "info", "-c", "close", "-c", "help close"]);
        }
        let said = command.stderr(Stdio::null()).output().expect("qemu-io is installed").stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let before = found.len();
        let mut answers: Vec<&str> = said.split(NEXT).collect();
        answers.pop();
        let format =
            |answer: &&str| answer.lines().find_map(|line| line.strip_prefix("format name: ").map(str::to_owned));
        found.extend(answers.iter().map(format));
        if found.len() < names.len() {
            // It ended within the next one.
            found.push(None);
        }
        assert!(found.len() > before);
    }
    found
}

/// What `qemu-img info` says by itself.
fn taken_alone(folder: &Path, name: &str) -> Option<String> {
    let output = confined("qemu-img", folder).args(["info", "--output=json", name]).output().expect("qemu-img");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    output.status.success().then(|| said["format"].as_str().unwrap().to_owned())
}

/// As QEMU calls a format that it looks for.
fn name(format: Format) -> Option<&'static str> {
    match format {
        Format::Qcow2 => Some("qcow2"),
        Format::Vmdk => Some("vmdk"),
        Format::Vdi => Some("vdi"),
        Format::Vhd => Some("vpc"),
        Format::Vhdx => Some("vhdx"),
        Format::Raw | Format::Ova | Format::Tar | Format::Gz | Format::Bz2 | Format::Xz | Format::Zst | Format::Iso => {
            None
        }
    }
}

/// What is wrong with what we find, beside what QEMU takes the file for.
fn disagreement(path: &Path, taken: Option<&str>) -> Option<String> {
    let bytes = FileBytes::new(File::open(path).unwrap()).unwrap();
    let found = look(&bytes).unwrap();
    let accepted = inspect(&bytes, LARGEST);
    let Sniffed { format, outside, .. } = found;
    let fault = match (name(format), outside) {
        // Nothing that QEMU looks for, so it goes on as it is, or is unpacked.
        (None, None) => (taken != Some("raw")).then_some("it is raw to us"),
        // A fixed VHD says so at its end, where QEMU does not look. It is never handed over as it is.
        (Some("vpc"), None) if taken == Some("raw") => {
            let head = std::fs::read(path).unwrap();
            head.starts_with(b"conectix").then_some("it begins as a VHD")
        }
        (Some(name), None) => taken.is_some_and(|taken| taken != name).then_some("it is another format to us"),
        (_, Some(_)) => None,
    };
    let fault = fault.or_else(|| (outside.is_some() && accepted.is_ok()).then_some("it is accepted all the same"));
    let head: Vec<u8> = std::fs::read(path).unwrap().into_iter().take(128).collect();
    fault.map(|fault| {
        format!("{fault}: {format} {outside:?} {accepted:?}, QEMU says {taken:?}: {}", head.escape_ascii())
    })
}

/// What was seen of so many headers: how often QEMU took one for what, and what is wrong.
fn seen(originals: &[DiskFile], seed: u64, numbers: std::ops::Range<usize>) -> (BTreeMap<String, usize>, Vec<String>) {
    let (mut counts, mut faults) = (BTreeMap::new(), Vec::new());
    let mut random = fastrand::Rng::with_seed(seed + numbers.start as u64);
    let folder = tempfile::tempdir().unwrap();
    for first in numbers.clone().step_by(BATCH) {
        let batch: Vec<(String, DiskFile)> = (first..(first + BATCH).min(numbers.end))
            .map(|number| (format!("d{number}"), mutated(originals, number, &mut random)))
            .collect();
        for (name, file) in &batch {
            file.write(&folder.path().join(name));
        }
        let names: Vec<String> = batch.iter().map(|(name, _)| name.clone()).collect();
        let taken = taken_for(folder.path(), &names);
        for (number, ((name, file), taken)) in batch.iter().zip(&taken).enumerate() {
            let path = folder.path().join(name);
            let fault = disagreement(&path, taken.as_deref());
            faults.extend(fault.map(|fault| format!("{name}, once a {}: {fault}", file.of)));
            if number % ALONE == 0 {
                let alone = taken_alone(folder.path(), name);
                let same = alone == *taken || (taken.is_none() && alone.as_deref() != Some("raw"));
                assert!(same, "{name}, once a {}: {taken:?}, qemu-img info says {alone:?}", file.of);
            }
            *counts.entry(taken.clone().unwrap_or_else(|| "what it cannot open".to_owned())).or_default() += 1;
            std::fs::remove_file(path).unwrap();
        }
    }
    (counts, faults)
}

#[test]
fn what_qemu_takes_for_another_format_is_not_raw() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(9_001);
    eprintln!("SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let originals = originals(folder.path());
    let begun = std::time::Instant::now();
    let middle = HEADERS / 2;
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| seen(&originals, seed, middle..HEADERS));
        (seen(&originals, seed, 0..middle), other.join().unwrap())
    });
    let mut counts = one.0;
    for (taken, count) in two.0 {
        *counts.entry(taken).or_default() += count;
    }
    let faults: Vec<String> = one.1.into_iter().chain(two.1).collect();
    eprintln!("{HEADERS} headers in {:?}: {counts:?}", begun.elapsed());
    assert!(faults.is_empty(), "SEED={seed}: {} faults:\n{}", faults.len(), faults[..faults.len().min(40)].join("\n"));
    for format in ["raw", "qcow", "qcow2", "qed", "vmdk", "vdi", "vpc", "vhdx", "parallels"] {
        assert!(counts.get(format).is_some_and(|count| *count > 20), "QEMU took hardly any for {format}: {counts:?}");
    }
}
