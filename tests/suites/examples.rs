//! The manifests under examples/ and the list in docs/imagelist.md are what they say: each is read by the product's
//! own types, nothing in it is ignored, and its checked parts are sound.

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;
use vmcatcher_operator::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription};
use vmcatcher_operator::imagelist::{ImageId, LintRequest, ListFormat, ListVersion, Selection, lint};
use vmcatcher_operator::store::directory::Directory;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Each document of each manifest below examples/, with the file's name.
fn manifests() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(workspace().join("examples")).unwrap() {
        let folder = folder.unwrap().path();
        for file in fs::read_dir(&folder).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                let documents = serde_yaml::Deserializer::from_str(&text);
                let name = path.strip_prefix(workspace()).unwrap().display().to_string();
                let read = documents.map(|document| serde::Deserialize::deserialize(document).unwrap());
                found.extend(read.map(|value| (name.clone(), value)));
            }
        }
    }
    found
}

/// Every member of the manifest must be in what the type made of it: a field that is ignored is a typing mistake.
fn assert_nothing_ignored(name: &str, written: &Value, read: &Value) {
    match (written, read) {
        (Value::Mapping(written), Value::Mapping(read)) => {
            for (key, value) in written {
                let kept = read.get(key).unwrap_or_else(|| panic!("{name}: {key:?} is not a field"));
                assert_nothing_ignored(name, value, kept);
            }
        }
        (Value::Sequence(written), Value::Sequence(read)) => {
            assert_eq!(written.len(), read.len(), "{name}");
            written.iter().zip(read).for_each(|(written, read)| assert_nothing_ignored(name, written, read));
        }
        (written, read) => assert_eq!(written, read, "{name}"),
    }
}

fn read<T: serde::de::DeserializeOwned + serde::Serialize>(name: &str, manifest: &Value) -> T {
    let object: T = serde_yaml::from_value(manifest.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_nothing_ignored(name, manifest, &serde_yaml::to_value(&object).unwrap());
    object
}

#[test]
fn every_manifest_is_read_whole_and_is_sound() {
    let manifests = manifests();
    assert!(manifests.len() >= 10, "{} manifests", manifests.len());
    for (name, manifest) in &manifests {
        match manifest["kind"].as_str().unwrap_or_default() {
            "Endorser" => {
                let endorser: Endorser = read(name, manifest);
                assert!(!endorser.spec.credentials.is_empty(), "{name}");
            }
            "ImageListSubscription" => {
                let subscription: ImageListSubscription = read(name, manifest);
                ListFormat::of(&subscription.spec.source).unwrap_or_else(|error| panic!("{name}: {error}"));
                Selection::new(&subscription.spec.images).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            "CachedImage" => {
                let image: CachedImage = read(name, manifest);
                let identifier: ImageId = image.spec.identifier.parse().unwrap();
                assert_eq!(image.metadata.name, Some(identifier.object_name()), "{name}");
                image.spec.version.iter().for_each(|version| drop(version.parse::<ListVersion>().unwrap()));
            }
            "CloudTarget" => {
                let target: CloudTarget = read(name, manifest);
                let access = target.spec.access().expect("the member that its type names");
                assert!(access.address.starts_with("https://"), "{name}");
            }
            "Secret" => assert!(manifest["stringData"].is_mapping(), "{name}"),
            other => panic!("{name}: kind {other:?}"),
        }
    }
}

/// Each folder beside the endorser's, as a site without a cluster would use it.
#[test]
fn every_folder_of_manifests_is_taken_whole() {
    let state = tempfile::tempdir().unwrap();
    for folder in fs::read_dir(workspace().join("examples")).unwrap() {
        let folder = folder.unwrap().path();
        let (directory, _) = Directory::open(&folder, state.path());
        let problems = directory.reload("2026-11-22T00:00:00Z".parse().unwrap()).unwrap();
        assert!(problems.is_empty(), "{}: {problems:?}", folder.display());
    }
}

#[test]
fn every_folder_of_examples_says_what_it_is_for() {
    for folder in fs::read_dir(workspace().join("examples")).unwrap() {
        let readme = folder.unwrap().path().join("README.md");
        let text = fs::read_to_string(&readme).unwrap_or_else(|error| panic!("{}: {error}", readme.display()));
        assert!(text.starts_with("# ") && text.lines().count() <= 24, "{}", readme.display());
    }
}

#[test]
fn the_list_in_the_documentation_is_one_that_publishers_can_copy() {
    let page = fs::read_to_string(workspace().join("docs/imagelist.md")).unwrap();
    let list = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    assert_eq!(lint(list.as_bytes(), &LintRequest { now, previous: None }), []);
}
