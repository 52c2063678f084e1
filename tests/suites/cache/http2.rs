//! Images over HTTP/2: small ones share a connection, and come over HTTP/1.1 when it fails.

use h2::Reason;
use harness::http2_server::{Act, Http2Server};
use harness::image_server::{Body, ServerCertificate};
use vmcatcher_operator::fetch::{ImageAnswer, ImageRequest, SMALL_IMAGE, TlsSettings};

use super::*;

const SIZE: usize = 600_000;

/// A server, and what its images are asked for with.
struct Publisher {
    server: Http2Server,
    certificate: ServerCertificate,
}

impl Publisher {
    async fn start() -> Self {
        let certificate = ServerCertificate::generate();
        Self { server: Http2Server::start(&certificate).await, certificate }
    }

    fn source(&self, path: &str) -> Source {
        let tls = TlsSettings::Own { ca_pem: Some(self.certificate.authority_pem()), identity: None };
        Source { tls, ..Source::public(self.server.url(path).parse().unwrap()) }
    }

    /// Puts an image there, and returns a request for it.
    fn put(&self, path: &str, seed: u64, size: u64, acts: &[Act]) -> DownloadRequest {
        let body = Body::Pattern { seed, size };
        self.server.put(path, body.clone(), acts);
        let digest = body.sha512().parse::<Sha512Digest>().unwrap().into();
        let namespace = "site".parse().unwrap();
        DownloadRequest { namespace, digest, size: Some(size), source: self.source(path), sha1: false }
    }

    /// The protocols of all requests for a path.
    fn protocols(&self, path: &str) -> Vec<&'static str> {
        self.server.asked_for(path).iter().map(|asked| if asked.http2 { "2" } else { "1.1" }).collect()
    }
}

