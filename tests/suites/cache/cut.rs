//! Publishing, archiving, restoring and removing, cut off before any of their steps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use vmcatcher_operator::cache::{BlobCheck, CacheError, Entry, Keep};
use vmcatcher_operator::fs::Steps;
use vmcatcher_operator::imagelist::Sha512Digest;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Unwinds before the step at which it reaches zero.
struct Cutter(AtomicI64);

impl Steps for Cutter {
    fn before(&self, step: &'static str) {
        assert!(self.0.fetch_sub(1, Ordering::SeqCst) != 0, "cut before {step}");
    }
}

/// A blob by hand, as a restored backup has it.
fn blob(volume: &Volume, bytes: &[u8]) -> VerifiedBlob {
    let digest = Sha512Digest::from_bytes(openssl::sha::sha512(bytes));
    let text = digest.to_string();
    let folder = volume.root().join("blobs/sha512").join(&text[..2]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&text), bytes).unwrap();
    match volume.verify_blob(&digest, NOW).unwrap() {
        Some(BlobCheck::Good(blob)) => blob,
        other => panic!("{other:?}"),
    }
}

/// Which of the two shelves the image's one version is on, each time with the right bytes behind it.
fn shelves(volume: &Volume) -> (usize, usize) {
    let entries = volume.entries(&image("a")).unwrap();
    for entry in entries.endorsed.iter().chain(&entries.expired) {
        assert_eq!(fs::read(&entry.path).unwrap(), b"an image");
    }
    (entries.endorsed.len(), entries.expired.len())
}

fn only(entries: Vec<Entry>) -> Entry {
    let [entry] = entries.try_into().unwrap();
    entry
}

/// What came before, an operation, what the shelves hold after it, and what they may hold at a cut.
type Case = (&'static [Operation], Operation, (usize, usize), &'static [(usize, usize)]);

type Operation = fn(&Volume) -> Result<(), CacheError>;

fn publish(volume: &Volume) -> Result<(), CacheError> {
    let found = volume.blob(&volume.blobs()?[0])?.unwrap();
    volume.publish(&image("a"), &"1".parse().unwrap(), &found).map(|_| ())
}

fn archive(volume: &Volume) -> Result<(), CacheError> {
    let entry = volume.entries(&image("a"))?.endorsed.pop();
    entry.map_or(Ok(()), |entry| volume.archive(&image("a"), &entry, NOW).map(|_| ()))
}

fn remove(volume: &Volume) -> Result<(), CacheError> {
    let entry = volume.entries(&image("a"))?.expired.pop();
    entry.map_or(Ok(()), |entry| volume.remove_archived(&image("a"), &entry))
}

#[test]
fn an_entry_cut_off_anywhere_is_on_a_shelf_and_once_more_ends_the_same() {
    let cases: [Case; 4] = [
        (&[], publish, (1, 0), &[(0, 0), (1, 0)]),
        (&[publish], archive, (0, 1), &[(1, 0), (1, 1), (0, 1)]),
        (&[publish, archive], publish, (1, 0), &[(0, 1), (1, 1), (1, 0)]),
        (&[publish, archive], remove, (0, 0), &[(0, 1), (0, 0)]),
    ];
    for (number, (before, operation, after, at_a_cut)) in cases.into_iter().enumerate() {
        for step in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let volume = Volume::open(directory.path()).unwrap();
            blob(&volume, b"an image");
            for operation in before {
                operation(&volume).unwrap();
            }
            let cutting = volume.clone().with_steps(Arc::new(Cutter(AtomicI64::new(step))));
            let cut = catch_unwind(AssertUnwindSafe(|| operation(&cutting))).is_err();
            let found = shelves(&volume);
            assert!(at_a_cut.contains(&found), "operation {number}, step {step}: {found:?}");
            operation(&volume).unwrap();
            assert_eq!(shelves(&volume), after, "operation {number} after a cut at step {step}");
            if !cut {
                assert!(step > 1, "operation {number} has steps");
                break;
            }
        }
    }
}

#[test]
fn where_links_cannot_be_made_they_are_symbolic_and_relative() {
    let other_file_system = Path::new("/dev/shm");
    let elsewhere = tempfile::tempdir_in(other_file_system).expect("a second file system at /dev/shm");
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("blobs")).unwrap();
    let volume = Volume::open(directory.path()).unwrap();
    let blob = blob(&volume, b"an image");
    let path = volume.publish(&image("a"), &"1".parse().unwrap(), &blob).unwrap();
    let target = fs::read_link(&path).unwrap();
    assert!(target.starts_with("../../../blobs/sha512"), "{}", target.display());
    assert_eq!(shelves(&volume), (1, 0));
    let entry = only(volume.entries(&image("a")).unwrap().endorsed);
    volume.archive(&image("a"), &entry, NOW).unwrap();
    assert_eq!(shelves(&volume), (0, 1));
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(1000);
    assert_eq!(volume.collect_garbage(&Keep::default(), later).unwrap().blobs, []);
    volume.publish(&image("a"), &"1".parse().unwrap(), &blob).unwrap();
    assert_eq!(shelves(&volume), (1, 0));
}

#[test]
fn damaged_bytes_cut_off_anywhere_on_their_way_out_are_no_image_any_more() {
    for step in 1.. {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        let blob = blob(&volume, b"an image");
        publish(&volume).unwrap();
        fs::set_permissions(blob.path(), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(blob.path(), b"no image").unwrap();
        let cutting = volume.clone().with_steps(Arc::new(Cutter(AtomicI64::new(step))));
        let cut = catch_unwind(AssertUnwindSafe(|| cutting.verify_blob(blob.digest(), NOW).unwrap())).is_err();
        assert_eq!(volume.blob(blob.digest()).unwrap(), None, "step {step}");
        let again = volume.verify_blob(blob.digest(), NOW).unwrap();
        assert!(matches!(again, Some(BlobCheck::Bad { .. }) | None), "{again:?}");
        assert!(!blob.path().exists() && names(&directory.path().join("quarantine")).len() == 1);
        assert!(volume.entries(&image("a")).unwrap().endorsed.is_empty());
        let linked = names(&directory.path().join("endorsed/site/a"));
        assert!(
            linked.iter().all(|name| name.contains(".raw.json")),
            "nothing damaged has a published name: {linked:?}"
        );
        if !cut {
            break;
        }
    }
}
