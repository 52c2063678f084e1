//! A download, its publication and the archiving of what it replaces, with the power failing after each of their changes.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use harness::image_server::{ImageServer, Resource};
use harness::lossy_disk::Disk;
use harness::recording::{Change, record};
use vmcatcher_operator::cache::Entries;
use vmcatcher_operator::imagelist::Sha512Digest;

use super::*;

/// What the run has said is done, and so must be there after a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Promised {
    Nothing,
    Downloaded,
    Published,
    Replaced,
}

/// The image before, and the one that replaces it.
struct Images {
    server: ImageServer,
    old: Resource,
    new: Resource,
}

impl Images {
    fn start() -> Self {
        let (old, new) = (Resource::pattern(1, 50_000), Resource::pattern(2, 130_001).etag("\"new\""));
        let server = ImageServer::start();
        server.put("/old.img", old.clone());
        server.put("/new.img", new.clone());
        Self { server, old, new }
    }

    fn probe(&self, volume: &Path, path: &str, resource: &Resource) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_download"));
        command.arg(volume).arg(self.server.url(path)).arg(resource.sha512()).arg(resource.size().to_string());
        command.args(["--steps", "--replace"]);
        command
    }

    fn digests(&self) -> [Sha512Digest; 2] {
        [&self.old, &self.new].map(|resource| resource.sha512().parse().unwrap())
    }

    /// Nothing on the volume has wrong bytes, and what was promised is there.
    fn check(&self, volume: &Volume, promised: Promised) {
        for digest in volume.blobs().unwrap() {
            if let Some(blob) = volume.blob(&digest).unwrap() {
                assert_eq!(digest_of(blob.path()), digest, "a blob");
            }
        }
        let [old, new] = self.digests();
        for path in files(&volume.root().join("endorsed")).into_iter().chain(files(&volume.root().join("expired"))) {
            if path.extension().is_some_and(|extension| extension != "json") {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let expected = [old, new].into_iter().find(|digest| name.contains(&digest.short())).unwrap();
                assert_eq!(digest_of(&path), expected, "{name}");
            }
        }
        let Entries { endorsed, expired } = volume.entries(&image("image")).unwrap();
        let has = |digest| endorsed.iter().any(|entry| entry.digest == digest);
        let is_archived = expired.iter().any(|entry| entry.digest == old);
        assert!(if promised == Promised::Replaced { is_archived } else { has(old) || is_archived }, "the old image");
        assert!(has(old) || has(new), "an image is published: {endorsed:?}");
        let namespace = "site".parse().unwrap();
        assert!(volume.blob_for(&namespace, &old).unwrap().is_some(), "the old blob");
        if promised >= Promised::Downloaded {
            assert!(volume.blob_for(&namespace, &new).unwrap().is_some(), "the downloaded blob");
        }
        if promised >= Promised::Published {
            assert!(has(new), "the published image");
        }
    }

    /// The next run comes to the same end.
    async fn recover(&self, site: &Site) {
        let blob = site.download(request(&self.server, "/new.img", &self.new)).await.unwrap();
        site.volume.publish(&image("image"), &"1.0".parse().unwrap(), &blob).unwrap();
        for other in site.volume.entries(&image("image")).unwrap().endorsed {
            if other.digest != *blob.digest() {
                site.volume.archive(&image("image"), &other, jiff::Timestamp::now()).unwrap();
            }
        }
        self.check(&site.volume, Promised::Replaced);
        assert!(site.partials().is_empty(), "{:?}", site.partials());
    }
}

fn digest_of(path: &Path) -> Sha512Digest {
    Sha512Digest::from_bytes(openssl::sha::sha512(&fs::read(path).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_power_failure_leaves_no_bytes_are_wrong_and_nothing_is_lost() {
    let images = Images::start();
    let directory = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(directory.path()).unwrap();
    assert!(images.probe(&root, "/old.img", &images.old).output().unwrap().status.success());
    let mut disk = Disk::of(&root);
    // A connection that breaks, so that the rest is appended later.
    images.server.put_each("/new.img", vec![images.new.clone().cut_every(60_000), images.new.clone()]);
    let changes = record(&images.probe(&root, "/new.img", &images.new), &root);
    let (mut promised, mut step, mut seen) = (Promised::Nothing, String::new(), BTreeSet::new());
    for (number, change) in changes.iter().enumerate() {
        disk.change(change);
        if let Change::Said(line) = change {
            match line.trim() {
                "downloaded" => promised = Promised::Downloaded,
                "published" => promised = Promised::Published,
                "replaced" => promised = Promised::Replaced,
                other => other.clone_into(&mut step),
            }
        }
        for left in disk.after_power_failure(Path::new("scratch")) {
            if !seen.insert((promised, left.clone())) {
                continue;
            }
            let folder = tempfile::tempdir_in("/dev/shm").unwrap();
            left.make_in(folder.path());
            eprintln!("after change {number} ({step}), {promised:?}");
            let volume = Volume::open(folder.path()).unwrap();
            images.check(&volume, promised);
            let jobs = Jobs::new(volume.clone(), Client::new(&ClientSettings::default()).unwrap(), quick());
            let site = Site { directory: folder, volume, jobs };
            images.recover(&site).await;
            site.jobs.shutdown().await;
        }
    }
    assert_eq!(promised, Promised::Replaced);
    assert!(seen.len() > 100, "{} states", seen.len());
}
