//! `image versions` and `image get`: which versions there are, and the bytes of one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use harness::image_server::Resource;
use harness::site::{Served, Site};
use jiff::SignedDuration;
use serde_json::Value;
use vmcatcher_operator::cache::Volume;

use super::{ONE, Ran};

/// A site whose image has its third version in circulation, its second in the archive, and its first in an old list.
async fn three_versions() -> (Site, [Served; 3]) {
    let site = Site::new();
    site.subscribe("retention: {keepVersions: 1, keepFor: 0s}");
    let served = [1, 2, 3].map(|version| site.serve(ONE, &format!("{version}.0"), version, 300_000));
    for (number, image) in served.iter().enumerate() {
        site.publish(&site.list(&format!("1.{number}"), &[image]));
        site.run().await;
        site.pass_time(SignedDuration::from_mins(5));
    }
    site.run().await;
    // Bytes that nothing refers to are removed after an hour.
    site.pass_time(SignedDuration::from_hours(2));
    site.run().await;
    assert_eq!((site.shelf("endorsed"), site.shelf("expired")), (vec![served[2].entry()], vec![served[1].entry()]));
    (site, served)
}

/// The command over the site's folders, in a folder of its own for what it gets.
fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.arg("image").args(arguments).current_dir(got(site));
    for (option, folder) in [("--volume", "volume"), ("--trust", "trust"), ("--manifests", "manifests")] {
        command.arg(option).arg(site.path(folder));
    }
    command
}

fn image(site: &Site, arguments: &[&str]) -> Ran {
    command(site, arguments).output().unwrap().into()
}

/// The folder that images are got into.
fn got(site: &Site) -> PathBuf {
    let folder = site.path("got");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Every file and folder there, with the sha512 of files.
fn files(site: &Site) -> BTreeMap<String, String> {
    let entries = fs::read_dir(got(site)).unwrap().map(|entry| entry.unwrap().path());
    let digest = |path: &PathBuf| if path.is_dir() { "folder".to_owned() } else { sha512(&fs::read(path).unwrap()) };
    entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), digest(&path))).collect()
}

fn sha512(bytes: &[u8]) -> String {
    HEXLOWER.encode(&openssl::sha::sha512(bytes))
}

fn path_of(served: &Served) -> String {
    format!("/{}-{}.img", served.identifier, served.version)
}

#[tokio::test]
async fn every_version_is_listed_with_where_it_is() {
    let (site, served) = three_versions().await;
    let table = image(&site, &["versions", ONE]);
    let rows: Vec<&str> = table.shown.lines().collect();
    assert_eq!((table.code, rows.len()), (Some(0), 4), "{table:?}");
    for (row, expected) in rows.iter().zip(["WHERE", "endorsed", "archive", "older list of 20"]) {
        assert!(row.contains(expected), "{table:?}");
    }
    assert!(rows[3].starts_with("1.0 ") && rows[3].contains(&served[0].sha512[..12]), "{table:?}");
    assert!(rows[3].contains(" 292.96 KiB "), "{table:?}");
    let json = image(&site, &["versions", ONE, "-o", "json"]).shown;
    let list: Value = serde_json::from_str(&json).unwrap();
    let of = |field: &str| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|one| one[field].clone()).collect()
    };
    assert_eq!(of("state"), ["Endorsed", "Archived", "OlderList"]);
    assert_eq!(of("listVersion"), ["1.2", "1.1", "1.0"]);
    assert_eq!(of("sha512"), [2, 1, 0].map(|number: usize| served[number].sha512.clone()));
    assert_eq!(of("size"), [300_000, 300_000, 300_000]);
    assert_eq!(of("addresses")[2][0], served[0].uri);
}

#[tokio::test]
async fn the_archive_has_an_older_version_without_the_network() {
    let (site, served) = three_versions().await;
    // As an operator that runs.
    let owner = Volume::open(&site.path("volume")).unwrap();
    let before = site.server.requests(&path_of(&served[1])).len();
    let name = format!("{ONE}-2.0.raw");
    let ran = image(&site, &["get", &format!("{ONE}@2.0")]);
    assert_eq!((ran.code, ran.shown.as_str()), (Some(0), format!("./{name}\n").as_str()), "{ran:?}");
    assert!(ran.told.contains("version 2.0 from the archive"), "{ran:?}");
    assert_eq!(files(&site), BTreeMap::from([(name.clone(), served[1].sha512.clone())]));
    assert_eq!(site.server.requests(&path_of(&served[1])).len(), before, "no request");
    drop(owner);

    // What a person has there is not replaced, unless the person says so.
    fs::copy(site.path("manifests/endorser-endorser.yaml"), site.path("got").join(&name)).unwrap();
    let mine = files(&site);
    let refused = image(&site, &["get", &format!("{ONE}@2.0")]);
    assert!(refused.code == Some(3) && refused.told.contains("--force replaces it"), "{refused:?}");
    assert_eq!(files(&site), mine);
    assert_eq!(image(&site, &["get", &format!("{ONE}@2.0"), "--force"]).code, Some(0));
    assert_eq!(files(&site), BTreeMap::from([(name, served[1].sha512.clone())]));
}

