use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LIST: &str = "/hv:imagelist";
const NAMES: &str = "/hv:imagelist/hv:endorser/hv:x509";
const IMAGE: &str = "/hv:imagelist/hv:images/0/hv:image";

/// A list of which there is nothing to say at [`now`].
fn list() -> Value {
    let image = json!({"hv:image": {
        "dc:identifier": "858a817e-0ca2-473f-89d3-d5bdfc51968e", "hv:version": "1.0", "dc:title": "AlmaLinux 9",
        "dc:description": "", "hv:size": 1024, "sl:checksum:sha512": "0123456789abcdef".repeat(8),
        "hv:uri": "https://example.org/a.qcow2", "sl:os": "Linux", "sl:osversion": "9", "sl:arch": "x86_64",
        "hv:hypervisor": "KVM", "sl:comments": "", "hv:format": "QCOW2",
    }});
    json!({"hv:imagelist": {
        "dc:date:created": "2026-11-01T00:00:00Z", "dc:date:expires": "2026-12-01T00:00:00Z",
        "dc:identifier": "63175437-7d59-4851-b333-c96cb6545a86", "dc:title": "t", "dc:description": "d",
        "dc:source": "s", "hv:version": "1.0", "hv:uri": "https://example.org/image.list",
        "hv:endorser": {"hv:x509": {"hv:dn": "/CN=a", "hv:ca": "/CN=ca", "hv:email": "a@b", "dc:creator": "A"}},
        "hv:images": [image],
    }})
}

fn now() -> Timestamp {
    "2026-11-15T00:00:00Z".parse().unwrap()
}

fn findings(document: &Value) -> Vec<Finding> {
    lint(document.to_string().as_bytes(), &LintRequest { now: now(), previous: None })
}

fn with(pointer: &str, key: &str, value: Value) -> Value {
    let mut document = list();
    document.pointer_mut(pointer).unwrap()[key] = value;
    document
}

#[test]
fn a_sound_list_has_no_findings() {
    assert_eq!(findings(&list()), []);
}

