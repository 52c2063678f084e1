use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use openssl::sha::sha512;

use super::*;
use crate::cache::{ImageKey, VerifiedBlob};

/// Bytes under their digest's name, as a restored backup without records has them; verified, so that they count.
fn blob(volume: &Volume, bytes: &[u8]) -> VerifiedBlob {
    let digest = Sha512Digest::from_bytes(sha512(bytes));
    let text = digest.to_string();
    let path = volume.root().join("blobs/sha512").join(&text[..2]).join(&text);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    match volume.verify_blob(&digest, Timestamp::UNIX_EPOCH).unwrap() {
        Some(BlobCheck::Good(blob)) => blob,
        other => panic!("{other:?}"),
    }
}

fn stocked(root: &Path) -> (Volume, [VerifiedBlob; 3]) {
    let volume = Volume::open(root).unwrap();
    let blobs = [&[1; 5000][..], b"QFI\xfb\0\0\0\x02 a short one", &[2; 9000]].map(|bytes| blob(&volume, bytes));
    let key = ImageKey { namespace: "site".parse().unwrap(), identifier: "cernvm".parse().unwrap() };
    for (version, blob) in ["1.0", "2.0"].into_iter().zip(&blobs) {
        volume.publish(&key, &version.parse().unwrap(), blob).unwrap();
    }
    let old = volume.entries(&key).unwrap().endorsed.remove(0);
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
    volume.archive(&key, &old, now).unwrap();
    (volume, blobs)
}

fn common(root: &Path, output: Output) -> Common {
    Common { volume: root.to_owned(), output }
}

#[test]
fn ls_tells_each_version_and_whether_it_is_in_use() {
    let root = tempfile::tempdir().unwrap();
    let (_volume, blobs) = stocked(root.path());
    let args = |output| Ls { common: common(root.path(), output), namespace: None };
    let text = ls(&open(&common(root.path(), Output::Table)).unwrap(), &args(Output::Table)).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAMESPACE", "IDENTIFIER", "VERSION", "STATE", "SIZE", "FORMAT", "SHA512", "ARCHIVED"]);
    let (one, two) = (blobs[0].digest().short(), blobs[1].digest().short());
    assert_eq!(lines[1], ["site", "cernvm", "2.0", "endorsed", "20", "B", "qcow2", two.as_str()]);
    assert_eq!(lines[2][..4], ["site", "cernvm", "1.0", "archived"]);
    assert_eq!(lines[2][4..], ["4.88", "KiB", "raw", one.as_str(), "1970-01-02T00:00:00Z"]);
    let json = ls(&open(&common(root.path(), Output::Json)).unwrap(), &args(Output::Json)).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["size"], &json[1]["size"]), (&json!(20), &json!(5000)));
    assert_eq!(json[0]["sha512"], blobs[1].digest().to_string());
    let none = Ls { namespace: Some("other".to_owned()), ..args(Output::Json) };
    assert_eq!(ls(&open(&none.common).unwrap(), &none).unwrap(), "[]\n");
    let bad = Ls { namespace: Some("../x".to_owned()), ..args(Output::Json) };
    assert!(ls(&open(&bad.common).unwrap(), &bad).is_err());
}

#[test]
fn verify_names_the_damaged_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (volume, blobs) = stocked(root.path());
    let args = |output, digests: &[&str]| Verify {
        common: common(root.path(), output),
        digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
    };
    let (text, good) = verify(&volume, &args(Output::Table, &[])).unwrap();
    assert!(good && text.ends_with("3 images read, 0 damaged\n"), "{text}");
    fs::write(blobs[2].path(), [3; 9000]).unwrap();
    let (text, good) = verify(&volume, &args(Output::Table, &[])).unwrap();
    let damaged: Vec<&str> = text.lines().filter(|line| line.starts_with("DAMAGED")).collect();
    assert!(!good && damaged.len() == 1 && damaged[0].contains(&blobs[2].digest().to_string()), "{text}");
    let found = Sha512Digest::from_bytes(sha512(&[3; 9000])).to_string();
    assert!(damaged[0].contains(&found), "{text}");
    assert!(blobs[2].path().exists(), "looking is not quarantining");
    let one = blobs[0].digest().short();
    let (json, good) = verify(&volume, &args(Output::Json, &[&one.to_uppercase()])).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(good && json.as_array().unwrap().len() == 1, "{json}");
    for wrong in ["", "0", "zzzzzzzz", &one[..7]] {
        assert!(verify(&volume, &args(Output::Table, &[wrong])).is_err(), "{wrong}");
    }
}

#[test]
fn du_counts_every_file_once() {
    let root = tempfile::tempdir().unwrap();
    let (volume, _blobs) = stocked(root.path());
    fs::write(root.path().join("a-file-of-someone"), vec![1; 100_000]).unwrap();
    fs::write(root.path().join("partial/a-file-of-someone"), vec![1; 50_000]).unwrap();
    let json: Value = serde_json::from_str(&du(&volume, &common(root.path(), Output::Json)).unwrap()).unwrap();
    let parts = json["parts"].as_array().unwrap();
    let part = |what: &str| parts.iter().find(|part| part["what"] == what).unwrap();
    for what in ["endorsed", "archived", "unused", "partial"] {
        assert_eq!(part(what)["files"], 1, "{what}");
    }
    assert!(part("archived")["bytes"].as_u64().unwrap() >= 5000);
    assert!(part("others")["bytes"].as_u64().unwrap() >= 100_000);
    let text = du(&volume, &common(root.path(), Output::Table)).unwrap();
    assert!(text.starts_with("WHAT") && text.contains("\ntotal") && text.contains("\navailable"), "{text}");
}

#[test]
fn gc_waits_for_no_one_and_tells_before_it_removes() {
    let root = tempfile::tempdir().unwrap();
    let (volume, _blobs) = stocked(root.path());
    let name = format!("{}-0123456789abcdef", "ab".repeat(64));
    let partial = root.path().join("partial").join(&name);
    fs::write(&partial, [1; 5000]).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(24 * 8);
    fs::File::options().append(true).open(&partial).unwrap().set_modified(old).unwrap();
    let args = |dry_run| Gc { common: common(root.path(), Output::Table), dry_run };
    assert!(gc(&args(false)).unwrap_err().to_string().contains("is in use by process"));
    assert!(gc(&args(true)).unwrap().ends_with("0 images and 0 partial downloads would be removed, 0 B\n"));
    drop(volume);
    assert_eq!(gc(&args(false)).unwrap(), "0 images and 0 partial downloads removed, 0 B\n");
    assert!(partial.exists(), "it was made just now, whatever its date says");
    let missing = Gc { common: common(&root.path().join("none"), Output::Json), dry_run: false };
    assert!(gc(&missing).is_err() && !root.path().join("none").exists());
}
