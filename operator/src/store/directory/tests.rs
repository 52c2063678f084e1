//! A folder of manifests behaves like an API server.

use std::fs;

use super::*;
use crate::api::{HasConditions, ImageListSubscription, ImageListSubscriptionStatus};
use crate::imagelist::ImageId;
use crate::store::StoreError;

const SUBSCRIPTION: &str = "apiVersion: vmcatcher.io/v1alpha1\nkind: ImageListSubscription\nmetadata: {name: vo}\nspec:\n  \
                            source: {url: 'https://example.org/list'}\n  verify: {endorserRefs: [{name: egi}]}\n";

struct Site {
    folder: tempfile::TempDir,
    directory: Directory,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("manifests")).unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let directory = Self::open(folder.path());
        Self { folder, directory }
    }

    fn open(folder: &Path) -> Directory {
        let (directory, problems) = Directory::open(&folder.join("manifests"), &folder.join("state"));
        assert!(problems.is_empty(), "{problems:?}");
        directory
    }

    fn restart(&mut self) {
        self.directory = Self::open(self.folder.path());
        self.reload();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("manifests").join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join("manifests").join(name)).unwrap();
    }

    fn reload(&self) -> Vec<String> {
        self.directory.reload(Timestamp::now()).unwrap().iter().map(ToString::to_string).collect()
    }

    fn subscription(&self) -> Option<Arc<ImageListSubscription>> {
        self.directory.get(&key("vo"))
    }

    fn kept(&self) -> Vec<String> {
        self.directory.sweep().unwrap();
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().join("state/resources")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

fn identifier() -> ImageId {
    "858a817e-0ca2-473f-89d3-d5bdfc51968e".parse().unwrap()
}

#[tokio::test]
async fn the_generation_counts_changes_of_the_spec_and_status_survives_a_restart() {
    let mut site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.reload();
    let first = site.subscription().unwrap();
    assert_eq!((first.metadata.generation, first.status.is_none()), (Some(1), true));
    let status = ImageListSubscriptionStatus { observed_generation: Some(1), ..Default::default() };
    site.directory.write_status::<ImageListSubscription>(&key("vo"), status).await.unwrap();
    site.restart();
    let second = site.subscription().unwrap();
    assert_eq!(second.metadata.uid, first.metadata.uid);
    assert_eq!((second.metadata.generation, second.status.as_ref().unwrap().observed_generation()), (Some(1), Some(1)));
    site.write("a.yaml", &format!("{SUBSCRIPTION}  interval: 1h\n"));
    assert_eq!(site.reload(), Vec::<String>::new());
    assert_eq!(site.subscription().unwrap().metadata.generation, Some(2));
}

#[tokio::test]
async fn a_manifest_that_breaks_changes_nothing_and_one_that_goes_takes_its_object_along() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.reload();
    site.write("a.yaml", "kind: [");
    assert_eq!(site.reload().len(), 1);
    assert!(site.subscription().is_some());
    // An editor that was interrupted, or a full disk.
    for empty in ["", "\n# only words\n"] {
        site.write("a.yaml", empty);
        assert!(site.reload()[0].contains("found an empty file"));
        assert!(site.subscription().is_some());
    }
    site.remove("a.yaml");
    // An empty folder is more likely a failed mount than intended.
    assert!(site.reload()[0].contains("expected manifests, found none"));
    assert!(site.subscription().is_some());
    site.write("b.yaml", &SUBSCRIPTION.replace("vo}", "other}"));
    assert_eq!(site.reload(), Vec::<String>::new());
    assert!(site.subscription().is_none());
}

#[tokio::test]
async fn a_folder_that_is_gone_is_an_error_and_changes_nothing() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.reload();
    fs::rename(site.folder.path().join("manifests"), site.folder.path().join("elsewhere")).unwrap();
    assert!(site.directory.reload(Timestamp::now()).is_err());
    assert!(site.subscription().is_some());
}

#[tokio::test]
async fn what_identifies_an_object_cannot_change() {
    let site = Site::new();
    let pinned = SUBSCRIPTION.replace("{endorserRefs", "{identifier: a, endorserRefs");
    site.write("a.yaml", &pinned);
    site.reload();
    for other in [SUBSCRIPTION.to_owned(), pinned.replace("identifier: a", "identifier: b")] {
        site.write("a.yaml", &other);
        assert!(site.reload()[0].contains("spec.verify.identifier cannot change"));
        assert_eq!(site.subscription().unwrap().spec.verify.identifier.as_deref(), Some("a"));
    }
}

