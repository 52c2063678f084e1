//! Which files of a folder are manifests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::problem::ManifestProblem;

/// What lies below a folder.
#[derive(Default)]
pub(super) struct Files {
    /// `*.yaml`, `*.yml` and `*.json`, each with how it is called from the folder's root, in order.
    pub manifests: Vec<(PathBuf, PathBuf)>,
    /// Files of other names, which are not read.
    pub others: Vec<PathBuf>,
    /// What cannot be read.
    pub problems: Vec<ManifestProblem>,
    charts: BTreeSet<PathBuf>,
}

impl Files {
    /// Finds them. What begins with a dot is passed over. The folder itself being unreadable is the error.
    pub(super) fn below(folder: &Path) -> std::io::Result<Self> {
        let mut files = Self::default();
        files.collect(folder, folder)?;
        files.manifests.sort();
        files.others.sort();
        Ok(files)
    }

    /// Whether a file belongs to a Helm chart: a folder with a `Chart.yaml`.
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
            // As annotations and messages name it.
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

    /// Adds what is no folder. Links to files are followed, as a mounted ConfigMap needs it; links to folders are not,
    /// so that there is no circle.
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
