//! Downloads of what its source identifies by SHA-256, and whose length it may not state.

use data_encoding::HEXLOWER;
use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::cache::Keep;
use vmcatcher_operator::digest::Sha256Digest;
use vmcatcher_operator::imagelist::LearnedContent;

use super::*;

fn by_sha256(server: &ImageServer, path: &str, resource: &Resource) -> DownloadRequest {
    DownloadRequest { digest: digest(resource).into(), size: None, sha1: false, ..request(server, path, resource) }
}

fn digest(resource: &Resource) -> Sha256Digest {
    format!("sha256:{}", resource.sha256()).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blob_is_named_by_its_sha512_and_what_was_learned_is_remembered() {
    let server = ImageServer::start();
    let resource = Resource::pattern(1, 700_000);
    server.put("/a.img", resource.clone());
    let site = Site::new();
    assert_eq!(site.volume.learned(&digest(&resource)).unwrap(), None);
    let blob = site.download(by_sha256(&server, "/a.img", &resource)).await.unwrap();
    assert_eq!((blob.digest().to_string(), blob.size()), (resource.sha512(), 700_000));
    let learned = LearnedContent { sha512: *blob.digest(), size: 700_000 };
    assert_eq!(site.volume.learned(&digest(&resource)).unwrap(), Some(learned));
    assert!(site.partials().is_empty());
    let site = site.restarted().await;
    // It is found by either digest, without a request.
    assert_eq!(site.download(by_sha256(&server, "/b.img", &resource)).await.unwrap(), blob);
    assert_eq!(site.download(request(&server, "/b.img", &resource)).await.unwrap(), blob);
    assert_eq!(ranges(&server, "/a.img"), [Some("bytes=0-0".to_owned()), None], "its length, then its bytes");
    // Another namespace knows what was learned, and has no right to the bytes.
    let other = DownloadRequest { namespace: "other".parse().unwrap(), ..by_sha256(&server, "/c.img", &resource) };
    assert_eq!(site.download(other).await.unwrap_err().reason(), "FetchFailed");
    // A record that is lost or broken costs a download.
    let record = site.path().join(format!("state/sha256/{}.json", HEXLOWER.encode(digest(&resource).as_bytes())));
    std::fs::write(&record, "{").unwrap();
    assert_eq!(site.volume.learned(&digest(&resource)).unwrap(), None);
    site.jobs.forget(&by_sha256(&server, "/a.img", &resource).key());
    assert_eq!(site.download(by_sha256(&server, "/a.img", &resource)).await.unwrap(), blob);
    assert_eq!(site.volume.learned(&digest(&resource)).unwrap(), Some(learned));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_refused_and_teach_nothing() {
    let server = ImageServer::start();
    let (good, bad) = (Resource::pattern(1, 50_000), Resource::pattern(2, 50_000));
    server.put("/a.img", bad.clone());
    let site = Site::new();
    let error = site.download(by_sha256(&server, "/a.img", &good)).await.unwrap_err();
    let expected = format!("expected {}, found {}", digest(&good), digest(&bad));
    assert!(error.is_mismatch() && error.to_string().contains(&expected), "{error}");
    assert!(site.partials().is_empty() && site.volume.blobs().unwrap().is_empty());
    assert_eq!(site.volume.learned(&digest(&bad)).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_length_is_learned_from_every_kind_of_server() {
    let good = Resource::pattern(3, 60_000);
    let cases = [
        ("with ranges", vec![good.clone()], None),
        ("without ranges", vec![good.clone().without_ranges()], None),
        ("after an error that passes", vec![Resource::status(503), good.clone()], None),
        ("cut off later", vec![good.clone(), good.clone().cut_every(10_000)], None),
        ("no length", vec![good.clone().chunked().without_ranges()], Some("expected the length of the file")),
        ("not there", vec![Resource::status(404)], Some("404")),
    ];
    for (case, steps, refused) in cases {
        let server = ImageServer::start();
        server.put_each("/a.img", steps);
        let site = Site::new();
        let outcome = site.download(by_sha256(&server, "/a.img", &good)).await;
        match (outcome, refused) {
            (Ok(blob), None) => assert_eq!(blob.digest().to_string(), good.sha512(), "{case}"),
            (Err(error), Some(words)) => {
                assert!(error.reason() == "FetchFailed" && error.to_string().contains(words), "{case}: {error}");
            }
            (outcome, _) => panic!("{case}: {outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_run_hashes_what_is_there_and_asks_for_the_rest() {
    let server = ImageServer::start();
    let resource = Resource::pattern(4, 500_000).etag("\"v1\"");
    server.put_each("/a.img", vec![resource.clone(), resource.clone().stall_after(200_000), resource.clone()]);
    let site = Site::new();
    let key = site.jobs.start(by_sha256(&server, "/a.img", &resource));
    let site = site.cut_off(&key, 200_000).await;
    let keep = Keep { digests: [key.digest].into(), ..Keep::default() };
    site.volume.collect_garbage(&keep, jiff::Timestamp::now()).unwrap();
    assert_eq!(site.received(), 200_000, "it is wanted");
    let blob = site.download(by_sha256(&server, "/a.img", &resource)).await.unwrap();
    assert_eq!(blob.digest().to_string(), resource.sha512());
    let ranges = ranges(&server, "/a.img");
    assert_eq!(ranges.last().unwrap().as_deref(), Some("bytes=200000-"), "{ranges:?}");
    // A blob that only a record of what was learned leads to is kept while it is wanted, and goes afterwards.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    assert!(site.volume.collect_garbage(&keep, later).unwrap().blobs.is_empty());
    assert_eq!(site.volume.collect_garbage(&Keep::default(), later).unwrap().blobs, [*blob.digest()]);
}
