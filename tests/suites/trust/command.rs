//! `list verify` and `list sign`, as a person runs them.

use std::path::Path;
use std::process::{Command, Output};

use harness::image_server::{ImageServer, Resource};
use harness::list::ListBuilder;
use harness::pki::Pki;
use harness::signer::{Form, detached, sign};
use serde_json::Value;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_operator")).arg("list").args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

struct Scene {
    folder: tempfile::TempDir,
    pki: Pki,
}

impl Scene {
    fn new() -> Self {
        let (folder, pki) = (tempfile::tempdir().unwrap(), Pki::new());
        pki.write_trust_dir(&folder.path().join("trust"));
        Self { folder, pki }
    }

    fn text(&self) -> Vec<u8> {
        ListBuilder::new("a-list", self.pki.now).endorser(&self.pki.endorser).images(3).json()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
        self.path(name)
    }

    fn verify(&self, list: &str, more: &[&str]) -> (Option<i32>, String, String) {
        run(&[&["verify", list, "--trust", &self.path("trust")], more].concat())
    }
}

#[test]
fn every_check_is_a_row_and_the_exit_code_tells_the_verdict() {
    let scene = Scene::new();
    let list = scene.write("list", &sign(&scene.text(), &scene.pki.endorser, Form::Detached));
    let (code, shown, _) = scene.verify(&list, &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("not asked (signed by /DC=org/DC=example/O=People/CN=Erin Endorser)"), "{shown}");
    assert_eq!(shown.lines().filter(|line| line.trim_start().starts_with('✓')).count(), 10, "{shown}");
    assert!(shown.ends_with("Good: a-list version 1.0, 3 images\n"), "{shown}");
    let (code, shown, _) = scene.verify(&list, &["--endorser", "CN=Erin Endorser,O=People,DC=example,DC=org"]);
    assert_eq!(code, Some(0), "{shown}");
    let (code, shown, _) = scene.verify(&list, &["--endorser", "/DC=org/CN=Somebody"]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: EndorserNotTrusted")), "{shown}");
    let (code, shown, _) = scene.verify(&list, &["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: CertificateNotYetValid")), "{shown}");
    let (code, _, told) = scene.verify(&scene.path("missing"), &[]);
    assert_eq!(code, Some(3), "{told}");
    let (code, _, told) = scene.verify(&list, &["--endorser", "nobody"]);
    assert_eq!(code, Some(2), "{told}");
}

#[test]
fn the_machine_form_holds_the_same() {
    let scene = Scene::new();
    scene.write("trust/bad.0", b"garbage");
    let list = scene.write("list", &sign(&scene.text(), &scene.pki.revoked, Form::Opaque));
    let (code, shown, _) = scene.verify(&list, &["-o", "json"]);
    let document: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!(document["good"], false);
    assert_eq!(document["refusal"]["reason"], "CertificateRevoked");
    assert_eq!(document["refusal"]["subject"], scene.pki.revoked.subject());
    assert_eq!(document["refusal"]["depth"], 0);
    let checks = document["checks"].as_array().unwrap();
    let row = |check: &Value| format!("{} {}", check["rule"].as_str().unwrap(), check["result"].as_str().unwrap());
    let rows: Vec<String> = checks.iter().map(row).collect();
    let steps = ["Message", "Signature", "Digest", "Chain", "Strength"].map(|rule| format!("{rule} Passed"));
    assert_eq!(rows, [&steps[..], &["Revocation Failed".to_owned()]].concat());
    assert!(document["anchorProblems"][0].as_str().unwrap().contains("bad.0"));
    let list = scene.write("list", &sign(&scene.text(), &scene.pki.endorser, Form::Opaque));
    let document: Value = serde_json::from_str(&scene.verify(&list, &["-o", "json"]).1).unwrap();
    assert_eq!(document["list"]["images"], 3);
    assert_eq!(document["list"]["signers"][0]["subject"], scene.pki.endorser.subject());
}

