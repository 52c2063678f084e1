//! Reads a folder of manifests. The folder is never written, because it can be a Git checkout.

mod data;
mod definition;
mod entry;
mod files;
mod head;
mod origin;
mod problem;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::entry::{insert, insert_data};
use self::files::Files;
use self::head::{check_head, head, is_others};
use self::origin::{Origin, Refusal};
pub use self::problem::ManifestProblem;
use crate::api::{CachedImage, CloudTarget, Endorser, ImageListSubscription, ObjectKey};
use crate::store::{ConfigMapData, SecretData};
use crate::yaml::{Step, documents};

/// The largest manifest that is read, in bytes.
const LARGEST: u64 = 8 << 20;
/// The most problems that are reported for one file. A file with more is probably not a manifest, and finding the
/// position of each problem takes time.
const MOST_PROBLEMS: usize = 20;
/// The content of a folder of manifests.
#[derive(Default)]
pub(super) struct Manifests {
    /// Cloud targets by key, each with its file.
    pub targets: BTreeMap<ObjectKey, (CloudTarget, PathBuf)>,
    /// The endorsers.
    pub endorsers: BTreeMap<ObjectKey, (Endorser, PathBuf)>,
    /// The subscriptions.
    pub subscriptions: BTreeMap<ObjectKey, (ImageListSubscription, PathBuf)>,
    /// The images.
    pub images: BTreeMap<ObjectKey, (CachedImage, PathBuf)>,
    /// The Secrets.
    pub secrets: BTreeMap<ObjectKey, (SecretData, PathBuf)>,
    /// The `ConfigMap`s.
    pub config_maps: BTreeMap<ObjectKey, (ConfigMapData, PathBuf)>,
    /// The manifests that were refused, each with its file.
    pub problems: Vec<ManifestProblem>,
    /// Objects of other programs: their numbers by version and kind.
    pub others: BTreeMap<String, usize>,
    /// Files that are not read because of their names.
    pub other_files: Vec<PathBuf>,
    /// The number of problems of the current file.
    found: usize,
}

