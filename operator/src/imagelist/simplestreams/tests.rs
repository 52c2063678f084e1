//! Indexes and products files, and the images that follow from them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::SimpleStreamsSource;

const SHA256: &str = "983b7be9dd1ed8c0b3118e309cdd2b2869b74ddcbb3e4c6c4c77e28e0a7b5e59";
const CONTENT: &str = "com.ubuntu.cloud:released:download";
const PRODUCT: &str = "com.ubuntu.cloud:server:24.04:amd64";

fn source() -> SimpleStreamsSource {
    SimpleStreamsSource {
        url: "https://mirror.example.org/releases/streams/v1/index.sjson".to_owned(),
        content_id: CONTENT.to_owned(),
        products: vec!["com.ubuntu.cloud:server:*:amd64".to_owned()],
        file_type: "disk1.img".to_owned(),
    }
}

fn rule() -> SimpleStreamsRule {
    SimpleStreamsRule::new(&source()).unwrap()
}

fn index() -> Value {
    json!({
        "format": "index:1.0",
        "updated": "Thu, 02 May 2024 07:52:36 +0000",
        "index": {
            "com.ubuntu.cloud:released:aws": {"datatype": "image-ids", "path": 7},
            CONTENT: {
                "datatype": "image-downloads",
                "format": "products:1.0",
                "path": "streams/v1/com.ubuntu.cloud:released:download.sjson",
                "products": [PRODUCT],
                "updated": "Wed, 01 May 2024 07:52:36 +0000",
            },
        },
    })
}

fn item(path: &str) -> Value {
    json!({"ftype": "disk1.img", "path": path, "size": 226_099_712, "sha256": SHA256, "md5": "00"})
}

fn products() -> Value {
    json!({
        "format": "products:1.0",
        "content_id": CONTENT,
        "datatype": "image-downloads",
        "updated": "Wed, 01 May 2024 07:52:36 +0000",
        "license": "https://example.org/license",
        "products": {
            "com.ubuntu.cloud:server:24.04:arm64": {"arch": "arm64", "versions": "not looked at"},
            PRODUCT: {
                "aliases": "24.04,noble",
                "arch": "amd64",
                "os": "ubuntu",
                "release": "noble",
                "release_title": "24.04 LTS",
                "supported": true,
                "version": "24.04",
                "versions": {
                    "20240423": {"label": "release", "pubname": "p", "items": {"disk1.img": item("server/a.img")}},
                    "20240423.10": {"items": {"disk1.img": item("server/b.img"), "manifest": {"ftype": "manifest"}}},
                    "20240423.9": {"items": {"disk1.img": item("server/c.img")}},
                    "20240424": {"items": {"squashfs": {"ftype": "squashfs", "path": "server/d"}}},
                },
            },
        },
    })
}

fn read(index: &Value, products: &Value) -> Result<ImageList, ListError> {
    let text = |value: &Value| serde_json::to_vec_pretty(value).unwrap();
    parse(&text(index), &text(products), &rule(), None).map(|(list, _)| list)
}

/// Why the one image is refused.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut products = products();
    change(&mut products);
    let list = read(&index(), &products).unwrap();
    assert!(list.images.is_empty(), "{:?}", list.images);
    list.refused[0].message.clone()
}

fn newest(products: &mut Value) -> &mut Value {
    &mut products["products"][PRODUCT]["versions"]["20240423.10"]["items"]["disk1.img"]
}

