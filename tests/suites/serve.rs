//! Images served to clouds that pull them: a real socket, a real volume.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use harness::site::{Served, Site};
use jiff::Timestamp;
use vmcatcher_operator::cache::Volume;
use vmcatcher_operator::serve::{ImageServer, Tickets, router};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SIZE: u64 = 600_000;

struct Running {
    base: String,
    tickets: Arc<Tickets>,
    later: Arc<AtomicI64>,
    image: Served,
    site: Site,
    client: reqwest::Client,
}

impl Running {
    async fn start() -> Self {
        let site = Site::new();
        let image = site.serve(A, "1", 1, SIZE);
        site.publish(&site.list("1.0", &[&image]));
        site.run().await;
        let tickets = Arc::new(Tickets::new().unwrap());
        let later = Arc::new(AtomicI64::new(0));
        let offset = later.clone();
        let clock = Arc::new(move || Timestamp::from_second(1_795_000_000 + offset.load(Ordering::SeqCst)).unwrap());
        let volume = Volume::read_only(&site.path("volume")).unwrap();
        let app = router(ImageServer { volume, tickets: tickets.clone(), clock });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, tickets, later, image, site, client: reqwest::Client::new() }
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
    assert_eq!(running.get("bytes=599990-").await, (206, Some(10), bytes[599_990..].to_vec()));
    assert_eq!(running.get("bytes=-5").await.2, &bytes[599_995..]);
    assert_eq!(running.get("bytes=600000-").await.0, 416);
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
