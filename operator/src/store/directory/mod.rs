//! A folder of manifests as the store of the resources, without an API server or a database.
//!
//! The folder is only read. Status, and the images that subscriptions made, are stored as YAML files
//! `resources/<namespace>/<plural>/<name>.yaml` in the state folder, so that the next run of a cron job can continue,
//! and people can read them. Objects work as on an API server: with a generation that counts changes of the spec,
//! finalizers and owner references.

mod copies;
mod kept;
mod manifests;
mod objects;
pub(crate) mod requests;
mod resource_store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::sync::RwLock;

pub use copies::Marks;
pub use kept::KeptProblem;
pub use manifests::ManifestProblem;

use self::kept::Stored;
use self::manifests::Manifests;
pub(crate) use self::objects::Changed;
use self::objects::Objects;
use super::{ConfigMapData, ResourceStore as _, SecretData, StoreError};
use crate::api::{CachedImage, Kind, ObjectKey, Resource, for_each_kind};
use crate::fs::FileError;

/// The log target of events of objects. On an API server they are Events.
pub const EVENTS: &str = "vmcatcher_operator::events";

/// Simultaneous writes of new objects: the disk syncs what waits at the same time together.
const WRITES_AT_ONCE: usize = 32;

/// The manifest files of a folder, sorted.
pub fn manifest_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    manifests::files(folder)
}

/// A folder of manifests, and the state folder.
pub struct Directory {
    pub(crate) manifests: PathBuf,
    resources: PathBuf,
    pub(crate) requests: PathBuf,
    held: Mutex<Held>,
    /// When the stored objects were read.
    opened: Timestamp,
    /// The marks of the images that were the same when they were copied.
    marks: Marks,
    /// Whether an image was stored or removed that the copies have otherwise.
    copies_are_old: AtomicBool,
    /// The removals of objects at the last sweep, and whether there was one.
    swept: Mutex<Option<u64>>,
    /// Locked for reading by each write that has begun.
    writes: Arc<RwLock<()>>,
    /// The images that subscriptions made and that are not stored yet.
    unsaved: Mutex<BTreeSet<ObjectKey>>,
}

/// The objects in memory.
#[derive(Default)]
struct Held {
    objects: Objects,
    secrets: BTreeMap<ObjectKey, SecretData>,
    config_maps: BTreeMap<ObjectKey, ConfigMapData>,
    problems: Vec<ManifestProblem>,
    passed_over: Vec<String>,
}

/// The objects at a moment.
pub(crate) struct Snapshot(Objects);

/// A folder of manifests that does not exist or cannot be read. The known objects stay in force.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the manifests in {}", path.display())]
pub struct DirectoryError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

impl Directory {
    /// Opens a folder of manifests with its state folder, and reads the stored objects. Returns the files that could
    /// not be read. They are left in place; their objects are made again from the manifests and the volume.
    pub fn open(manifests: &Path, state: &Path) -> (Self, Vec<KeptProblem>) {
        let resources = state.join("resources");
        let opened = Timestamp::now();
        let Stored { objects, problems, copies_are_old, marks, has_stray_files } = kept::read_all(&resources);
        let directory = Self {
            requests: requests::folder(state),
            held: Mutex::new(Held { objects, problems: kept::read_problems(&resources), ..Held::default() }),
            resources,
            marks,
            copies_are_old: AtomicBool::new(copies_are_old),
            swept: Mutex::new((!has_stray_files).then_some(0)),
            ..Self::stateless(manifests, opened)
        };
        (directory, problems)
    }

    /// Reads a folder of manifests without stored state. Nothing is written.
    pub fn read(manifests: &Path, now: Timestamp) -> Result<Self, DirectoryError> {
        let directory = Self::stateless(manifests, now);
        directory.read_manifests(now)?;
        Ok(directory)
    }

    /// Without objects and without a state folder.
    fn stateless(manifests: &Path, opened: Timestamp) -> Self {
        Self {
            manifests: manifests.to_owned(),
            resources: PathBuf::new(),
            requests: PathBuf::new(),
            held: Mutex::default(),
            opened,
            marks: Marks::default(),
            copies_are_old: AtomicBool::default(),
            swept: Mutex::default(),
            writes: Arc::default(),
            unsaved: Mutex::default(),
        }
    }