#[test]
fn the_newest_version_with_the_file_is_the_image() {
    let list = read(&index(), &products()).unwrap();
    assert_eq!(
        (list.version.as_str(), list.created.to_string()),
        ("20240501075236", "2024-05-02T07:52:36Z".to_owned())
    );
    let [image] = list.images.as_slice() else { panic!("{:?}", list.images) };
    assert_eq!(image.version.as_str(), "20240423.10");
    assert_eq!((image.title.as_str(), image.os.as_str()), ("ubuntu 24.04 LTS", "ubuntu"));
    assert_eq!((image.os_version.as_str(), image.arch.as_str()), ("24.04", "amd64"));
    assert_eq!((image.size, image.digest.short().as_str()), (Some(226_099_712), &SHA256[..12]));
    assert_eq!(image.uri.to_string(), "https://mirror.example.org/releases/server/b.img");
    // Python: uuid5(NAMESPACE_URL, "URL#CONTENT_ID"), and uuid5 of that and "PRODUCT/FTYPE".
    assert_eq!(list.identifier.as_str(), "51e924c8-1142-50f3-a9ec-5d094fa548dd");
    assert_eq!(image.identifier.as_str(), "4ac96f5d-ea96-5f64-87a8-0bbd6f0a7511");
}

#[test]
fn values_apply_below_the_level_where_they_are_set() {
    let mut file = products();
    file["arch"] = json!("none");
    file["os"] = json!("file");
    let product = &mut file["products"][PRODUCT];
    product["os"].take();
    product["versions"]["20240423.10"]["arch"] = json!("version");
    product["versions"]["20240423.10"]["items"]["disk1.img"]["version"] = json!(24);
    let image = read(&index(), &file).unwrap().images.remove(0);
    assert_eq!((image.arch.as_str(), image.os.as_str(), image.os_version.as_str()), ("version", "file", "24"));
}

#[test]
fn a_combined_digest_is_not_that_of_the_file() {
    let found = refused(|file| {
        let item = newest(file);
        item["sha256"].take();
        item["combined_disk1-img_sha256"] = json!(SHA256);
        item["combined_sha256"] = json!(SHA256);
    });
    assert_eq!(found, format!("{PRODUCT}: version 20240423.10: sha256: expected a digest, found no such key"));
    let mut file = products();
    newest(&mut file)["sha512"] = json!(SHA256.repeat(2));
    let image = read(&index(), &file).unwrap().images.remove(0);
    assert!(image.digest.sha512().is_some(), "the stronger one decides");
}