#[tokio::test]
async fn what_the_volume_lacks_comes_from_the_address_of_an_older_list() {
    let (site, served) = three_versions().await;
    let before = site.volume_files();
    let by_digest = format!("{ONE}@sha512:{}", served[0].sha512[..10].to_uppercase());
    let ran = image(&site, &["get", &by_digest, "--output", "first.img"]);
    assert_eq!((ran.code, ran.shown.as_str()), (Some(0), "first.img\n"), "{ran:?}");
    assert_eq!(files(&site), BTreeMap::from([("first.img".to_owned(), served[0].sha512.clone())]));
    assert_eq!(site.volume_files(), before, "the volume is only read");
    // To a pipe, from the volume and from the network.
    for (wished, served) in [("1.0", &served[0]), ("3.0", &served[2])] {
        let output = command(&site, &["get", &format!("{ONE}@{wished}"), "--output", "-"]).output().unwrap();
        assert_eq!((output.status.code(), sha512(&output.stdout)), (Some(0), served.sha512.clone()));
    }
    assert_eq!(files(&site).len(), 1, "nothing is left");
    // Without a version: the one that the list in force has, or the one that is pinned.
    assert_eq!(image(&site, &["get", ONE, "--output", "current"]).code, Some(0));
    assert_eq!(files(&site)["current"], served[2].sha512);
}

#[tokio::test]
async fn a_version_with_an_at_sign_and_an_object_name_are_understood() {
    let site = Site::new();
    let odd = site.serve("Odd@name", "1@2", 7, 50_000);
    site.publish(&site.list("1.0", &[&odd]));
    let run = site.run().await;
    assert!(run.settled.errors.is_empty());
    for wished in ["Odd@name@1@2", "Odd@name", &format!("Odd@name@sha512:{}", odd.sha512)] {
        let ran = image(&site, &["get", wished, "--output", "odd", "--force"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(files(&site)["odd"], odd.sha512);
    }
    let object =
        fs::read_dir(site.path("volume/state/resources/default/cachedimages")).unwrap().next().unwrap().unwrap();
    let name = object.path().file_stem().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("sha256-"), "{name}");
    assert_eq!(image(&site, &["versions", &name]).code, Some(0));
}

#[tokio::test]
async fn what_is_mistyped_is_told() {
    let (site, served) = three_versions().await;
    let cases = [
        (format!("{}9", &ONE[..35]), 1, format!("similar: {ONE}")),
        (ONE[..8].to_owned(), 1, format!("similar: {ONE}")),
        ("other".to_owned(), 1, "get images --available".to_owned()),
        (format!("{ONE}@4.0"), 1, format!("known are 3.0 ({}), 2.0 (", &served[2].sha512[..12])),
        (format!("{ONE}@sha512:00000000"), 1, "known are 3.0 (".to_owned()),
        (format!("{ONE}@sha512:123"), 2, "expected 8 to 128 hexadecimal digits".to_owned()),
        (format!("{ONE}@"), 2, "expected a version".to_owned()),
    ];
    for (text, code, expected) in cases {
        let ran = image(&site, &["get", &text]);
        assert!(ran.code == Some(code) && ran.told.contains(&expected), "{text}: {ran:?}");
    }
    assert!(files(&site).is_empty());
    let all = image(&site, &["versions", &format!("{ONE}@2.0")]);
    assert!(all.code == Some(1) && all.told.contains("expected the identifier alone"), "{all:?}");
}

#[tokio::test]
async fn a_download_that_is_killed_or_cut_goes_on() {
    let (site, [old, ..]) = three_versions().await;
    let path = path_of(&old);
    let whole = || Resource::pattern(1, 300_000).etag("\"1-300000\"");
    site.server.put(&path, whole().stall_after(100_000));
    let requests = site.server.requests(&path).len();
    let sent = site.server.bytes_sent(&path);
    let mut child = command(&site, &["get", &format!("{ONE}@1.0")]).stderr(Stdio::null()).spawn().unwrap();
    site.server.wait_for(&path, requests + 1, sent + 100_000);
    let folder = got(&site).join(format!(".vmcatcher-get-{}", &old.sha512[..12]));
    let partial = || {
        let entries = fs::read_dir(folder.join("partial")).into_iter().flatten().flatten().map(|entry| entry.path());
        let lengths = entries.filter(|path| path.extension().is_none()).map(|path| path.metadata().unwrap().len());
        lengths.sum::<u64>()
    };
    harness::patience::until("the bytes that came are in the file", async || partial() == 100_000).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(&site).len(), 1, "only the hidden folder: no file has the name");
    // The next command goes on where it stopped, over connections that are cut again and again.
    site.server.put(&path, whole().cut_every(60_000));
    let ran = image(&site, &["get", &format!("{ONE}@1.0")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(files(&site), BTreeMap::from([(format!("{ONE}-1.0.raw"), old.sha512.clone())]));
    let ranges: Vec<Option<String>> = site.server.requests(&path)[requests + 1..]
        .iter()
        .map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges.first(), Some(&Some("bytes=100000-".to_owned())), "{ranges:?}");
}

#[tokio::test]
async fn tampered_bytes_are_refused_and_leave_nothing() {
    let (site, [old, ..]) = three_versions().await;
    let path = path_of(&old);
    site.server.put(&path, Resource::pattern(9, 300_000));
    let ran = image(&site, &["get", &format!("{ONE}@1.0")]);
    assert!(ran.code == Some(3) && ran.told.contains(&format!("expected sha512 {}", old.sha512)), "{ran:?}");
    assert!(files(&site).is_empty(), "{:?}", files(&site));
    site.server.put(&path, Resource::pattern(1, 300_001));
    let ran = image(&site, &["get", &format!("{ONE}@1.0"), "--output", "-"]);
    assert!(ran.code == Some(3) && ran.shown.is_empty() && ran.told.contains("expected 300000 bytes"), "{ran:?}");
    assert!(files(&site).is_empty());
}

#[tokio::test]
async fn bytes_that_are_damaged_on_the_volume_come_from_the_network() {
    let (site, [_, _, new]) = three_versions().await;
    let blob = site.path("volume/blobs/sha512").join(&new.sha512[..2]).join(&new.sha512);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[1000] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    let ran = image(&site, &["get", ONE, "--output", "whole"]);
    assert!(ran.code == Some(0) && ran.told.contains("found other bytes"), "{ran:?}");
    assert_eq!(files(&site), BTreeMap::from([("whole".to_owned(), new.sha512)]));
}

/// The rules of trust are those of the operator.
#[tokio::test]
async fn what_is_revoked_or_excluded_is_not_got() {
    let (site, served) = three_versions().await;
    site.subscribe_to(
        "vo",
        &site.server.url("/image.list"),
        &format!("images: {{include: {{match: [{{name: all}}]}}, exclude: {{sha512: [{}]}}}}", served[1].sha512),
    );
    let excluded = image(&site, &["get", &format!("{ONE}@2.0")]);
    assert!(excluded.code == Some(1) && excluded.told.contains("is excluded by"), "{excluded:?}");
    assert_eq!(image(&site, &["get", &format!("{ONE}@1.0")]).code, Some(0));
    // Its authority is gone: what is here may still be got, but nothing is downloaded.
    let nowhere = site.path("nowhere");
    fs::create_dir(&nowhere).unwrap();
    let without = |wished: &str| -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
        command.args(["image", "get", wished, "--force"]).current_dir(got(&site)).arg("--trust").arg(&nowhere);
        command.arg("--volume").arg(site.path("volume")).output().unwrap().into()
    };
    assert_eq!(without(&format!("{ONE}@3.0")).code, Some(0));
    let frozen = without(&format!("{ONE}@1.0"));
    assert!(frozen.code == Some(1) && frozen.told.contains("cannot be verified again"), "{frozen:?}");
    site.trust("endorser", &site.pki.endorser, "trust: Revoked");
    let revoked = image(&site, &["get", ONE, "--force"]);
    assert!(revoked.code == Some(1) && revoked.told.contains("EndorserRevoked"), "{revoked:?}");
}

