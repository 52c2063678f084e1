//! The live figures of a real download, and readers that take nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use harness::image_server::Resource;
use harness::site::Site;
use serde_json::Value;

use super::{A, Pages};

const MEBI: u64 = 1024 * 1024;

/// The next message of a stream.
async fn message(response: &mut reqwest::Response, text: &mut String) -> Option<Value> {
    loop {
        if let Some(end) = text.find("\n\n") {
            let rest = text.split_off(end + 2);
            let one = std::mem::replace(text, rest);
            if let Some(data) = one.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
            continue;
        }
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap()?).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_followed_until_it_ends() {
    let site = Site::new();
    let resource = || Resource::pattern(1, 4 * MEBI).etag("\"v1\"");
    let held = site.serve_as(A, "1", resource().stall_after(MEBI));
    site.publish(&site.list("1.0", &[&held]));
    let pages = Pages::start(site, &[]);
    let image = format!("/images/default/{A}");
    let running = pages.page_with(&image, "<progress").await;
    assert!(running.contains("data-stream=\"/live?namespace=default&#38;name="), "{running}");
    let mut stream = pages.get(&format!("/live?namespace=default&name={A}")).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let mut live = message(&mut stream, &mut text).await.unwrap();
    while live["works"][0]["done"].as_u64() < Some(MEBI) {
        live = message(&mut stream, &mut text).await.unwrap();
    }
    assert_eq!(live["works"][0]["key"], format!("Download default/{A} "));
    assert_eq!((&live["works"][0]["total"], &live["works"][0]["share"]), (&(4 * MEBI).into(), &"25 %".into()));
    let mut other = pages.get("/live?namespace=default&name=other").await;
    let nothing = message(&mut other, &mut String::new()).await.unwrap();
    assert_eq!(nothing["works"].as_array().map(Vec::len), Some(0));
    // A stream does not keep the program from ending. The next run goes on where it was.
    let site = pages.end();
    assert!(message(&mut stream, &mut text).await.is_none(), "it has ended");
    site.server.put(&format!("/{A}-1.img"), resource());
    let pages = Pages::start(site, &[]);
    pages.page_with(&image, "In circulation").await;
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_are_refused_and_pages_are_not() {
    let pages = Pages::start(Site::new(), &[]);
    pages.page_with("/", "Needs attention").await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let stream = pages.get("/live").await;
        assert_eq!(stream.status().as_u16(), 200);
        streams.push(stream);
    }
    assert_eq!(pages.get("/live").await.status().as_u16(), 503);
    assert_eq!(pages.get("/images").await.status().as_u16(), 200);
    drop(streams);
    harness::patience::until("a stream is free again", async || pages.get("/live").await.status().as_u16() == 200)
        .await;
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_send_nothing_lose_their_place() {
    let pages = Pages::start(Site::new(), &["--connections-per-address", "4"]);
    pages.page_with("/", "Needs attention").await;
    let address = pages.base.trim_start_matches("http://").to_owned();
    let mut idle: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut idle {
        let _gone = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n");
    }
    assert_eq!(pages.get("/images").await.status().as_u16(), 200);
    tokio::task::block_in_place(|| {
        let mut rest = Vec::new();
        // It is closed without a page: its head never ended.
        let _closed = idle[0].read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "{}", String::from_utf8_lossy(&rest));
    });
    pages.end();
}
