//! Stores objects as files, for the next run and for people.

use std::fs;
use std::io::{self, Read as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::copies::{self, Copy, Marks, below, key_of};
use super::manifests::ManifestProblem;
use super::objects::Objects;
use crate::api::{CachedImage, Kind, ObjectKey, Resource, for_each_kind};
use crate::fs::{FileError, remove, remove_leftovers_below, write_atomic};
use crate::parallel;
use crate::store::StoreError;
use crate::text;

/// The largest size of a stored object, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A stored file that could not be read. The object is made again from its manifest and the volume.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}, which has the stored status of objects: {message}", path.display())]
pub struct KeptProblem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// The stored objects.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) objects: Objects,
    /// The files that could not be read.
    pub(super) problems: Vec<KeptProblem>,
    /// Whether the copies have to be made anew.
    pub(super) copies_are_old: bool,
    /// The marks of the images that were taken from the copies.
    pub(super) marks: Marks,
    /// Whether a file has the name of another object, or of none.
    pub(super) has_stray_files: bool,
}

/// Reads all stored objects. Images that did not change since they were copied are taken from the copies.
pub(super) fn read_all(resources: &Path) -> Stored {
    let mut stored = Stored::default();
    for namespace in told(entries(resources), &mut stored.problems) {
        for_each_kind!(K => if K::KIND != Kind::Image { read_kind::<K>(&namespace, &mut stored) });
    }
    read_images(resources, &mut stored);
    stored
}

fn read_kind<K: Resource>(namespace: &Path, stored: &mut Stored) {
    for path in told(entries(&namespace.join(&*K::plural(&()))), &mut stored.problems) {
        stored.take(path.clone(), read_object::<K>(&path));
    }
}

/// A stored image that was read.
struct ReadImage {
    key: ObjectKey,
    image: Arc<CachedImage>,
    /// Its mark, if it was taken from the copies.
    mark: Option<String>,
    /// Whether its file has the name of another object.
    is_stray: bool,
}

impl ReadImage {
    fn of(path: &Path, image: CachedImage, mark: Option<String>) -> Self {
        let key = ObjectKey::of(&image);
        let is_stray = is_stray(path, &key);
        Self { key, image: Arc::new(image), mark, is_stray }
    }
}

/// Reads all images, on all processors.
fn read_images(resources: &Path, stored: &mut Stored) {
    let take = |copy: Copy<'_>| {
        (copy.path.to_owned(), ReadImage::of(&resources.join(copy.path), copy.image, copy.mark.map(str::to_owned)))
    };
    let (files, copies) = thread::scope(|scope| {
        let files = scope.spawn(|| image_files(resources, &mut stored.problems));
        let copies = copies::read(resources, take);
        (files.join().unwrap_or_else(|panic| resume_unwind(panic)), copies)
    });
    let count = copies.len();
    let files = of_files(resources, files, copies.into_iter().flatten().collect());
    let changed: Vec<&PathBuf> = files.iter().filter(|(_, copy)| copy.is_none()).map(|(path, _)| path).collect();
    let are_same = changed.is_empty() && count == files.len();
    let changed = parallel::map(&changed, |path| Ok(ReadImage::of(path, read_object(path)?, None)));
    let mut changed = changed.into_iter();
    let (mut images, mut marks) = (Vec::with_capacity(files.len()), Vec::with_capacity(files.len()));
    for (path, copy) in files {
        match copy.map(Ok).or_else(|| changed.next()) {
            Some(Ok(ReadImage { key, image, mark, is_stray })) => {
                stored.has_stray_files |= is_stray;
                marks.extend(mark.map(|mark| (key.clone(), mark)));
                images.push((key, image));
            }
            Some(Err(message)) => stored.refuse(path, message),
            // There is one for each file without a copy.
            None => {}
        }
    }
    stored.marks = marks.into_iter().collect();
    let stored_count = stored.objects.put_all(images);
    stored.copies_are_old = !are_same || stored_count != count;
}

/// Each file with its copy, in order.
fn of_files(
    resources: &Path,
    mut files: Vec<PathBuf>,
    mut copies: Vec<(String, ReadImage)>,
) -> Vec<(PathBuf, Option<ReadImage>)> {
    // Both are sorted already, unless one namespace has a name with which that of another begins.
    files.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    copies.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut copies = copies.into_iter().peekable();
    let mut copy_of = |path: &Path| {
        let path = below(resources, path)?;
        while copies.next_if(|(copied, _)| copied.as_str() < path).is_some() {}
        copies.next_if(|(copied, _)| copied == path).map(|(_, image)| image)
    };
    let with_copy = files.into_iter().map(|path| {
        let copy = copy_of(&path);
        (path, copy)
    });
    with_copy.collect()
}

impl Stored {
    fn take<K: Resource>(&mut self, path: PathBuf, read: Result<K, String>) {
        match read {
            Ok(object) => {
                self.has_stray_files |= is_stray(&path, &ObjectKey::of(&object));
                self.objects.put(object);
            }
            Err(message) => self.refuse(path, message),
        }
    }

    fn refuse(&mut self, path: PathBuf, message: String) {
        self.has_stray_files = true;
        self.problems.push(KeptProblem { path, message });
    }
}

