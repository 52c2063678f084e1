//! How much of the volume and of the line downloads may take.

use std::num::NonZeroU64;
use std::time::Instant;

use harness::image_server::{ImageServer, Resource};
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::cache::Keep;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn all_downloads_together_keep_to_the_quota() {
    let server = ImageServer::start();
    let quota = 250_000;
    let site = Site::with(JobLimits { quota: Some(quota), ..quick() }, &ClientSettings::default());
    let images = [1, 2, 3].map(|seed| Resource::pattern(seed, 100_000).rate(400_000));
    let mut jobs = Vec::new();
    for (number, image) in images.iter().enumerate() {
        let path = format!("/{number}");
        server.put(&path, image.clone());
        jobs.push(site.jobs.start(request(&server, &path, image)));
    }
    let mut refused = Vec::new();
    for key in &jobs {
        if let Err(error) = site.outcome(key).await {
            assert_eq!(error.reason(), "NoSpace", "{error}");
            assert!(
                error.to_string().contains("97.65 KiB needed") && error.to_string().contains("quota of 244.14 KiB")
            );
            refused.push(key);
        }
    }
    assert_eq!(refused.len(), 1, "two fit, three do not, whichever began first");
    assert_eq!(server.all_requests().len(), 2, "what does not fit is not asked for");
    let kept: u64 = site.volume.usage().unwrap().parts.iter().map(|part| part.bytes).sum();
    assert!(kept <= quota + 40_000, "{kept} with records and rights");
    let later = Timestamp::now() + SignedDuration::from_hours(2);
    assert_eq!(site.volume.collect_garbage(&Keep::default(), later).unwrap().blobs.len(), 2);
    let number = jobs.iter().position(|key| key == refused[0]).unwrap();
    site.download(request(&server, &format!("/{number}"), &images[number])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_downloads_together_keep_to_the_bandwidth() {
    let server = ImageServer::start();
    let limits = JobLimits { bytes_per_second: NonZeroU64::new(600_000), per_host: 3, ..quick() };
    // Waiting for one's own limit is no stall of the server's.
    let settings = ClientSettings { minimum_rate: 400_000, stall_window: Duration::from_secs(2), ..impatient() };
    let site = Site::with(limits, &settings);
    let began = Instant::now();
    let mut jobs = Vec::new();
    for seed in 0..3 {
        let (path, image) = (format!("/{seed}"), Resource::pattern(seed, 400_000));
        server.put(&path, image.clone());
        jobs.push(site.jobs.start(request(&server, &path, &image)));
    }
    for key in &jobs {
        site.outcome(key).await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?} for 1.2 MB at 600 kB/s", began.elapsed());
    assert_eq!(server.all_requests().len(), 3, "nobody was cut off for it");
}