#[test]
fn every_thing_that_sites_trip_over_is_found_once_with_its_place() {
    use Severity::{Error, Notice, Warning};
    let image = |key: &str| format!("hv:imagelist.hv:images[0].hv:image.{key}");
    let top = |key: &str| format!("hv:imagelist.{key}");
    let cases = [
        (LIST, "dc:title", json!(null), Error, top("dc:title")),
        (LIST, "dc:date:created", json!("2026-11-15T00:06:00Z"), Error, top("dc:date:created")),
        (LIST, "dc:date:expires", json!("2026-11-15T00:00:00Z"), Error, top("dc:date:expires")),
        (LIST, "dc:date:expires", json!("2499-12-31T22:00:00Z"), Warning, top("dc:date:expires")),
        (LIST, "dc:date:created", json!("2026-11-01T01:00:00+01:00"), Warning, top("dc:date:created")),
        (LIST, "dc:date:created", json!("2026-11-01"), Warning, top("dc:date:created")),
        (LIST, "dc:identifier", json!("FOOBAR"), Warning, top("dc:identifier")),
        (LIST, "hv:version", json!(1.10), Warning, top("hv:version")),
        (LIST, "hv:uri", json!("example.org"), Warning, top("hv:uri")),
        (LIST, "hv:uris", json!("x"), Warning, top("hv:uris")),
        (LIST, "ad:vo", json!(1), Warning, String::new()),
        (LIST, "ad:vo", json!([]), Error, top("ad:vo")),
        (LIST, "hv:images", json!([]), Notice, top("hv:images")),
        (LIST, "hv:images", json!({}), Error, top("hv:images")),
        (LIST, "hv:endorser", json!({}), Error, top("hv:endorser.hv:x509")),
        (NAMES, "hv:dn", json!(""), Error, top("hv:endorser.hv:x509.hv:dn")),
        (NAMES, "hv:ca", json!("My CA"), Error, top("hv:endorser.hv:x509.hv:ca")),
        (IMAGE, "hv:size", json!("1024"), Notice, image("hv:size")),
        (IMAGE, "hv:size", json!(0), Error, image("hv:size")),
        (IMAGE, "hv:uri", json!("http://example.org/a.ova"), Notice, image("hv:uri")),
        (IMAGE, "hv:uri", json!("https://example.org/download"), Warning, image("hv:uri")),
        (IMAGE, "hv:uri", json!("file:///a.ova"), Error, image("hv:uri")),
        (IMAGE, "dc:identifier", json!("alma-9"), Warning, image("dc:identifier")),
        (IMAGE, "dc:identifier", json!("a".repeat(97)), Warning, image("dc:identifier")),
        (IMAGE, "dc:identifier", json!("../a"), Error, image("dc:identifier")),
        (IMAGE, "dc:identifier", json!("858A817E-0CA2-473F-89D3-D5BDFC51968E"), Notice, image("dc:identifier")),
        (IMAGE, "hv:version", json!(1), Warning, image("hv:version")),
        (IMAGE, "sl:checksum:sha512", json!("CHECKSUM"), Error, image("sl:checksum:sha512")),
        (IMAGE, "sl:checksum:sha512", json!("0".repeat(128)), Error, image("sl:checksum:sha512")),
        (IMAGE, "sl:checksum:sha512", json!(EMPTY), Error, image("sl:checksum:sha512")),
        (IMAGE, "sl:checksum:sha512", json!("0123456789ABCDEF".repeat(8)), Warning, image("sl:checksum:sha512")),
        (IMAGE, "sl:arch", json!("amd64"), Warning, image("sl:arch")),
        (IMAGE, "hv:hypervisor", json!(" "), Warning, image("hv:hypervisor")),
        (IMAGE, "dc:description", json!("a\u{7}"), Warning, image("dc:description")),
        (IMAGE, "dc:title", json!("été"), Notice, image("dc:title")),
        (IMAGE, "dc:date:expires", json!("2026-11-14T00:00:00Z"), Warning, image("dc:date:expires")),
        (IMAGE, "sl:os-version", json!("9"), Warning, image("sl:os-version")),
        (IMAGE, "Format", json!("9"), Warning, image("Format")),
        (IMAGE, "ad:user:guid", json!("9"), Warning, String::new()),
    ];
    for (pointer, key, value, severity, path) in cases {
        let found = findings(&with(pointer, key, value.clone()));
        let told: Vec<_> = found.iter().map(|finding| (finding.severity, finding.path.as_str())).collect();
        let expected = if path.is_empty() { vec![] } else { vec![(severity, path.as_str())] };
        assert_eq!(told, expected, "{key} = {value}: {found:#?}");
    }
}

const EMPTY: &str = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                     47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

#[test]
fn the_empty_digest_is_the_one_of_no_bytes() {
    use sha2::{Digest, Sha512};
    assert_eq!(HEXLOWER.encode(&Sha512::digest([])), EMPTY);
}

#[test]
fn every_missing_key_is_told_at_once() {
    let found = findings(&json!({"hv:imagelist": {"hv:images": [{"hv:image": {}}, 1]}}));
    assert_eq!(found.iter().filter(|finding| finding.severity == Severity::Error).count(), 9 + 12 + 1);
    assert!(found.iter().all(|finding| !finding.advice.is_empty() && finding.message.starts_with("expected ")));
}

#[test]
fn duplicates_the_flat_form_and_no_json_are_told() {
    let mut document = list();
    let image = document.pointer("/hv:imagelist/hv:images/0").unwrap().clone();
    document.pointer_mut("/hv:imagelist/hv:images").unwrap().as_array_mut().unwrap().push(image);
    let found = findings(&document);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "hv:imagelist.hv:images[1].hv:image.dc:identifier");

    let found = findings(&list()["hv:imagelist"]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].severity, found[0].path.as_str()), (Severity::Warning, "top level"));

    let found = lint(b"{\"hv:imagelist\": {\"a\": 1, \"a\": 2}}", &LintRequest { now: now(), previous: None });
    assert_eq!(found[0].path, "hv:imagelist.a");
    assert_eq!(found[0].message, "expected each key once in its object, found this one again");
}