impl Manifests {
    /// Whether the folder has no object of this API group and no problem.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
            && self.endorsers.is_empty()
            && self.subscriptions.is_empty()
            && self.images.is_empty()
            && self.problems.is_empty()
    }

    /// The objects of other programs with their numbers, and the files that are not read, as text.
    pub(super) fn passed_over(&self) -> Vec<String> {
        let files = self.other_files.iter().map(|file| format!("{} (not .yaml, .yml or .json)", file.display()));
        self.others.iter().map(|(what, count)| format!("{count} {what}")).chain(files).collect()
    }

    /// Whether a file, or a folder that contains it, has a problem.
    pub(super) fn is_broken(&self, file: &Path) -> bool {
        self.problems.iter().any(|problem| file.starts_with(&problem.path))
    }

    /// Reads every `*.yaml`, `*.yml` and `*.json` below a folder, in the order of their paths. Hidden files are
    /// skipped. A file with errors does not affect other files. Fails only if the folder itself cannot be read.
    pub(super) fn read(folder: &Path) -> std::io::Result<Self> {
        let mut files = Files::below(folder)?;
        let mut manifests = Self::default();
        manifests.problems.append(&mut files.problems);
        manifests.other_files.append(&mut files.others);
        for (path, shown) in &files.manifests {
            if let Err(message) = manifests.read_file(path, shown, files.is_of_chart(path)) {
                manifests.problems.push(ManifestProblem::of_file(shown, &message));
            }
        }
        Ok(manifests)
    }

    fn read_file(&mut self, path: &Path, file: &Path, in_chart: bool) -> Result<(), String> {
        let text = read_text(path)?;
        if in_chart && text.contains("{{") {
            self.pass_over("Helm template".to_owned());
            return Ok(());
        }
        let mut blank = Vec::new();
        self.found = 0;
        for document in documents(&text) {
            let origin = Origin { file, document, path: &[], in_chart };
            match document.value() {
                Ok(Value::Null) => blank.push(origin),
                Ok(value) => {
                    self.refuse_blank(&mut blank);
                    self.take(value, origin);
                }
                Err(error) => self.refuse(origin, None, || {
                    let (line, message) = document.malformed(&error);
                    Refusal::in_line(line, message)
                }),
            }
        }
        // An empty document at the end is ignored. A file with nothing else may have been truncated, so it is an error.
        if blank.first().is_some_and(|first| first.document.number == 1) {
            return Err("expected manifests, found an empty file; remove the file to remove what it held".to_owned());
        }
        match self.found.checked_sub(MOST_PROBLEMS) {
            Some(more @ 1..) => Err(format!("{more} more problems of this file are not shown")),
            Some(0) | None => Ok(()),
        }
    }

    fn refuse_blank(&mut self, blank: &mut Vec<Origin<'_>>) {
        for origin in blank.drain(..) {
            let message = "expected a manifest, found an empty document; take out one ---";
            self.refuse(origin, None, || Refusal::in_line(origin.document.line, message));
        }
    }

    /// Adds a problem, up to [`MOST_PROBLEMS`] for each file.
    fn refuse(&mut self, origin: Origin<'_>, object: Option<&str>, refusal: impl FnOnce() -> Refusal) {
        self.found += 1;
        if self.found <= MOST_PROBLEMS {
            self.problems.push(origin.problem(object, refusal()));
        }
    }

    fn pass_over(&mut self, what: String) {
        *self.others.entry(what).or_default() += 1;
    }

    /// Adds an object, or all objects of a List.
    fn take(&mut self, value: Value, origin: Origin<'_>) {
        let (version, kind) = match head(&value, origin) {
            Ok(Some(head)) => head,
            Ok(None) => return self.pass_over("file of a chart or a kustomization".to_owned()),
            Err(refusal) => return self.refuse(origin, None, || refusal),
        };
        if (version.as_str(), kind.as_str()) == ("v1", "List") {
            return self.take_items(value, origin);
        }
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let taken = match (version.as_str(), kind.as_str()) {
            ("v1", "Secret") => insert_data(&mut self.secrets, value, origin, data::secret),
            ("v1", "ConfigMap") => insert_data(&mut self.config_maps, value, origin, data::config_map),
            (version, kind) if is_others(version, kind) => {
                return self.pass_over(format!("{version} {kind}"));
            }
            (version, kind) => match check_head(version, kind) {
                Err(refusal) => Err(vec![refusal]),
                Ok(()) => match kind {
                    "CloudTarget" => insert(&mut self.targets, &value, origin),
                    "Endorser" => insert(&mut self.endorsers, &value, origin),
                    "ImageListSubscription" => insert(&mut self.subscriptions, &value, origin),
                    _ => insert(&mut self.images, &value, origin),
                },
            },
        };
        let object = if name.is_empty() { kind } else { format!("{kind} {name}") };
        for refusal in taken.err().into_iter().flatten() {
            self.refuse(origin, Some(&object), || refusal);
        }
    }

    fn take_items(&mut self, mut value: Value, origin: Origin<'_>) {
        let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) else {
            let refusal = Refusal::at("items", "expected a list of manifests, found none");
            return self.refuse(origin, Some("List"), || Refusal { key: true, ..refusal });
        };
        for (index, item) in items.into_iter().enumerate() {
            let path = [origin.path, &[Step::Field("items".to_owned()), Step::Item(index)]].concat();
            self.take(item, Origin { path: &path, ..origin });
        }
    }
}

/// Every manifest file below a folder, sorted by path.
pub(super) fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    Ok(Files::below(folder)?.manifests.into_iter().map(|(path, _)| path).collect())
}

/// The text of a file, without a byte order mark.
fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot read it: {error}");
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(format!("expected a manifest of at most {LARGEST} bytes, found {size}"));
    }
    let text = String::from_utf8(fs::read(path).map_err(unreadable)?).map_err(|error| {
        let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = 1 + good.matches('\n').count();
        format!("expected UTF-8, found other bytes in line {line}")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests;
