//! What an upload costs: 2 GiB to a real Glance by the operator's client, beside `curl -T` of the same file to the same
//! Glance, in turns. Run with `cargo bench -p vmcatcher-tests --bench glance`. The servers are those of
//! `tests/openstack/get`; 4 GiB of temporary space are needed.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "figures are printed for people")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use harness::openstack::{Detour, RealOpenStack};
use uuid::Uuid;
use vmcatcher_operator::openstack::glance::NewImage;
use vmcatcher_operator::openstack::{Client, Connection, Credentials, DiskFormat, Visibility};

const SIZE: u64 = 2 << 30;
const ROUNDS: usize = 3;

/// The most memory that this process had so far, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// A file of bytes that no file system keeps in less.
fn write(path: &Path) {
    let mut file = File::create(path).unwrap();
    let mut block = vec![0; 1 << 20];
    fastrand::Rng::with_seed(1).fill(&mut block);
    for number in 0..SIZE >> 20 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block).unwrap();
    }
    file.sync_all().unwrap();
}

async fn create(client: &Client) -> Uuid {
    let id = Uuid::new_v4();
    let new = NewImage {
        id,
        name: "bench".to_owned(),
        disk_format: DiskFormat::parse("raw"),
        visibility: Visibility::Private,
        os_hidden: false,
        protected: false,
        tags: [].into(),
        min_disk: 0,
        min_ram: 0,
        properties: [].into(),
    };
    client.create(&new).await.unwrap();
    id
}

/// Deletes an image, whose digest it returns.
async fn take(client: &Client, id: Uuid) -> String {
    let image = client.image(id).await.unwrap();
    assert_eq!(image.size, Some(SIZE), "{image:?}");
    client.delete(id).await.unwrap();
    image.os_hash_value.unwrap()
}

async fn by_the_operator(client: &Client, path: &Path) -> (f64, String) {
    let id = create(client).await;
    let sent = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let file = tokio::fs::File::open(path).await.unwrap();
    client.upload(id, file, SIZE, sent.clone()).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(sent.load(Ordering::SeqCst), SIZE);
    (seconds, take(client, id).await)
}

async fn by_curl(client: &Client, path: &Path, (glance, token): (&str, &str)) -> (f64, String) {
    let id = create(client).await;
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--noproxy", "*", "-H", "Expect:"])
        .args(["-H", &format!("X-Auth-Token: {token}"), "-H", "Content-Type: application/octet-stream", "-T"])
        .arg(path)
        .arg(format!("{glance}/v2/images/{id}/file"));
    let began = Instant::now();
    assert!(curl.status().unwrap().success());
    let seconds = began.elapsed().as_secs_f64();
    (seconds, take(client, id).await)
}

#[tokio::main]
async fn main() {
    let servers = RealOpenStack::start();
    // The way to Keystone alone leads by here, for the token.
    let keystone = Detour::start(Some(&servers.auth_url), |_, _| true);
    let id = servers.credentials["vmcatcher"].clone();
    let credentials = Credentials::ApplicationCredentialId { id, secret: servers.password.clone().into() };
    let connection = Connection::new(format!("{}/v3", keystone.url()).parse().unwrap(), credentials);
    let client = Client::new(connection).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    write(&path);
    client.session().await.unwrap();
    let before = peak();
    let (mut ours, mut curls) = (f64::INFINITY, f64::INFINITY);
    for round in 1..=ROUNDS {
        let (seconds, digest) = by_the_operator(&client, &path).await;
        let token = keystone.tokens().last().cloned().unwrap();
        let (of_curl, same) = by_curl(&client, &path, (&servers.image_url, &token)).await;
        assert_eq!(digest, same);
        println!("{round}: operator {seconds:.2} s, curl {of_curl:.2} s");
        (ours, curls) = (ours.min(seconds), curls.min(of_curl));
    }
    println!("best: operator {ours:.2} s, curl {curls:.2} s; rate {:.2} of curl's", curls / ours);
    println!("peak of memory: {before} MiB before the first upload, {} MiB after the last", peak());
}
