//! The images of an old cache on the volume: by their bytes alone, whatever their names say, and safe against cuts.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use harness::image_server::Body;
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::cache::{Adopted, Adoption, CacheError, Keep, Volume};
use vmcatcher_operator::digest::Sha512Digest;
use vmcatcher_operator::fs::Steps;

use super::old::{AGES, Machine, ONE, TWO};

/// The bytes that the server sent of an image.
fn downloaded(machine: &Machine, image: usize) -> u64 {
    machine.site.server.bytes_sent(&format!("/{}", machine.images[image].uri.rsplit_once('/').unwrap().1))
}

#[tokio::test]
async fn only_the_bytes_count_and_not_the_name() {
    let machine = Machine::new(AGES[4]);
    // The right name and size, other bytes; and the right bytes in the folder of expired images, under another name.
    machine.cache(&format!("cache/{ONE}"), 77, 70_000);
    machine.cache(&format!("cache/expired/{ONE}.2014-01-25_22-20-29"), 1, 70_000);
    machine.cache(&format!("cache/{TWO}"), 2, 50_000);
    let imported = machine.import_with_images();
    assert_eq!(imported.code, Some(0), "{}", imported.told);
    assert!(imported.told.contains("another sha512"), "{}", imported.told);
    machine.site.run().await;
    assert_eq!(machine.site.shelf("endorsed"), [machine.images[0].entry()], "the second was not cached by vmcatcher");
    assert_eq!(downloaded(&machine, 0), 0);
    let once_more = machine.import_with_images();
    assert!(once_more.code == Some(3) && once_more.told.contains("expected no such file"), "{once_more:?}");
}

#[tokio::test]
async fn what_the_cache_has_not_is_downloaded() {
    let machine = Machine::new(AGES[4]);
    machine.cache(&format!("cache/{ONE}"), 77, 70_000);
    std::os::unix::fs::symlink("/etc/passwd", machine.site.path("cache/a-link")).unwrap();
    let imported = machine.import_with_images();
    assert!(imported.code == Some(0) && imported.told.contains("it will be downloaded"), "{imported:?}");
    machine.site.run().await;
    assert_eq!(machine.site.shelf("endorsed"), [machine.images[0].entry()]);
    assert!(downloaded(&machine, 0) >= 70_000);
}

/// A list that the server does not have, for now: the image waits, and nothing of it is published.
#[tokio::test]
async fn an_image_waits_for_its_list() {
    let machine = Machine::new(AGES[4]);
    let list = machine.site.list("1.0", &[&machine.images[0], &machine.images[1]]);
    machine.site.server.put("/image.list", harness::image_server::Resource::status(503));
    assert_eq!(machine.import_with_images().code, Some(0));
    for _ in 0..2 {
        machine.site.run().await;
        assert_eq!(machine.site.shelf("endorsed"), [] as [String; 0]);
        machine.site.pass_time(SignedDuration::from_hours(48));
    }
    machine.site.publish(&list.created(machine.site.now()));
    machine.site.run().await;
    assert_eq!(machine.site.shelf("endorsed"), [machine.images[0].entry()]);
    assert_eq!(downloaded(&machine, 0), 0);
}

#[test]
fn a_volume_in_use_and_a_full_one_are_told() {
    let machine = Machine::new(AGES[4]);
    let volume = Volume::open(&machine.site.path("volume")).unwrap();
    let ran = machine.import_with_images();
    assert!(ran.code == Some(3) && ran.told.contains("is in use by"), "{ran:?}");
    assert_eq!(fs::read_dir(machine.site.path("manifests")).unwrap().count(), 0, "all or nothing");
    drop(volume);
    let path = |name: &str| machine.site.path(name).display().to_string();
    let (cache, volume) = (path("cache"), path("volume"));
    let room = ["--cache", &cache, "--volume", &volume, "--min-free", "9000000000000000000"];
    let ran = machine.import(&room);
    assert!(ran.code == Some(1) && ran.told.contains("no space for"), "{ran:?}");
}

