//! The web pages of a running operator, over real sockets.

mod browser;
mod download;
mod guard;
mod live;

use harness::image_server::Resource;
use harness::patience::found;
use harness::site::{Served, Site};
use reqwest::{Client, Response};
use serde_json::json;

use crate::reconcile::process::Running;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "aaaaaaaa-0000-4000-8000-000000000002";

/// An operator with pages.
struct Pages {
    site: Site,
    running: Running,
    base: String,
    client: Client,
}

impl Pages {
    /// The operator of a site, which goes on.
    fn start(site: Site, more: &[&str]) -> Self {
        let mut running = Running::start_with(&site, &[&["--pages", "127.0.0.1:0"], more].concat());
        let line = running.wait_for("web pages are served");
        let base = format!("http://{}", line.rsplit_once("address=").unwrap().1.trim());
        let client =
            Client::builder().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0).build().unwrap();
        Self { site, running, base, client }
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    /// The text of a page that must be there.
    async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// The page, when it has a text.
    async fn page_with(&self, path: &str, expected: &str) -> String {
        let look = async || {
            let text = self.get(path).await.text().await.unwrap();
            text.contains(expected).then_some(text)
        };
        let page = found(look).await;
        assert!(
            page.is_some(),
            "expected {expected:?} on {path}, found {}",
            self.get(path).await.text().await.unwrap()
        );
        page.unwrap()
    }

    fn end(self) -> Site {
        assert!(self.running.terminate().success());
        self.site
    }
}

/// A site with an image of two versions, of which the first is archived, and a refused message.
async fn two_versions() -> (Site, [Served; 2]) {
    let site = Site::new();
    site.disturb_clock(-jiff::SignedDuration::from_mins(5));
    let first = site.serve(A, "1", 1, 300_000);
    site.publish(&site.list("1.0", &[&first]));
    site.run().await;
    site.disturb_clock(jiff::SignedDuration::from_mins(1));
    let second = site.serve(A, "2", 2, 200_000);
    let other = site.serve(B, "1", 3, 100_000);
    site.publish(&site.list("1.1", &[&second, &other]));
    site.run().await;
    (site, [first, second])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_shows_what_is_there() {
    let (site, [first, second]) = two_versions().await;
    let pages = Pages::start(site, &[]);
    let overview = pages.page_with("/", "<strong>2</strong> Images</a> <span>2 good").await;
    assert!(overview.contains("<strong>1</strong> Subscriptions"), "{overview}");
    let image = pages.page(&format!("/images/default/{A}")).await;
    for version in [&first, &second] {
        assert!(image.contains(&format!("/images/default/{A}/{}/download", version.sha512)), "{image}");
    }
    assert!(image.contains("archive, since"), "{image}");
    let all = pages.page("/images").await;
    assert!(all.contains("2 images") && all.contains(B), "{all}");
    let one = pages.page(&format!("/images?q={A}")).await;
    assert!(one.contains("1 image<") && !one.contains(B), "{one}");
    let subscription = pages.page("/subscriptions/default/vo").await;
    for expected in [
        "signer leads to a trust anchor",
        ">passed<",
        "1 added:",
        "1 changed:",
        "1 → 2",
        "the oldest that can be compared",
        &pages.site.pki.endorser.subject(),
    ] {
        assert!(subscription.contains(expected), "expected {expected}, found {subscription}");
    }
    assert!(!subscription.contains("bad\">failed<"), "{subscription}");
    assert!(pages.page("/subscriptions").await.contains("2 of 2 ready"));
    assert!(pages.page("/endorsers").await.contains("Trusted"));
    assert!(pages.page("/clouds").await.contains("published in no cloud"));
    assert!(pages.page("/events").await.contains("No sink takes events"));
    for gone in ["/none", "/images/default/none", "/subscriptions/none/vo", "/images/a/b/c", "/static/none"] {
        assert_eq!(pages.get(gone).await.status().as_u16(), 404, "{gone}");
    }
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_strict_headers_and_nothing_can_be_changed() {
    let pages = Pages::start(Site::new(), &[]);
    for path in ["/", "/images", "/none", "/static/pages.css", "/static/pages.js", "/static/icon.svg", "/login"] {
        let response = pages.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
        assert_eq!(["x-content-type-options", "referrer-policy"].map(header), ["nosniff", "no-referrer"], "{path}");
        assert!(["no-store", "no-cache"].contains(&header("cache-control")), "{path}");
    }
    for path in ["/", "/images", "/subscriptions/default/vo"] {
        let url = format!("{}{path}", pages.base);
        for request in [pages.client.post(&url), pages.client.put(&url), pages.client.delete(&url)] {
            assert_eq!(request.send().await.unwrap().status().as_u16(), 405, "{path}");
        }
    }
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_the_spool_are_shown() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let file = site.path("config.yaml");
    // The receiver never answers, so the events stay in the spool.
    site.server.put("/events", Resource::status(503));
    let sink = format!("{{name: away, webhook: {{url: {:?}}}}}", site.server.url("/events"));
    std::fs::write(&file, format!("events:\n  sinks:\n    - {sink}\n")).unwrap();
    let config = file.to_str().unwrap().to_owned();
    let pages = Pages::start(site, &["--config", &config]);
    let events = pages.page_with("/events", "Available after").await;
    assert!(events.contains("ListAccepted after") && events.contains(&format!("/images/default/{A}")), "{events}");
    pages.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_list_is_shown_as_text() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    let title = "<script>alert(1)</script>\u{202e}\"'><img src=x onerror=alert(1)>";
    let entry = json!({"hv:image": {
        "dc:identifier": A, "dc:title": title, "dc:description": title, "hv:version": "1", "hv:uri": image.uri,
        "hv:size": image.size, "sl:checksum:sha512": image.sha512, "sl:arch": "x86_64", "sl:os": "<b>Linux",
        "sl:osversion": "&lt;", "hv:hypervisor": "kvm", "sl:comments": "",
    }});
    let list = site.list("1.0", &[]).raw_image(entry).with("dc:title", json!(title));
    site.publish(&list);
    site.run().await;
    let pages = Pages::start(site, &[]);
    let image = format!("/images/default/{A}");
    pages.page_with(&image, "In circulation").await;
    for path in ["/", "/images", "/subscriptions", "/subscriptions/default/vo", "/endorsers", &image] {
        let text = pages.page(path).await;
        for markup in ["<script>alert", "<img", "<b>Linux", "\u{202e}", "onerror=alert(1)>"] {
            assert!(!text.contains(markup), "{markup:?} on {path}: {text}");
        }
    }
    assert!(pages.page(&image).await.contains("&#60;script&#62;alert(1)&#60;/script&#62;\\u{202e}"));
    let query = pages.page("/images?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&state=%3Cb%3E&page=-1").await;
    assert!(!query.contains("<script>alert"), "{query}");
    pages.end();
}
