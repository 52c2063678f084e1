//! Somebody who may write to a folder of the volume puts a link there, in the place of a file or a folder of the
//! operator's. Nothing that a link leads to is written, removed, or made writable.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use harness::image_server::Resource;
use harness::site::{Served, Site};
use jiff::SignedDuration;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

/// Everything in a folder: mode, time of the last change, bytes.
fn state_of(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.metadata().unwrap();
            let bytes = if about.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
            found.insert(path.clone(), (about.permissions().mode(), about.ctime(), bytes));
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// What a name on the volume is made of: an image that is there, and one that comes.
type Name = fn(&Served, &Served) -> String;

/// Where a download of the image begins.
fn partial(served: &Served) -> String {
    let origin = HEXLOWER.encode(&openssl::sha::sha256(format!("default\n{}", served.uri).as_bytes()));
    format!("partial/{}-{}", served.sha512, &origin[..16])
}

/// Puts a link in the place of whatever has that name; how to undo it.
fn plant(site: &Site, name: &str, target: &Path) -> impl Fn() + use<> {
    let (path, aside) = (site.path("volume").join(name), site.path("aside"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let was_there = path.exists();
    if was_there {
        fs::rename(&path, &aside).unwrap();
    }
    symlink(target, &path).unwrap();
    move || {
        if path.is_symlink() {
            fs::remove_file(&path).unwrap();
        }
        if was_there {
            // What was written in its place meanwhile is the operator's.
            let _none = fs::remove_dir_all(&path);
            fs::rename(&aside, &path).unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_link_leads_to_is_left_alone() {
    let names: [Name; 15] = [
        |_, new| partial(new),
        |_, new| format!("{}.json", partial(new)),
        |_, new| format!("blobs/sha512/{}", &new.sha512[..2]),
        |_, new| format!("blobs/sha512/{}/{}", &new.sha512[..2], new.sha512),
        |_, _| "blobs/sha512".to_owned(),
        |_, _| "endorsed/default".to_owned(),
        |_, _| format!("endorsed/default/{A}"),
        |_, _| "expired/default".to_owned(),
        |_, _| "lists/default/vo".to_owned(),
        |_, _| "state/rights".to_owned(),
        |_, _| "state/rights/default".to_owned(),
        |_, _| "state/conversions".to_owned(),
        |_, _| "state/resources/default/cachedimages".to_owned(),
        |_, _| "scratch/convert-0123456789ab-raw".to_owned(),
        |old, _| format!("quarantine/{}-1", old.sha512),
    ];
    for (number, name) in names.iter().enumerate() {
        let site = Site::new();
        site.subscribe("retention: {keepVersions: 0, keepFor: 0s}");
        let old = site.serve(A, "1", 1, 50_000);
        site.publish(&site.list("1.0", &[&old]));
        site.run().await;
        let new = site.serve_as(A, "2", Resource::pattern(2, 50_000));
        let name = name(&old, &new);
        // Folders and files with the names that are looked for there, and old enough to be taken for left behind.
        let outside = site.path("outside");
        for folder in ["default/cachedimages", A, "convert-1", "vo", &new.sha512[..2]] {
            fs::create_dir_all(outside.join(folder)).unwrap();
        }
        for file in [
            old.sha512.clone(),
            format!("{}.json", old.sha512),
            format!("{}-raw.json", old.sha512),
            format!("default/{}.json", old.sha512),
            "somebody.yaml".to_owned(),
            format!("{A}/.vmcatcher-1.tmp"),
            ".vmcatcher-1.tmp".to_owned(),
            "convert-1/disk".to_owned(),
        ] {
            fs::write(outside.join(file), "theirs").unwrap();
        }
        let victim = outside.join("victim");
        fs::write(&victim, "theirs").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let is_file = name.starts_with("partial") || name.starts_with("quarantine") || name.ends_with(&new.sha512);
        let before = state_of(&outside);
        let undo = plant(&site, &name, if is_file { &victim } else { &outside });
        for days in [0, 1] {
            site.pass_time(SignedDuration::from_hours(24 * days) + SignedDuration::from_mins(5));
            site.publish(&site.list(&format!("1.{}", days + 1), &[&new]));
            site.run().await;
            assert_eq!(state_of(&outside), before, "{number}: {name} after {days} days");
        }
        undo();
        site.pass_time(SignedDuration::from_hours(7));
        let run = site.run().await;
        assert_eq!(run.image_condition(A, "Ready"), "True Succeeded", "{number}: {name} is gone");
        assert_eq!(site.shelf("endorsed"), [new.entry()], "{number}: {name} is gone");
        assert_eq!(state_of(&outside), before, "{number}: {name} is gone");
    }
}

/// A hard link is no link to look at; the file has another name.
#[tokio::test]
async fn a_hard_link_in_the_place_of_a_download_is_not_written_to() {
    let site = Site::new();
    let image = site.serve(A, "1", 1, 50_000);
    site.publish(&site.list("1.0", &[&image]));
    let victim = site.path("victim");
    fs::write(&victim, "theirs").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    let planted = site.path("volume").join(partial(&image));
    fs::create_dir_all(planted.parent().unwrap()).unwrap();
    fs::hard_link(&victim, &planted).unwrap();
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Cached"), "False ForeignFile");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
    assert_eq!(victim.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&planted).unwrap();
    site.pass_time(SignedDuration::from_hours(7));
    let run = site.run().await;
    assert_eq!(run.image_condition(A, "Ready"), "True Succeeded");
}

#[test]
fn the_lock_is_not_written_through_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "theirs").unwrap();
    fs::create_dir(folder.path().join("volume")).unwrap();
    symlink(&victim, folder.path().join("volume/lock")).unwrap();
    vmcatcher_operator::cache::Volume::open(&folder.path().join("volume")).unwrap_err();
    assert_eq!(fs::read_to_string(victim).unwrap(), "theirs");
}
