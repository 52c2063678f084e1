//! The pages in a real browser: `tests/pages/browser.mjs` in Debian's chromium. Needs what `tests/pages/get` installs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::image_server::Resource;
use harness::site::{Served, Site};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{A, B, Pages};

const C: &str = "aaaaaaaa-0000-4000-8000-000000000003";
const MEBI: u64 = 1024 * 1024;
const TOKEN: &str = "a-token-of-this-test";

/// What the script reports, one line each.
const CHECKS: [&str; 10] = [
    "each page loads, and nothing else does",
    "no page scrolls sideways",
    "axe finds no violation, and colours have contrast",
    "the keyboard is enough",
    "a running download is followed without a reload",
    "pages work without JavaScript",
    "a version is downloaded",
    "the script is shown and copied",
    "a hostile title stays a title",
    "the token opens the pages",
];

/// What an image list says about an image.
fn entry(image: &Served, title: &str) -> Value {
    json!({"hv:image": {
        "dc:identifier": image.identifier, "dc:title": title, "dc:description": "", "hv:version": image.version,
        "hv:uri": image.uri, "hv:size": image.size, "sl:checksum:sha512": image.sha512, "sl:arch": "x86_64",
        "sl:os": "Linux", "sl:osversion": "Debian 12", "hv:hypervisor": "kvm", "sl:comments": "",
    }})
}

/// A site with two versions of an image, a download that is held half way, and a cloud that does not answer.
async fn site() -> (Site, Vec<Value>) {
    let site = Site::new();
    site.disturb_clock(-SignedDuration::from_mins(5));
    let first = site.serve(A, "1.26-12", 1, MEBI);
    site.publish(&site.list("1.0", &[]).raw_image(entry(&first, "CernVM 5 minimal")).with("dc:title", json!("CernVM")));
    site.run().await;
    site.disturb_clock(SignedDuration::from_mins(1));
    let second = site.serve(A, "1.26-13", 2, 2 * MEBI);
    let hostile = "<img src=x onerror=\"window.harmed=1\"><script>window.harmed=1</script>\u{202e}4 nimla";
    let held = site.serve_as(B, "9", Resource::pattern(3, 4 * MEBI).etag("\"held\"").stall_after(2 * MEBI));
    let images = vec![entry(&second, "CernVM 5 minimal"), entry(&held, hostile)];
    publish(&site, "1.1", &images);
    ask(&site, "the second list");
    fs::write(site.path("token"), TOKEN).unwrap();
    site.manifest(
        "cloud",
        "apiVersion: vmcatcher.io/v1alpha1\nkind: CloudTarget\nmetadata: {name: cloud-north}\nspec:\n  type: OpenNebula\n  \
         openNebula: {endpoint: \"http://127.0.0.1:1/RPC2\", secretRef: {name: cloud-north}, datastore: 1, handOver: \
         {type: Path, path: {prefix: /volume}}}\n",
    );
    (site, images)
}

fn publish(site: &Site, version: &str, images: &[Value]) {
    let list = site.list(version, &[]).with("dc:title", json!("CernVM"));
    site.publish(&images.iter().fold(list, |list, image| list.raw_image(image.clone())));
}

/// A third image comes into the list, slowly enough to be followed.
fn add_image(site: &Site, images: &[Value]) {
    site.disturb_clock(SignedDuration::from_mins(1));
    let third = site.serve_as(C, "3", Resource::pattern(4, 6 * MEBI).etag("\"third\"").rate(MEBI));
    publish(site, "1.2", &[images, &[entry(&third, "Rocky Linux 9")]].concat());
    ask(site, "the third list");
}

/// Asks for a pass of the subscription now.
fn ask(site: &Site, request: &str) {
    let all = "images: {include: {match: [{name: all}]}}";
    site.subscribe_with("vo", request, &site.server.url("/image.list"), all);
}

fn modules() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
    cache.join("vmcatcher-operator/pages")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium, playwright-core and axe-core: tests/pages/get"]
async fn the_pages_are_usable_by_everyone() {
    let (site, images) = site().await;
    let guarded = {
        let site = Site::new();
        let file = site.path("token");
        fs::write(&file, TOKEN).unwrap();
        Pages::start(site, &["--pages-token-file", file.to_str().unwrap()])
    };
    let pages = Pages::start(site, &[]);
    pages.page_with(&format!("/images/default/{B}"), "<progress").await;
    pages.page_with(&format!("/images/default/{A}"), "archive, since").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages/browser.mjs");
    let mut browser = Command::new("node")
        .arg(script)
        .args([&pages.base, &guarded.base])
        .env("PAGES_MODULES", modules())
        .env("PAGES_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut done, mut others) = (Vec::new(), Vec::new());
    tokio::task::block_in_place(|| {
        for line in BufReader::new(browser.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            match line.split_once(' ') {
                Some(("add", _)) => add_image(&pages.site, &images),
                Some(("ok", name)) => done.push(name.to_owned()),
                Some(_) | None => others.push(line),
            }
        }
        assert!(browser.wait().unwrap().success(), "passed only: {done:#?}\n{others:#?}");
    });
    assert_eq!(done, CHECKS);
    guarded.end();
    pages.end();
}
