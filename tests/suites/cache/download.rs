//! Downloads that go well in the end.

use std::os::unix::fs::PermissionsExt;

use data_encoding::HEXLOWER;
use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::cache::{JobLimits, JobState};
use vmcatcher_operator::convert::Format;
use vmcatcher_operator::fetch::Credentials;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_becomes_a_blob_with_all_that_is_known_of_it() {
    let server = ImageServer::start();
    let mut bytes = b"QFI\xfb\0\0\0\x03".to_vec();
    bytes.resize(300_000, 7);
    bytes[8..16].fill(0);
    bytes[20..24].copy_from_slice(&16_u32.to_be_bytes());
    bytes[24..32].copy_from_slice(&(5_u64 << 30).to_be_bytes());
    bytes[72..80].fill(0);
    let resource = Resource::bytes(bytes.clone());
    server.put("/a.qcow2", resource.clone());
    let site = Site::new();
    let blob = site.download(request(&server, "/a.qcow2", &resource)).await.unwrap();
    assert_eq!(blob.digest().to_string(), resource.sha512());
    assert_eq!((blob.size(), blob.format(), blob.virtual_size()), (300_000, Format::Qcow2, Some(5 << 30)));
    assert_eq!(blob.sha1(), Some(HEXLOWER.encode(&openssl::sha::sha1(&bytes)).as_str()));
    assert_eq!(std::fs::read(blob.path()).unwrap(), bytes);
    assert_eq!(std::fs::metadata(blob.path()).unwrap().permissions().mode() & 0o777, 0o444);
    assert!(site.partials().is_empty());
    assert_eq!(site.volume.blob(blob.digest()).unwrap().as_ref(), Some(&blob));
    let sent = &server.requests("/a.qcow2")[0];
    assert_eq!(sent.headers["user-agent"], concat!("vmcatcher-operator/", env!("CARGO_PKG_VERSION")));
    assert_eq!(sent.headers["accept-encoding"], "identity");
    assert_eq!(sent.range, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sha1_is_computed_for_those_who_ask_and_once() {
    let server = ImageServer::start();
    let resource = Resource::pattern(9, 3_000_001);
    server.put("/a.img", resource.clone());
    let site = Site::new();
    let without = DownloadRequest { sha1: false, ..request(&server, "/a.img", &resource) };
    let blob = site.download(without).await.unwrap();
    assert_eq!(blob.sha1(), None);
    let expected = HEXLOWER.encode(&openssl::sha::sha1(&std::fs::read(blob.path()).unwrap()));
    let now = jiff::Timestamp::now();
    let known = site.volume.with_sha1(&blob, now).unwrap().unwrap();
    assert_eq!((known.digest(), known.size(), known.sha1()), (blob.digest(), blob.size(), Some(expected.as_str())));
    assert_eq!(site.volume.blob(blob.digest()).unwrap().as_ref(), Some(&known));
    // What is recorded is not computed again.
    let later = now + jiff::SignedDuration::from_secs(5);
    assert_eq!(site.volume.with_sha1(&blob, later).unwrap(), Some(known));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_never_fetched_again() {
    let server = ImageServer::start();
    let resource = Resource::pattern(2, 100_000);
    server.put("/a.img", resource.clone());
    server.put("/b.img", resource.clone());
    let site = Site::new();
    let blob = site.download(request(&server, "/a.img", &resource)).await.unwrap();
    assert_eq!(site.download(request(&server, "/a.img", &resource)).await.unwrap(), blob);
    assert_eq!(site.download(request(&server, "/b.img", &resource)).await.unwrap(), blob);
    let mut site = site.restarted().await;
    assert_eq!(site.download(request(&server, "/a.img", &resource)).await.unwrap(), blob);
    // A record that is gone or broken costs a look at the bytes, not a download.
    for broken in [None, Some(""), Some("{"), Some("null"), Some("{\"size\": 1}")] {
        let record = blob.path().with_extension("json");
        std::fs::remove_file(&record).unwrap();
        if let Some(text) = broken {
            std::fs::write(&record, text).unwrap();
        }
        site = site.restarted().await;
        assert_eq!(site.volume.blob(blob.digest()).unwrap(), None);
        let again = site.download(request(&server, "/a.img", &resource)).await.unwrap();
        assert_eq!((again.digest(), again.size(), again.sha1()), (blob.digest(), blob.size(), blob.sha1()));
    }
    assert_eq!(server.all_requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cuts_every_connection_is_worn_down() {
    let server = ImageServer::start();
    let resource = Resource::pattern(3, 1_000_000).etag("\"v1\"").cut_every(10_000);
    server.put("/a.img", resource.clone());
    let site = Site::new();
    site.download(request(&server, "/a.img", &resource)).await.unwrap();
    let expected: Vec<_> = (0..100).map(|n| (n > 0).then(|| format!("bytes={}-", n * 10_000))).collect();
    assert_eq!(ranges(&server, "/a.img"), expected);
    assert_eq!(server.bytes_sent("/a.img"), 1_000_000, "nothing was sent twice");
    assert!(server.requests("/a.img")[1..].iter().all(|request| request.headers["if-range"] == "\"v1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_run_asks_for_the_rest_only() {
    let server = ImageServer::start();
    let resource = Resource::pattern(4, 500_000).etag("\"v1\"");
    server.put_each("/a.img", vec![resource.clone().stall_after(200_000), resource.clone()]);
    let site = Site::new();
    let key = site.jobs.start(request(&server, "/a.img", &resource));
    let site = site.cut_off(&key, 200_000).await;
    assert_eq!(site.received(), 200_000);
    site.download(request(&server, "/a.img", &resource)).await.unwrap();
    assert_eq!(ranges(&server, "/a.img"), [None, Some("bytes=200000-".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_between_two_connections_is_begun_anew() {
    let old = Resource::pattern(5, 300_000);
    let new = Resource::pattern(6, 300_000);
    let first = old.clone().cut_every(100_000);
    let cases = [
        ("strong tags and If-Range", first.clone().etag("\"1\""), new.clone().etag("\"2\""), 2),
        (
            "a server that does not look at If-Range",
            first.clone().etag("\"1\""),
            new.clone().etag("\"2\"").blind_to_if_range(),
            3,
        ),
        ("weak tags: only the digest tells", first.clone().etag("W/\"1\""), new.clone().etag("W/\"2\""), 3),
        ("no tags: only the digest tells", first.clone(), new.clone(), 3),
        ("a server without ranges", first, new.clone().without_ranges(), 2),
    ];
    for (case, before, after, requests) in cases {
        let server = ImageServer::start();
        server.put_each("/a.img", vec![before, after]);
        let site = Site::new();
        let blob = site.download(request(&server, "/a.img", &new)).await;
        assert!(blob.is_ok(), "{case}: {blob:?}");
        assert_eq!(ranges(&server, "/a.img").len(), requests, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_passes_is_waited_out() {
    let good = Resource::pattern(7, 100_000);
    let cases = [
        vec![Resource::status(500), Resource::status(503)],
        vec![Resource::status(429).header("Retry-After", "0")],
        vec![good.clone().cut_every(0), good.clone().cut_every(0)],
        vec![good.clone().cut_every(50_000), good.clone().claims_length(100_000).shifted_ranges(10)],
        vec![
            good.clone().cut_every(50_000),
            Resource::status(500),
            good.clone().cut_every(20_000),
            Resource::status(500),
        ],
        vec![good.clone().cut_every(50_000), good.clone().unsaid_ranges()],
        vec![good.clone().stall_after(30_000)],
        vec![good.clone().until_close().cut_every(40_000)],
        vec![good.clone().chunked().cut_every(40_000)],
    ];
    for (number, mut steps) in cases.into_iter().enumerate() {
        let server = ImageServer::start();
        steps.push(good.clone());
        server.put_each("/a.img", steps);
        let site = Site::with(quick(), &impatient());
        let blob = site.download(request(&server, "/a.img", &good)).await;
        assert!(blob.is_ok(), "case {number}: {blob:?} {:?}", server.requests("/a.img"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_tell_the_end_is_understood() {
    let server = ImageServer::start();
    let resource = Resource::pattern(8, 150_000);
    let ways = [resource.clone().chunked(), resource.clone().until_close(), resource.clone().without_ranges()];
    for (number, way) in ways.into_iter().enumerate() {
        let path = format!("/{number}");
        server.put(&path, way);
        Site::new().download(request(&server, &path, &resource)).await.unwrap();
        assert_eq!(server.requests(&path).len(), 1, "way {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_holds_nobody_else() {
    let dead = ImageServer::start();
    let alive = ImageServer::start();
    let settings = ClientSettings { stall_window: Duration::from_hours(1), ..ClientSettings::default() };
    let site = Site::with(JobLimits { downloads: 4, per_host: 2, ..quick() }, &settings);
    let resource = |number: u64| Resource::pattern(number, 10_000);
    for number in 0..8 {
        let path = format!("/{number}");
        dead.put(&path, Resource::silent());
        site.jobs.start(request(&dead, &path, &resource(number)));
    }
    for number in 10..18 {
        let path = format!("/{number}");
        alive.put(&path, resource(number));
        site.download(request(&alive, &path, &resource(number))).await.unwrap();
    }
    assert!(dead.all_requests().len() <= 2, "one host has no more than its slots");
    site.jobs.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_looked_at_cancelled_and_started_again() {
    let server = ImageServer::start();
    let resource = Resource::pattern(9, 400_000);
    server.put_each("/a.img", vec![resource.clone().stall_after(100_000), resource.clone()]);
    let site = Site::with(quick(), &ClientSettings::default());
    let wanted = request(&server, "/a.img", &resource);
    let key = site.jobs.start(wanted.clone());
    assert_eq!(site.jobs.start(wanted.clone()), key, "a second start is the same job");
    loop {
        match site.jobs.look(&key).unwrap() {
            JobState::Running { bytes: 100_000, total: 400_000, .. } => break,
            JobState::Queued | JobState::Running { .. } => tokio::task::yield_now().await,
            JobState::Done(_) | JobState::Failed(_) => panic!("it stalls"),
        }
    }
    site.jobs.cancel(&key);
    assert!(site.jobs.look(&key).is_none());
    site.download(wanted.clone()).await.unwrap();
    assert_eq!(ranges(&server, "/a.img"), [None, Some("bytes=100000-".to_owned())]);
    site.jobs.forget(&key);
    assert!(site.jobs.look(&key).is_none());
    site.jobs.shutdown().await;
    assert!(site.download(wanted).await.is_err(), "nothing starts after the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_addresses_of_one_digest_make_one_blob() {
    let server = ImageServer::start();
    let resource = Resource::pattern(10, 2_000_000);
    server.put("/a.img", resource.clone().rate(8_000_000));
    server.put("/b.img", resource.clone().rate(8_000_000));
    let site = Site::new();
    let both = [request(&server, "/a.img", &resource), request(&server, "/b.img", &resource)];
    let [one, two] = both.map(|request| site.jobs.start(request));
    assert_eq!(site.outcome(&one).await.unwrap(), site.outcome(&two).await.unwrap());
    assert!(site.partials().is_empty());
    assert_eq!(site.volume.blobs().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_open_what_is_closed() {
    let server = ImageServer::start();
    let resource = Resource::pattern(11, 10_000);
    server.put("/basic", resource.clone().basic("site", "s3cret"));
    server.put("/token", resource.clone().basic("t0ken", "x-oauth-basic"));
    server.put("/bearer", resource.clone().bearer("b3arer"));
    let cases = [
        ("/basic", Credentials::basic("site", "s3cret")),
        ("/token", Credentials::token("t0ken")),
        ("/bearer", Credentials::bearer("b3arer")),
    ];
    for (path, credentials) in cases {
        let wanted = with_credentials(request(&server, path, &resource), credentials);
        Site::new().download(wanted).await.unwrap();
    }
}
