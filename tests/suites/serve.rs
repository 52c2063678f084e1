//! Images served to clouds that pull them: a real socket, a real volume.

mod shards;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use harness::site::{Served, Site};
use jiff::Timestamp;
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::metrics::Metrics;
use vmcatcher_operator::serve::{ImageServer, Limits, Listening, Tickets, router};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
/// More than the sockets of both sides hold.
const SIZE: u64 = 20_000_000;

struct Running {
    base: String,
    tickets: Arc<Tickets>,
    later: Arc<AtomicI64>,
    image: Served,
    site: Site,
    client: reqwest::Client,
    listening: Listening,
}

impl Running {
    async fn start() -> Self {
        let site = Site::new();
        let image = site.serve(A, "1", 1, SIZE);
        site.publish(&site.list("1.0", &[&image]));
        site.run().await;
        let tickets = Arc::new(Tickets::kept(&Volume::open(&site.path("volume")).unwrap()).unwrap());
        let later = Arc::new(AtomicI64::new(0));
        let offset = later.clone();
        let clock = Arc::new(move || Timestamp::from_second(1_795_000_000 + offset.load(Ordering::SeqCst)).unwrap());
        let app = router(ImageServer::new(site.path("volume"), clock, Metrics::default()));
        let limits = Limits {
            head: Duration::from_millis(200),
            stall: Duration::from_millis(200),
            farewell: Duration::from_hours(1),
            connections: 8,
            ..Limits::default()
        };
        let listening = Listening::start("127.0.0.1:0".parse().unwrap(), app, limits).await.unwrap();
        let base = format!("http://{}/", listening.address());
        Self { base, listening, tickets, later, image, site, client: reqwest::Client::new() }
    }

    fn url(&self) -> String {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let path = self.tickets.path(&self.image.sha512.parse().unwrap(), "raw", now).unwrap();
        format!("{}{path}", self.base)
    }

    async fn get(&self, range: &str) -> (u16, Option<u64>, Vec<u8>) {
        let mut request = self.client.get(self.url());
        if !range.is_empty() {
            request = request.header("Range", range);
        }
        let response = request.send().await.unwrap();
        let (status, length) = (response.status().as_u16(), response.content_length());
        (status, length, response.bytes().await.unwrap().to_vec())
    }
}

#[tokio::test]
async fn an_image_is_served_whole_by_its_head_and_in_parts() {
    let running = Running::start().await;
    let bytes = std::fs::read(
        running.site.path("volume/endorsed/default").join(A).join(format!("1-{}.raw", &running.image.sha512[..12])),
    )
    .unwrap();
    assert_eq!(running.get("").await, (200, Some(SIZE), bytes.clone()));
    let head = running.client.head(running.url()).send().await.unwrap();
    assert_eq!(head.status().as_u16(), 200);
    assert_eq!(head.headers()["content-length"], SIZE.to_string());
    assert_eq!(
        (&head.headers()["accept-ranges"], &head.headers()["etag"]),
        (&"bytes".parse().unwrap(), &format!("\"{}\"", running.image.sha512).parse().unwrap())
    );
    assert_eq!(running.get("bytes=1000-1999").await, (206, Some(1000), bytes[1000..2000].to_vec()));
    assert_eq!(running.get("bytes=19999990-").await, (206, Some(10), bytes[19_999_990..].to_vec()));
    assert_eq!(running.get("bytes=-5").await.2, &bytes[19_999_995..]);
    assert_eq!(running.get("bytes=20000000-").await.0, 416);
    assert_eq!(running.get("bytes=0-1,4-5").await.0, 200, "several ranges at once are answered with the whole");
    // Another file than the one that was begun with: the whole is sent.
    let other = running.client.get(running.url()).header("Range", "bytes=5-").header("If-Range", "\"other\"");
    assert_eq!(other.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn without_a_good_ticket_nothing_is_served() {
    let running = Running::start().await;
    let url = running.url();
    let status = async |url: String| running.client.get(url).send().await.unwrap().status().as_u16();
    let digit = |c: char| c.is_ascii_digit();
    let (signed, file) = url.rsplit_once('/').unwrap();
    assert_eq!(status(format!("{signed}/{}", file.replacen(digit, "f", 1))).await, 403);
    assert_eq!(status(format!("{}images/1-00/{file}", running.base)).await, 403);
    assert_eq!(status(format!("{}images/..%2f..%2fetc/passwd", running.base)).await, 403);
    assert_eq!(status(format!("{}etc/passwd", running.base)).await, 404);
    let now = Timestamp::from_second(1_795_000_000).unwrap();
    let path = running.tickets.path(&"0".repeat(128).parse().unwrap(), "raw", now).unwrap();
    assert_eq!(status(format!("{}{path}", running.base)).await, 404, "a ticket for bytes that are not there");
    assert_eq!(running.client.put(&url).send().await.unwrap().status().as_u16(), 405);
    running.later.store(13 * 3600, Ordering::SeqCst);
    assert_eq!(status(url).await, 403, "its time is over");
}

#[tokio::test]
async fn bytes_that_are_not_verified_are_not_served() {
    let running = Running::start().await;
    let digest = &running.image.sha512;
    std::fs::remove_file(running.site.path(&format!("volume/blobs/sha512/{}/{digest}.json", &digest[..2]))).unwrap();
    assert_eq!(running.get("").await.0, 404);
}

#[tokio::test]
async fn before_there_is_a_volume_it_says_so_and_then_serves() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Timestamp::now);
    let app = router(ImageServer::new(folder.path().join("volume"), clock, Metrics::default()));
    let listening = Listening::start("127.0.0.1:0".parse().unwrap(), app, Limits::default()).await.unwrap();
    let status = async |path: &str| {
        reqwest::get(format!("http://{}/{path}", listening.address())).await.unwrap().status().as_u16()
    };
    let digest = "0".repeat(128).parse().unwrap();
    assert_eq!(status("images/1-00/a.raw").await, 503);
    let volume = Volume::open(&folder.path().join("volume")).unwrap();
    assert_eq!(status("images/1-00/a.raw").await, 503, "no key yet");
    let tickets = Tickets::kept(&volume).unwrap();
    assert_eq!(status("images/1-00/a.raw").await, 403);
    assert_eq!(status(&tickets.path(&digest, "raw", Timestamp::now()).unwrap()).await, 404);
    listening.shutdown().await;
}

/// A peer that sends half a head, and one that takes nothing of what it asked for, are let go.
#[tokio::test]
async fn a_peer_that_stands_still_is_let_go() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let running = Running::start().await;
    let address = running.listening.address();
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut Vec::new())).await;
    ended.expect("closed").unwrap();

    let path = running.url().replace(&running.base, "/");
    let small = tokio::net::TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let mut idle = small.connect(address).await.unwrap();
    idle.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    // It takes nothing until the server has given it up: only then is there no answer left to wait for.
    tokio::time::timeout(Duration::from_mins(1), running.listening.shutdown()).await.expect("given up");
    let mut taken = Vec::new();
    let ended = idle.read_to_end(&mut taken).await;
    assert!(ended.is_err() || (taken.len() as u64) < SIZE, "cut off before its end");
}
