//! Reads a folder of manifests. It may be a Git checkout: nothing is ever written to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::Value;

use crate::api::{CachedImage, CloudTarget, Endorser, GROUP, ImageListSubscription, VERSION};
use crate::cache::SafeName;
use crate::reconcile::{ConfigMapData, ObjectKey, Resource, SecretData};

/// The largest manifest that is read, in bytes.
const LARGEST: u64 = 8 << 20;
/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// What a folder of manifests says.
#[derive(Default)]
pub(super) struct Manifests {
    /// The targets, by key, each with its file.
    pub targets: BTreeMap<ObjectKey, (CloudTarget, PathBuf)>,
    /// The endorsers.
    pub endorsers: BTreeMap<ObjectKey, (Endorser, PathBuf)>,
    /// The subscriptions.
    pub subscriptions: BTreeMap<ObjectKey, (ImageListSubscription, PathBuf)>,
    /// The images.
    pub images: BTreeMap<ObjectKey, (CachedImage, PathBuf)>,
    /// The Secrets.
    pub secrets: BTreeMap<ObjectKey, SecretData>,
    /// The `ConfigMap`s.
    pub config_maps: BTreeMap<ObjectKey, ConfigMapData>,
    /// What could not be taken, each with its file.
    pub problems: Vec<ManifestProblem>,
}

/// A file, or a document in it, that could not be taken. What it said before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct ManifestProblem {
    /// The file, from the folder's root.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub message: String,
}

impl Manifests {
    /// Whether the folder held nothing at all that is ours.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
            && self.endorsers.is_empty()
            && self.subscriptions.is_empty()
            && self.images.is_empty()
            && self.problems.is_empty()
    }

    /// Whether a file had a document that could not be taken.
    pub(super) fn is_broken(&self, file: &Path) -> bool {
        self.problems.iter().any(|problem| problem.path == file)
    }

    /// Reads every `*.yaml`, `*.yml` and `*.json` below a folder, in the order of their paths; what begins with a dot
    /// is passed over. A bad file costs only what it holds. The folder itself being unreadable is the error.
    pub(super) fn read(folder: &Path) -> std::io::Result<Self> {
        let mut manifests = Self::default();
        for file in files(folder)? {
            let shown = file.strip_prefix(folder).unwrap_or(&file).to_owned();
            if let Err(message) = manifests.read_file(&file, &shown) {
                manifests.problems.push(ManifestProblem { path: shown, message });
            }
        }
        Ok(manifests)
    }

    fn read_file(&mut self, file: &Path, shown: &Path) -> Result<(), String> {
        let size = fs::metadata(file).map_err(|error| error.to_string())?.len();
        if size > LARGEST {
            return Err(format!("expected a manifest of at most {LARGEST} bytes, found {size}"));
        }
        let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
        let mut failures = Vec::new();
        for (number, document) in serde_yaml::Deserializer::from_str(&text).enumerate() {
            // A syntax error ends the file: there is no telling where the next document begins.
            let value = Value::deserialize(document).map_err(|error| error.to_string())?;
            if let Err(message) = self.take(value, shown) {
                failures.push(format!("document {}: {message}", number + 1));
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
    }

    fn take(&mut self, value: Value, file: &Path) -> Result<(), String> {
        let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (field("apiVersion"), field("kind"));
        if kind == "List" {
            let items = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            return items.into_iter().try_for_each(|item| self.take(item, file));
        }
        match (version.as_str(), kind.as_str()) {
            ("v1", "Secret") => return self.take_secret(value),
            ("v1", "ConfigMap") => return self.take_config_map(value),
            (version, _) if !version.starts_with(&format!("{GROUP}/")) => return Ok(()), // other people's
            (version, _) if version != format!("{GROUP}/{VERSION}") => {
                return Err(format!("expected apiVersion {GROUP}/{VERSION}, found {version}"));
            }
            _ => {}
        }
        match kind.as_str() {
            "CloudTarget" => insert(&mut self.targets, value, file),
            "Endorser" => insert(&mut self.endorsers, value, file),
            "ImageListSubscription" => insert(&mut self.subscriptions, value, file),
            "CachedImage" => insert(&mut self.images, value, file),
            other => Err(format!(
                "expected Endorser, ImageListSubscription, CachedImage or CloudTarget, found kind {other:?}"
            )),
        }
    }

    fn take_config_map(&mut self, value: Value) -> Result<(), String> {
        let map: ConfigMap =
            serde_json::from_value(value).map_err(|error| format!("expected a v1 ConfigMap: {error}"))?;
        let key = key_of(&map)?;
        let binary = map.binary_data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0));
        let text = map.data.unwrap_or_default().into_iter().map(|(name, text)| (name, text.into_bytes()));
        self.config_maps.insert(key, binary.chain(text).collect());
        Ok(())
    }

    fn take_secret(&mut self, value: Value) -> Result<(), String> {
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Nothing of a Secret's content may stand in an error, so the parser's own words are not repeated.
        let secret: Secret =
            serde_json::from_value(value).map_err(|_| format!("Secret {name:?} has not the form of a v1 Secret"))?;
        let key = key_of(&secret)?;
        let encoded = secret.data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0));
        let plain = secret.string_data.unwrap_or_default().into_iter().map(|(name, text)| (name, text.into_bytes()));
        self.secrets.insert(key, encoded.chain(plain).map(|(name, bytes)| (name, bytes.into())).collect());
        Ok(())
    }
}

