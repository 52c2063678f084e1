//! The program itself, as a process: exit codes, output, signals, `kill -9`, memory.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};

use harness::image_server::Resource;
use harness::patience::{PATIENCE, until};
use harness::site::{Served, Site};
use rustix::process::{Pid, Signal, kill_process};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

pub(crate) fn operator(site: &Site, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("reconcile").args(more);
    for (option, folder) in [("--manifests", "manifests"), ("--volume", "volume"), ("--trust", "trust")] {
        command.arg(option).arg(site.path(folder));
    }
    command
}

pub(super) fn once(site: &Site) -> Output {
    operator(site, &["--once"]).output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A process that goes on until it is told to stop.
pub(crate) struct Running {
    child: Child,
    /// What it logs. A thread reads it, so that a test that waits for what never comes ends.
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(site: &Site) -> Self {
        Self::start_with(site, &[])
    }

    pub(crate) fn start_with(site: &Site, more: &[&str]) -> Self {
        let mut child = operator(site, more).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// Waits until a line with this text is told; all lines up to it.
    pub(crate) fn wait_for(&mut self, expected: &str) -> String {
        let mut told = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            told.push_str(&line);
            told.push('\n');
            if line.contains(expected) {
                return told;
            }
        }
        panic!("expected {expected:?}, found only:\n{told}");
    }

    /// A field of `/proc/<pid>/<file>`.
    pub(crate) fn fact(&self, file: &str, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a test that failed. It has ended otherwise.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The system's certificate authorities are a pipe that has no writer: who opens it waits for ever.
#[test]
fn a_list_by_http_does_not_wait_for_the_certificate_authorities() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let authorities = site.path("authorities");
    rustix::fs::mkfifoat(rustix::fs::CWD, &authorities, 0o600.into()).unwrap();
    for _ in 0..2 {
        let program = operator(&site, &["--once"]);
        let mut limited = Command::new("timeout");
        limited.arg("60").arg(program.get_program()).args(program.get_args());
        let run = limited.env("SSL_CERT_FILE", &authorities).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", text(&run));
    }
}

#[test]
fn exit_codes_say_how_it_ended() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let first = once(&site);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert!(text(&first).contains("version 1 is cached and verified"), "{}", text(&first));
    assert!(text(&first).contains(&format!("kind=CachedImage object=default/{A}")), "{}", text(&first));
    assert!(text(&first).contains("kind=ImageListSubscription object=default/vo"), "{}", text(&first));

    site.server.put("/image.list", Resource::status(500));
    let failed = once(&site);
    assert_eq!(failed.status.code(), Some(1), "a failed fetch is not silent: {}", text(&failed));

    site.publish(&site.list("1.0", &[&image]));
    site.manifest("broken", "kind: [");
    assert_eq!(once(&site).status.code(), Some(1), "a manifest that cannot be read");
    site.forget("broken");

    let usage = operator(&site, &["--no-such-option"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    std::fs::rename(site.path("manifests"), site.path("elsewhere")).unwrap();
    let gone = once(&site);
    assert_eq!(gone.status.code(), Some(3), "{}", text(&gone));
    assert!(text(&gone).contains("cannot read the manifests in"), "{}", text(&gone));
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let list =
        harness::signer::sign(&site.list("1.0", &[&image]).json(), &site.pki.endorser, harness::signer::Form::Detached);
    site.server.put("/image.list", Resource::bytes(list).basic("s3cret-token", "x-oauth-basic"));
    site.manifest(
        "secret",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token, annotations: {vmcatcher.io/allow-plain-http: 'true'}}\n\
         stringData: {token: s3cret-token}\n",
    );
    let url = site.server.url("/image.list?key=s3cret-query");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}, secretRef: {{name: token}}}}\n  verify: {{endorserRefs: [{{name: endorser}}]}}\n  images: {{include: \
         {{match: [{{name: all}}]}}}}\n"
    ));
    let good = operator(&site, &["--once", "-v", "-v"]).output().unwrap();
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    site.server.put("/image.list", Resource::bytes(b"x".as_slice()).basic("another", "password"));
    let refused = operator(&site, &["--once", "-v", "-v", "-o", "wide"]).output().unwrap();
    assert!(text(&refused).contains("AuthenticationFailed") && text(&refused).contains("401"), "{}", text(&refused));
    site.manifest(
        "secret",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {tokn: s3cret-token}\n",
    );
    let invalid = operator(&site, &["--once", "-v", "-v", "-o", "json"]).output().unwrap();
    for output in [&good, &refused, &invalid] {
        let shown = text(output).replace(&url, "the address as the manifest has it");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_second_run_waits_for_the_first_and_says_so() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let mut first = Running::start(&site);
    first.wait_for("ImageDownloaded");
    let mut second = Running::start(&site);
    let told = second.wait_for("waiting");
    assert!(told.contains(&first.child.id().to_string()), "{told}");
    assert!(first.terminate().success());
    site.pass_time(jiff::SignedDuration::from_secs(60));
    let newer = site.serve(A, "2", 2, 50_000);
    site.publish(&site.list("1.1", &[&newer]));
    site.subscribe_with("vo", "now", &site.server.url("/image.list"), "images: {include: {match: [{name: all}]}}");
    // By its own clock the list is of the future for at most the skew that is allowed.
    second.wait_for("ImageDownloaded");
    assert!(second.terminate().success());
    assert_eq!(site.shelf("endorsed"), [newer.entry()]);
}

