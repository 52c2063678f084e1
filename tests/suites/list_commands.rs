//! `list show` and `list lint`, as people run them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use harness::list::ListBuilder;
use harness::pki::Pki;
use harness::signer::{Form, sign};
use jiff::Timestamp;
use serde_json::Value;
use vmcatcher_operator::cache::Volume;

/// Runs the program with this on its standard input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The list in docs/imagelist.md, which has no fault at this time.
const TIME: &str = "2026-11-23T00:00:00Z";

fn documented() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/imagelist.md");
    let page = std::fs::read_to_string(page).unwrap();
    page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned()
}

#[test]
fn lint_ends_with_0_for_a_sound_list_1_for_errors_and_3_without_a_list() {
    let sound = run(&["list", "lint", "-", "--at", TIME], documented().as_bytes());
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert_eq!(text(&sound.stdout), "0 errors, 0 warnings, 0 notices: sites will take this list, once it is signed\n");

    let expired = run(&["list", "lint", "-", "--at", "2030-01-01T00:00:00Z", "-o", "json"], documented().as_bytes());
    assert_eq!(expired.status.code(), Some(1), "{expired:?}");
    let findings: Value = serde_json::from_slice(&expired.stdout).unwrap();
    assert_eq!(findings[0]["severity"], "error");
    assert_eq!(findings[0]["path"], "hv:imagelist.dc:date:expires");

    let gone = run(&["list", "lint", "/nonexistent/list.json"], b"");
    assert_eq!(gone.status.code(), Some(3), "{gone:?}");
    assert!(text(&gone.stderr).contains("cannot read /nonexistent/list.json"), "{gone:?}");
}

#[test]
fn lint_holds_a_list_against_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let previous = folder.path().join("previous.json");
    std::fs::write(&previous, documented()).unwrap();
    let older = documented().replace("\"hv:version\": \"1.0\"", "\"hv:version\": \"0.9\"");
    let previous = previous.to_string_lossy();
    let linted = run(&["list", "lint", "-", "--at", TIME, "--previous", &*previous], older.as_bytes());
    assert_eq!(linted.status.code(), Some(1), "{linted:?}");
    assert!(
        text(&linted.stdout).contains("expected a version higher than 1.0, found 0.9, which is lower"),
        "{linted:?}"
    );
}

#[test]
fn a_signed_list_is_shown_in_every_form() {
    let pki = Pki::at("2026-06-01T12:00:00Z".parse::<Timestamp>().unwrap());
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let json = ListBuilder::new("63175437-7d59-4851-b333-c96cb6545a86", now).endorser(&pki.endorser).images(2).json();
    let message = sign(&json, &pki.endorser, Form::Detached);
    let show = |form: &str| {
        let shown = run(&["list", "show", "-", "--format", form], &message);
        assert_eq!(shown.status.code(), Some(0), "{form}: {shown:?}");
        shown.stdout
    };
    assert_eq!(show("smime"), message);
    let read: Value = serde_json::from_slice(&show("message")).unwrap();
    assert_eq!(read, serde_json::from_slice::<Value>(&json).unwrap());
    let understood: Value = serde_json::from_slice(&show("json")).unwrap();
    assert_eq!(understood["hv:imagelist"]["hv:images"].as_array().map(Vec::len), Some(2));
    assert_eq!(understood["refused"], serde_json::json!([]));
    let lines = text(&show("lines"));
    assert_eq!(lines.lines().filter(|line| line.starts_with("image.sl:checksum:sha512=")).count(), 2);
    assert!(lines.contains(&format!("endorser:hv:subject={}\n", pki.endorser.subject())), "{lines}");
    assert!(text(&show("table")).ends_with("2 images, 0 refused\n"));

    let damaged = text(&message).replacen("63175437", "63175438", 1);
    let refused = run(&["list", "show", "-"], damaged.as_bytes());
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(text(&refused.stderr).contains("MessageDigestMismatch"), "{refused:?}");
}

#[test]
fn the_list_in_force_of_a_subscription_is_found_on_the_volume() {
    let folder = tempfile::tempdir().unwrap();
    let volume = Volume::open(folder.path()).unwrap();
    let (namespace, name) = ("default".parse().unwrap(), "vo-wide".parse().unwrap());
    let stored = documented();
    volume.store_list(&namespace, &name, &"1.0".parse().unwrap(), &"0".repeat(64), stored.as_bytes()).unwrap();
    let root = folder.path().to_string_lossy();
    let shown = run(&["list", "show", "vo-wide", "--volume", &*root, "--format", "message"], b"");
    assert_eq!(text(&shown.stdout), stored, "{shown:?}");
    let none = run(&["list", "show", "other", "--volume", &*root], b"");
    assert_eq!(none.status.code(), Some(3), "{none:?}");
    assert!(text(&none.stderr).contains("expected an accepted list of default/other"), "{none:?}");
}