/// The credentials of the list are sent to its server, as by the operator.
#[tokio::test]
async fn credentials_are_those_of_the_subscription() {
    let site = Site::new();
    site.manifest(
        "secret",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: vo, annotations: {vmcatcher.io/allow-plain-http: 'true'}}\n\
         stringData: {username: erin, password: s3cret}\n",
    );
    let url = site.server.url("/image.list");
    site.manifest("subscription-vo", &format!(
        "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {{name: vo}}\nspec:\n  source: {{url: \
         {url:?}, secretRef: {{name: vo}}}}\n  verify: {{endorserRefs: [{{name: endorser}}]}}\n"
    ));
    // It is in the list and not selected: nothing of it is on the volume.
    let private = site.serve_as(ONE, "1.0", Resource::pattern(5, 50_000).basic("erin", "s3cret"));
    site.publish(&site.list("1.0", &[&private]));
    site.run().await;
    assert!(site.shelf("endorsed").is_empty());
    let ran = image(&site, &["get", ONE, "--output", "private"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(files(&site), BTreeMap::from([("private".to_owned(), private.sha512)]));
    let mut without = Command::new(env!("CARGO_BIN_EXE_operator"));
    without.args(["image", "get", ONE]).current_dir(got(&site)).arg("--trust").arg(site.path("trust"));
    let without: Ran = without.arg("--volume").arg(site.path("volume")).output().unwrap().into();
    assert!(without.code == Some(3) && without.told.contains("(--manifests)"), "{without:?}");
    assert!(!without.told.contains("s3cret"));
}