/// Every manifest file below a folder, in the order of their paths.
pub(super) fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect_files(folder, &mut files)?;
    files.sort();
    Ok(files)
}

/// All manifest files below a folder. Symbolic links are followed as a mounted ConfigMap needs it, but never in a circle.
fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect_files(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn insert<K: Resource>(table: &mut BTreeMap<ObjectKey, (K, PathBuf)>, value: Value, file: &Path) -> Result<(), String> {
    let mut unknown = Vec::new();
    let mut object: K = serde_ignored::deserialize(value, |path| unknown.push(path.to_string()))
        .map_err(|error| format!("{}: {error}", K::kind(&())))?;
    let key = key_of(&object)?;
    let others = ["apiVersion", "kind", "status"]; // read above, or the program's own
    unknown.retain(|path| !path.starts_with("metadata.") && !others.iter().any(|other| path.starts_with(other)));
    if !unknown.is_empty() {
        let fields = unknown.join(", ");
        return Err(format!("{} {key}: expected only fields of this version, found {fields}", K::kind(&())));
    }
    if let Some((_, other)) = table.get(&key) {
        return Err(format!("{} {key} stands in {} already", K::kind(&()), other.display()));
    }
    object.meta_mut().namespace = Some(key.namespace.clone());
    table.insert(key, (object, file.to_owned()));
    Ok(())
}

fn key_of(object: &impl ResourceExt) -> Result<ObjectKey, String> {
    let name = object.meta().name.clone().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    for (field, text) in [("name", &name), ("namespace", &namespace)] {
        text.parse::<SafeName>().map_err(|error| format!("metadata.{field}: {error}"))?;
    }
    Ok(ObjectKey { namespace, name })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn read(files: &[(&str, &str)]) -> Manifests {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Manifests::read(folder.path()).unwrap()
    }

    const ENDORSER: &str = "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: egi}\nspec: {credentials: \
                            [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}]}\n";

    #[test]
    fn several_documents_and_folders_are_read_and_other_peoples_passed_over() {
        let both = format!("{ENDORSER}---\n{}", ENDORSER.replace("egi", "other"));
        let manifests = read(&[
            ("trust/endorsers.yaml", &both),
            ("app/deployment.yml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"),
            (".git/config.yaml", "not: [closed"),
            ("README.md", "not: [closed"),
        ]);
        assert_eq!(manifests.problems, vec![]);
        let names: Vec<String> = manifests.endorsers.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["default/egi", "default/other"]);
    }

    #[test]
    fn a_bad_document_costs_itself_and_says_where() {
        let cases = [
            ("spec: {credentials: [{name: a, x509: {subject: /CN=a, issuer: /CN=b}}], crlpolicy: Ignore}", "crlpolicy"),
            ("spec: {}", "credentials"),
            ("spec: {credentials: 5}", "invalid type"),
            ("", "spec"),
        ];
        for (spec, expected) in cases {
            let bad = format!("apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {{name: bad}}\n{spec}\n");
            let manifests = read(&[("a.yaml", &format!("{bad}---\n{ENDORSER}")), ("b.yaml", "a: [b")]);
            let told: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
            assert!(told[0].starts_with("a.yaml: document 1: ") && told[0].contains(expected), "{told:?}");
            assert!(told[1].starts_with("b.yaml: "), "{told:?}");
            assert_eq!(manifests.endorsers.len(), 1, "{spec}");
        }
    }

    #[test]
    fn names_that_are_no_names_are_refused() {
        for name in ["../x", "A", "", "a/b"] {
            let manifests = read(&[("a.yaml", &ENDORSER.replace("name: egi", &format!("name: {name:?}")))]);
            assert!(manifests.problems[0].message.contains("metadata.name"), "{:?}", manifests.problems);
        }
        let twice = read(&[("a.yaml", ENDORSER), ("b.yaml", ENDORSER)]);
        assert_eq!(twice.problems[0].to_string(), "b.yaml: document 1: Endorser default/egi stands in a.yaml already");
    }

    #[test]
    fn a_secret_is_read_in_both_forms_and_never_told() {
        use secrecy::ExposeSecret;
        let encoded = STANDARD.encode("s3cret");
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: t}}\ndata: {{a: {encoded}}}\nstringData: {{b: plain}}\n"
        );
        let manifests = read(&[("a.yaml", &text)]);
        let secret = &manifests.secrets[&ObjectKey::new("default", "t")];
        assert_eq!((secret["a"].expose_secret(), secret["b"].expose_secret()), (&b"s3cret"[..], &b"plain"[..]));
        let bad = read(&[("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\ndata: {a: s3cret!}\n")]);
        assert!(!bad.problems[0].to_string().contains("s3cret"), "{:?}", bad.problems);
    }
}
