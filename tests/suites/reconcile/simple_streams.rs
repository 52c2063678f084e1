//! A signed simplestreams mirror as a source, over a real server.

use harness::gpg::PgpForm;
use harness::image_server::Resource;
use serde_json::json;
use vmcatcher_operator::trust::Sha256Digest;

use super::checksums::{Mirror, verified};

/// A source of one image of a mirror.
pub(crate) const SOURCE: &str = "{simpleStreams: {url: 'ROOT/releases/streams/v1/index.sjson', contentId: download, products: \
                      ['server:*:amd64'], fileType: disk1.img}}";
pub(crate) const PRODUCTS: &str = "/releases/streams/v1/download.sjson";
const INDEX: &str = "/releases/streams/v1/index.sjson";

/// The bytes of a version.
fn bytes(serial: &str) -> Vec<u8> {
    serial.as_bytes().repeat(2000)
}

/// The entry of a version on a shelf.
fn entry(serial: &str) -> String {
    format!("{serial}-{}", &Resource::bytes(bytes(serial)).sha512()[..12])
}

/// A products file with these versions, which are put on the server, too.
pub(crate) fn products(mirror: &Mirror, serials: &[&str]) -> String {
    let versions = serials.iter().map(|serial| {
        let path = format!("server/{serial}.img");
        mirror.put(&format!("/releases/{path}"), &bytes(serial));
        let sha256 = Sha256Digest::of(&bytes(serial)).to_string().replace("sha256:", "");
        let item = json!({"ftype": "disk1.img", "path": path, "size": bytes(serial).len(), "sha256": sha256});
        ((*serial).to_owned(), json!({"items": {"disk1.img": item}}))
    });
    let versions: serde_json::Map<_, _> = versions.collect();
    json!({
        "format": "products:1.0", "content_id": "download", "datatype": "image-downloads", "updated": now(mirror),
        "products": {"server:24.04:amd64": {
            "arch": "amd64", "os": "ubuntu", "release_title": "24.04 LTS", "version": "24.04", "versions": versions,
        }},
    })
    .to_string()
}

pub(crate) fn index(mirror: &Mirror) -> String {
    let entry = json!({
        "datatype": "image-downloads", "format": "products:1.0", "path": "streams/v1/download.sjson",
        "updated": now(mirror),
    });
    json!({"format": "index:1.0", "updated": now(mirror), "index": {"download": entry}}).to_string()
}

fn now(mirror: &Mirror) -> String {
    mirror.site.now().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

pub(crate) fn publish(mirror: &Mirror, index: &str, products: &str) {
    let clear = |text: &str| mirror.gpg.sign(text.as_bytes(), &mirror.key, PgpForm::Clear);
    mirror.put(PRODUCTS, &clear(products));
    mirror.put(INDEX, &clear(index));
}

async fn settled() -> Mirror {
    let mirror = Mirror::new(SOURCE);
    publish(&mirror, &index(&mirror), &products(&mirror, &["20240423"]));
    let (found, run) = verified(&mirror.site).await;
    assert_eq!(found, "True Verified", "{:?}", run.subscription("vo").conditions);
    assert_eq!(mirror.endorsed(), [entry("20240423")]);
    mirror
}

#[tokio::test]
async fn the_newest_version_is_cached_and_replaced() {
    let mirror = settled().await.pass_minute();
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    let last = |path: &str| mirror.site.server.requests(path).last().unwrap().status;
    assert_eq!((last(INDEX), last(PRODUCTS)), (304, 304));
    publish(&mirror, &index(&mirror), &products(&mirror, &["20240423", "20240523"]));
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [entry("20240523")]);
}

#[tokio::test]
async fn what_is_not_signed_or_does_not_belong_together_changes_nothing() {
    let mirror = settled().await;
    let (old_index, old_products) = (index(&mirror), products(&mirror, &["20240423"]));
    let mirror = mirror.pass_minute();
    let (index, products) = (index(&mirror), products(&mirror, &["20240423", "20240523"]));
    publish(&mirror, &index, &products);
    mirror.put(PRODUCTS, products.as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "False Unsigned", "the signature of the index does not cover it");
    let daily = products.replace(r#""content_id":"download""#, r#""content_id":"daily""#);
    let older = old_products.clone();
    for (index, products, reason) in [(&index, &daily, "ListMalformed"), (&index, &older, "VersionRollback")] {
        publish(&mirror, index, products);
        assert_eq!(verified(&mirror.site).await.0, format!("False {reason}"));
        assert_eq!(mirror.endorsed(), [entry("20240423")]);
    }
    publish(&mirror, &index, &products);
    mirror.site.server.put(PRODUCTS, Resource::status(404));
    let run = mirror.site.run().await;
    assert_eq!(run.list_condition("FetchFailed"), "True HTTPError");
    assert_eq!(mirror.endorsed(), [entry("20240423")]);
    publish(&mirror, &index, &products);
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [entry("20240523")]);
    publish(&mirror, &old_index, &old_products);
    assert_eq!(verified(&mirror.site).await.0, "False VersionRollback");
    publish(&mirror, &old_index, &products);
    assert_eq!(verified(&mirror.site).await.0, "False Replay", "an older index");
    assert_eq!(mirror.endorsed(), [entry("20240523")]);
}

/// Plain files with detached signatures beside them.
#[tokio::test]
async fn signatures_beside_both_files() {
    let mirror = Mirror::new(&SOURCE.replace("index.sjson", "index.json"));
    let (index, products) = (index(&mirror).replace(".sjson", ".json"), products(&mirror, &["20240423"]));
    let folder = "/releases/streams/v1/";
    mirror.put(&format!("{folder}index.json"), index.as_bytes());
    mirror.put(&format!("{folder}download.json"), products.as_bytes());
    assert_eq!(verified(&mirror.site).await.0, "False Unsigned");
    for (name, text) in [("index.json", &index), ("download.json", &products)] {
        mirror.put(&format!("{folder}{name}.gpg"), &mirror.gpg.detached(text.as_bytes(), &mirror.key, &[]));
    }
    assert_eq!(verified(&mirror.site).await.0, "True Verified");
    assert_eq!(mirror.endorsed(), [entry("20240423")]);
}
