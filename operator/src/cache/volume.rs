//! Opening a volume: its directories, its lock, its paths.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::adding::Adding;
use super::error::CacheError;
use super::known_shelves::KnownShelves;
use crate::fs::{
    Durability, NO_LINK, StepHook, Steps, ensure_directory, make_directory, parent, remove, remove_leftovers_below,
    write_over,
};
use crate::imagelist::Sha512Digest;

/// How often a waiting operator checks whether the volume is free.
const LOCK_POLL: Duration = Duration::from_millis(250);

/// The directories of a volume.
pub(super) const DIRECTORIES: [&str; 8] =
    ["blobs/sha512", "partial", "endorsed", "expired", "lists", "state", "scratch", "quarantine"];

/// A volume that this process may use. Cheap to clone. The lock is held until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Volume {
    root: Arc<Path>,
    /// `None` if it was opened read-only.
    lock: Option<Arc<Lock>>,
    steps: StepHook,
    changed: Arc<AtomicBool>,
    /// Asked before the file of a blob is changed.
    pub(super) adding: Arc<Adding>,
    /// Held while a download reserves space, so that two downloads do not take the same space.
    reserving: Arc<Mutex<()>>,
    /// The directories of entries that were read.
    pub(super) shelves: Arc<KnownShelves>,
}

impl Volume {
    /// Opens a volume for writing: makes its directories (the parent of the root has to exist) and takes its lock. If the
    /// last run was cut off, syncs what it left, and removes its temporary files.
    ///
    /// Fails with [`CacheError::Locked`] if another process has the lock.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        if !root.exists() {
            make_directory(root)
                .map_err(|error| CacheError::NoVolume { root: root.to_owned(), found: error.to_string() })?;
        }
        let root = canonical(root)?;
        let (lock, last) = take_lock(&root)?;
        for directory in DIRECTORIES {
            ensure_directory(&root.join(directory))?;
        }
        match last {
            LastRun::Ended => {}
            LastRun::CutOff => clear_up(&root, &lock)?,
        }
        Ok(Self::of(root, Some(lock)))
    }

    /// Opens a volume for writing, and waits while another process has the lock. `waits` is called once, with a
    /// [`CacheError::Locked`] that contains the holder.
    pub async fn open_waiting(root: &Path, waits: impl FnOnce(&CacheError)) -> Result<Self, CacheError> {
        let mut waits = Some(waits);
        loop {
            match Self::open(root) {
                Err(locked @ CacheError::Locked { .. }) => {
                    if let Some(waits) = waits.take() {
                        waits(&locked);
                    }
                    tokio::time::sleep(LOCK_POLL).await;
                }
                opened_or_failed => return opened_or_failed,
            }
        }
    }

    /// Opens a volume read-only, even if another process owns it. Every write fails with [`CacheError::ReadOnly`].
    pub fn read_only(root: &Path) -> Result<Self, CacheError> {
        let root = canonical(root)?;
        let blobs = root.join("blobs/sha512");
        match fs::read_dir(&blobs) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(CacheError::io("read", &blobs)(error));
            }
            Err(_) => {
                let found = "a directory without blobs/sha512 in it".to_owned();
                return Err(CacheError::NoVolume { root, found });
            }
        }
        Ok(Self::of(root, None))
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.lock.is_some()
    }

    fn of(root: PathBuf, lock: Option<Lock>) -> Self {
        let (lock, steps) = (lock.map(Arc::new), StepHook::default());
        let (adding, reserving, shelves) = (Arc::default(), Arc::default(), Arc::default());
        Self { root: root.into(), lock, steps, changed: Arc::default(), adding, reserving, shelves }
    }

    /// Calls `steps` before every change. For tests that interrupt a run.
    #[must_use]
    pub fn with_steps(mut self, steps: Arc<dyn Steps>) -> Self {
        self.steps = StepHook(Some(steps));
        self
    }

    /// The absolute path of the volume's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory for temporary files. Unnamed files may be made in it.
    pub fn scratch(&self) -> PathBuf {
        self.path("scratch")
    }

    /// The same directory, created if it is missing.
    pub(super) fn ready_scratch(&self) -> Result<PathBuf, CacheError> {
        ensure_directory(&self.scratch())?;
        Ok(self.scratch())
    }

    /// A path relative to the volume's directory.
    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The path of a blob, whether or not it exists.
    pub(super) fn blob_path(&self, digest: &Sha512Digest) -> PathBuf {
        let text = digest.to_string();
        self.path("blobs/sha512").join(&text[..2]).join(text)
    }

    /// Reports the name of the next step, which changes the volume.
    pub(super) fn step(&self, step: &'static str) {
        self.changed.store(true, Ordering::Relaxed);
        self.steps.before(step);
    }

    /// Whether this process has changed images or their records since it opened the volume, or since the last call of
    /// [`Self::forget_changes`].
    pub(super) fn is_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    pub(super) fn forget_changes(&self) {
        self.changed.store(false, Ordering::Relaxed);
    }

    pub(super) fn reserving(&self) -> MutexGuard<'_, ()> {
        self.reserving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if the volume was opened read-only. Otherwise makes the directory of `path`.
    pub(super) fn prepare(&self, path: &Path) -> Result<(), CacheError> {
        self.writable(path)?;
        Ok(ensure_directory(parent(path))?)
    }

    /// Fails if the volume was opened read-only, or if something else is mounted or stored in its place, such as an
    /// empty mount point or another directory. Writing works again when the volume is back. It also fails if a
    /// directory on the path is a symbolic link that could lead out of the volume. Only the volume's own top-level
    /// directories may be links, to other disks.
    pub(super) fn writable(&self, path: &Path) -> Result<(), CacheError> {
        let Some(lock) = &self.lock else { return Err(CacheError::ReadOnly { path: path.to_owned() }) };
        let there = self.path("lock");
        let held = lock.0.metadata().map_err(CacheError::io("look at", &there))?;
        let found = match fs::metadata(&there) {
            Ok(found) if (found.dev(), found.ino()) == (held.dev(), held.ino()) => return self.without_links(path),
            Ok(_) => "another volume in its place".to_owned(),
            Err(error) => format!("no lock file in it: {error}"),
        };
        Err(CacheError::NoVolume { root: self.root.to_path_buf(), found })
    }

    /// Fails if a directory on the path, below the volume's top-level directories, is a symbolic link. Anyone who may
    /// write to a directory of the volume could have replaced a subdirectory by a link.
    fn without_links(&self, path: &Path) -> Result<(), CacheError> {
        let own = |directory: &&Path| directory.starts_with(&*self.root) && directory.parent() != Some(&self.root);
        for directory in parent(path).ancestors().take_while(own) {
            if directory != &*self.root && directory.is_symlink() {
                return Err(CacheError::Foreign { path: directory.to_owned() });
            }
        }
        Ok(())
    }

    /// Writes a file of the volume atomically and durably.
    pub(super) fn write_file(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), CacheError> {
        self.write_file_as(path, (bytes, mode), Durability::Durable)
    }

    /// Writes a file of the volume atomically.
    pub(super) fn write_file_as(
        &self,
        path: &Path,
        content: (&[u8], u32),
        durability: Durability,
    ) -> Result<(), CacheError> {
        self.prepare(path)?;
        match write_over(&self.ready_scratch()?, path, content, durability, &self.steps) {
            // The directory is on another disk than `scratch/`.
            Err(error) if error.source.kind() == ErrorKind::CrossesDevices => {
                Ok(write_over(parent(path), path, content, durability, &self.steps)?)
            }
            written_or_failed => Ok(written_or_failed?),
        }
    }

    /// Removes a file of the volume. It is not an error if it does not exist.
    pub(super) fn remove_file(&self, path: &Path) -> Result<(), CacheError> {
        self.writable(path)?;
        Ok(remove(path)?)
    }
}