fn site(downloads: usize) -> Site {
    Site::with(JobLimits { downloads, ..quick() }, &ClientSettings::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn small_images_share_a_connection_and_a_large_one_has_its_own() {
    let publisher = Publisher::start().await;
    let site = site(9);
    // Until the first answer nothing is known of the server, and each download begins a connection.
    site.download(publisher.put("/first", 100, 1000, &[Act::Whole])).await.unwrap();
    let mut jobs = Vec::new();
    for seed in 0..20 {
        let request = publisher.put(&format!("/{seed}"), seed, SMALL_IMAGE - seed, &[Act::Whole]);
        jobs.push(site.jobs.start(request));
    }
    jobs.push(site.jobs.start(publisher.put("/large", 99, SMALL_IMAGE + 1, &[Act::Whole])));
    for key in &jobs {
        site.outcome(key).await.unwrap();
    }
    assert_eq!(publisher.protocols("/large"), ["1.1"]);
    let small = publisher.server.asked().into_iter().filter(|asked| asked.path != "/large").collect::<Vec<_>>();
    let first = small[0].connection;
    assert!(small.len() == 21 && small.iter().all(|asked| asked.http2 && asked.connection == first), "{small:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_cut_comes_over_http1() {
    let cases = [
        Act::Refuse(Reason::REFUSED_STREAM),
        Act::Refuse(Reason::HTTP_1_1_REQUIRED),
        Act::GoAway(None, Reason::NO_ERROR),
        Act::Die(None),
        Act::LargeHead(100_000),
        Act::Reset(SIZE / 2, Reason::INTERNAL_ERROR),
        Act::Reset(SIZE / 2, Reason::NO_ERROR),
        Act::ResetUnmeasured(SIZE / 2, Reason::NO_ERROR),
        Act::ResetUnmeasured(SIZE / 2, Reason::CANCEL),
        Act::GoAway(Some(SIZE / 2), Reason::NO_ERROR),
        Act::GoAway(Some(SIZE / 2), Reason::ENHANCE_YOUR_CALM),
        Act::Die(Some(SIZE / 2)),
    ];
    for act in cases {
        let publisher = Publisher::start().await;
        let site = site(4);
        let request = publisher.put("/a.img", 1, SIZE as u64, &[act.clone(), Act::Whole]);
        let blob = site.download(request).await.unwrap_or_else(|error| panic!("{act:?}: {error}"));
        assert_eq!(blob.size(), SIZE as u64);
        assert_eq!(publisher.protocols("/a.img"), ["2", "1.1"], "{act:?}");
        if let Act::Reset(..) | Act::ResetUnmeasured(..) = act {
            let expected = format!("bytes={}-", SIZE / 2);
            let range = publisher.server.asked_for("/a.img")[1].range.clone();
            assert_eq!(range.as_deref(), Some(expected.as_str()), "{act:?}: nothing is asked for twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dies_under_eight_downloads_loses_nothing() {
    let publisher = Publisher::start().await;
    let site = site(9);
    site.download(publisher.put("/first", 100, 1000, &[Act::Whole])).await.unwrap();
    let acts = [Act::Hold(SIZE / 2), Act::Whole];
    let jobs: Vec<JobKey> =
        (0..8).map(|seed| site.jobs.start(publisher.put(&format!("/{seed}"), seed, SIZE as u64, &acts))).collect();
    let mut changed = site.jobs.changed();
    let half =
        |key: &JobKey| matches!(site.jobs.look(key), Some(JobState::Running { bytes, .. }) if bytes == SIZE as u64 / 2);
    harness::patience::until("eight halves", async || jobs.iter().all(half)).await;
    changed.borrow_and_update();
    publisher.server.cut();
    for (number, key) in jobs.iter().enumerate() {
        let blob = site.outcome(key).await.unwrap();
        assert_eq!(blob.size(), SIZE as u64);
        let path = format!("/{number}");
        assert_eq!(publisher.protocols(&path), ["2", "1.1"]);
        let range = publisher.server.asked_for(&path)[1].range.clone();
        assert_eq!(range, Some(format!("bytes={}-", SIZE / 2)), "nothing is asked for twice");
    }
    let connections: Vec<u64> = (0..8).map(|n| publisher.server.asked_for(&format!("/{n}"))[0].connection).collect();
    assert!(connections.iter().all(|connection| *connection == connections[0]), "{connections:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_stops_no_other() {
    let publisher = Publisher::start().await;
    // A floor that gives up what has less than this in a second.
    let client = Client::new(&ClientSettings { minimum_rate: 100_000, ..impatient() }).unwrap();
    let size = SMALL_IMAGE;
    let mut unread = Vec::new();
    for seed in 0..16 {
        let path = format!("/{seed}");
        publisher.server.put(&path, Body::Pattern { seed, size }, &[Act::Whole]);
        let request = ImageRequest { offset: 0, size, validator: None, as_it_is: false, shares: true };
        let mut floor = client.rate_floor();
        let answer = client.open_image(&publisher.source(&path), &request, &mut floor).await.unwrap();
        let ImageAnswer::Bytes { mut body, .. } = answer else { panic!("{answer:?}") };
        if seed < 15 {
            unread.push((seed, body, floor));
            continue;
        }
        // All others have filled their windows, and wait for a disk or for the bandwidth.
        publisher.server.wait_for(15 << 20).await;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next(&mut floor).await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        assert!(bytes == Body::Pattern { seed, size }.to_vec(), "the one that is read");
    }
    assert!(publisher.server.asked().iter().all(|asked| asked.http2 && asked.connection == 1));
    for (seed, mut body, mut floor) in unread {
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next(&mut floor).await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        assert!(bytes == Body::Pattern { seed, size }.to_vec(), "{seed} goes on where it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_bandwidth_limit_is_no_stall_of_a_shared_connection() {
    let publisher = Publisher::start().await;
    let bytes_per_second = std::num::NonZeroU64::new(2_000_000);
    let limits = JobLimits { downloads: 9, bytes_per_second, ..quick() };
    let settings = ClientSettings { minimum_rate: 400_000, ..impatient() };
    let site = Site::with(limits, &settings);
    let jobs: Vec<JobKey> =
        (0..8).map(|n| site.jobs.start(publisher.put(&format!("/{n}"), n, SIZE as u64, &[Act::Whole]))).collect();
    for key in &jobs {
        site.outcome(key).await.unwrap();
    }
    let asked = publisher.server.asked();
    assert!(asked.len() == 8 && asked.iter().all(|asked| asked.http2), "none was given up: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_length_and_other_bytes_have_their_reasons() {
    let publisher = Publisher::start().await;
    let site = site(4);
    for (path, act) in [("/measured", Act::Whole), ("/unmeasured", Act::Unmeasured)] {
        for size in [SIZE as u64 - 1, SIZE as u64 + 1] {
            let mut request = publisher.put(path, 1, size, std::slice::from_ref(&act));
            request.size = Some(SIZE as u64);
            expect_reason(site.download(request).await, "SizeMismatch");
        }
        let good = publisher.put(path, 1, SIZE as u64, std::slice::from_ref(&act));
        let bad =
            DownloadRequest { digest: publisher.put(path, 2, SIZE as u64, std::slice::from_ref(&act)).digest, ..good };
        publisher.put(path, 1, SIZE as u64, &[act]);
        expect_reason(site.download(bad).await, "ChecksumMismatch");
    }
    assert!(site.partials().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_one_byte_fill_no_memory() {
    let publisher = Publisher::start().await;
    let client = Client::new(&ClientSettings::default()).unwrap();
    let size = 300_000;
    publisher.server.put("/a.img", Body::Zeros(size), &[Act::Dribble]);
    let request = ImageRequest { offset: 0, size, validator: None, as_it_is: false, shares: true };
    let mut floor = client.rate_floor();
    let answer = client.open_image(&publisher.source("/a.img"), &request, &mut floor).await.unwrap();
    let ImageAnswer::Bytes { mut body, .. } = answer else { panic!("{answer:?}") };
    // Nothing is read until the connection has been given up.
    harness::patience::until("the end of the connection", async || publisher.server.ended() == 1).await;
    let error = loop {
        match body.next(&mut floor).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("all frames were taken"),
            Err(error) => break error,
        }
    };
    assert!(error.reason() == "HTTPError" && error.to_string().contains("ENHANCE_YOUR_CALM"), "{error}");
    let volume = site(4);
    volume.download(publisher.put("/a.img", 3, size, &[Act::Dribble])).await.unwrap();
}
