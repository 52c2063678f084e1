//! Where `image get` puts the bytes, and the folder beside it in which they are made. A file has its name only after its
//! bytes were verified.

use std::fs::{self, DirBuilder, File};
use std::io::{IsTerminal as _, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use openssl::hash::{Hasher, MessageDigest};

use crate::cache::{CacheError, Volume};
use crate::fs::{Existing, open_no_link, parent, rename};
use crate::imagelist::{ContentDigest, Sha512Digest};

/// The bytes per read.
const PIECE: usize = 1024 * 1024;

/// Where the bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// To standard output, after they were verified.
    Standard,
    /// To this file.
    File(PathBuf),
    /// To a file with the name of the version, in this folder.
    Folder(PathBuf),
}

impl Output {
    /// The output of the option `--output`. Fails if it cannot be used: standard output is a terminal, or the file
    /// exists and `force` is not set.
    pub(super) fn of(option: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        match option {
            None => Ok(Self::Folder(PathBuf::from("."))),
            Some(path) if path == Path::new("-") && std::io::stdout().is_terminal() => {
                bail!("expected a file or a pipe for the image, found a terminal")
            }
            Some(path) if path == Path::new("-") => Ok(Self::Standard),
            Some(path) if path.is_dir() => Ok(Self::Folder(path.to_owned())),
            Some(path) => {
                refuse_existing(path, force)?;
                Ok(Self::File(path.to_owned()))
            }
        }
    }

    /// The folder beside which the bytes are made: on the same file system as the file.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Standard => Path::new("."),
            Self::File(path) => parent(path),
            Self::Folder(folder) => folder,
        }
    }

    /// The path of the file; `None` for standard output.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Standard => None,
            Self::File(path) => Some(path.clone()),
            Self::Folder(folder) => Some(folder.join(name)),
        }
    }
}

/// Fails if the file exists, unless it may be replaced.
pub(super) fn refuse_existing(path: &Path, force: bool) -> anyhow::Result<()> {
    if !force && fs::symlink_metadata(path).is_ok() {
        bail!("{}: expected no such file, found one; --force replaces it", path.display());
    }
    Ok(())
}

/// The folder in which the bytes are made: a volume of its own, so that a download is resumed, and verified, as in an
/// operator. Two commands for the same bytes do not disturb each other.
pub(super) struct Work {
    root: PathBuf,
    /// The volume.
    pub volume: Volume,
}

