//! Lines of checksum files, and the images that follow from them.

use proptest::prelude::*;

use super::*;
use crate::api::{ChecksumImage, ChecksumsSource};

const A: &str = "e401a4db2e5e04d1967b6729774faa96da629bcf3ba90b67d8d9cce9906bec0f";
const B: &str = "983b7be9dd1ed8c0b3118e309cdd2b2869b74ddcbb3e4c6c4c77e28e0a7b5e59";

fn image(name: &str, file: &str) -> ChecksumImage {
    let (name, file) = (name.to_owned(), file.to_owned());
    ChecksumImage { name, file, title: None, os: None, os_version: None, arch: None }
}

fn source(images: Vec<ChecksumImage>) -> ChecksumsSource {
    ChecksumsSource { url: "https://mirror.example.org/images/SHA256SUMS".to_owned(), signature: None, images }
}

fn rule(file: &str) -> ChecksumsRule {
    ChecksumsRule::new(&source(vec![image("noble", file)])).unwrap()
}

fn signed() -> Timestamp {
    "2024-04-23T10:20:30Z".parse().unwrap()
}

/// `VERSION SIZE DIGEST URL` of the one image, or why it is refused.
fn told(text: &str, file: &str) -> String {
    match parse(text.as_bytes(), &rule(file), signed(), None) {
        Err(error) => format!("! {error}"),
        Ok(list) => match (list.images.as_slice(), list.refused.as_slice()) {
            ([image], []) => {
                let size = image.size.map_or("-".to_owned(), |size| size.to_string());
                format!("{} {size} {} {}", image.version, image.digest.short(), image.uri)
            }
            ([], [refused]) => refused.message.clone(),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn each_form_of_a_line_is_read() {
    let sha512 = B.repeat(2);
    let url = "https://mirror.example.org/images/a.img";
    let cases = [
        (format!("{A}  a.img\n"), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (format!("{A} *a.img"), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (format!("{A} *./a.img\r\n"), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (format!("{}  a.img \n", A.to_uppercase()), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (format!("SHA256 (a.img) = {A}\n"), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (format!("SHA2-256(a.img)= {A}\n"), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (format!("SHA512 (a.img) = {sha512}\n"), format!("983b7be9dd1e - 983b7be9dd1e {url}")),
        (format!("{A}  a.img\n{sha512}  a.img\n"), format!("983b7be9dd1e - 983b7be9dd1e {url}")),
        (
            format!("# a.img: 532217856 bytes\nSHA256 (a.img) = {A}\n"),
            format!("e401a4db2e5e 532217856 e401a4db2e5e {url}"),
        ),
        (format!("# made by hand\n\n{A}  a.img\n{A}  a.img\nhello\n"), format!("e401a4db2e5e - e401a4db2e5e {url}")),
        (
            format!("d41d8cd98f00b204e9800998ecf8427e  a.img\n{A}  a.img\n"),
            format!("e401a4db2e5e - e401a4db2e5e {url}"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(told(&text, r"a\.img"), expected, "{text}");
    }
    let escaped = format!("\\{A}  a\\\\b\\n.img\n{B}  a.img\n");
    let sums = Sums::read(escaped.as_bytes()).unwrap();
    assert_eq!(sums.files().map(|(name, _)| name).collect::<Vec<_>>(), ["a.img", "a\\b\n.img"]);
    assert_eq!(
        told(&escaped, r"a.*\n\.img"),
        "noble: expected a plain relative path, found a backslash or a character that is not printable in it"
    );
}

#[test]
fn an_image_that_cannot_be_used_is_refused_alone() {
    let cases = [
        (format!("{A}  b.img\n"), "noble: expected a file that its pattern matches, found none"),
        (format!("{A}  a.img.torrent\n"), "noble: expected a file that its pattern matches, found none"),
        (format!("{A}  a.img\n{B}  a.img\n"), "noble: \"a.img\": expected the same digest and size in all lines"),
        (format!("# a.img: 1 bytes\n# a.img: 2 bytes\n{A}  a.img\n"), "noble: \"a.img\": expected the same digest"),
        (
            format!("{}  a.img\n{B}  b.img\n", &A[..40]),
            "noble: \"a.img\": expected a SHA-256 or SHA-512 digest, found SHA-1 only",
        ),
    ];
    for (text, expected) in cases {
        let found = told(&text, r"a\.img");
        assert!(found.starts_with(expected), "{text}: {found}");
    }
    for (path, name) in [("../a.img", r"\.\./a\.img"), ("/a.img", "/a.img"), ("b/../../a.img", ".*")] {
        let found = told(&format!("{A}  {path}\n"), name);
        assert!(found.starts_with("noble: expected a plain relative path"), "{found}");
    }
    let below = told(&format!("{A}  b/a.img\n"), ".*");
    assert!(below.ends_with(" https://mirror.example.org/images/b/a.img"), "{below}");
}

#[test]
fn a_file_without_a_digest_that_can_be_used_is_refused() {
    let md5 = "d41d8cd98f00b204e9800998ecf8427e  a.img\n".to_owned();
    let many = format!("{A}  a.img\n").repeat(10_001);
    let cases = [
        (String::new(), "checksums: expected lines with SHA-256 or SHA-512 digests, found none"),
        (md5, "checksums: expected lines with SHA-256 or SHA-512 digests, found MD5 only"),
        (
            format!("{}  a.img\n", &A[..40]),
            "checksums: expected lines with SHA-256 or SHA-512 digests, found SHA-1 only",
        ),
        ("<html>\n".to_owned(), "line 1: expected lines with SHA-256 or SHA-512 digests, found \"<html>\""),
        (format!("{A} a.img\n"), "line 1: expected lines with SHA-256 or SHA-512 digests, found \"e401"),
        (format!("SHA256 (a.img) = {}\n", &A[1..]), "line 1: expected lines with SHA-256 or SHA-512"),
        (many, "line 10001: expected at most 10000 lines, found more"),
        (format!("{A}  {}\n", "a".repeat(5000)), "line 1: expected at most 4096 bytes, found 5066"),
    ];
    for (text, expected) in cases {
        let found = told(&text, ".*");
        assert!(found.starts_with(&format!("! {expected}")), "{found}");
    }
}

#[test]
fn the_greatest_version_is_taken() {
    let text = format!("{A}  a-9.2.img\n{B}  a-10.1.img\n{A}  a-1.img.sig\n");
    let pattern = r"a-(?<version>[0-9.]+)\.img";
    assert_eq!(told(&text, pattern), "10.1 - 983b7be9dd1e https://mirror.example.org/images/a-10.1.img");
    let same = format!("{A}  a-1.0.img\n{B}  a-01.0.img\n");
    assert_eq!(
        told(&same, pattern),
        "noble: expected one file of the newest version, found \"a-01.0.img\" and \"a-1.0.img\""
    );
    let newer = format!("{same}{B}  a-2.img\n");
    assert!(told(&newer, pattern).starts_with("2 "), "equal ones that are older do not matter");
    let several = told(&text, r"a-.*\.img");
    assert!(several.starts_with("noble: expected one file of the newest version"), "{several}");
}

#[test]
fn the_list_and_its_images_have_identifiers_that_stay() {
    let text = format!("{A}  a.img\n{B}  b.img\n");
    let images = vec![image("a", r"a\.img"), image("b", r"b\.img"), image("c", r"c\.img")];
    let list = parse(text.as_bytes(), &ChecksumsRule::new(&source(images)).unwrap(), signed(), None).unwrap();
    // Python: uuid5(NAMESPACE_URL, url), and uuid5 of that and the name.
    assert_eq!(list.identifier.as_str(), "807e6ba3-725d-52cf-8931-0a1691e77b30");
    assert_eq!(list.images[0].identifier.as_str(), "cce6323b-7464-55ca-846f-e6ce3f5608bd");
    assert_eq!(list.version.as_str(), "20240423102030");
    assert_eq!((list.created, list.title.as_str()), (signed(), "SHA256SUMS"));
    assert_eq!(list.images.iter().map(|image| image.title.as_str()).collect::<Vec<_>>(), ["a.img", "b.img"]);
    assert_eq!(list.refused.len(), 1);
    let secret =
        ChecksumsSource { url: format!("{}?token=s3cret", source(Vec::new()).url), ..source(vec![image("a", "a")]) };
    let other = parse(text.as_bytes(), &ChecksumsRule::new(&secret).unwrap(), signed(), None).unwrap();
    assert_eq!(other.identifier, list.identifier);
}

#[test]
fn a_rule_that_cannot_work_names_its_field() {
    let good = source(vec![image("a", "a")]);
    let many = (0..101).map(|number| image(&format!("a{number}"), "a")).collect();
    let cases = [
        (source(Vec::new()), "source.checksums.images: expected 1 to 100 images, found 0"),
        (source(many), "source.checksums.images: expected 1 to 100 images, found 101"),
        (
            source(vec![image("a", "a"), image("a", "b")]),
            "source.checksums.images: expected each name once, found \"a\" again",
        ),
        (source(vec![image("A", "a")]), "source.checksums.images: expected a name of 1 to 63 lower-case letters"),
        (source(vec![image("a", "")]), "source.checksums.images[a].file: expected a regular expression of 1 to 512"),
        (
            source(vec![image("a", "a(")]),
            "source.checksums.images[a].file: expected a regular expression, found \"a(\"",
        ),
        (source(vec![image("a", "a)|(b")]), "source.checksums.images[a].file: expected a regular expression"),
        (
            source(vec![image("a", "(?:a{1000}){1000}")]),
            "source.checksums.images[a].file: expected a regular expression",
        ),
        (
            ChecksumsSource { url: "file:///a".to_owned(), ..good.clone() },
            "source.checksums.url: expected http or https, found file",
        ),
        (ChecksumsSource { url: "a".to_owned(), ..good.clone() }, "source.checksums.url: expected an absolute URL"),
        (
            ChecksumsSource { signature: Some("ftp://a/b".to_owned()), ..good.clone() },
            "source.checksums.signature: expected http",
        ),
    ];
    assert!(ChecksumsRule::new(&good).is_ok());
    for (spec, expected) in cases {
        let found = ChecksumsRule::new(&spec).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text, &rule(".*"), signed(), None);
    }

    #[test]
    fn no_lines_make_it_panic(text in r"(\\?(SHA(256|512) ?\(|[0-9a-f]{32,128} [ *])?(\\|\.\./|[a-c#(): =]|\n|\r){0,9}(= [0-9a-f]{64,128})?\n){0,6}") {
        if let Ok(list) = parse(text.as_bytes(), &rule(".*"), signed(), None) {
            for image in list.images {
                prop_assert!(image.uri.to_string().starts_with("https://mirror.example.org/images/"));
            }
        }
    }
}