#[test]
fn manifests_and_trust_are_watched() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let trust = site.path("trust");
    std::fs::rename(&trust, site.path("aside")).unwrap();
    std::fs::create_dir(&trust).unwrap();
    let mut running = Running::start(&site);
    running.wait_for("ListRefused");
    for entry in std::fs::read_dir(site.path("aside")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), trust.join(entry.file_name())).unwrap();
    }
    running.wait_for("ImageDownloaded");
    site.manifest("broken", "kind: [");
    running.wait_for("broken.yaml");
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    running.wait_for("ImageArchived");
    assert!(running.terminate().success());
    assert_eq!(site.shelf("expired"), [image.entry()]);
}

#[test]
fn killed_at_twenty_moments_the_next_run_comes_to_the_same_end() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let size = 16 * 1024 * 1024;
    for moment in 0..20_u64 {
        let place = Site::new();
        let resource = |seed| Resource::pattern(seed, size).etag("\"v1\"").rate(200 * 1024 * 1024);
        let (a, b) = (place.serve_as(A, "1", resource(2 * moment)), place.serve_as(B, "1", resource(2 * moment + 1)));
        place.publish(&place.list("1.0", &[&a, &b]));
        let mut child = operator(&place, &["--once"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let path = format!("/{}-1.img", if random.bool() { A } else { B });
        // A moment of the transfer, not of the clock: it falls into it on any machine.
        place.server.wait_for(&path, 1, random.u64(..size));
        child.kill().unwrap();
        child.wait().unwrap();
        let lengths = [&a, &b].map(|image| partial_length(&place, image));
        let before = [A, B].map(|image| place.server.requests(&format!("/{image}-1.img")).len());
        let next = once(&place);
        assert_eq!(next.status.code(), Some(0), "{}", text(&next));
        assert_eq!(place.shelf("endorsed"), [a.entry(), b.entry()], "SEED={seed}");
        for (image, length, before) in [(A, lengths[0], before[0]), (B, lengths[1], before[1])] {
            if let Some(request) = place.server.requests(&format!("/{image}-1.img")).get(before) {
                let range = request.range.as_deref().map_or("0", |range| range.trim_start_matches("bytes="));
                let start: u64 = range.trim_end_matches('-').parse().unwrap();
                assert!(
                    start <= length && length - start <= 1 << 20,
                    "from {start}, the file had {length}; SEED={seed}"
                );
            }
        }
    }
}

/// The files of a site that bear a temporary name of ours, wherever they are.
fn temporary_files(site: &Site) -> Vec<std::path::PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![site.path(".")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with(".vmcatcher-") {
                found.push(entry.path());
            }
        }
    }
    found
}

