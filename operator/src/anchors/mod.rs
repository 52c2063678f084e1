//! The trust directory: the files around [`crate::trust`].
//!
//! IGTF layout: certificates as `<hash>.0` to `.9` or `<alias>.pem`, CRLs as `<hash>.r0` to `.r9`. Names do not matter
//! beyond their ending; the same certificate under two names is one. A plain bundle (one file of PEM certificates)
//! works as well. One bad file costs only itself and is reported.

mod directory;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use directory::TrustDirectory;

use crate::trust::{AnchorError, Anchors, AnchorsBuilder};

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 128 << 20;

/// A file of the trust directory that could not be used; the others are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct AnchorProblem {
    /// The file.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub message: String,
}

/// What a trust directory looks like from outside: names, sizes, times, inodes. Equal as long as nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint(BTreeMap<OsString, (u64, Option<SystemTime>, u64)>);

/// What a file is, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Certificates,
    Crls,
}

impl Kind {
    /// `None` for a file that is none of ours (`.info`, `.crl_url`, a README).
    fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        match ending.as_bytes() {
            [b'0'..=b'9'] | b"pem" | b"crt" | b"cer" => Some(Self::Certificates),
            [b'r', b'0'..=b'9'] | b"crl" => Some(Self::Crls),
            _ => None,
        }
    }
}

/// Loads a trust directory or a plain bundle. One bad file costs only itself.
pub fn load(path: &Path) -> (Anchors, Vec<AnchorProblem>) {
    let mut builder = Anchors::builder();
    let mut problems = Vec::new();
    let files = match files(path) {
        Ok(files) => files,
        Err(error) => {
            let message = format!("expected a trust directory or a bundle of certificates, found {error}");
            problems.push(AnchorProblem { path: path.to_owned(), message });
            Vec::new()
        }
    };
    for (file, kind) in files {
        if let Err(message) = add(&mut builder, &file, kind) {
            problems.push(AnchorProblem { path: file, message });
        }
    }
    (builder.build(), problems)
}

/// Looks at a trust directory without reading its files, so that it is loaded again only when it changed.
pub fn fingerprint(path: &Path) -> Fingerprint {
    let seen = |(file, _): (PathBuf, Kind)| {
        let metadata = fs::metadata(&file).ok()?;
        Some((file.into_os_string(), (metadata.len(), metadata.modified().ok(), metadata.ino())))
    };
    Fingerprint(files(path).unwrap_or_default().into_iter().filter_map(seen).collect())
}

/// The files that matter, by name. A bundle is one file, whatever its name.
fn files(path: &Path) -> io::Result<Vec<(PathBuf, Kind)>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![(path.to_owned(), Kind::Certificates)]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if let Some(kind) = Kind::of(&file)
            && !file.is_dir()
        {
            files.push((file, kind));
        }
    }
    files.sort();
    Ok(files)
}

fn add(builder: &mut AnchorsBuilder, file: &Path, kind: Kind) -> Result<(), String> {
    let length = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if length > LARGEST_FILE {
        return Err(format!("expected at most {LARGEST_FILE} bytes, found {length}"));
    }
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let added: Result<usize, AnchorError> = match kind {
        Kind::Certificates => builder.add_certificates(&bytes),
        Kind::Crls => builder.add_crls(&bytes),
    };
    added.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