#[tokio::test]
async fn generated_images_are_kept_and_go_with_their_subscription() {
    let mut site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.write("b.yaml", &SUBSCRIPTION.replace("vo}", "other}"));
    site.reload();
    let owner = site.subscription().unwrap();
    site.directory.apply_image(&owner, &identifier()).await.unwrap();
    site.directory.apply_image(&owner, &identifier()).await.unwrap();
    assert_eq!(site.kept(), Vec::<String>::new(), "it is stored with its first change");
    assert!(site.directory.save_new().await.is_empty(), "or else then");
    site.restart();
    assert_eq!(site.directory.list::<CachedImage>("default").len(), 1);
    assert_eq!(site.kept(), ["858a817e-0ca2-473f-89d3-d5bdfc51968e.yaml"]);
    site.remove("a.yaml");
    site.reload();
    assert_eq!(site.directory.list::<CachedImage>("default").len(), 0);
    assert_eq!(site.kept(), Vec::<String>::new());
}

#[tokio::test]
async fn a_new_image_that_could_not_be_stored_is_stored_later() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.reload();
    let owner = site.subscription().unwrap();
    site.directory.apply_image(&owner, &identifier()).await.unwrap();
    let key = ObjectKey::of(&*site.directory.all::<CachedImage>().remove(0));
    let folder = site.folder.path().join("state/resources/default/cachedimages");
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(&folder, "in its place").unwrap();
    let failed = site.directory.save_new().await;
    assert!(matches!(&failed[..], [(of, StoreError::Keep { .. })] if *of == key), "{failed:?}");
    fs::remove_file(&folder).unwrap();
    assert!(site.directory.save_new().await.is_empty());
    let stored = site.kept();
    assert_eq!(stored.len(), 1);
    fs::remove_file(folder.join(&stored[0])).unwrap();
    assert!(site.directory.save_new().await.is_empty());
    assert_eq!(site.kept(), Vec::<String>::new(), "it is stored once");
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_off() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.write("b.yaml", &SUBSCRIPTION.replace("vo}", "other}"));
    site.reload();
    site.directory.set_finalizer::<ImageListSubscription>(&key("vo"), true).await.unwrap();
    site.remove("a.yaml");
    site.reload();
    let held = site.subscription().unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    site.directory.set_finalizer::<ImageListSubscription>(&key("vo"), false).await.unwrap();
    assert!(site.subscription().is_none());
    assert_eq!(site.kept(), Vec::<String>::new());
}

#[tokio::test]
async fn a_kept_file_that_cannot_be_read_is_told_and_made_anew() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.reload();
    site.directory
        .write_status::<ImageListSubscription>(&key("vo"), ImageListSubscriptionStatus::default())
        .await
        .unwrap();
    let path = site.folder.path().join("state/resources/default/imagelistsubscriptions/vo.yaml");
    fs::write(&path, "kind: [").unwrap();
    let (directory, problems) =
        Directory::open(&site.folder.path().join("manifests"), &site.folder.path().join("state"));
    assert_eq!(problems[0].path, path);
    directory.reload(Timestamp::now()).unwrap();
    assert_eq!(directory.all::<ImageListSubscription>().len(), 1);
}

#[tokio::test]
async fn problems_are_kept_for_who_reads_no_manifests_until_they_are_mended() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.write("b.yaml", "kind: [");
    let told = site.reload();
    assert_eq!(told.len(), 1);
    assert_eq!(site.directory.problems().len(), 1);
    let kept = || Site::open(site.folder.path()).problems().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(kept(), told);
    site.remove("b.yaml");
    assert_eq!((site.reload(), kept()), (vec![], vec![]));
    let read = Directory::read(&site.folder.path().join("manifests"), Timestamp::now()).unwrap();
    assert!(read.get::<ImageListSubscription>(&key("vo")).is_some() && read.problems().is_empty());
}

#[tokio::test]
async fn nothing_is_made_in_the_place_of_a_volume_that_is_gone() {
    let site = Site::new();
    site.write("a.yaml", SUBSCRIPTION);
    site.reload();
    let (state, elsewhere) = (site.folder.path().join("state"), site.folder.path().join("elsewhere"));
    fs::rename(&state, &elsewhere).unwrap();
    let status =
        || ImageListSubscriptionStatus { last_handled_reconcile_at: Some("a".to_owned()), ..Default::default() };
    let written = site.directory.write_status::<ImageListSubscription>(&key("vo"), status()).await;
    assert!(matches!(written, Err(StoreError::Keep { .. })), "{written:?}");
    assert!(!state.exists());
    fs::rename(&elsewhere, &state).unwrap();
    site.directory.write_status::<ImageListSubscription>(&key("vo"), status()).await.unwrap();
    assert!(state.join("resources/default/imagelistsubscriptions/vo.yaml").exists());
}
