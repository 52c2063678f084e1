//! A registry whose answers a test chooses: the image server with the paths of the distribution API. It has the referrers
//! API, which Debian's registry lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{INDEX, MANIFEST, Registry, digest};
use crate::image_server::{ImageServer, Resource};

/// The registry.
pub struct ScriptedRegistry<'a> {
    /// Where it answers. A test may put another answer on any path.
    pub server: &'a ImageServer,
    /// Whether it has the referrers API.
    pub referrers: bool,
    tags: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl<'a> ScriptedRegistry<'a> {
    /// An empty registry on a server.
    pub fn new(server: &'a ImageServer, referrers: bool) -> Self {
        Self { server, referrers, tags: Mutex::default() }
    }

    /// Removes a tag.
    pub fn untag(&self, repository: &str, tag: &str) {
        self.change_tags(repository, |tags| {
            tags.remove(tag);
        });
        self.server.put(&format!("/v2/{repository}/manifests/{tag}"), Resource::status(404));
    }

    /// The path of a manifest.
    pub fn manifest_path(repository: &str, reference: &str) -> String {
        format!("/v2/{repository}/manifests/{reference}")
    }

    fn change_tags(&self, repository: &str, change: impl FnOnce(&mut BTreeSet<String>)) {
        let mut all = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let tags = all.entry(repository.to_owned()).or_default();
        change(tags);
        let list = json!({"name": repository, "tags": tags}).to_string();
        self.server.put(&format!("/v2/{repository}/tags/list"), Resource::bytes(list));
    }

    /// Adds a manifest with a subject to the referrers of the subject.
    fn refer(&self, repository: &str, manifest: &[u8]) {
        let Ok(read) = serde_json::from_slice::<Value>(manifest) else { return };
        let Some(subject) = read.pointer("/subject/digest").and_then(Value::as_str) else { return };
        let one = json!({
            "mediaType": MANIFEST, "digest": digest(manifest), "size": manifest.len(), "artifactType": read["artifactType"],
        });
        if self.referrers {
            self.put_index(&format!("/v2/{repository}/referrers/{subject}"), &[one]);
        } else {
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]}).to_string();
            self.put_manifest(repository, &subject.replace(':', "-"), INDEX, index.as_bytes());
        }
    }

    /// Puts an index on a path.
    pub fn put_index(&self, path: &str, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.server.put(path, Resource::bytes(index.to_string()).header("Content-Type", INDEX));
    }
}

impl Registry for ScriptedRegistry<'_> {
    fn host(&self) -> String {
        self.server.address().to_string()
    }

    fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let digest = digest(bytes);
        let resource = Resource::bytes(bytes).etag(&format!("\"{digest}\""));
        self.server.put(&format!("/v2/{repository}/blobs/{digest}"), resource);
    }

    fn put_manifest(&self, repository: &str, reference: &str, kind: &str, bytes: &[u8]) {
        let digest = digest(bytes);
        let resource = Resource::bytes(bytes).header("Content-Type", kind).header("Docker-Content-Digest", &digest);
        for reference in [reference, &digest] {
            self.server.put(&Self::manifest_path(repository, reference), resource.clone());
        }
        if self.referrers {
            let path = format!("/v2/{repository}/referrers/{digest}");
            if self.server.has(&path) {
                return self.tagged(repository, reference, bytes);
            }
            self.put_index(&path, &[]);
        }
        self.tagged(repository, reference, bytes);
    }
}

impl ScriptedRegistry<'_> {
    fn tagged(&self, repository: &str, reference: &str, bytes: &[u8]) {
        if !reference.starts_with("sha256:") {
            self.change_tags(repository, |tags| {
                tags.insert(reference.to_owned());
            });
        }
        self.refer(repository, bytes);
    }
}

impl ScriptedRegistry<'_> {
    /// From now on every path wants this token, and says where it is had.
    pub fn lock(&self, challenge: &str, token: &str) {
        self.server.change_all(|resource| resource.bearer(token).header("WWW-Authenticate", challenge));
    }
}