/// In another namespace than the default, in which the images are wanted by their list.
#[tokio::test]
async fn a_namespace_of_its_own_has_the_right_to_the_images() {
    let machine = Machine::new(AGES[4]);
    let path = |name: &str| machine.site.path(name).display().to_string();
    let (cache, volume) = (path("cache"), path("volume"));
    let alone = machine.import(&["--volume", &volume]);
    assert!(alone.code == Some(2) && alone.told.contains("expected --cache or --opennebula"), "{alone:?}");
    let ran = machine.import(&["--cache", &cache, "--volume", &volume, "--namespace", "physics"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    machine.site.run().await;
    assert_eq!(machine.site.shelf_of("physics", "endorsed"), [machine.images[0].entry()]);
    assert_eq!(downloaded(&machine, 0), 0);
}

/// Unwinds before the step at which it reaches zero.
struct Cutter(AtomicI64);

impl Steps for Cutter {
    fn before(&self, step: &'static str) {
        assert!(self.0.fetch_sub(1, Ordering::SeqCst) != 0, "cut before {step}");
    }
}

const BYTES: Body = Body::Pattern { seed: 9, size: 200_000 };

#[test]
fn cut_off_before_any_step_once_more_ends_the_same() {
    let digest: Sha512Digest = BYTES.sha512().parse().unwrap();
    let (namespace, wanted) = ("default".parse().unwrap(), BTreeSet::from([digest]));
    let kept_for = SignedDuration::from_hours(24);
    let adoption = Adoption { namespace: &namespace, wanted: &wanted, kept_for, min_free: Some(0) };
    let mut cuts = 0;
    for step in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let (file, root) = (folder.path().join("an image"), folder.path().join("volume"));
        fs::write(&file, BYTES.to_vec()).unwrap();
        let adopt = |volume: &Volume| volume.adopt(&file, &adoption, Timestamp::now());
        let volume = Volume::open(&root).unwrap().with_steps(Arc::new(Cutter(AtomicI64::new(step))));
        let done = catch_unwind(AssertUnwindSafe(|| adopt(&volume).unwrap())).is_ok();
        drop(volume);
        // As after kill -9: the lock file does not say that the run ended.
        fs::write(root.join("lock"), "process 1 on elsewhere\n").unwrap();
        let volume = Volume::open(&root).unwrap();
        if let Some(blob) = volume.blob(&digest).unwrap() {
            assert_eq!(fs::read(blob.path()).unwrap(), BYTES.to_vec(), "{step}");
        }
        assert!(matches!(adopt(&volume), Ok(Adopted::Taken(_))), "{step}");
        let blob = volume.blob_for(&namespace, &digest).unwrap().expect("a blob with a right");
        assert_eq!(fs::read(blob.path()).unwrap(), BYTES.to_vec());
        assert_eq!(fs::read_dir(root.join("partial")).unwrap().count(), 0, "{step}: nothing incomplete stays");
        // Changes of the old file do not reach the volume.
        fs::write(&file, b"changed").unwrap();
        assert_eq!(fs::read(blob.path()).unwrap(), BYTES.to_vec());
        cuts += 1;
        if done {
            break;
        }
    }
    assert!(cuts > 5, "{cuts} steps");
}

#[test]
fn it_is_kept_until_its_time_is_over_and_strangers_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("an image");
    fs::write(&file, BYTES.to_vec()).unwrap();
    let volume = Volume::open(&folder.path().join("volume")).unwrap();
    let digest: Sha512Digest = BYTES.sha512().parse().unwrap();
    let (namespace, now) = ("default".parse().unwrap(), Timestamp::now());
    let (nothing, wanted) = (BTreeSet::new(), BTreeSet::from([digest]));
    let kept_for = SignedDuration::from_hours(24);
    let mut adoption = Adoption { namespace: &namespace, wanted: &nothing, kept_for, min_free: Some(0) };
    assert_eq!(volume.adopt(&file, &adoption, now).unwrap(), Adopted::Unwanted(digest));
    assert_eq!((volume.blobs().unwrap(), fs::read_dir(volume.root().join("partial")).unwrap().count()), (vec![], 0));
    adoption.wanted = &wanted;
    std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
    assert!(matches!(volume.adopt(&folder.path().join("link"), &adoption, now), Err(CacheError::Foreign { .. })));
    assert!(matches!(volume.adopt(&folder.path().join("none"), &adoption, now), Err(CacheError::Gone(_))));
    volume.adopt(&file, &adoption, now).unwrap();
    assert!(volume.blob_for(&"other".parse().unwrap(), &digest).unwrap().is_none(), "another namespace has no right");
    let collect = |hours| {
        let then = now + SignedDuration::from_hours(hours);
        volume.collect_garbage(&Keep::default(), then).unwrap().blobs
    };
    assert_eq!(collect(23), []);
    assert_eq!(collect(25), [digest]);
}
