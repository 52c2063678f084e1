//! A process that is killed at any moment leaves a volume from which the next run comes to the same end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use data_encoding::HEXLOWER;
use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::cache::{ImageKey, Volume};

const PROBE: &str = env!("CARGO_BIN_EXE_download");

/// A process that downloads the resource from a path.
fn probe(volume: &Path, url: &str, digest: &str, resource: &Resource) -> Command {
    let mut command = Command::new(PROBE);
    command.arg(volume).arg(url).arg(digest).arg(resource.size().to_string());
    command
}

fn facts(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every file on a volume with its mode and its bytes (a digest of them, or its JSON), but for what tells the time and who holds the lock.
fn state_of(volume: &Path) -> BTreeMap<PathBuf, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![volume.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(volume).unwrap().to_owned();
            let bytes = fs::read(&path).unwrap();
            let text = if name.extension().is_some_and(|extension| extension == "json") {
                let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                for time in ["lastVerifiedTime", "grantedTime"] {
                    value[time].take();
                }
                value.to_string()
            } else {
                HEXLOWER.encode(&openssl::sha::sha256(&bytes))
            };
            if name != Path::new("lock") {
                found.insert(name, (path.metadata().unwrap().permissions().mode(), text));
            }
        }
    }
    found
}

/// The length of the partial download, where there is one.
fn partial_length(volume: &Path) -> u64 {
    let entries = fs::read_dir(volume.join("partial")).into_iter().flatten();
    let files = entries.map(|entry| entry.unwrap().path());
    let partial = files.filter(|path| path.extension().is_none());
    partial.map(|path| path.metadata().unwrap().len()).next().unwrap_or(0)
}

fn first_byte(range: Option<&str>) -> u64 {
    range.map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap())
}

#[test]
fn cut_before_any_step_the_next_run_ends_the_same() {
    let server = ImageServer::start();
    let resource = Resource::pattern(1, 300_000).etag("\"v1\"");
    // A connection that breaks is part of it, so that going on is among the steps.
    let paths = || server.put_each("/a.img", vec![resource.clone().cut_every(100_000), resource.clone()]);
    let digest = resource.sha512();
    let run = |volume: &Path| probe(volume, &server.url("/a.img"), &digest, &resource);
    let undisturbed = tempfile::tempdir().unwrap();
    paths();
    facts(&run(undisturbed.path()).output().unwrap());
    let expected = state_of(undisturbed.path());
    // How many writes there are depends on how the bytes come, so the run that came to its end is the last.
    for step in 0.. {
        let volume = tempfile::tempdir().unwrap();
        paths();
        let cut = run(volume.path()).args(["--cut-at", &step.to_string()]).output().unwrap();
        if cut.status.success() {
            assert!(step > 15, "{step} steps");
            break;
        }
        let images = ImageKey { namespace: "site".parse().unwrap(), identifier: "image".parse().unwrap() };
        for entry in Volume::read_only(volume.path()).unwrap().entries(&images).unwrap().endorsed {
            assert_eq!(fs::read(entry.path).unwrap(), fs::read(expected_image(undisturbed.path())).unwrap());
        }
        facts(&run(volume.path()).output().unwrap());
        assert_eq!(state_of(volume.path()), expected, "cut before step {step}");
    }
}

fn expected_image(volume: &Path) -> PathBuf {
    let folder = volume.join("endorsed/site/image");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.extension().is_some_and(|extension| extension != "json")).unwrap()
}

#[test]
fn killed_at_twenty_moments_it_goes_on_where_it_was() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = ImageServer::start();
    let size = 24 * 1024 * 1024;
    let resource = Resource::pattern(seed, size).etag("\"v1\"").rate(400 * 1024 * 1024);
    let digest = resource.sha512();
    for moment in 0..20 {
        let volume = tempfile::tempdir().unwrap();
        let path = format!("/{moment}.img");
        server.put(&path, resource.clone());
        let run = || probe(volume.path(), &server.url(&path), &digest, &resource);
        let mut child = run().stdout(Stdio::null()).spawn().unwrap();
        // The moment is one of the transfer, not of the clock: so it falls into it on any machine.
        server.wait_for(&path, 1, random.u64(..size));
        child.kill().unwrap();
        child.wait().unwrap();
        let length = partial_length(volume.path());
        let before = server.requests(&path).len();
        let finished = fs::read_dir(volume.path().join("endorsed")).unwrap().next().is_some();
        facts(&run().output().unwrap());
        let after = server.requests(&path);
        if let Some(request) = after.get(before) {
            let start = first_byte(request.range.as_deref());
            assert!(start <= length && length - start <= 1024 * 1024, "range {start}, the file had {length}, {seed}");
        } else {
            assert!(finished || length == size || length == 0, "nothing was asked for with {length} bytes there");
        }
        assert_eq!(fs::metadata(expected_image(volume.path())).unwrap().len(), size);
    }
}

#[test]
fn a_large_image_takes_little_memory_and_one_look() {
    let server = ImageServer::start();
    let resource = Resource::zeros(2 * 1024 * 1024 * 1024);
    server.put("/a.img", resource.clone());
    let volume = tempfile::tempdir().unwrap();
    let facts = facts(&probe(volume.path(), &server.url("/a.img"), &resource.sha512(), &resource).output().unwrap());
    let peak = facts["peakKiB"].as_u64().unwrap();
    let read = facts["charactersRead"].as_u64().unwrap();
    eprintln!("2 GiB: peak {peak} KiB, {read} characters read");
    assert!(peak < 64 * 1024, "a peak of {peak} KiB");
    assert!(read < resource.size() + resource.size() / 20, "{read} characters read: the image was read again");
}

#[test]
fn a_second_run_waits_for_the_volume_and_says_for_whom() {
    let server = ImageServer::start();
    let resource = Resource::bytes("an image");
    server.put("/a.img", resource.clone());
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::open(directory.path()).unwrap();
    let mut waiting = probe(directory.path(), &server.url("/a.img"), &resource.sha512(), &resource);
    let mut child = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut said).unwrap();
    assert!(said.contains(&format!("process {} on ", std::process::id())), "{said}");
    assert!(server.requests("/a.img").is_empty());
    drop(volume);
    facts(&child.wait_with_output().unwrap());
    assert_eq!(server.requests("/a.img").len(), 1);
}

#[test]
fn whatever_the_umask_says_others_can_read_what_is_published() {
    let server = ImageServer::start();
    let resource = Resource::bytes("an image");
    server.put("/a.img", resource.clone());
    let directory = tempfile::tempdir().unwrap();
    let volume = directory.path().join("volume");
    let direct = probe(&volume, &server.url("/a.img"), &resource.sha512(), &resource);
    let mut masked = Command::new("sh");
    masked.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(direct.get_program()).args(direct.get_args());
    facts(&masked.output().unwrap());
    let mut path = expected_image(&volume);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    while path != volume {
        path.pop();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o755, "{}", path.display());
    }
}
