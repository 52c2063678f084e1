//! Opening a volume: its directories, its lock, its paths.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::CacheError;
use super::step::{StepHook, Steps};
use super::temporary::remove_leftovers_below;
use super::write::{ensure_directory, make_directory, parent, remove, write_over};
use crate::imagelist::Sha512Digest;

/// How often a waiting operator looks whether the volume is free.
const LOCK_POLL: Duration = Duration::from_millis(250);

/// Opens what the path itself names, not what a link there leads to.
pub(super) const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Opens a file for reading by its own name.
pub(super) fn open_no_link(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(NO_LINK).open(path)
}

/// The directories of a volume.
const DIRECTORIES: [&str; 8] =
    ["blobs/sha512", "partial", "endorsed", "expired", "lists", "state", "scratch", "quarantine"];

/// A volume that this process may use. Cheap to clone; the lock is held until the last clone is gone.
#[derive(Debug, Clone)]
pub struct Volume {
    root: Arc<Path>,
    /// `None`: opened for reading.
    lock: Option<Arc<File>>,
    steps: StepHook,
    /// Held while a blob gets its name, so that two downloads of one digest make one file.
    adding: Arc<Mutex<()>>,
    /// Held while a download takes its space, so that two do not take the same.
    reserving: Arc<Mutex<()>>,
}

impl Volume {
    /// Opens a volume to write: makes its directories (the one above the root has to be there), takes its lock, and
    /// removes the temporary files of earlier runs.
    ///
    /// [`CacheError::Locked`] when another process has it.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        if !root.exists() {
            make_directory(root)
                .map_err(|error| CacheError::NoVolume { root: root.to_owned(), found: error.to_string() })?;
        }
        let root = canonical(root)?;
        let lock = take_lock(&root)?;
        for directory in DIRECTORIES {
            ensure_directory(&root.join(directory))?;
        }
        for directory in fs::read_dir(&root).map_err(CacheError::io("read", &root))?.flatten() {
            let ours = DIRECTORIES.iter().any(|name| Path::new(name).starts_with(directory.file_name()));
            // Nobody else writes here: what bears a temporary name is of a run that was cut off.
            if let Err(error) = if ours { remove_leftovers_below(&directory.path()) } else { Ok(()) } {
                tracing::warn!(%error, "a temporary file of an earlier run stays");
            }
        }
        Ok(Self::of(root, Some(lock)))
    }

    /// Opens a volume to write and waits as long as another process has it. `waits` is told once, with a
    /// [`CacheError::Locked`] that says who has it.
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

    /// Opens a volume to look at it, whoever owns it. Every write is refused with [`CacheError::ReadOnly`].
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

    fn of(root: PathBuf, lock: Option<File>) -> Self {
        let (lock, steps) = (lock.map(Arc::new), StepHook::default());
        Self { root: root.into(), lock, steps, adding: Arc::default(), reserving: Arc::default() }
    }

    /// Tells `steps` of every change before it is made. For tests that cut a run off.
    #[must_use]
    pub fn with_steps(mut self, steps: Arc<dyn Steps>) -> Self {
        self.steps = StepHook(Some(steps));
        self
    }

    /// The volume's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where what is on its way lies until it has its place: files without a name may be made in it.
    pub fn scratch(&self) -> PathBuf {
        self.path("scratch")
    }

    /// The same; it is there afterwards.
    pub(super) fn ready_scratch(&self) -> Result<PathBuf, CacheError> {
        ensure_directory(&self.scratch())?;
        Ok(self.scratch())
    }

    /// A directory of the volume, by its first component.
    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Where a blob is or would be.
    pub(super) fn blob_path(&self, digest: &Sha512Digest) -> PathBuf {
        let text = digest.to_string();
        self.path("blobs/sha512").join(&text[..2]).join(text)
    }

    /// Says the name of the step that comes next.
    pub(super) fn step(&self, step: &'static str) {
        self.steps.before(step);
    }

    pub(super) fn adding(&self) -> MutexGuard<'_, ()> {
        self.adding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reserving(&self) -> MutexGuard<'_, ()> {
        self.reserving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses where the volume was opened for reading; else the directory of `path` is there afterwards.
    pub(super) fn prepare(&self, path: &Path) -> Result<(), CacheError> {
        self.writable(path)?;
        ensure_directory(parent(path))
    }

    /// Refuses where the volume was opened for reading, and where something else stands in its place meanwhile: an
    /// empty mount point, another directory. Once it is back, all goes on. Refuses too where a link leads out of the
    /// volume, below its own directories: those may be on other disks.
    pub(super) fn writable(&self, path: &Path) -> Result<(), CacheError> {
        let Some(lock) = &self.lock else { return Err(CacheError::ReadOnly { path: path.to_owned() }) };
        let there = self.path("lock");
        let held = lock.metadata().map_err(CacheError::io("look at", &there))?;
        let found = match fs::metadata(&there) {
            Ok(found) if (found.dev(), found.ino()) == (held.dev(), held.ino()) => return self.without_links(path),
            Ok(_) => "another volume in its place".to_owned(),
            Err(error) => format!("no lock file in it: {error}"),
        };
        Err(CacheError::NoVolume { root: self.root.to_path_buf(), found })
    }

    /// Whoever may write to a directory of the volume could have put a link there in a directory's place.
    fn without_links(&self, path: &Path) -> Result<(), CacheError> {
        let own = |directory: &&Path| directory.starts_with(&*self.root) && directory.parent() != Some(&self.root);
        for directory in parent(path).ancestors().take_while(own) {
            if directory != &*self.root && directory.is_symlink() {
                return Err(CacheError::Foreign { path: directory.to_owned() });
            }
        }
        Ok(())
    }

    /// Writes a file of the volume, whole or not at all.
    pub(super) fn write_file(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), CacheError> {
        self.prepare(path)?;
        match write_over(&self.ready_scratch()?, path, bytes, mode, &self.steps) {
            // A directory of the volume that is on another disk.
            Err(CacheError::Io { source, .. }) if source.kind() == ErrorKind::CrossesDevices => {
                write_over(parent(path), path, bytes, mode, &self.steps)
            }
            written_or_failed => written_or_failed,
        }
    }

    /// Removes a file of the volume; that it is gone already is as good.
    pub(super) fn remove_file(&self, path: &Path) -> Result<(), CacheError> {
        self.writable(path)?;
        remove(path)
    }
}

fn canonical(root: &Path) -> Result<PathBuf, CacheError> {
    let missing = |found: String| CacheError::NoVolume { root: root.to_owned(), found };
    let path = fs::canonicalize(root).map_err(|error| missing(error.to_string()))?;
    if path.is_dir() { Ok(path) } else { Err(missing("something that is no directory".to_owned())) }
}

/// The lock file is written in place: a new file under its name would be another lock.
fn take_lock(root: &Path) -> Result<File, CacheError> {
    let path = root.join("lock");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).custom_flags(NO_LINK);
    let open = options.open(&path);
    let mut file = open.map_err(CacheError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = (&mut file).take(512).read_to_string(&mut holder).is_ok();
            let named = read && !holder.trim().is_empty();
            let holder = if named { holder.trim().to_owned() } else { "another process".to_owned() };
            return Err(CacheError::Locked { root: root.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(CacheError::io("lock", &path)(error)),
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let holder = format!("process {} on {}\n", std::process::id(), host.trim());
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
    written.map_err(CacheError::io("write", &path))?;
    Ok(file)
}
