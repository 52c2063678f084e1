//! Builds anchors from files of a directory, or from the entries of a `ConfigMap` or a `Secret`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::trust::{AnchorError, Anchors, AnchorsBuilder, DistinguishedName, holds_certificates};

/// A file of the trust directory that could not be used. The other files are used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct AnchorProblem {
    /// The file.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub message: String,
}

/// The type of a file, by its extension, in the order in which files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Certificates,
    Crls,
    SigningPolicy,
    Namespaces,
    /// A `.info` file. It shows that the directory is in IGTF layout; its content is not needed.
    Information,
    /// A file with another extension. It is not used; it is reported if it contains a certificate.
    Other,
}

impl Kind {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().unwrap_or_default().as_encoded_bytes() {
            [b'0'..=b'9'] | b"pem" | b"crt" | b"cer" => Self::Certificates,
            [b'r', b'0'..=b'9'] | b"crl" => Self::Crls,
            b"signing_policy" => Self::SigningPolicy,
            b"namespaces" => Self::Namespaces,
            b"info" => Self::Information,
            _ => Self::Other,
        }
    }
}

/// The anchors of files by name and content, such as the data of a `ConfigMap` or a `Secret`. Extensions have the same
/// meaning as in a trust directory; a name with an unknown extension is a file of certificates.
pub fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Anchors, Vec<AnchorProblem>) {
    let mut assembly = Assembly::default();
    let kind = |name: &str| match Kind::of(Path::new(name)) {
        Kind::Other => Kind::Certificates,
        known => known,
    };
    let mut files: Vec<_> = files.into_iter().map(|(name, bytes)| (kind(name), name, bytes)).collect();
    files.sort_by_key(|(kind, name, _)| (*kind, *name));
    for (kind, name, bytes) in files {
        assembly.add(kind, Path::new(name), Ok(bytes));
    }
    assembly.finish()
}

/// Builds anchors. Certificates must be added before the policies that belong to them.
#[derive(Default)]
pub(super) struct Assembly {
    builder: AnchorsBuilder,
    /// The subjects of the certificates, by file name without extension.
    subjects: BTreeMap<OsString, Vec<DistinguishedName>>,
    problems: Vec<AnchorProblem>,
}

impl Assembly {
    pub(super) fn add(&mut self, kind: Kind, file: &Path, bytes: Result<&[u8], &String>) {
        let stem = file.file_stem().unwrap_or_default().to_owned();
        let own = self.subjects.get(&stem).map_or(&[][..], Vec::as_slice);
        if matches!(kind, Kind::SigningPolicy | Kind::Namespaces | Kind::Information) {
            self.builder.require_policies();
        }
        // A policy file that cannot be read is handled as an invalid policy.
        let content = bytes.unwrap_or_default();
        let added: Result<(), AnchorError> = match kind {
            Kind::Certificates => self.builder.add_certificates(content).map(|subjects| {
                self.subjects.entry(stem).or_default().extend(subjects);
            }),
            Kind::Crls => self.builder.add_crls(content).map(drop).inspect_err(|error| {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let why = bytes.map_or_else(String::clone, |_| error.to_string());
                self.builder.add_unusable_crl(&name, own, &why);
            }),
            Kind::SigningPolicy => self.builder.add_signing_policy(content, own),
            Kind::Namespaces => self.builder.add_namespaces(content, own),
            Kind::Information | Kind::Other => Ok(()),
        };
        match (bytes, added) {
            (Ok(bytes), Ok(())) if kind == Kind::Other && holds_certificates(bytes) => {
                let names = "certificates are in *.pem, *.crt, *.cer and *.0 to *.9";
                self.report(file, format!("holds a certificate, and is passed over because of its name: {names}"));
            }
            (Err(_), Ok(())) if kind == Kind::Other => {}
            (Err(unreadable), _) => self.report(file, unreadable.clone()),
            (Ok(_), Err(error)) => self.report(file, error.to_string()),
            (Ok(_), Ok(())) => {}
        }
    }

    pub(super) fn report(&mut self, file: &Path, message: String) {
        self.problems.push(AnchorProblem { path: file.to_owned(), message });
    }

    pub(super) fn finish(self) -> (Anchors, Vec<AnchorProblem>) {
        (self.builder.build(), self.problems)
    }
}
