//! Servers that lie, and what is left of their lies.

use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::cache::JobState;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn another_length_is_refused_with_both_figures() {
    let good = Resource::pattern(1, 100_000);
    let longer = Resource::pattern(1, 100_001);
    let shorter = Resource::pattern(1, 99_999);
    let cases = [
        ("announced too long", vec![longer.clone()], "100001", 0),
        ("announced too short", vec![shorter.clone()], "99999", 0),
        ("too long without a word", vec![Resource::pattern(1, 9_000_000).chunked()], "more than 100000", 2_000_000),
        ("too short without a word", vec![shorter.clone().chunked()], "99999", 99_999),
        ("too short, told by 416", vec![shorter.clone().until_close()], "99999", 99_999),
        (
            "another length when asked for the rest",
            vec![good.clone().cut_every(50_000), longer.clone()],
            "100001",
            50_000,
        ),
    ];
    for (case, steps, found, most) in cases {
        let server = ImageServer::start();
        server.put_each("/a.img", steps);
        let site = Site::new();
        let message = expect_reason(site.download(request(&server, "/a.img", &good)).await, "SizeMismatch");
        assert!(message.contains(&format!("expected 100000 bytes, found {found}")), "{case}: {message}");
        // What the sockets of both sides hold counts as sent; an answer of 9 MB is not taken.
        assert!(server.bytes_sent("/a.img") <= most + 6_000_000, "{case}: {}", server.bytes_sent("/a.img"));
        assert!(site.partials().is_empty(), "{case}: {:?}", site.partials());
        assert!(site.volume.blobs().unwrap().is_empty(), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_are_refused_with_both_digests_and_removed() {
    let server = ImageServer::start();
    let (good, bad) = (Resource::pattern(1, 100_000), Resource::pattern(2, 100_000));
    server.put("/a.img", bad.clone());
    let site = Site::new();
    let message = expect_reason(site.download(request(&server, "/a.img", &good)).await, "ChecksumMismatch");
    assert!(message.contains(&good.sha512()) && message.contains(&bad.sha512()), "{message}");
    assert_eq!(server.requests("/a.img").len(), 1, "bytes of one connection are wrong at once");
    assert!(site.partials().is_empty());
    assert!(site.volume.blobs().unwrap().is_empty());
    assert!(site.download(request(&server, "/a.img", &good)).await.is_err(), "a failed job starts again");
    assert_eq!(server.requests("/a.img").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_mismatch_has_one_clean_start_and_no_more() {
    let server = ImageServer::start();
    let (good, bad) = (Resource::pattern(1, 100_000), Resource::pattern(2, 100_000));
    server.put_each("/a.img", vec![bad.clone().cut_every(50_000), bad.clone(), bad.clone().cut_every(50_000), bad]);
    let site = Site::new();
    expect_reason(site.download(request(&server, "/a.img", &good)).await, "ChecksumMismatch");
    let rest = Some("bytes=50000-".to_owned());
    assert_eq!(ranges(&server, "/a.img"), [None, rest.clone(), None, rest]);
    assert!(site.partials().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_address_does_not_spoil_another_one() {
    let server = ImageServer::start();
    let good = Resource::pattern(1, 300_000);
    server.put("/bad.img", Resource::pattern(2, 300_000));
    server.put_each("/good.img", vec![good.clone().cut_every(100_000), good.clone()]);
    let site = Site::new();
    let bad = site.jobs.start(request(&server, "/bad.img", &good));
    let blob = site.download(request(&server, "/good.img", &good)).await.unwrap();
    // Whichever came first: the bad one failed by its digest, or found the blob of the good one.
    match site.outcome(&bad).await {
        Ok(found) => assert_eq!(found, blob),
        Err(error) => assert_eq!(error.reason(), "ChecksumMismatch"),
    }
    assert_eq!(std::fs::read(blob.path()).unwrap().len(), 300_000);
    assert!(site.partials().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_without_progress_are_bounded_and_what_came_stays() {
    let good = Resource::pattern(1, 100_000).etag("\"1\"");
    let cases = [
        ("cut before the first byte", vec![good.clone().cut_every(0)], 3, 0),
        ("cut at the same place, without ranges", vec![good.clone().cut_every(60_000).without_ranges()], 4, 60_000),
        ("not there any more", vec![Resource::status(404)], 1, 0),
        ("an error that stays", vec![Resource::status(500)], 3, 0),
        ("gone after half of it", vec![good.clone().cut_every(60_000), Resource::status(503)], 4, 60_000),
        ("to be left alone for long", vec![Resource::status(429).header("Retry-After", "9999")], 1, 0),
        ("drips, then stalls, each time", vec![good.clone().stall_after(1_000)], 3, 3_000),
    ];
    for (case, steps, requests, left) in cases {
        let server = ImageServer::start();
        server.put_each("/a.img", steps);
        let site = Site::with(quick(), &impatient());
        expect_reason(site.download(request(&server, "/a.img", &good)).await, "FetchFailed");
        assert_eq!(server.requests("/a.img").len(), requests, "{case}");
        let partial = site.partials().into_iter().find(|name| !name.contains('.'));
        let partial = partial.map(|name| site.path().join("partial").join(name).metadata().unwrap());
        assert_eq!(partial.as_ref().map_or(0, std::fs::Metadata::len), left, "{case}");
        let blocks = partial.map_or(0, |about| std::os::unix::fs::MetadataExt::blocks(&about));
        assert!(blocks * 512 <= left + 4096, "{case}: space is given back, {blocks} blocks are held");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_fit_is_not_begun() {
    let server = ImageServer::start();
    server.put("/a.img", Resource::pattern(1, 10));
    let site = Site::with(JobLimits { min_free: Some(1 << 60), ..quick() }, &ClientSettings::default());
    let message = expect_reason(site.download(request(&server, "/a.img", &Resource::pattern(1, 10))).await, "NoSpace");
    assert!(message.contains("10 B needed, ") && message.contains(" free, 1 EiB kept free by --min-free"), "{message}");
    assert!(server.all_requests().is_empty());
    assert!(site.partials().is_empty(), "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_fails_is_given_back() {
    let server = ImageServer::start();
    let site = Site::new();
    let available = site.volume.available().unwrap();
    // Larger than any file may be on most file systems, and than any disk: refused before a request.
    let mut wanted = request(&server, "/a.img", &Resource::pattern(1, 10));
    wanted.size = Some(available.saturating_mul(2));
    expect_reason(site.download(wanted).await, "NoSpace");
    assert!(site.volume.available().unwrap() + (64 << 20) > available);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_the_disk_is_noticed_and_mended() {
    let server = ImageServer::start();
    let good = Resource::pattern(1, 200_000);
    server.put_each("/a.img", vec![good.clone().stall_after(100_000), good.clone()]);
    let site = Site::new();
    let key = site.jobs.start(request(&server, "/a.img", &good));
    while !matches!(site.jobs.look(&key), Some(JobState::Running { bytes: 100_000, .. })) {
        tokio::task::yield_now().await;
    }
    site.jobs.cancel(&key);
    let site = site.restarted().await;
    let partial = site.path().join("partial");
    let name = names(&partial).into_iter().find(|name| !name.contains('.')).unwrap();
    // Other bytes of the same length, as after a power cut.
    std::fs::write(partial.join(&name), vec![0; 100_000]).unwrap();
    std::fs::write(partial.join(name + ".json"), "{ half a rec").unwrap();
    site.download(request(&server, "/a.img", &good)).await.unwrap();
    assert_eq!(ranges(&server, "/a.img"), [None, Some("bytes=100000-".to_owned()), None]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that compress to about the half.
fn compressible(size: usize) -> Vec<u8> {
    harness::image_server::Body::Pattern { seed: 1, size: size as u64 / 2 }
        .to_vec()
        .into_iter()
        .flat_map(|byte| [byte, 0])
        .collect()
}

fn encoded(bytes: impl Into<Vec<u8>>) -> Resource {
    Resource::bytes(bytes).header("Content-Encoding", "gzip")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_was_forced_on_is_undone_and_the_digest_decides() {
    let image = compressible(300_000);
    let packed = gzip(&image);
    let twice = gzip(&packed);
    let (good, good_packed) = (Resource::bytes(image.clone()), Resource::bytes(packed.clone()));
    let cases = [
        ("forced on", &good, vec![encoded(packed.clone())]),
        ("forced on, without a length", &good, vec![encoded(packed.clone()).chunked()]),
        ("forced on, until the connection ends", &good, vec![encoded(packed.clone()).until_close()]),
        // The image is a compressed file, and the server says of the file how it is compressed.
        ("said of the file", &good_packed, vec![encoded(packed.clone())]),
        ("said of the file, without a length", &good_packed, vec![encoded(packed.clone()).chunked()]),
        ("forced on for a compressed file", &good_packed, vec![encoded(twice)]),
        ("said without being true", &good, vec![encoded(image.clone()).chunked()]),
        ("another name", &good, vec![Resource::bytes(image.clone()).header("Content-Encoding", "binary")]),
        // What is cut off is asked for again, as a part of the encoded bytes, which is of no use.
        ("cut once", &good, vec![encoded(packed.clone()).cut_every(60_000), encoded(packed.clone())]),
        (
            "cut once, without ranges",
            &good,
            vec![encoded(packed.clone()).cut_every(60_000).without_ranges(), encoded(packed.clone()).without_ranges()],
        ),
        ("encoded at first only", &good, vec![encoded(packed.clone()).cut_every(60_000), good.clone()]),
        ("encoded later only", &good, vec![good.clone().cut_every(60_000), encoded(packed.clone())]),
        (
            "a compressed file, cut",
            &good_packed,
            vec![encoded(packed.clone()).cut_every(60_000), encoded(packed.clone())],
        ),
    ];
    for (case, wanted, steps) in cases {
        let server = ImageServer::start();
        server.put_each("/a.img", steps);
        let site = Site::new();
        let blob =
            site.download(request(&server, "/a.img", wanted)).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(blob.digest().to_string(), wanted.sha512(), "{case}");
        assert!(server.requests("/a.img").len() <= 4, "{case}: {:?}", server.requests("/a.img"));
        assert!(site.partials().is_empty(), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_answer_is_no_way_around_the_limits() {
    let good = Resource::pattern(1, 100_000);
    // 64 MiB of zeros in 64 KiB, for an image of 100,000 bytes.
    let bomb = gzip(&vec![0; 64 << 20]);
    let endless = gzip(&[]).repeat(100_000);
    for (case, bytes) in
        [("a bomb", bomb), ("members without bytes", endless), ("other bytes", gzip(&vec![7; 100_000]))]
    {
        for resource in [encoded(bytes.clone()), encoded(bytes.clone()).chunked()] {
            let server = ImageServer::start();
            server.put("/a.img", resource);
            let site = Site::new();
            let error = site.download(request(&server, "/a.img", &good)).await.unwrap_err();
            assert!(error.is_mismatch(), "{case}: {error}");
            assert!(error.to_string().contains("is encoded with gzip, begins with gzip data"), "{case}: {error}");
            assert_eq!(server.requests("/a.img").len(), 2, "{case}: decoded, then as it is, and no more");
            assert!(site.partials().is_empty() && site.volume.blobs().unwrap().is_empty(), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_instead_of_an_image_is_told() {
    let good = Resource::pattern(1, 100_000);
    let page = "<!DOCTYPE html><title>Log in</title>";
    let login = || Resource::bytes(page).header("Content-Type", "text/html");
    let same_size =
        Resource::bytes(format!("{page}{}", " ".repeat(100_000 - page.len()))).header("Content-Type", "text/html");
    let cases = [
        ("SizeMismatch", login(), "found 36; the answer is text/html, came by redirect from"),
        ("SizeMismatch", login().chunked(), "found 36; the answer is text/html, came by redirect from"),
        ("ChecksumMismatch", same_size, "begins with \"<!DOCTYPE html><title>Log in</title>\""),
        (
            "SizeMismatch",
            Resource::bytes(gzip(&[1; 1000])).header("Content-Type", "application/gzip"),
            "application/gzip, came",
        ),
        ("SizeMismatch", Resource::bytes(gzip(&[1; 1000])), "begins with gzip data (1f 8b)"),
        (
            "FetchFailed",
            Resource::bytes("no such image").status_of(404),
            "404 Not Found; the answer came by redirect from",
        ),
    ];
    for (reason, resource, words) in cases {
        let server = ImageServer::start();
        server.put("/a.img", Resource::redirect(302, "/login?token=s3cret"));
        server.put("/login", resource);
        let site = Site::new();
        let message = expect_reason(site.download(request(&server, "/a.img", &good)).await, reason);
        assert!(message.contains(words) && message.contains("/login?…") && !message.contains("s3cret"), "{message}");
    }
}
