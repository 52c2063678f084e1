//! Finds the manifest files of a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::problem::ManifestProblem;

/// The files below a folder.
#[derive(Default)]
pub(super) struct Files {
    /// `*.yaml`, `*.yml` and `*.json`, sorted: each path, and the path relative to the folder.
    pub manifests: Vec<(PathBuf, PathBuf)>,
    /// Files with other names, which are not read.
    pub others: Vec<PathBuf>,
    /// Files and folders that cannot be read.
    pub problems: Vec<ManifestProblem>,
    charts: BTreeSet<PathBuf>,
}

impl Files {
    /// Finds the files. Hidden files and folders are skipped. Fails only if the folder itself cannot be read.
    pub(super) fn below(folder: &Path) -> std::io::Result<Self> {
        let mut files = Self::default();
        files.collect(folder, folder)?;
        files.manifests.sort();
        files.others.sort();
        Ok(files)
    }

    /// Whether a file belongs to a Helm chart: one of its folders contains a `Chart.yaml`.
    pub(super) fn is_of_chart(&self, file: &Path) -> bool {
        file.ancestors().skip(1).any(|folder| self.charts.contains(folder))
    }

    fn collect(&mut self, root: &Path, folder: &Path) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let (path, kind) = (entry.path(), entry.file_type()?);
            // The name in annotations and messages.
            let shown = PathBuf::from(path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned());
            if kind.is_dir() {
                if let Err(error) = self.collect(root, &path) {
                    self.problems.push(ManifestProblem::of_file(&shown, &format!("cannot read the folder: {error}")));
                }
            } else {
                self.add(path, shown);
            }
        }
        Ok(())
    }

    /// Adds a file. Links to files are followed, because the files of a mounted ConfigMap are links. Links to folders
    /// are not followed, to avoid cycles.
    fn add(&mut self, path: PathBuf, shown: PathBuf) {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_manifest = matches!(ending.as_deref(), Some("yaml" | "yml" | "json"));
        if path.file_name().is_some_and(|name| name == "Chart.yaml") {
            self.charts.extend(path.parent().map(Path::to_owned));
        }
        let problem = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => "expected a folder, found a link to one, which is not followed".to_owned(),
            Ok(found) if found.is_file() && is_manifest => return self.manifests.push((path, shown)),
            Ok(_) | Err(_) if !is_manifest => return self.others.push(shown),
            Ok(_) => "expected a file, found something else".to_owned(),
            Err(error) => format!("cannot read it: {error}"),
        };
        self.problems.push(ManifestProblem::of_file(&shown, &problem));
    }
}