impl Work {
    /// Opens the folder for these bytes, or makes it. Only its owner can read it.
    pub(super) fn open(folder: &Path, digest: &ContentDigest) -> anyhow::Result<Self> {
        let root = folder.join(format!(".vmcatcher-get-{}", digest.short()));
        match fs::symlink_metadata(&root) {
            Ok(about) if about.is_dir() && about.uid() == rustix::process::geteuid().as_raw() => {}
            Ok(_) => bail!("{}: expected a folder of this user, found something else; move it away", root.display()),
            Err(_) => {
                let made = DirBuilder::new().mode(0o700).create(&root);
                made.with_context(|| format!("cannot make the folder {}", root.display()))?;
            }
        }
        match Volume::open(&root) {
            Ok(volume) => Ok(Self { root, volume }),
            Err(CacheError::Locked { holder, .. }) => bail!("{holder} gets the same image in {}", root.display()),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it has bytes of a download that was cut off.
    pub(super) fn has_bytes(&self) -> bool {
        let sizes = fs::read_dir(self.root.join("partial")).into_iter().flatten().flatten();
        sizes
            .filter(|entry| entry.path().extension().is_none())
            .any(|entry| entry.metadata().is_ok_and(|about| about.len() > 0))
    }

    /// Removes the folder.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        let Self { root, volume } = self;
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove the folder {}", root.display()))?;
        drop(volume);
        Ok(())
    }

    /// Copies a file into the folder, and returns the path of the copy; `None` if the bytes do not have the digest.
    /// `seen` is called with the number of bytes so far.
    pub(super) fn copy(
        &self,
        from: &Path,
        digest: &Sha512Digest,
        seen: &dyn Fn(u64),
    ) -> anyhow::Result<Option<PathBuf>> {
        let path = self.volume.scratch().join("copy");
        let mut copy = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut source = open_no_link(from).with_context(|| format!("cannot read {}", from.display()))?;
        let found = pass(&mut source, &mut copy, seen).with_context(|| format!("cannot copy {}", from.display()))?;
        copy.sync_all().with_context(|| format!("cannot sync {}", path.display()))?;
        Ok((found == *digest).then_some(path))
    }

    /// Gives verified bytes in the folder the name of the file. An existing file is replaced only with `force`.
    pub(super) fn place(&self, from: &Path, to: &Path, force: bool) -> anyhow::Result<()> {
        // The lock file was made with the permissions that this user's files have.
        let mode = fs::metadata(self.root.join("lock"))?.permissions();
        fs::set_permissions(from, mode).with_context(|| format!("cannot set the mode of {}", from.display()))?;
        let existing = if force { Existing::Replaced } else { Existing::Kept };
        match rename(from, to, existing) {
            Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => refuse_existing(to, false),
            renamed => Ok(renamed?),
        }
    }
}

/// Writes a file to standard output, after its bytes were verified. Returns false, and writes nothing, if they do not
/// have the digest. A reader that closed the pipe is not an error.
pub(super) fn stream(path: &Path, digest: &Sha512Digest) -> anyhow::Result<bool> {
    let failed = || format!("cannot read {}", path.display());
    let mut file = open_no_link(path).with_context(failed)?;
    if pass(&mut file, &mut std::io::sink(), &|_| {}).with_context(failed)? != *digest {
        return Ok(false);
    }
    file.rewind().with_context(failed)?;
    let mut output = std::io::stdout().lock();
    match std::io::copy(&mut file, &mut output).and_then(|_| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        Ok(()) | Err(_) => Ok(true),
    }
}

/// Passes all bytes on, and returns their digest.
fn pass(from: &mut impl Read, to: &mut impl Write, seen: &dyn Fn(u64)) -> std::io::Result<Sha512Digest> {
    let mut hasher = Hasher::new(MessageDigest::sha512())?;
    let (mut piece, mut total) = (vec![0; PIECE], 0);
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hasher.update(&piece[..count])?;
        to.write_all(&piece[..count])?;
        total += count as u64;
        seen(total);
    }
    let mut digest = [0; 64];
    digest.copy_from_slice(&hasher.finish()?);
    Ok(Sha512Digest::from_bytes(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let digest = ContentDigest::from(Sha512Digest::from_bytes([1; 64]));
        let work = Work::open(folder.path(), &digest).unwrap();
        let (made, to) = (work.root().join("made"), folder.path().join("image"));
        let again = || fs::copy(work.root().join("lock"), &made).unwrap();
        again();
        work.place(&made, &to, false).unwrap();
        again();
        assert!(work.place(&made, &to, false).unwrap_err().to_string().contains("--force"));
        assert!(made.exists());
        work.place(&made, &to, true).unwrap();
        assert!(!made.exists());
        let second = Work::open(folder.path(), &digest).err().unwrap().to_string();
        assert!(second.contains("gets the same image"), "{second}");
        work.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let digest = ContentDigest::from(Sha512Digest::from_bytes([2; 64]));
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let name = folder.path().join(format!(".vmcatcher-get-{}", digest.short()));
        std::os::unix::fs::symlink(&elsewhere, name).unwrap();
        assert!(Work::open(folder.path(), &digest).is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn a_copy_with_other_bytes_is_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let good = pass(&mut &b"abc"[..], &mut std::io::sink(), &|_| {}).unwrap();
        let work = Work::open(folder.path(), &good.into()).unwrap();
        let from = folder.path().join("from");
        for (bytes, is_good) in [("abc", true), ("abd", false)] {
            std::io::Write::write_all(&mut File::create(&from).unwrap(), bytes.as_bytes()).unwrap();
            assert_eq!(work.copy(&from, &good, &|_| {}).unwrap().is_some(), is_good);
        }
    }
}
