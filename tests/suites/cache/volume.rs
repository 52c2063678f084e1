//! Entries, state, lists and garbage on a volume.

use std::fs;
use std::os::unix::fs::MetadataExt;

use harness::image_server::{ImageServer, Resource};
use jiff::{SignedDuration, Timestamp};
use vmcatcher_operator::cache::{BlobCheck, CacheError, Entry, ImageKey, Keep, StatePath, Volume};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A site with blobs of these seeds.
async fn stocked(seeds: &[u64]) -> (Site, Vec<VerifiedBlob>) {
    let server = ImageServer::start();
    let site = Site::new();
    let mut blobs = Vec::new();
    for seed in seeds {
        let (path, resource) = (format!("/{seed}"), Resource::pattern(*seed, 5_000));
        server.put(&path, resource.clone());
        blobs.push(site.download(request(&server, &path, &resource)).await.unwrap());
    }
    (site, blobs)
}

fn publish(site: &Site, key: &ImageKey, version: &str, blob: &VerifiedBlob) -> Entry {
    let path = site.volume.publish(key, &version.parse().unwrap(), blob).unwrap();
    let entries = site.volume.entries(key).unwrap().endorsed;
    entries.into_iter().find(|entry| entry.path == path).expect("what was published is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_published_archived_restored_and_removed() {
    let (site, blobs) = stocked(&[1]).await;
    let (key, blob) = (image("858a817e"), &blobs[0]);
    let entry = publish(&site, &key, "1.26/13", blob);
    let expected = format!("endorsed/site/858a817e/1.26%2F13-{}.raw", blob.digest().short());
    assert_eq!(entry.path, site.volume.root().join(expected));
    assert_eq!(entry.path.metadata().unwrap().ino(), blob.path().metadata().unwrap().ino(), "no bytes are copied");
    assert_eq!((entry.version.as_str(), &entry.digest), ("1.26/13", blob.digest()));
    for _ in 0..2 {
        assert_eq!(publish(&site, &key, "1.26/13", blob), entry, "once more changes nothing");
    }
    let archived = site.volume.archive(&key, &entry, NOW).unwrap();
    let later = NOW + SignedDuration::from_hours(1);
    assert_eq!(site.volume.archive(&key, &entry, later).unwrap(), archived, "once more changes nothing");
    let entries = site.volume.entries(&key).unwrap();
    assert_eq!((entries.endorsed.len(), entries.expired), (0, vec![archived.clone()]));
    assert_eq!(archived.archived_time, Some(NOW));
    assert!(archived.path.starts_with(site.volume.root().join("expired/site/858a817e")));
    assert_eq!(publish(&site, &key, "1.26/13", blob), entry, "it is back");
    let entries = site.volume.entries(&key).unwrap();
    assert_eq!((entries.endorsed, entries.expired.len()), (vec![entry.clone()], 0));
    let archived = site.volume.archive(&key, &entry, later).unwrap();
    for _ in 0..2 {
        site.volume.remove_archived(&key, &archived).unwrap();
        assert_eq!(site.volume.entries(&key).unwrap(), vmcatcher_operator::cache::Entries::default());
    }
    assert!(blob.path().exists(), "the bytes go with a collection");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_tells_all_images_of_a_namespace() {
    let (site, blobs) = stocked(&[1, 2]).await;
    let long = "v".repeat(128) + "";
    publish(&site, &image("a"), "1", &blobs[0]);
    publish(&site, &image("b"), &long, &blobs[0]);
    let old = publish(&site, &image("b"), "é/..%", &blobs[1]);
    site.volume.archive(&image("b"), &old, NOW).unwrap();
    let other = ImageKey { namespace: "other".parse().unwrap(), ..image("c") };
    publish(&site, &other, "1", &blobs[1]);
    let index = site.volume.index(&"site".parse().unwrap()).unwrap();
    let told: Vec<_> = index
        .iter()
        .map(|(identifier, entries)| (identifier.as_str(), entries.endorsed.len(), entries.expired.len()))
        .collect();
    assert_eq!(told, [("a", 1, 0), ("b", 1, 1)]);
    let b = &index[&"b".parse().unwrap()];
    assert_eq!((b.endorsed[0].version.as_str(), b.expired[0].version.as_str()), (long.as_str(), "é/..%"));
    let namespaces = site.volume.namespaces().unwrap();
    assert_eq!(namespaces.iter().map(ToString::to_string).collect::<Vec<_>>(), ["other", "site"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_keeps_the_old_image_until_the_new_one_is_verified() {
    let server = ImageServer::start();
    let (old, new) = (Resource::pattern(1, 50_000), Resource::pattern(2, 50_000));
    server.put("/old.img", old.clone());
    server.put_each("/new.img", vec![Resource::pattern(3, 50_000), Resource::status(404), new.clone()]);
    let site = Site::new();
    let key = image("a");
    let blob = site.download(request(&server, "/old.img", &old)).await.unwrap();
    let entry = publish(&site, &key, "1", &blob);
    for reason in ["ChecksumMismatch", "FetchFailed"] {
        expect_reason(site.download(request(&server, "/new.img", &new)).await, reason);
        assert_eq!(site.volume.entries(&key).unwrap().endorsed, std::slice::from_ref(&entry));
        assert_eq!(fs::metadata(&entry.path).unwrap().len(), 50_000);
    }
    let blob = site.download(request(&server, "/new.img", &new)).await.unwrap();
    let newer = publish(&site, &key, "2", &blob);
    site.volume.archive(&key, &entry, NOW).unwrap();
    assert_eq!(site.volume.entries(&key).unwrap().endorsed, [newer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_others_survive_everything() {
    let (site, blobs) = stocked(&[1, 2]).await;
    let key = image("a");
    let root = site.volume.root().to_owned();
    let entry = publish(&site, &key, "1", &blobs[0]);
    let strange = "f".repeat(128);
    let foreign = [
        "notes.txt".to_owned(),
        "blobs/README".to_owned(),
        "blobs/sha512/notes".to_owned(),
        format!("blobs/sha512/{}/notes", &blobs[0].digest().to_string()[..2]),
        "partial/image.iso".to_owned(),
        "partial/.hidden".to_owned(),
        format!("partial/{strange}-notes"),
        "endorsed/site/a/my-own.qcow2".to_owned(),
        "endorsed/site/a/my-own.json".to_owned(),
        "endorsed/mine".to_owned(),
        "expired/site/a/backup-0123456789ab.raw".to_owned(),
        "lists/notes".to_owned(),
        "state/mine.json".to_owned(),
        "quarantine/mine".to_owned(),
    ];
    for name in &foreign {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "mine").unwrap();
    }
    fs::hard_link(blobs[1].path(), root.join("my-link")).unwrap();
    // A pipe would hold whoever opens it for ever.
    for pipe in ["endorsed/site/a/pipe", "endorsed/site/a/pipe.json", "expired/site/a/my-own.json", "partial/pipe"] {
        let mode = rustix::fs::Mode::from(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, root.join(pipe), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    fs::create_dir_all(root.join("endorsed/site/a/my-own.qcow2.json")).unwrap();
    let archived = site.volume.archive(&key, &entry, NOW).unwrap();
    site.volume.remove_archived(&key, &archived).unwrap();
    let keep = Keep { blobs_for: SignedDuration::ZERO, partials_for: SignedDuration::ZERO, ..Keep::default() };
    let later = Timestamp::now() + SignedDuration::from_hours(24 * 365);
    let collected = site.volume.collect_garbage(&keep, later).unwrap();
    assert_eq!(collected.blobs, [*blobs[0].digest()], "a blob that someone linked to stays");
    assert!(collected.bytes >= 5_000);
    let site = site.restarted().await;
    for name in &foreign {
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "mine", "{name}");
    }
    assert!(root.join("my-link").exists() && blobs[1].path().exists());
    assert_eq!(site.volume.entries(&key).unwrap().endorsed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_someone_else_put_under_our_name_is_not_overwritten() {
    let (site, blobs) = stocked(&[1]).await;
    let (key, version) = (image("a"), "1".parse().unwrap());
    let name = format!("1-{}.raw", blobs[0].digest().short());
    let folder = site.volume.root().join("endorsed/site/a");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&name), "mine").unwrap();
    let error = site.volume.publish(&key, &version, &blobs[0]).unwrap_err();
    assert!(matches!(&error, CacheError::Foreign { path } if path.ends_with(&name)), "{error}");
    assert_eq!(fs::read_to_string(folder.join(&name)).unwrap(), "mine");
    fs::remove_file(folder.join(&name)).unwrap();
    site.volume.publish(&key, &version, &blobs[0]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_blob_is_quarantined_fetched_again_and_published_anew() {
    let server = ImageServer::start();
    let resource = Resource::pattern(1, 50_000);
    server.put("/a.img", resource.clone());
    let site = Site::new();
    let key = image("a");
    let blob = site.download(request(&server, "/a.img", &resource)).await.unwrap();
    let entry = publish(&site, &key, "1", &blob);
    assert!(matches!(site.volume.verify_blob(blob.digest(), NOW).unwrap(), Some(BlobCheck::Good(_))));
    let mut permissions = fs::metadata(blob.path()).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(blob.path(), permissions).unwrap();
    fs::write(blob.path(), vec![0; 50_000]).unwrap();
    let check = site.volume.verify_blob(blob.digest(), NOW).unwrap();
    assert!(matches!(check, Some(BlobCheck::Bad { size: 50_000, .. })), "{check:?}");
    assert_eq!(site.volume.blob(blob.digest()).unwrap(), None);
    assert_eq!(names(&site.path().join("quarantine")), [format!("{}-1", blob.digest())]);
    assert_eq!(site.volume.entries(&key).unwrap().endorsed, [], "an entry of bad bytes is none");
    site.jobs.forget(&request(&server, "/a.img", &resource).key());
    let blob = site.download(request(&server, "/a.img", &resource)).await.unwrap();
    assert_eq!(publish(&site, &key, "1", &blob), entry);
    assert_eq!(fs::read(entry.path).unwrap(), fs::read(blob.path()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn state_that_cannot_be_read_is_named_and_set_aside_when_asked() {
    let site = Site::new();
    let state = StatePath::new(["lists", "site", "cernvm"]).unwrap();
    assert_eq!(site.volume.read_state::<Vec<u32>>(&state).unwrap(), None);
    site.volume.write_state(&state, &vec![1, 2]).unwrap();
    assert_eq!(site.volume.read_state(&state).unwrap(), Some(vec![1, 2]));
    let path = site.volume.root().join("state/lists/site/cernvm.json");
    for (number, broken) in ["", "[1", "{}", "\0\0\0", "null"].into_iter().enumerate() {
        fs::write(&path, broken).unwrap();
        let error = site.volume.read_state::<Vec<u32>>(&state).unwrap_err();
        assert!(matches!(&error, CacheError::StateCorrupt { path: named, .. } if *named == path), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken, "it stays until someone decides");
        let aside = site.volume.set_state_aside(&state).unwrap();
        assert!(aside.ends_with(format!("cernvm.json.corrupt-{}", number + 1)), "{}", aside.display());
        assert_eq!(site.volume.read_state::<Vec<u32>>(&state).unwrap(), None);
        assert_eq!(fs::read_to_string(aside).unwrap(), broken);
    }
    site.volume.write_state(&state, &vec![3]).unwrap();
    site.volume.remove_state(&state).unwrap();
    assert_eq!(site.volume.read_state::<Vec<u32>>(&state).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_took_for_raw_is_looked_at_again() {
    let server = ImageServer::start();
    let resource = Resource::bytes(b"version=1\nRW 8 FLAT \"/etc/shadow\" 0\n".as_slice());
    server.put("/a.img", resource.clone());
    let site = Site::new();
    let blob = site.download(request(&server, "/a.img", &resource)).await.unwrap();
    let found = blob.sniffed().clone();
    assert!(found.outside.is_some(), "{found:?}");
    let record = blob.path().with_extension("json");
    let mut older: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let fields = older.as_object_mut().unwrap();
    fields.insert("format".to_owned(), "raw".into());
    assert!(fields.remove("outside").is_some() && fields.remove("revision").is_some());
    fs::write(&record, older.to_string()).unwrap();
    assert_eq!(site.volume.blob(blob.digest()).unwrap().unwrap().sniffed(), &found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_record_of_an_entry_costs_only_that_entry() {
    let (site, blobs) = stocked(&[1, 2]).await;
    let key = image("a");
    let one = publish(&site, &key, "1", &blobs[0]);
    let two = publish(&site, &key, "2", &blobs[1]);
    let record =
        |entry: &Entry| entry.path.with_file_name(format!("{}.json", entry.path.file_name().unwrap().display()));
    for broken in ["", "{", "[]"] {
        fs::write(record(&one), broken).unwrap();
        assert_eq!(site.volume.entries(&key).unwrap().endorsed, std::slice::from_ref(&two));
        let keep = Keep { blobs_for: SignedDuration::ZERO, ..Keep::default() };
        let later = Timestamp::now() + SignedDuration::from_hours(1000);
        assert_eq!(site.volume.collect_garbage(&keep, later).unwrap().blobs, [], "its bytes are not garbage");
        assert_eq!(publish(&site, &key, "1", &blobs[0]), one, "publishing mends it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_lists_stay_as_they_were_signed() {
    let site = Site::new();
    let (namespace, name) = ("site".parse().unwrap(), "cernvm".parse().unwrap());
    let digest = "0123456789abcdef".repeat(4);
    for (version, message) in [("1.0", b"one".as_slice()), ("2/0", b"two")] {
        let version = version.parse().unwrap();
        let stored = |bytes: &[u8]| site.volume.store_list(&namespace, &name, &version, &digest, bytes).unwrap();
        assert_eq!(stored(message), stored(b"another message of this digest cannot be"));
        assert_eq!(
            site.volume.read_list(&namespace, &name, &version, &digest).unwrap().unwrap().read().unwrap(),
            message
        );
    }
    let lists = site.volume.list_versions(&namespace, &name).unwrap();
    let mut versions: Vec<String> = lists.iter().map(|list| list.version.as_ref().unwrap().to_string()).collect();
    versions.sort();
    assert_eq!(versions, ["1.0", "2/0"]);
    assert!(lists.iter().all(|list| list.digest12 == "0123456789ab"));
    assert!(site.volume.store_list(&namespace, &name, &"1".parse().unwrap(), "../../evil", b"").is_err());
    assert_eq!(site.volume.read_list(&namespace, &name, &"3".parse().unwrap(), &digest).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_has_one_owner_and_any_number_of_readers() {
    let (site, blobs) = stocked(&[1]).await;
    let path = site.path().to_owned();
    let error = Volume::open(&path).unwrap_err();
    assert!(matches!(&error, CacheError::Locked { holder, .. } if holder.starts_with("process ")), "{error}");
    let reader = Volume::read_only(&path).unwrap();
    assert_eq!(reader.blobs().unwrap(), [*blobs[0].digest()]);
    let refused = [
        reader.publish(&image("a"), &"1".parse().unwrap(), &blobs[0]).map(|_| ()),
        reader.write_state(&StatePath::new(["a"]).unwrap(), &1),
        reader.verify_blob(blobs[0].digest(), NOW).map(|_| ()),
        reader.collect_garbage(&Keep::default(), NOW).map(|_| ()),
    ];
    assert!(refused.iter().all(|outcome| matches!(outcome, Err(CacheError::ReadOnly { .. }))), "{refused:?}");
    let (tell, told) = tokio::sync::oneshot::channel();
    let waiting = tokio::spawn(async move {
        Volume::open_waiting(&path, |locked| tell.send(locked.to_string()).expect("told once, to someone")).await
    });
    assert!(told.await.unwrap().contains("is in use by process "));
    let Site { directory, volume, jobs } = site;
    drop((volume, jobs, blobs));
    waiting.await.unwrap().unwrap();
    drop(directory);
}

#[test]
fn no_volume_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("a/b");
    for error in [Volume::open(&missing).unwrap_err(), Volume::read_only(&missing).unwrap_err()] {
        assert!(
            matches!(error, CacheError::NoVolume { .. }) && error.to_string().contains("mount the volume"),
            "{error}"
        );
    }
    fs::write(directory.path().join("file"), "").unwrap();
    assert!(Volume::open(&directory.path().join("file")).is_err());
    Volume::open(&directory.path().join("new")).unwrap();
    assert!(Volume::read_only(directory.path()).is_err(), "a directory is not a volume");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_off_run_left_behind_goes_with_a_collection() {
    let (site, blobs) = stocked(&[1]).await;
    let (key, root) = (image("a"), site.volume.root().to_owned());
    let entry = publish(&site, &key, "1", &blobs[0]);
    let record = entry.path.with_file_name(format!("{}.json", entry.path.file_name().unwrap().display()));
    let partial = root.join(format!("partial/{}-0123456789abcdef", blobs[0].digest()));
    let left = [partial.with_extension("json"), partial];
    for path in &left {
        fs::write(path, "half").unwrap();
    }
    fs::remove_file(&entry.path).unwrap();
    let now = Timestamp::now();
    assert_eq!(site.volume.collect_garbage(&Keep::default(), now).unwrap().blobs, [], "all of it is too new");
    assert!(left.iter().chain([&record]).all(|path| path.exists()));
    let later = now + SignedDuration::from_hours(24 * 8);
    let found = site.volume.find_garbage(&Keep::default(), later).unwrap();
    assert_eq!((found.blobs.len(), found.partials.len()), (0, 1), "the blob has a record yet");
    let collected = site.volume.collect_garbage(&Keep::default(), later).unwrap();
    assert_eq!((collected.blobs.len(), collected.partials.len()), (1, 1));
    assert!(!left.iter().chain([&record]).any(|path| path.exists()));
}

/// Of older versions beside what they wrote, of this one in `scratch/`. Who does not own the volume removes none.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_of_a_cut_off_run_go_with_the_next_owner() {
    let (site, blobs) = stocked(&[1]).await;
    let root = site.volume.root().to_owned();
    let entry = publish(&site, &image("a"), "1", &blobs[0]);
    let ours = [
        "scratch/.vmcatcher-abcdef.tmp",
        "state/.vmcatcher-abcdef.tmp",
        "state/rights/site/.vmcatcher-abcdef.tmp",
        "partial/.vmcatcher-abcdef.tmp",
        "blobs/sha512/.vmcatcher-abcdef.tmp",
        "endorsed/site/a/.vmcatcher-1-0123.raw.tmp",
    ];
    let theirs = ["endorsed/site/a/.other.tmp", "scratch/.vmcatcher-notes", "endorsed/site/a/vmcatcher-1.tmp"];
    ours.iter().chain(&theirs).for_each(|name| fs::write(root.join(name), "half").unwrap());
    let dangling = root.join("endorsed/site/a/.vmcatcher-2-0123.raw.tmp");
    std::os::unix::fs::symlink("../../../blobs/nothing", &dangling).unwrap();
    Volume::open(&root).unwrap_err();
    Volume::read_only(&root).unwrap();
    assert!(ours.iter().all(|name| root.join(name).exists()), "another one owns it");
    site.jobs.shutdown().await;
    let Site { directory: _directory, volume, jobs } = site;
    drop((volume, jobs));
    drop(reopened(&root).await);
    assert!(ours.iter().all(|name| root.join(name).exists()), "the last run came to its end");
    fs::write(root.join("lock"), "process 1 on a machine\n").unwrap();
    let volume = reopened(&root).await;
    assert!(!ours.iter().any(|name| root.join(name).exists()) && !dangling.is_symlink());
    assert!(theirs.iter().all(|name| root.join(name).exists()));
    assert_eq!(volume.entries(&image("a")).unwrap().endorsed, [entry]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_vanished_is_not_made_anew_and_goes_on_when_it_is_back() {
    let server = ImageServer::start();
    let resource = Resource::pattern(1, 5_000);
    server.put("/a.img", resource.clone());
    let above = tempfile::tempdir().unwrap();
    let (root, away) = (above.path().join("volume"), above.path().join("away"));
    let volume = Volume::open(&root).unwrap();
    let jobs = Jobs::new(volume.clone(), Client::new(&ClientSettings::default()).unwrap(), quick());
    let site = Site { directory: above, volume, jobs };
    fs::rename(&root, &away).unwrap();
    for mount_point in [false, true] {
        if mount_point {
            fs::create_dir(&root).unwrap();
        }
        let message =
            expect_reason(site.download(request(&server, "/a.img", &resource)).await, "StorageOperationFailed");
        assert!(message.contains("mount the volume there"), "{message}");
        assert!(site.volume.write_state(&StatePath::new(["a"]).unwrap(), &1).is_err());
        assert_eq!(names(&root), [] as [String; 0]);
    }
    fs::remove_dir(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    site.download(request(&server, "/a.img", &resource)).await.unwrap();
}