#[test]
fn a_list_is_held_against_the_one_before() {
    let previous = ImageList::parse(list().to_string().as_bytes()).unwrap();
    let against = |document: &Value| {
        let request = LintRequest { now: now(), previous: Some(&previous) };
        let found = lint(document.to_string().as_bytes(), &request);
        found.into_iter().map(|finding| format!("{}: {}", finding.severity, finding.message)).collect::<Vec<_>>()
    };
    let newer = |pointer: &str, key: &str, value: Value| {
        let mut document = with(pointer, key, value);
        document["hv:imagelist"]["dc:date:created"] = json!("2026-11-02T00:00:00Z");
        document["hv:imagelist"]["hv:version"] = json!("1.1");
        document
    };
    assert!(against(&list()).is_empty(), "the same list again is no fault");
    assert!(against(&newer(LIST, "dc:title", json!("new"))).is_empty());
    let cases = [
        (
            with(LIST, "hv:version", json!("0.9")),
            "error: expected a version higher than 1.0, found 0.9, which is lower",
        ),
        (
            with(LIST, "dc:title", json!("new")),
            "error: expected a version higher than 1.0, found 1.0 again and no later",
        ),
        (with(LIST, "dc:date:created", json!("2026-11-02T00:00:00Z")), "warning: expected a version higher than 1.0"),
        (with(LIST, "hv:version", json!("1.1")), "warning: expected a time after 2026-11-01T00:00:00Z"),
        (newer(LIST, "dc:identifier", json!(uuid::Uuid::nil().to_string())), "error: expected 63175437-7d59-4851-b333"),
        (newer(IMAGE, "hv:version", json!("0.1")), "warning: expected a version of at least 1.0, found 0.1"),
        (
            newer(IMAGE, "sl:checksum:sha512", json!("ab".repeat(64))),
            "warning: another file under version 1.0, as before",
        ),
        (newer(IMAGE, "dc:identifier", json!(uuid::Uuid::nil().to_string())), "notice: \"AlmaLinux 9\" is no longer"),
    ];
    for (document, expected) in cases {
        let told = against(&document);
        assert_eq!(told.len(), 1, "{expected}: {told:?}");
        assert!(told[0].starts_with(expected), "{}", told[0]);
    }
}

proptest! {
    /// The promise of `lint`: no error, then the parser takes the list and all its images; and the other way round,
    /// but for what the parser does not judge (times, names and digests that are hardly meant).
    #[test]
    fn what_the_parser_refuses_is_an_error_and_nothing_panics(
        pointer in prop::sample::select(vec![LIST, NAMES, IMAGE]), place in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            Value::Null, json!(true), json!(-1), json!(1.5), json!(7), json!(""), json!("../x"), json!("x"), json!([]),
            json!({}), json!("2026-11-10"), json!("https://example.org/"), json!([{}]), json!("\u{0}é"),
        ]),
        removed in any::<bool>(),
    ) {
        let mut document = list();
        let object = document.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        let key = object.keys().nth(place.index(object.len())).unwrap().clone();
        if removed { object.shift_remove(&key); } else { object.insert(key, value); }
        let payload = document.to_string();
        let parsed = ImageList::parse(payload.as_bytes());
        let errors = findings(&document).iter().filter(|finding| finding.severity == Severity::Error).count();
        let whole = parsed.is_ok_and(|list| list.refused.is_empty());
        prop_assert!(whole || errors > 0, "{payload}");
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in any::<prop::sample::Index>()) {
        let request = LintRequest { now: now(), previous: None };
        let payload = list().to_string();
        prop_assert!(!lint(&bytes, &request).is_empty());
        prop_assert!(!lint(&payload.as_bytes()[..cut.index(payload.len())], &request).is_empty());
    }
}
