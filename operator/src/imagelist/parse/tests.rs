use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{MAXIMUM_BYTES, MAXIMUM_DEPTH, MAXIMUM_HELD, MAXIMUM_IMAGES, MAXIMUM_TEXT, MAXIMUM_VALUES};
use super::*;
use crate::imagelist::Selection;

fn image(identifier: &str) -> Value {
    json!({"hv:image": {
        "dc:identifier": identifier, "hv:version": "1", "dc:title": "t", "dc:description": "d", "hv:size": 1,
        "sl:checksum:sha512": "0".repeat(128), "hv:uri": "https://example.org/a.qcow2", "sl:os": "Linux",
        "sl:osversion": "12", "sl:arch": "x86_64", "hv:hypervisor": "kvm", "sl:comments": "",
    }})
}

fn list() -> Value {
    json!({"hv:imagelist": {
        "dc:date:created": "2026-11-01T00:00:00Z", "dc:date:expires": "2026-12-01T00:00:00Z",
        "dc:identifier": "list-1", "dc:title": "t", "dc:description": "d", "dc:source": "s", "hv:version": "1.0",
        "hv:uri": "https://example.org/image.list",
        "hv:endorser": {"hv:x509": {"hv:dn": "/CN=a", "hv:ca": "/CN=ca", "hv:email": "a@b", "dc:creator": "A"}},
        "hv:images": [image("image-1")],
    }})
}

fn parse(document: &Value) -> Result<ImageList, ListError> {
    ImageList::parse(document.to_string().as_bytes())
}

/// The list with one member of it set, or taken out.
fn with(pointer: &str, key: &str, value: Option<Value>) -> Value {
    let mut document = list();
    let object = document.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(key.to_owned(), value),
        None => object.shift_remove(key),
    };
    document
}

const LIST: &str = "/hv:imagelist";
const IMAGE: &str = "/hv:imagelist/hv:images/0/hv:image";

#[test]
fn numbers_may_be_text_and_text_numbers() {
    for (size, expected) in [(json!(7), 7), (json!("7"), 7), (json!("121243136"), 121_243_136)] {
        assert_eq!(parse(&with(IMAGE, "hv:size", Some(size))).unwrap().images[0].size, Some(expected));
    }
    for (version, expected) in [(json!(2), "2"), (json!(1.5), "1.5"), (json!("1.26-13"), "1.26-13")] {
        let read = parse(&with(LIST, "hv:version", Some(version.clone()))).unwrap();
        assert_eq!(read.version.as_str(), expected);
        assert_eq!(parse(&with(IMAGE, "hv:version", Some(version))).unwrap().images[0].version.as_str(), expected);
    }
}

/// As they are written, not as a reader computes with them: `1.10` is not `1.1`.
#[test]
fn numbers_are_read_as_they_are_written() {
    for written in
        ["1e3", "1.10", "-0", "1E+2", "18446744073709551616", "0.30000000000000004", "12345678901234567890.5"]
    {
        let text = list().to_string().replace("\"hv:version\":\"1.0\"", &format!("\"hv:version\":{written}"));
        let text = text.replace("\"sl:osversion\":\"12\"", &format!("\"sl:osversion\":{written}, \"x\": 2.50"));
        let read = ImageList::parse(text.as_bytes()).unwrap();
        assert_eq!((read.version.as_str(), read.images[0].os_version.as_str()), (written, written));
    }
    let text = list().to_string().replace("\"hv:size\":1,", "\"hv:size\":1e3,");
    let read = ImageList::parse(text.as_bytes()).unwrap();
    assert!(read.refused[0].message.contains("found the number 1e3"), "{}", read.refused[0].message);
}