    /// Reads a folder of manifests and the stored state, as [`open`](Self::open) and [`reload`](Self::reload) do. Nothing
    /// is written.
    pub fn preview(manifests: &Path, state: &Path, now: Timestamp) -> Result<Self, DirectoryError> {
        let (directory, problems) = Self::open(manifests, state);
        for problem in problems {
            tracing::warn!("{problem}");
        }
        directory.read_manifests(now)?;
        Ok(directory)
    }

    /// Reads the folder again. Returns the manifests that were refused; their earlier objects stay in force.
    pub fn reload(&self, now: Timestamp) -> Result<Vec<ManifestProblem>, DirectoryError> {
        let before = self.problems();
        self.read_manifests(now)?;
        for problem in requests::apply(&self.requests, &mut self.held().objects) {
            tracing::warn!("{problem}");
        }
        let problems = self.problems();
        if problems != before
            && let Err(error) = kept::write_problems(&self.resources, &problems)
        {
            tracing::warn!(%error, "problems of manifests are not kept for `get`");
        }
        Ok(problems)
    }

    /// The manifests that were refused when the folder was last read.
    pub fn problems(&self) -> Vec<ManifestProblem> {
        self.held().problems.clone()
    }

    /// The manifests of other programs, with their numbers, and files that are not manifests, as text.
    pub fn passed_over(&self) -> Vec<String> {
        self.held().passed_over.clone()
    }

    fn read_manifests(&self, now: Timestamp) -> Result<(), DirectoryError> {
        let mut manifests = Manifests::read(&self.manifests)
            .map_err(|source| DirectoryError { path: self.manifests.clone(), source })?;
        let mut held = self.held();
        let secrets = data(&mut manifests.secrets);
        let config_maps = data(&mut manifests.config_maps);
        let problems = objects::settle(&mut held.objects, &manifests, now);
        // A broken file may have contained a Secret or ConfigMap, so the known ones are kept.
        if problems.is_empty() {
            held.secrets = secrets;
            held.config_maps = config_maps;
        } else {
            held.secrets.extend(secrets);
            held.config_maps.extend(config_maps);
        }
        held.problems = problems;
        held.passed_over = manifests.passed_over();
        Ok(())
    }

    /// Removes temporary files of an interrupted run. Only for the owner of the volume.
    pub fn remove_leftovers(&self) -> Result<(), FileError> {
        kept::remove_leftovers(&self.resources)
    }

    /// The marks that an earlier run gave to stored images, of those that have not changed since.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Whether an image was stored or removed since the images were copied.
    pub fn copies_are_old(&self) -> bool {
        self.copies_are_old.load(Ordering::Relaxed)
    }

    /// Copies the stored images into one file, if they or their marks have changed, so that the next run reads them
    /// faster.
    pub fn copy_images(&self, marks: &Marks, now: Timestamp) -> Result<(), FileError> {
        if self.copies_are_old.swap(false, Ordering::Relaxed) || *marks != self.marks {
            let files = kept::image_files(&self.resources, &mut Vec::new());
            let marks = (marks, self.opened);
            copies::write(&self.resources, &files, kept::read_object::<CachedImage>, marks, now)?;
        }
        Ok(())
    }

    /// Waits until all writes that have begun are at their end, even those whose callers no longer wait.
    pub async fn written(&self) {
        drop(self.writes.write().await);
    }

