//! Real image lists, read as documents: what they say once nobody asks who signed them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmcatcher_operator::imagelist::{ImageList, ImageRefusal, LintRequest, ListError, MAXIMUM_IMAGES, Severity, lint};

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/imagelists").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn todays_form_is_read_whole() {
    let list = ImageList::parse(&data("hepixvmitrust.json")).unwrap();
    assert_eq!(list.identifier.as_str(), "4e186b44-2c64-40ea-97d5-e9e5c0bce059");
    assert_eq!(list.expires.to_string(), "2011-04-07T17:09:12Z");
    assert_eq!(list.endorsers[0].subject, "/C=DE/O=GermanGrid/OU=DESY/CN=Owen Synge");
    assert_eq!(list.images.len(), 1);
    assert_eq!(list.images[0].size, Some(2_147_483_648));
    assert_eq!(list.images[0].os_version, "SL 5.5");
    assert!(list.refused.is_empty() && list.extra.is_empty() && list.vo.is_none());
}

/// Sizes as text, `ad:*` keys, an expiry in 2499 and a checksum that is none: that image goes, the list stays.
#[test]
fn the_largest_publishers_shape_is_read_and_its_placeholder_refused_alone() {
    let list = ImageList::parse(&data("appdb-shape.json")).unwrap();
    assert_eq!(list.expires.to_string(), "2499-12-31T22:00:00Z");
    assert_eq!(list.extra.keys().collect::<Vec<_>>(), ["ad:swid"]);
    assert!(list.images.is_empty());
    assert_eq!(list.refused.len(), 1);
    assert_eq!(list.refused[0].identifier, "FOOBAR_");
    assert_eq!(list.refused[0].reason, ImageRefusal::ImageMalformed);
    assert_eq!(
        list.refused[0].message,
        "sl:checksum:sha512: expected a sha512 of 128 hexadecimal digits, found \"CHECKSUM\" (8 characters)"
    );

    let mut mended: Value = serde_json::from_slice(&data("appdb-shape.json")).unwrap();
    mended["hv:imagelist"]["hv:images"][0]["hv:image"]["sl:checksum:sha512"] = json!("ab".repeat(64));
    let image = ImageList::parse(mended.to_string().as_bytes()).unwrap().images.remove(0);
    assert_eq!(image.size, Some(121_243_136));
    assert_eq!(image.format.as_deref(), Some("OVA"));
    assert_eq!(image.mpuri.as_deref(), Some("https://FOOBAR_/7f1c5d25-614e-4409-bfa6-625d3ae7b9d4:619/"));
    assert_eq!(image.extra.get("hv:core_minimum"), Some(&json!("1")));
}

#[test]
fn a_list_from_before_the_format_is_refused_with_a_clear_reason() {
    let error = ImageList::parse(&data("hepixvmitrust-before-the-format.json")).unwrap_err();
    let ListError::NotAList { found } = &error else { panic!("{error}") };
    assert_eq!(found, "an object with images, metadata");
}

/// What `list lint` says of the three, today: `severity path` of every error.
#[test]
fn unsigned_lists_are_linted() {
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let errors = |name: &str| -> Vec<String> {
        let findings = lint(&data(name), &LintRequest { now, previous: None });
        let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.path).collect()
    };
    assert_eq!(errors("hepixvmitrust.json"), ["hv:imagelist.dc:date:expires"]);
    assert_eq!(
        errors("appdb-shape.json"),
        [
            "hv:imagelist.hv:endorser.hv:x509.hv:dn",
            "hv:imagelist.hv:endorser.hv:x509.hv:ca",
            "hv:imagelist.hv:images[0].hv:image.sl:checksum:sha512"
        ]
    );
    assert_eq!(errors("hepixvmitrust-before-the-format.json"), ["top level"]);
}

fn list_of(images: usize) -> Vec<u8> {
    let mut list: Value = serde_json::from_slice(&data("appdb-shape.json")).unwrap();
    let mut image = list["hv:imagelist"]["hv:images"][0].take();
    image["hv:image"]["sl:checksum:sha512"] = json!("ab".repeat(64));
    image["hv:image"]["dc:identifier"] = json!("IDENTIFIER");
    let image = serde_json::to_string_pretty(&image).unwrap();
    let numbered = (0..images).map(|number| image.replacen("IDENTIFIER", &format!("image-{number}"), 1));
    list["hv:imagelist"]["hv:images"] = json!("IMAGES");
    let images = format!("[{}]", numbered.collect::<Vec<_>>().join(","));
    list.to_string().replacen("\"IMAGES\"", &images, 1).into_bytes()
}

/// The figure is for people (`--release --nocapture`); the bound is one that a debug build on a busy machine keeps.
#[test]
fn a_thousand_images_are_read_in_milliseconds_and_the_most_in_seconds() {
    for (images, bound) in [(1_000, Duration::from_secs(1)), (MAXIMUM_IMAGES, Duration::from_secs(50))] {
        let payload = list_of(images);
        let begun = Instant::now();
        let list = ImageList::parse(&payload).unwrap();
        let took = begun.elapsed();
        eprintln!("{images} images, {} bytes: read in {took:?}", payload.len());
        assert_eq!(list.images.len(), images);
        assert!(took < bound, "{images} images took {took:?}");
    }
}