#[test]
fn another_encoding_is_told_by_its_name() {
    let text = list().to_string();
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let table = [
        (format!("\u{feff}{text}").into_bytes(), "a byte order mark"),
        (utf16(u16::to_le_bytes), "UTF-16"),
        (utf16(u16::to_be_bytes), "UTF-16"),
        ([b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(), "UTF-16"),
        (text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(), "UTF-32"),
    ];
    for (bytes, expected) in table {
        let error = ImageList::parse(&bytes).unwrap_err();
        assert!(matches!(error, ListError::Encoding { found } if found.contains(expected)), "{expected}: {error}");
    }
}

#[test]
fn each_required_key_of_the_list_is_asked_for_by_name() {
    for key in LIST_KEYS.iter().filter(|key| **key != "ad:vo") {
        let error = parse(&with(LIST, key, None)).unwrap_err();
        assert!(matches!(&error, ListError::Missing { path, .. } if *path == format!("hv:imagelist.{key}")), "{error}");
    }
    for key in ["hv:dn", "hv:ca", "hv:email", "dc:creator"] {
        let error = parse(&with("/hv:imagelist/hv:endorser/hv:x509", key, None)).unwrap_err().to_string();
        assert_eq!(error, format!("hv:imagelist.hv:endorser.hv:x509.{key}: expected text, found no such key"));
    }
}

#[test]
fn a_bad_value_of_the_list_is_refused_with_its_place() {
    let cases = [
        ("dc:date:created", json!("yesterday"), "hv:imagelist.dc:date:created: expected an RFC 3339 date"),
        ("dc:identifier", json!("../x"), "hv:imagelist.dc:identifier: expected an identifier"),
        ("dc:title", json!(null), "hv:imagelist.dc:title: expected text, found null"),
        ("ad:vo", json!(["a"]), "hv:imagelist.ad:vo: expected text, found an array"),
        ("hv:images", json!({}), "hv:imagelist.hv:images: expected an array of images, found an empty object"),
        ("hv:endorser", json!([]), "hv:imagelist.hv:endorser: expected at least one endorser"),
        ("hv:endorser", json!("me"), "hv:imagelist.hv:endorser.hv:x509: expected it in an object, found \"me\""),
        ("hv:endorser", json!([{"hv:x509": 1}]), "hv:imagelist.hv:endorser[0].hv:x509: expected an object, found the"),
        ("hv:version", json!(""), "hv:imagelist.hv:version: expected a version"),
    ];
    for (key, value, expected) in cases {
        let error = parse(&with(LIST, key, Some(value))).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(error.reason(), "ListMalformed");
    }
}

#[test]
fn endorsers_may_be_an_array() {
    let one = list()["hv:imagelist"]["hv:endorser"].clone();
    let mut other = one.clone();
    other["hv:x509"]["hv:dn"] = json!("/CN=b");
    let read = parse(&with(LIST, "hv:endorser", Some(json!([one, other])))).unwrap();
    let subjects: Vec<&str> = read.endorsers.iter().map(|endorser| endorser.subject.as_str()).collect();
    assert_eq!(subjects, ["/CN=a", "/CN=b"]);
}

#[test]
fn a_bad_image_is_refused_alone_with_its_reason() {
    let cases = [
        ("dc:identifier", json!("../../evil"), ImageRefusal::IdentifierUnsafe, "dc:identifier: expected an identifier"),
        ("dc:identifier", json!(""), ImageRefusal::IdentifierUnsafe, "dc:identifier: expected an identifier"),
        ("sl:checksum:sha512", json!("CHECKSUM"), ImageRefusal::ImageMalformed, "sl:checksum:sha512: expected a sha"),
        ("hv:size", json!(0), ImageRefusal::ImageMalformed, "hv:size: expected a whole number of bytes, at least 1"),
        ("hv:size", json!(-1), ImageRefusal::ImageMalformed, "hv:size: expected a whole number of bytes"),
        ("hv:size", json!("1 GB"), ImageRefusal::ImageMalformed, "hv:size: expected a whole number of bytes"),
        ("hv:size", json!(1.5), ImageRefusal::ImageMalformed, "hv:size: expected a whole number of bytes"),
        ("hv:size", json!(u64::MAX), ImageRefusal::ImageMalformed, "hv:size: expected a whole number of bytes"),
        ("hv:uri", json!("file:///etc/passwd"), ImageRefusal::ImageMalformed, "hv:uri: expected http or https"),
        ("hv:uri", json!("a;$(reboot)"), ImageRefusal::ImageMalformed, "hv:uri: expected an absolute URL"),
        ("hv:uri", json!("ftp://example.org/a"), ImageRefusal::ImageMalformed, "hv:uri: expected http, https"),
        ("dc:date:expires", json!("soon"), ImageRefusal::ImageMalformed, "dc:date:expires: expected an RFC 3339"),
        ("sl:os", json!({}), ImageRefusal::ImageMalformed, "sl:os: expected text, found an empty object"),
    ];
    for (key, value, reason, message) in cases {
        let mut document = with(IMAGE, key, Some(value));
        document["hv:imagelist"]["hv:images"].as_array_mut().unwrap().push(image("good"));
        let read = parse(&document).unwrap();
        assert_eq!(read.images.len(), 1);
        assert_eq!(read.refused.len(), 1);
        assert_eq!(read.refused[0].reason, reason, "{key}");
        assert!(read.refused[0].message.starts_with(message), "{}", read.refused[0].message);
    }
    let keys: Vec<String> = image("a")["hv:image"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 12);
    for key in keys {
        let read = parse(&with(IMAGE, &key, None)).unwrap();
        assert!(read.refused[0].message.starts_with(&format!("{key}: expected ")), "{}", read.refused[0].message);
        assert!(read.refused[0].message.ends_with(", found no such key"), "{}", read.refused[0].message);
    }
}

#[test]
fn what_is_no_image_at_all_is_counted_by_its_place() {
    let images = json!([image("a"), 7, {"hv:imag": {}}, {"hv:image": []}, {"hv:image": {}}]);
    let read = parse(&with(LIST, "hv:images", Some(images))).unwrap();
    let shown: Vec<&str> = read.refused.iter().map(|refused| refused.identifier.as_str()).collect();
    assert_eq!(shown, ["image 2", "image 3", "image 4", "image 5"]);
    assert_eq!(read.refused[1].message, "expected hv:image, found an object with hv:imag");
}

#[test]
fn an_identifier_that_stands_twice_refuses_all_its_entries_in_order() {
    let mut bad = image("a");
    bad["hv:image"]["hv:size"] = json!("big");
    let images = json!([image("a"), image("b"), bad, image("a"), image("c"), image("c")]);
    let read = parse(&with(LIST, "hv:images", Some(images))).unwrap();
    assert_eq!(read.images.iter().map(|image| image.identifier.as_str()).collect::<Vec<_>>(), ["b"]);
    let told: Vec<_> = read.refused.iter().map(|refused| (refused.identifier.as_str(), refused.reason)).collect();
    let duplicate = ImageRefusal::IdentifierDuplicate;
    let malformed = ImageRefusal::ImageMalformed;
    assert_eq!(told, [("a", duplicate), ("a", malformed), ("a", duplicate), ("c", duplicate), ("c", duplicate)]);
    assert_eq!(read.refused[0].message, "dc:identifier: expected it once in the list, found it 3 times");
}

#[test]
fn the_older_flat_form_reads_the_same() {
    let wrapped = list();
    assert_eq!(parse(&wrapped["hv:imagelist"]).unwrap(), parse(&wrapped).unwrap());
}

#[test]
fn unknown_keys_are_kept_wherever_they_stand() {
    let mut document = with(LIST, "ad:swid", Some(json!("810")));
    document["signed-with"] = json!({"tool": [1, 2.5, null, true]});
    document["hv:imagelist"]["hv:images"][0]["hv:image"]["hv:ram_minimum"] = json!("512");
    document["hv:imagelist"]["hv:images"][0]["note"] = json!("beside");
    let read = parse(&document).unwrap();
    let extra = json!({"ad:swid": "810", "signed-with": {"tool": [1, 2.5, null, true]}});
    assert_eq!(Value::Object(read.extra), extra);
    assert_eq!(Value::Object(read.images[0].extra.clone()), json!({"hv:ram_minimum": "512", "note": "beside"}));
}

#[test]
fn keys_that_two_readers_could_read_differently_are_refused() {
    let duplicated = [
        (r#"{"hv:imagelist": {}, "hv:imagelist": {}}"#, "hv:imagelist"),
        (r#"{"hv:imagelist": {}, "hv:image\u006cist": {}}"#, "hv:imagelist"),
        (
            r#"{"hv:imagelist": {"hv:images": [{"hv:image": {"a": 1, "a": 1}}]}}"#,
            "hv:imagelist.hv:images[0].hv:image.a",
        ),
        (r#"{"hv:imagelist": {"x": [0, {"y": {"k": 1, "k": 2}}]}}"#, "hv:imagelist.x[1].y.k"),
    ];
    for (text, expected) in duplicated {
        let error = ImageList::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error, ListError::DuplicateKey { path: expected.to_owned() });
    }
    let mut many: Vec<String> = (0..100).map(|number| format!("\"k{number}\": 0")).collect();
    many.push("\"k70\": 1".to_owned());
    let error = ImageList::parse(format!("{{{}}}", many.join(",")).as_bytes()).unwrap_err();
    assert_eq!(error, ListError::DuplicateKey { path: "k70".to_owned() });

    for key in ["hv:images", "dc:identifier", "ad:swid"] {
        let mut document = with(LIST, "ad:swid", Some(json!("810")));
        document[key] = json!([]);
        assert_eq!(parse(&document).unwrap_err(), ListError::Ambiguous { path: key.to_owned() });
    }
    let mut document = list();
    document["hv:imagelist"]["hv:images"][0]["hv:size"] = json!(1);
    assert!(parse(&document).unwrap().refused[0].message.starts_with("hv:size: expected it inside hv:image only"));
}

#[test]
fn what_is_no_list_is_told_apart() {
    let cases = [
        ("", "top level: expected JSON, found an error: EOF"),
        ("MIME-Version: 1.0", "top level: expected JSON, found an error: expected value at line 1 column 1"),
        ("[]", "expected an object with hv:imagelist (or the older flat form"),
        ("null", "expected an object with hv:imagelist"),
        ("{\"hv:imagelist\": 1}", "hv:imagelist: expected an object, found the number 1"),
        ("{} {}", "top level: expected JSON, found an error: trailing characters"),
        ("{\"hv:imagelist\": {\"hv:images\": [{},", "hv:imagelist.hv:images[1]: expected JSON, found an error: EOF"),
        ("{\"hv:imagelist\": {\"a\": 1e999}}", "hv:imagelist.a: expected JSON, found an error: number out of range"),
        ("{\"hv:imagelist\": {\"a\": \"\u{1}\"}}", "hv:imagelist.a: expected JSON, found an error: control character"),
    ];
    for (text, expected) in cases {
        let error = ImageList::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let latin1 = b"{\"hv:imagelist\": {\"dc:title\": \"caf\xe9\"}}";
    let error = ImageList::parse(latin1).unwrap_err().to_string();
    assert!(error.starts_with("hv:imagelist.dc:title: expected JSON, found an error: invalid unicode"), "{error}");
}

#[test]
fn the_bounds_hold_and_what_is_just_inside_them_is_read() {
    let nested = |depth: usize| {
        let inner = format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
        with(LIST, "x", Some(serde_json::from_str(&inner).unwrap()))
    };
    assert!(parse(&nested(MAXIMUM_DEPTH - 2)).is_ok());
    assert!(matches!(parse(&nested(MAXIMUM_DEPTH - 1)).unwrap_err(), ListError::TooDeep { .. }));
    let deep = "[".repeat(1 << 20);
    assert!(matches!(ImageList::parse(deep.as_bytes()).unwrap_err(), ListError::TooDeep { .. }));

    let titled = |length: usize| with(LIST, "dc:title", Some(json!("x".repeat(length))));
    assert!(parse(&titled(MAXIMUM_TEXT)).is_ok());
    assert!(matches!(parse(&titled(MAXIMUM_TEXT + 1)).unwrap_err(), ListError::TextTooLong { .. }));
    let key = "k".repeat(MAXIMUM_TEXT + 1);
    let error = parse(&with(LIST, &key, Some(json!(1)))).unwrap_err();
    assert!(matches!(&error, ListError::TextTooLong { path, .. } if path == "hv:imagelist"), "{error}");

    let counted = |count: usize| with(LIST, "hv:images", Some(Value::Array(vec![json!(0); count])));
    assert_eq!(parse(&counted(MAXIMUM_IMAGES)).unwrap().refused.len(), MAXIMUM_IMAGES);
    let error = parse(&counted(MAXIMUM_IMAGES + 1)).unwrap_err();
    assert!(matches!(&error, ListError::TooManyImages { path, .. } if path == "hv:imagelist.hv:images"), "{error}");

    let values = format!("{{\"hv:imagelist\": [{}0]}}", "0,".repeat(MAXIMUM_VALUES));
    assert!(matches!(ImageList::parse(values.as_bytes()).unwrap_err(), ListError::TooManyValues { .. }));
    let large = vec![b' '; MAXIMUM_BYTES + 1];
    assert!(matches!(ImageList::parse(&large).unwrap_err(), ListError::TooLarge { .. }));
}

#[test]
fn no_more_is_held_than_is_needed() {
    let many = |count: usize| Value::Array(vec![json!(0); count]);
    assert!(parse(&with(LIST, "x", Some(many(MAXIMUM_HELD / 2)))).is_ok());
    for pointer in [LIST, IMAGE] {
        let error = parse(&with(pointer, "x", Some(many(MAXIMUM_HELD)))).unwrap_err();
        assert!(matches!(&error, ListError::TooManyValues { limit: MAXIMUM_HELD, .. }), "{error}");
    }
    let mut images: Vec<Value> = (0..10).map(|number| image(&format!("image-{number}"))).collect();
    for image in &mut images {
        image["hv:image"]["x"] = many(MAXIMUM_HELD / 2);
    }
    let list = parse(&with(LIST, "hv:images", Some(Value::Array(images)))).unwrap();
    assert_eq!(list.images.len(), 10, "what one image holds is let go for the next");
}

#[test]
fn what_nobody_wants_is_counted_and_left_out() {
    let chosen = json!({"include": {"identifiers": ["selected"]}});
    let selection = Selection::new(&serde_json::from_value(chosen).unwrap()).unwrap();
    let known = BTreeSet::from(["there".to_owned(), "twice".to_owned()]);
    let wanted = WantedImages { selection: &selection, known: &known };
    let mut images: Vec<Value> = ["other", "selected", "there", "twice", "twice", "again", "again"].map(image).into();
    images[1]["hv:image"]["more"] = json!("than the model has");
    images.resize(images.len() + 40, json!(0));
    let document = with(LIST, "hv:images", Some(Value::Array(images))).to_string();
    let read = ImageList::parse_for(document.as_bytes(), Some(wanted)).unwrap();
    let names = |list: &ImageList| list.images.iter().map(|image| image.identifier.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&read), ["selected", "there"]);
    assert!(read.images.iter().all(|image| image.extra.is_empty()) && read.extra.is_empty());
    assert_eq!(read.refused.len(), WantedImages::REFUSED);
    assert_eq!(read.left_out, LeftOut { images: 1, refused: 44 - WantedImages::REFUSED });
    let all = ImageList::parse(document.as_bytes()).unwrap();
    assert_eq!((names(&all).len(), all.refused.len(), all.left_out), (3, 44, LeftOut::default()));
    assert_eq!(selection.select(&read).missing, selection.select(&all).missing);
}

#[test]
fn messages_stay_short_and_printable_whatever_the_list_holds() {
    let key = "k\n\u{202e}".repeat(1000);
    let error = parse(&json!({ (key.clone()): 1 })).unwrap_err().to_string();
    assert!(error.len() < 1024 && !error.contains('\n'), "{error}");
    let error = parse(&with(LIST, "dc:identifier", Some(json!(key)))).unwrap_err().to_string();
    assert!(error.len() < 1024 && !error.contains('\n'), "{error}");
    let read = parse(&with(IMAGE, "dc:identifier", Some(json!(key)))).unwrap();
    assert_eq!(read.refused[0].identifier.chars().count(), 128);
    assert!(!read.refused[0].identifier.contains('\n'));
    let read = parse(&with(IMAGE, "hv:size", Some(json!(key)))).unwrap();
    assert!(read.refused[0].message.len() < 512 && !read.refused[0].message.contains('\n'));
}

fn any_version() -> impl Strategy<Value = crate::imagelist::ListVersion> {
    "[^\\p{C}]{1,20}".prop_filter_map("a version is printable", |text| text.parse().ok())
}

prop_compose! {
    fn any_image()(
        identifier in "[a-zA-Z0-9][a-zA-Z0-9._@+=-]{0,40}", version in any_version(), text in any::<String>(),
        size in 1..=i64::MAX.unsigned_abs(), digest in any::<[u8; 64]>(), path in "[a-z0-9/?=&]{0,20}",
        format in proptest::option::of(any::<String>()), seconds in proptest::option::of(0i64..253_402_000_000),
        extra in proptest::collection::btree_map("ad:[a-z]{1,8}", any::<String>(), 0..40),
    ) -> ListedImage {
        ListedImage {
            identifier: identifier.parse().unwrap(), version, title: text.clone(),
            description: text.clone(), size: Some(size), digest: Sha512Digest::from_bytes(digest).into(), learned: None,
            uri: format!("https://example.org/{path}").parse().unwrap(), os: text.clone(), os_version: text.clone(),
            arch: text.clone(), hypervisor: text.clone(), comments: text, mpuri: format.clone(), format,
            expires: seconds.map(|second| jiff::Timestamp::from_second(second).unwrap()),
            extra: extra.into_iter().filter(|(key, _)| key != "ad:mpuri").map(|(key, text)| (key, text.into())).collect(),
        }
    }
}

prop_compose! {
    fn any_list()(
        images in proptest::collection::vec(any_image(), 0..6), text in any::<String>(), nanosecond in any::<i64>(),
        endorsers in 1usize..4, vo in proptest::option::of(any::<String>()), number in any::<i64>(),
    ) -> ImageList {
        let mut images = images;
        images.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        images.dedup_by(|a, b| a.identifier == b.identifier);
        let moment = jiff::Timestamp::from_nanosecond(nanosecond.unsigned_abs().into()).unwrap();
        let named = NamedEndorser { subject: text.clone(), issuer: text.clone(), email: text.clone(), creator: text.clone() };
        ImageList {
            identifier: "list".parse().unwrap(), version: "1".parse().unwrap(), created: moment, expires: moment,
            title: text.clone(), description: text.clone(), source: text.clone(), uri: text,
            endorsers: vec![named; endorsers], vo, images, refused: Vec::new(), left_out: LeftOut::default(),
            extra: [("x".to_owned(), json!([number, {"y": number}]))].into_iter().collect(),
        }
    }
}

mod properties;