/// Whether a file has the name of another object, or of none.
fn is_stray(path: &Path, key: &ObjectKey) -> bool {
    key_of(path).as_ref() != Some(key)
}

/// Reads a stored object.
pub(super) fn read_object<K: Resource>(path: &Path) -> Result<K, String> {
    let text = read_kept(path).map_err(|error| error.to_string())?;
    serde_yaml::from_str(&text).map_err(|error| error.to_string())
}

/// The files of all stored images, sorted. Folders that cannot be read count as empty, and are added to the problems.
pub(super) fn image_files(resources: &Path, problems: &mut Vec<KeptProblem>) -> Vec<PathBuf> {
    let plural = <CachedImage as kube::Resource>::plural(&());
    let namespaces = entries(resources).unwrap_or_default().into_iter();
    namespaces.flat_map(|namespace| told(entries(&namespace.join(&*plural)), problems)).collect()
}

fn read_kept(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The entries of a folder, sorted, without hidden ones. Empty if the folder does not exist. Links are skipped, because
/// their targets do not belong to this program.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, KeptProblem> {
    if folder.is_symlink() {
        return Ok(Vec::new());
    }
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeptProblem { path: folder.to_owned(), message: error.to_string() }),
    };
    let mut found: Vec<PathBuf> = listed
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    // As text: they differ in their last part only.
    found.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    Ok(found)
}

/// The entries; a folder that could not be read counts as empty, and is added to the problems.
fn told(found: Result<Vec<PathBuf>, KeptProblem>, problems: &mut Vec<KeptProblem>) -> Vec<PathBuf> {
    found.unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    })
}

fn path_of<K: Resource>(resources: &Path, key: &ObjectKey) -> PathBuf {
    resources.join(&key.namespace).join(&*K::plural(&())).join(format!("{}.yaml", key.name))
}

/// Stores an object.
pub(super) fn write<K: Resource>(resources: &Path, object: &K) -> Result<(), StoreError> {
    let key = ObjectKey::of(object);
    let text = text::yaml(object).map_err(|source| StoreError::Encode { key: key.clone(), source })?;
    let path = path_of::<K>(resources, &key);
    let folders = [resources.to_owned(), resources.join(&key.namespace), path.parent().unwrap_or(resources).to_owned()];
    let made = folders.iter().try_for_each(|folder| make(folder).map_err(FileError::of("make the directory", folder)));
    made.and_then(|()| write_atomic(&path, text.as_bytes(), 0o644)).map_err(|source| StoreError::Keep {
        kind: K::KIND,
        key,
        source,
    })
}

/// Removes temporary files of an interrupted run.
pub(super) fn remove_leftovers(resources: &Path) -> Result<(), FileError> {
    if resources.is_symlink() { Ok(()) } else { remove_leftovers_below(resources) }
}

/// Makes a folder in an existing folder. If the volume is not mounted, nothing is made in its place: such files would
/// be hidden when it is mounted again.
fn make(folder: &Path) -> io::Result<()> {
    let is_there = || fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir());
    // Nearly always it is there, and looking at it locks nothing.
    if is_there() {
        return Ok(());
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_there() => Ok(()),
        done => done,
    }
}

/// The file of the problems, beside the objects. `get` needs it because it does not read manifests.
fn problems_path(resources: &Path) -> PathBuf {
    resources.with_file_name("manifest-problems.yaml")
}

/// The problems of the manifests at the last pass.
pub(super) fn read_problems(resources: &Path) -> Vec<ManifestProblem> {
    let text = fs::read_to_string(problems_path(resources)).unwrap_or_default();
    serde_yaml::from_str(&text).unwrap_or_default()
}

/// Stores the problems of the manifests; removes the file if there are none. The folder is not made if it is missing.
pub(super) fn write_problems(resources: &Path, problems: &[ManifestProblem]) -> Result<(), FileError> {
    let path = problems_path(resources);
    if problems.is_empty() {
        return remove(&path);
    }
    let encoded = text::yaml(&problems).map_err(|error| FileError::of("write", &path)(io::Error::other(error)));
    encoded.and_then(|text| write_atomic(&path, text.as_bytes(), 0o644))
}

/// Removes the file of an object.
pub(super) fn forget<K: Resource>(resources: &Path, key: &ObjectKey) -> Result<(), StoreError> {
    let path = path_of::<K>(resources, key);
    // Files below a link do not belong to this program.
    if path.ancestors().skip(1).take(3).any(Path::is_symlink) {
        return Ok(());
    }
    remove(&path).map_err(|source| StoreError::Keep { kind: K::KIND, key: key.clone(), source })
}

/// Removes the files of a kind whose objects no longer exist.
pub(super) fn sweep<K: Resource>(resources: &Path, objects: &Objects) -> Result<(), StoreError> {
    for namespace in entries(resources).unwrap_or_default() {
        for path in entries(&namespace.join(&*K::plural(&()))).unwrap_or_default() {
            let part = |text: Option<&std::ffi::OsStr>| text.unwrap_or_default().to_string_lossy().into_owned();
            let key = ObjectKey::new(part(namespace.file_name()), part(path.file_stem()));
            if path.extension().is_some_and(|end| end == "yaml") && objects.get::<K>(&key).is_none() {
                forget::<K>(resources, &key)?;
            }
        }
    }
    Ok(())
}
