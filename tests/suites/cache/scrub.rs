//! Blobs are read again, and what changed goes out.

use std::fs;
use std::num::NonZeroU64;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use harness::image_server::{ImageServer, Resource};
use jiff::SignedDuration;
use vmcatcher_operator::cache::{Scrub, ScrubSettings};

use super::*;

async fn stocked(server: &ImageServer, site: &Site, count: u64) -> Vec<VerifiedBlob> {
    let mut blobs = Vec::new();
    for seed in 0..count {
        let (path, image) = (format!("/{seed}"), Resource::pattern(seed, 300_000));
        server.put(&path, image.clone());
        blobs.push(site.download(request(server, &path, &image)).await.unwrap());
    }
    blobs
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_on_the_disk_is_found_told_once_and_out_of_use() {
    let server = ImageServer::start();
    let site = Site::new();
    let blobs = stocked(&server, &site, 3).await;
    let published = site.volume.publish(&image("a"), &"1".parse().unwrap(), &blobs[1]).unwrap();
    fs::set_permissions(blobs[1].path(), fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(blobs[1].path()).unwrap();
    bytes[200_000] ^= 1;
    fs::write(blobs[1].path(), bytes).unwrap();
    let scrub =
        Scrub::start(site.volume.clone(), ScrubSettings { interval: SignedDuration::ZERO, bytes_per_second: None });
    let mut changed = scrub.changed();
    let spoiled = loop {
        changed.changed().await.unwrap();
        let spoiled = scrub.take_spoiled();
        if !spoiled.is_empty() {
            break spoiled;
        }
    };
    assert_eq!(spoiled.len(), 1);
    assert_eq!((&spoiled[0].expected, spoiled[0].size), (blobs[1].digest(), 300_000));
    assert_ne!(spoiled[0].found, spoiled[0].expected);
    assert_eq!(site.volume.blob(blobs[1].digest()).unwrap(), None);
    assert!(!published.exists(), "it has no published name any more");
    let verified = |blob: &VerifiedBlob| site.volume.blob(blob.digest()).unwrap().unwrap().last_verified_time();
    while [&blobs[0], &blobs[2]].into_iter().any(|blob| verified(blob) <= blob.last_verified_time()) {
        changed.changed().await.unwrap();
    }
    assert_eq!(scrub.take_spoiled(), []);
    scrub.shutdown().await;
    let wanted = request(&server, "/1", &Resource::pattern(1, 300_000));
    site.jobs.forget(&wanted.key());
    let again = site.download(wanted).await.unwrap();
    assert_eq!(site.volume.publish(&image("a"), &"1".parse().unwrap(), &again).unwrap(), published);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_due_is_read_and_no_faster_than_told() {
    let server = ImageServer::start();
    let site = Site::new();
    let blobs = stocked(&server, &site, 2).await;
    let rate = NonZeroU64::new(1_000_000);
    let slow = ScrubSettings { interval: SignedDuration::ZERO, bytes_per_second: rate };
    let scrub = Scrub::start(site.volume.clone(), slow);
    let (began, mut changed) = (Instant::now(), scrub.changed());
    changed.wait_for(|looked_at| *looked_at >= 4).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(1_150), "{:?} for 1.2 MB at 1 MB/s", began.elapsed());
    scrub.shutdown().await;
    let verified = site.volume.verified_times().unwrap();
    let scrub = Scrub::start(site.volume.clone(), ScrubSettings::default());
    assert!(tokio::time::timeout(Duration::from_millis(300), scrub.changed().changed()).await.is_err(), "none is due");
    scrub.shutdown().await;
    assert_eq!(site.volume.verified_times().unwrap(), verified);
    assert_eq!(verified.len(), blobs.len());
}