/// A moment is a line of the log: how many there are is known from a run that is not interrupted.
#[test]
fn a_hundred_kills_leave_no_temporary_file_behind_the_next_pass() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Site::new();
    place.subscribe("retention: {keepVersions: 1, keepFor: 0s}");
    let identifiers: Vec<String> = (1..=3).map(|n| format!("aaaaaaaa-0000-4000-8000-00000000000{n}")).collect();
    let mut images = Vec::new();
    let mut renew = |version: u64| {
        let of = |(number, identifier): (u64, &String)| {
            place.serve(identifier, &version.to_string(), 10 * version + number, 20_000)
        };
        images = (0..).zip(&identifiers).map(of).collect::<Vec<Served>>();
        place.publish(&place.list(&format!("1.{version}"), &images.iter().collect::<Vec<_>>()));
        images.iter().map(Served::entry).collect::<Vec<_>>()
    };
    let (mut lines, mut left) = (0, 0);
    let mut entries = Vec::new();
    // The first one is not killed.
    for kill in 0..=100 {
        entries = renew(kill + 1);
        let mut child =
            operator(&place, &["--once", "-v", "-v"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        if kill == 0 {
            lines = told.count();
            assert!(child.wait().unwrap().success());
            continue;
        }
        let _last = told.nth(random.usize(..lines));
        child.kill().unwrap();
        child.wait().unwrap();
        let files = temporary_files(&place);
        let published = files.iter().filter(|path| {
            ["endorsed", "expired"].iter().any(|name| path.starts_with(place.path("volume").join(name)))
        });
        assert_eq!(published.collect::<Vec<_>>(), [] as [&std::path::PathBuf; 0], "SEED={seed}");
        left += files.len();
    }
    eprintln!("{left} temporary files were left by 100 kills; a run has {lines} lines");
    let next = once(&place);
    assert_eq!(next.status.code(), Some(0), "SEED={seed}: {}", text(&next));
    assert_eq!(temporary_files(&place), [] as [std::path::PathBuf; 0], "SEED={seed}");
    assert_eq!(place.shelf("endorsed"), entries, "SEED={seed}");
}

fn partial_length(site: &Site, image: &Served) -> u64 {
    let files = std::fs::read_dir(site.path("volume/partial")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut ours = files.filter(|path| path.extension().is_none());
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&image.sha512);
    ours.find(name).map_or(0, |path| path.metadata().unwrap().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_has_as_many_downloads_at_once_as_it_may() {
    for (downloads, per_host, expected) in [("6", "2", 2), ("6", "5", 5), ("3", "5", 3)] {
        let site = Site::new();
        let image = |number: u8| {
            let resource = Resource::pattern(number.into(), 100_000).stall_after(1000);
            site.serve_as(&A.replace('1', &number.to_string()), "1", resource)
        };
        let images: Vec<Served> = (2..8).map(image).collect();
        site.publish(&site.list("1.0", &images.iter().collect::<Vec<_>>()));
        let limits = ["--max-downloads", downloads, "--max-downloads-per-host", per_host];
        let running = Running::start_with(&site, &limits);
        let of = |image: &Served| site.server.requests(&format!("/{}-1.img", image.identifier)).len();
        let asked = || images.iter().map(of).sum::<usize>();
        until(&format!("{expected} requests"), async || asked() >= expected).await;
        assert!(running.terminate().success());
        assert_eq!(asked(), expected, "{limits:?}");
    }
}

#[test]
fn a_blob_that_rots_is_found_and_fetched_again() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    once(&site);
    let blob = site.path("volume/blobs/sha512").join(&image.sha512[..2]).join(&image.sha512);
    let mode = |mode| std::fs::set_permissions(&blob, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    std::fs::OpenOptions::new().write(true).open(&blob).unwrap().write_all(b"rotten").unwrap();
    mode(0o444);
    let mut running = Running::start_with(&site, &["--scrub-interval", "1s"]);
    // A pass may have it again before the line about the damage is written.
    let told = running.wait_for("BlobDamaged");
    if !told.contains("ImageDownloaded") {
        running.wait_for("ImageDownloaded");
    }
    assert!(running.terminate().success());
    assert_eq!(site.shelf("endorsed"), [image.entry()]);
    assert_eq!(site.server.requests(&format!("/{A}-1.img")).len(), 2);
}

#[test]
fn a_large_image_takes_little_memory_and_is_read_once() {
    let site = Site::new();
    let bytes = 2 << 30;
    let image = site.serve_as(A, "1", Resource::zeros(bytes));
    site.publish(&site.list("1.0", &[&image]));
    let mut running = Running::start(&site);
    running.wait_for("ImageDownloaded");
    let (peak, read) = (running.fact("status", "VmHWM"), running.fact("io", "rchar"));
    // The pages of the program itself, of which a development build has several times as many.
    let mapped = running.fact("status", "RssFile");
    assert!(running.terminate().success());
    eprintln!("2 GiB: peak {peak} KiB, {mapped} KiB of it the program, {read} characters read");
    assert!(peak - mapped < 40 * 1024, "a peak of {peak} KiB, {mapped} KiB of it the program");
    assert!(read < bytes + bytes / 20, "{read} characters read: the image was read again");
}
