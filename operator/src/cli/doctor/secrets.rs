//! The rights of files that hold secrets: passwords and keys of sinks, and manifests with Secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::finding::{Area, Finding};
use crate::store::directory::manifest_files;
use crate::yaml::documents;

/// The largest manifest that is looked into, in bytes: the largest one that is read.
const LARGEST: u64 = 8 << 20;

/// The manifests of a folder that have a Secret.
pub(super) fn manifests_with_secrets(folder: &Path) -> Vec<PathBuf> {
    let mut files = manifest_files(folder).unwrap_or_default();
    files.retain(|file| fs::metadata(file).is_ok_and(|about| about.len() <= LARGEST) && has_secret(file));
    files
}

fn has_secret(file: &Path) -> bool {
    let is_secret = |value: serde_json::Value| {
        let items = value.get("items").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        std::iter::once(value).chain(items).any(|object| object.get("kind").is_some_and(|kind| kind == "Secret"))
    };
    let text = fs::read_to_string(file).unwrap_or_default();
    documents(&text).any(|document| document.value().is_ok_and(is_secret))
}

/// The files that every account of this machine can read.
pub(super) fn findings(files: &[PathBuf]) -> Vec<Finding> {
    let open = files.iter().filter(|file| others_can_read(file));
    let finding = |file: &PathBuf| {
        let message = "expected a file with secrets that only the operator can read, found one that every account can";
        Finding::wrong(Area::Secrets, file.display(), message, format!("chmod o-rwx {}", file.display()))
    };
    open.map(finding).collect()
}

/// Whether an account without any right of its own can open a file: it and all directories above allow it.
fn others_can_read(file: &Path) -> bool {
    let Ok(file) = fs::canonicalize(file) else { return false };
    let mode = |path: &Path| fs::metadata(path).map_or(0, |about| about.permissions().mode());
    mode(&file) & 0o004 != 0 && file.ancestors().skip(1).all(|directory| mode(directory) & 0o001 != 0)
}