#[test]
fn a_list_is_verified_where_it_is_published() {
    let scene = Scene::new();
    let server = ImageServer::start();
    server.put("/image.list", Resource::bytes(sign(&scene.text(), &scene.pki.endorser, Form::Detached)));
    let (code, shown, told) = scene.verify(&server.url("/image.list"), &[]);
    assert_eq!(code, Some(0), "{shown}{told}");
    let (code, shown, told) = scene.verify(&server.url("/missing"), &[]);
    assert_eq!((code, told.contains("404")), (Some(3), true), "{shown}{told}");
    server.put("/plain", Resource::bytes(scene.text()));
    let (code, shown, told) = scene.verify(&server.url("/plain"), &[]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: Unsigned")), "{told}");
    let signature = detached(&scene.text(), &scene.pki.endorser, &["-binary", "-outform", "DER"]);
    server.put("/plain.p7s", Resource::bytes(signature));
    server.put("/plain.asc", Resource::bytes(b"<html>not found, says a page</html>"));
    let (code, shown, told) = scene.verify(&server.url("/plain"), &[]);
    assert_eq!(code, Some(0), "{shown}{told}");
    server.put("/plain.p7s", Resource::status(503));
    let (code, shown, told) = scene.verify(&server.url("/plain"), &[]);
    assert_eq!(code, Some(3), "{shown}{told}");
    // Some stores answer so for what they do not have.
    server.put("/plain.p7s", Resource::status(403));
    let (code, shown, told) = scene.verify(&server.url("/plain"), &[]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: Unsigned")), "{told}");
}

#[test]
fn what_list_sign_signs_is_verified_by_us_and_by_openssl() {
    let scene = Scene::new();
    let (certificate, key) = scene.pki.endorser.pem();
    let (certificate, key) = (scene.write("cert", &certificate), scene.write("key", &key));
    let chain = scene.write("chain", &scene.pki.intermediate.certificate.to_pem().unwrap());
    let (text, out) = (scene.write("text", &scene.text()), scene.path("out"));
    let arguments = ["sign", &text, "--cert", &certificate, "--key", &key, "--chain", &chain, "-o", &out];
    let (code, _, told) = run(&arguments);
    assert_eq!(code, Some(0), "{told}");
    let (code, shown, _) = scene.verify(&out, &[]);
    assert_eq!(code, Some(0), "{shown}");
    let root = scene.write("root", &scene.pki.root.certificate.to_pem().unwrap());
    let verified = Command::new("openssl").args(["cms", "-verify", "-in", &out, "-CAfile", &root]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    assert_eq!(String::from_utf8(verified.stdout).unwrap().replace('\r', "").into_bytes(), scene.text());
}

#[test]
fn list_sign_refuses_what_sites_would() {
    let scene = Scene::new();
    let (certificate, key) = scene.pki.second.pem();
    let (certificate, key) = (scene.write("cert", &certificate), scene.write("key", &key));
    let other = scene.write("other", &scene.pki.endorser.pem().1);
    let text = scene.write("text", &scene.text());
    let broken = scene.write("broken", b"{}");
    let signed = scene.write("signed", &sign(&scene.text(), &scene.pki.endorser, Form::Detached));
    let cases = [
        (&text, &key, "hv:endorser"),
        (&text, &other, "found another one"),
        (&text, &certificate, "a private key"),
        (&broken, &key, "hv:imagelist"),
        (&signed, &key, "signed already"),
    ];
    for (list, key, expected) in cases {
        let (code, _, told) = run(&["sign", list, "--cert", &certificate, "--key", key]);
        assert!(code == Some(3) && told.contains(expected), "{expected}: {told}");
    }
    assert!(Path::new(&text).exists());
}

/// A key that anyone can have is refused, and taken from an old archive only where a person says so.
#[test]
fn weak_keys_are_taken_only_where_that_is_said() {
    let scene = Scene::new();
    let key = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap();
    let spec = harness::pki::CertificateSpec::person("/DC=org/DC=example/O=People/CN=Walter Weakkey", scene.pki.now);
    let walter = scene.pki.intermediate.issue(&spec.key(&key));
    let text = ListBuilder::new("a-list", scene.pki.now).endorser(&walter).images(1).json();
    let list = scene.write("list", &sign(&text, &walter, Form::Detached));
    let (code, shown, _) = scene.verify(&list, &[]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: KeyTooWeak")), "{shown}");
    assert!(shown.contains("--min-key-strength"), "{shown}");
    for (floor, expected) in [("80", 0), ("0", 0), ("112", 1), ("128", 1)] {
        let (code, shown, told) = scene.verify(&list, &["--min-key-strength", floor]);
        assert_eq!(code, Some(expected), "{floor}: {shown}{told}");
    }
    let strong = scene.write("strong", &sign(&scene.text(), &scene.pki.endorser, Form::Detached));
    let (code, shown, _) = scene.verify(&strong, &["--min-key-strength", "192"]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: KeyTooWeak")), "{shown}");
}

/// A list of which no image can be used is no good list, and each image that was refused is named.
#[test]
fn refused_images_are_named_and_a_list_without_a_usable_one_is_not_good() {
    let scene = Scene::new();
    let with = |good: u32, bad: usize| {
        let list = ListBuilder::new("a-list", scene.pki.now).endorser(&scene.pki.endorser).images(good).json();
        let mut list: Value = serde_json::from_slice(&list).unwrap();
        let images = list["hv:imagelist"]["hv:images"].as_array_mut().unwrap();
        for number in 0..bad {
            let escape = if number == 0 { "" } else { "\u{1b}[31m" };
            images.push(serde_json::json!({"hv:image": {"dc:identifier": format!("bad-{number}{escape}")}}));
        }
        scene.write("list", &sign(list.to_string().as_bytes(), &scene.pki.endorser, Form::Detached))
    };
    let last_line = |shown: &str| shown.lines().last().unwrap_or_default().to_owned();
    let list = with(2, 2);
    let (code, shown, _) = scene.verify(&list, &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("! refused: bad-0: ImageMalformed: "), "{shown}");
    assert!(shown.contains("! refused: bad-1") && shown.contains("IdentifierUnsafe"), "{shown}");
    assert_eq!(last_line(&shown), "Good: a-list version 1.0, 2 images, 2 refused", "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let (code, shown, _) = scene.verify(&list, &["--strict"]);
    assert_eq!(
        (code, last_line(&shown)),
        (Some(1), "Not good (--strict): a-list version 1.0, 2 images, 2 refused".to_owned())
    );
    let (code, shown, _) = scene.verify(&with(0, 2), &[]);
    assert_eq!((code, last_line(&shown)), (Some(1), "Not good: a-list version 1.0, 0 images, 2 refused".to_owned()));
    let (code, shown, _) = scene.verify(&with(0, 2), &["-o", "json"]);
    let document: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &document["good"]), (Some(1), &Value::Bool(false)), "{shown}");
    assert_eq!(document["list"]["refusedImages"][1]["reason"], "IdentifierUnsafe", "{shown}");
    let (code, shown, _) = scene.verify(&with(0, 0), &["--strict"]);
    assert_eq!(
        (code, last_line(&shown)),
        (Some(0), "Good: a-list version 1.0, 0 images".to_owned()),
        "it retires the list"
    );
}

/// What is missing is reported with what brings it.
#[test]
fn a_missing_directory_and_a_missing_crl_tell_what_brings_them() {
    let scene = Scene::new();
    let list = scene.write("list", &sign(&scene.text(), &scene.pki.endorser, Form::Detached));
    let (_, shown, told) = run(&["verify", &list, "--trust", &scene.path("nowhere")]);
    assert!(shown.contains("--trust") && shown.contains("nowhere"), "{shown}{told}");
    let folder = Path::new(&scene.path("trust")).to_owned();
    let crls = || std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    crls().filter(|path| path.extension().is_some_and(|ending| ending == "r0")).for_each(|path| {
        std::fs::remove_file(path).unwrap();
    });
    let (code, shown, _) = scene.verify(&list, &[]);
    assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: CRLMissing")), "{shown}");
    assert!(shown.contains("fetch-crl") && shown.contains("--refresh-crls"), "{shown}");
}

/// A CRL file that is something else is reported in the very message that misses the CRL.
#[test]
fn a_crl_file_that_is_no_crl_is_named_where_the_crl_is_missed() {
    let scene = Scene::new();
    let list = scene.write("list", &sign(&scene.text(), &scene.pki.endorser, Form::Detached));
    let hash = format!("{:08x}.r0", scene.pki.intermediate.certificate.subject_name_hash());
    let table: [(&[u8], &str); 4] = [
        (b"<!DOCTYPE html><html>Please log in</html>", "HTML"),
        (b"\x1f\x8b\x08\x00\x00", "gzip"),
        (b"", "an empty file"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "CERTIFICATE"),
    ];
    for (bytes, expected) in table {
        scene.write(&format!("trust/{hash}"), bytes);
        let (code, shown, _) = scene.verify(&list, &[]);
        assert_eq!((code, shown.lines().last()), (Some(1), Some("Refused: CRLMissing")), "{shown}");
        let row = shown.lines().find(|line| line.contains("CRLMissing: ")).unwrap_or_default();
        assert!(row.contains(&hash) && row.contains(expected), "{expected}: {shown}");
        let (code, shown, _) = scene.verify(&list, &["--crls", "IfPresent"]);
        assert_eq!(
            (code, shown.lines().last()),
            (Some(1), Some("Refused: CRLInvalid")),
            "there is one, and it is bad: {shown}"
        );
    }
}

/// A certificate that is passed over because of its name is reported, and not trusted.
#[test]
fn a_certificate_of_a_name_that_is_not_read_is_told() {
    let scene = Scene::new();
    let list = scene.write("list", &sign(&scene.text(), &scene.pki.stranger, Form::Detached));
    let root = &scene.pki.root.certificate;
    scene.write("trust/ca.der", &root.to_der().unwrap());
    scene.write("trust/ca.txt", &root.to_pem().unwrap());
    scene.write("trust/README", b"no certificate");
    let (_, shown, _) = scene.verify(&list, &[]);
    for name in ["ca.der", "ca.txt"] {
        let told: Vec<&str> = shown.lines().filter(|line| line.starts_with('!') && line.contains(name)).collect();
        assert_eq!(told.len(), 1, "{name}: {shown}");
        assert!(told[0].contains("because of its name") && told[0].contains(".pem"), "{shown}");
    }
    assert!(!shown.contains("README"), "{shown}");
}