    /// Removes the stored files of objects that no longer exist.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let objects = self.held().objects.clone();
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if *swept != Some(objects.removals) {
            for_each_kind!(K => kept::sweep::<K>(&self.resources, &objects)?);
            *swept = Some(objects.removals);
        }
        requests::sweep(&self.requests, &objects)
    }

    /// Requests that an object is reconciled now, by the operator that uses this state folder or else by the next run.
    /// Retry limits are reset, as by the annotation `vmcatcher.io/requestedAt`. Returns the path of the request.
    pub fn request<K: Resource>(&self, key: &ObjectKey, now: Timestamp) -> Result<PathBuf, StoreError> {
        requests::write::<K>(&self.requests, key, now)
    }

    /// Whether an object exists.
    pub(crate) fn has(&self, kind: Kind, key: &ObjectKey) -> bool {
        self.held().objects.has(kind, key)
    }

    /// The objects as they are now. Only references are copied.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.held().objects.clone())
    }

    /// The objects of a kind that are different now.
    pub(crate) fn changed<K: Resource>(&self, since: &Snapshot) -> Vec<Changed<K>> {
        self.held().objects.changed(&since.0)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Objects are replaced as a whole, so a panic in another thread cannot leave them half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an object and stores it. Fails with [`StoreError::Gone`] if it does not exist.
    async fn change<K: Resource>(&self, key: &ObjectKey, change: impl FnOnce(&mut K)) -> Result<(), StoreError> {
        let changed = {
            let mut held = self.held();
            let before = held.objects.get::<K>(key);
            let before = before.ok_or_else(|| StoreError::Gone { kind: K::KIND, key: key.clone() })?;
            let mut object = (*before).clone();
            change(&mut object);
            held.objects.put(object)
        };
        self.keep(changed).await
    }

    /// Stores the images that subscriptions made and that nothing has changed since. The others were stored with their
    /// change: one write less for each image. If a run is cut off before, the next one makes the image again. Returns those
    /// that could not be stored.
    pub async fn save_new(&self) -> Vec<(ObjectKey, StoreError)> {
        let unsaved: Vec<ObjectKey> = {
            let mut unsaved = self.unsaved();
            unsaved.retain(|key| self.get::<CachedImage>(key).is_some());
            unsaved.iter().cloned().collect()
        };
        let saved = futures::stream::iter(unsaved).map(|key| async move {
            let image = self.get::<CachedImage>(&key)?;
            Some((key, self.keep(image).await.err()?))
        });
        saved.buffer_unordered(WRITES_AT_ONCE).filter_map(std::future::ready).collect().await
    }

    fn unsaved(&self) -> MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an object on a thread of its own, because it waits for the disk: passes over other objects go on, and the
    /// disk syncs what waits at the same time together.
    async fn keep<K: Resource>(&self, object: Arc<K>) -> Result<(), StoreError> {
        if K::KIND == Kind::Image {
            self.copies_are_old.store(true, Ordering::Relaxed);
        }
        let (resources, key) = (self.resources.clone(), ObjectKey::of(&*object));
        let begun = self.writes.clone().read_owned().await;
        let write = move || {
            let _begun = begun;
            kept::write(&resources, &*object)
        };
        let written = tokio::task::spawn_blocking(write).await;
        let failed = |error| StoreError::Keep {
            kind: K::KIND,
            key: key.clone(),
            source: FileError::of("write", &self.resources)(std::io::Error::other(error)),
        };
        written.map_err(failed)??;
        if K::KIND == Kind::Image {
            self.unsaved().remove(&key);
        }
        Ok(())
    }
}

impl Directory {
    /// Removes an object that is marked for deletion and has no finalizer, and the images that it owned.
    fn finish_deletion<K: Resource>(&self, key: &ObjectKey) -> Result<(), StoreError> {
        {
            let mut held = self.held();
            let Some(object) = held.objects.get::<K>(key) else { return Ok(()) };
            if object.meta().deletion_timestamp.is_none() || !object.finalizers().is_empty() {
                return Ok(());
            }
            held.objects.remove::<K>(key);
            self.copies_are_old.store(true, Ordering::Relaxed);
            objects::collect_orphans(&mut held.objects, Timestamp::now());
        }
        self.sweep()
    }

    async fn keep_or_forget<K: Resource>(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let Some(object) = self.get::<K>(key) else {
            self.copies_are_old.store(true, Ordering::Relaxed);
            return kept::forget::<K>(&self.resources, key);
        };
        self.keep(object).await
    }
}

/// The entries of Secrets or ConfigMaps, without their file names.
fn data<T>(read: &mut BTreeMap<ObjectKey, (T, PathBuf)>) -> BTreeMap<ObjectKey, T> {
    std::mem::take(read).into_iter().map(|(key, (data, _))| (key, data)).collect()
}