fn canonical(root: &Path) -> Result<PathBuf, CacheError> {
    let missing = |found: String| CacheError::NoVolume { root: root.to_owned(), found };
    let path = fs::canonicalize(root).map_err(|error| missing(error.to_string()))?;
    if path.is_dir() { Ok(path) } else { Err(missing("something that is no directory".to_owned())) }
}

/// What a run that was cut off may have left: changes that are not synced, on which this run would rely, and temporary
/// files.
fn clear_up(root: &Path, lock: &Lock) -> Result<(), CacheError> {
    rustix::fs::syncfs(&lock.0).map_err(|error| CacheError::io("sync", root)(error.into()))?;
    for directory in fs::read_dir(root).map_err(CacheError::io("read", root))?.flatten() {
        let ours = DIRECTORIES.iter().any(|name| Path::new(name).starts_with(directory.file_name()));
        // No other program writes here, so a file with a temporary name was left by an interrupted run.
        if let Err(error) = if ours { remove_leftovers_below(&directory.path()) } else { Ok(()) } {
            tracing::warn!(%error, "a temporary file of an earlier run stays");
        }
    }
    Ok(())
}

/// How the last run that owned the volume came to its end.
enum LastRun {
    /// It has let the volume go, and the machine has run since.
    Ended,
    /// It was killed, or the machine was restarted, or it is not known.
    CutOff,
}

/// What a run that ends writes into the lock file. It is not synced: it counts only until the machine is restarted.
fn ended() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("no process since the machine was started as {}\n", boot.trim())
}

/// The lock of a volume, held until it is dropped.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn write(&self, text: &str) -> std::io::Result<()> {
        let mut file = &self.0;
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.write(&ended()) {
            tracing::warn!(%error, "the next run looks for what this one left");
        }
        // Closing the file is not enough: a process that was forked and has not executed its program yet has it open too.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the volume is held until the program ends");
        }
    }
}

/// Takes the lock. The lock file is written in place, because a new file with its name would be another lock.
fn take_lock(root: &Path) -> Result<(Lock, LastRun), CacheError> {
    let path = root.join("lock");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).custom_flags(NO_LINK);
    let open = options.open(&path);
    let mut file = open.map_err(CacheError::io("open", &path))?;
    let taken = file.try_lock();
    let mut said = String::new();
    let read = (&mut file).take(512).read_to_string(&mut said).is_ok();
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(CacheError::Locked { root: root.to_owned(), holder: holder(if read { &said } else { "" }) });
        }
        Err(TryLockError::Error(error)) => return Err(CacheError::io("lock", &path)(error)),
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let lock = Lock(file);
    let holder = format!("process {} on {}\n", std::process::id(), host.trim());
    lock.write(&holder).map_err(CacheError::io("write", &path))?;
    let last = if said == ended() { LastRun::Ended } else { LastRun::CutOff };
    Ok((lock, last))
}

/// The holder of a lock, from what it wrote into the lock file.
pub(super) fn holder(said: &str) -> String {
    let said = said.trim();
    if said.is_empty() { "another process".to_owned() } else { said.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_its_descriptor_does_not_hold_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        // A child process has such a copy between fork and exec.
        let copy = volume.lock.as_ref().unwrap().0.try_clone().unwrap();
        assert!(matches!(Volume::open(directory.path()), Err(CacheError::Locked { .. })));
        drop(volume);
        Volume::open(directory.path()).unwrap();
        drop(copy);
    }
}