#[test]
fn an_image_that_cannot_be_used_is_refused_alone() {
    let cases: [(&str, Value, &str); 7] = [
        ("path", json!("../a.img"), "path: expected a plain relative path, found \"../a.img\""),
        ("path", json!("/a.img"), "path: expected a plain relative path, found \"/a.img\""),
        ("path", json!("https://evil.example/a.img"), "path: expected a plain relative path"),
        ("path", json!({}), "path: expected a plain relative path, found one of 0 bytes"),
        ("size", json!(-1), "size: expected a whole number of bytes, at least 1, found \"-1\""),
        ("size", json!(0), "size: expected a whole number of bytes"),
        ("sha256", json!("983b"), "sha256: expected sha256: and 64 hexadecimal digits"),
    ];
    for (key, value, expected) in cases {
        let found = refused(|file| newest(file)[key] = value);
        assert!(found.starts_with(&format!("{PRODUCT}: version 20240423.10: {expected}")), "{found}");
    }
    let found = refused(|file| {
        file["products"][PRODUCT]["versions"]["20240423.10"]["items"]["again"] = item("server/e.img");
    });
    assert!(found.ends_with("expected one file of the type \"disk1.img\", found several"), "{found}");
    let found = refused(|file| file["products"][PRODUCT]["versions"] = json!({}));
    assert!(found.ends_with("expected a version with a file of the type \"disk1.img\", found none"), "{found}");
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let cases: [(&str, &str, Value, &str); 12] = [
        ("index", "/format", json!("products:1.0"), "format: expected \"index:1.0\", found \"products:1.0\""),
        ("index", "/updated", json!("yesterday"), "updated: expected a date such as Thu, 02 May 2024"),
        ("index", "/index", json!({}), "index[com.ubuntu.cloud:released:download]: expected this content_id"),
        ("entry", "/datatype", json!("image-ids"), "datatype: expected \"image-downloads\", found \"image-ids\""),
        ("entry", "/format", json!(null), "format: expected \"products:1.0\", found no text"),
        ("entry", "/path", json!("../../products"), "path: expected a plain relative path"),
        ("entry", "/updated", json!("x"), "updated: expected a date"),
        ("products", "/format", json!("index:1.0"), "format: expected \"products:1.0\""),
        (
            "products",
            "/content_id",
            json!("com.ubuntu.cloud:daily:download"),
            "content_id: expected \"com.ubuntu.cloud:released",
        ),
        ("products", "/datatype", json!("image-ids"), "datatype: expected \"image-downloads\""),
        ("products", "/updated", json!(7), "updated: expected a date"),
        ("products", "/products", json!([]), "top level: expected JSON"),
    ];
    for (file, at, value, expected) in cases {
        let (mut index, mut products) = (index(), products());
        let document = match file {
            "index" => &mut index,
            "entry" => &mut index["index"][CONTENT],
            _ => &mut products,
        };
        *document.pointer_mut(at).unwrap() = value;
        let found = read(&index, &products).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_key_that_occurs_twice_is_refused() {
    let (index, products) = (index().to_string(), products().to_string());
    let twice = |text: &str, key: &str| text.replacen(&format!("\"{key}\":"), &format!("\"{key}\":null,\"{key}\":"), 1);
    for key in ["content_id", "updated", "products", PRODUCT, "20240423", "sha256"] {
        let found = parse(index.as_bytes(), twice(&products, key).as_bytes(), &rule(), None);
        assert!(found.is_err(), "{key}");
    }
    for key in ["updated", "index", CONTENT] {
        assert!(parse(twice(&index, key).as_bytes(), products.as_bytes(), &rule(), None).is_err(), "{key}");
    }
}

#[test]
fn times_are_read_in_both_forms() {
    let mut file = products();
    file["updated"] = json!("2024-05-01T07:52:36Z");
    assert_eq!(read(&index(), &file).unwrap().version.as_str(), "20240501075236");
}

#[test]
fn a_rule_that_cannot_work_names_its_field() {
    let at = |url: &str| SimpleStreamsSource { url: url.to_owned(), ..source() };
    let of = |products: &[&str]| {
        let products = products.iter().map(|glob| (*glob).to_owned()).collect();
        SimpleStreamsSource { products, ..source() }
    };
    let cases = [
        (at("https://host/index.json"), "source.simpleStreams.url: expected an address ROOT/streams/v1/NAME"),
        (at("https://host/streams/v1/"), "source.simpleStreams.url: expected an address ROOT/streams/v1/NAME"),
        (
            at("https://host/streams/v1/index.json?a"),
            "source.simpleStreams.url: expected an address ROOT/streams/v1/NAME",
        ),
        (at("file:///streams/v1/index.json"), "source.simpleStreams.url: expected http or https, found file"),
        (of(&[]), "source.simpleStreams.products: expected 1 to 100 globs, found 0"),
        (of(&["a", "a"]), "source.simpleStreams.products: expected each glob once, found \"a\" again"),
        (of(&["[a"]), "source.simpleStreams.products: expected a glob"),
        (of(&[""]), "source.simpleStreams.products: expected globs of 1 to 256 characters"),
        (
            SimpleStreamsSource { content_id: String::new(), ..source() },
            "source.simpleStreams.contentId: expected 1 to 256",
        ),
        (
            SimpleStreamsSource { file_type: "a\n".to_owned(), ..source() },
            "source.simpleStreams.fileType: expected 1 to 64",
        ),
    ];
    for (spec, expected) in cases {
        let found = SimpleStreamsRule::new(&spec).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
    assert!(SimpleStreamsRule::new(&at("https://host/streams/v1/index.json")).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(cut in 0_usize..3000, byte in any::<u8>()) {
        let (index, mut products) = (index().to_string().into_bytes(), products().to_string().into_bytes());
        let at = cut % products.len();
        products[at] = byte;
        let _ = parse(&index, &products, &rule(), None);
        let _ = parse(&index[..cut % index.len()], &products[..at], &rule(), None);
    }
}
