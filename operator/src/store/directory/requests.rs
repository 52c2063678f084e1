//! Requests of users to reconcile an object now. The folder of manifests is never written, so a request is a file in
//! `requests/` of the state folder. It has the effect of the annotation on an API server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::kept::KeptProblem;
use super::objects::Objects;
use crate::api::{ObjectKey, REFRESH_REQUESTED_AT, Resource, for_each_kind};
use crate::fs::{FileError, remove, write_atomic};
use crate::store::StoreError;

/// The largest request, in bytes.
const LARGEST: u64 = 4096;

/// One request, as it is stored. An object has at most one; a newer request replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    /// The plural of the object's kind.
    resource: String,
    namespace: String,
    name: String,
    requested_at: Timestamp,
}

/// The folder of the requests, below the state folder.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("requests")
}

/// Requests that an object is reconciled now, by the running operator or else by the next run. Returns the path of the
/// request.
pub(super) fn write<K: Resource>(folder: &Path, key: &ObjectKey, now: Timestamp) -> Result<PathBuf, StoreError> {
    let request = Request {
        resource: K::plural(&()).into_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        requested_at: now,
    };
    let path = folder.join(file_name(&request));
    let text = serde_json::to_vec(&request).unwrap_or_default();
    let made = make(folder).and_then(|()| write_atomic(&path, &text, 0o644));
    made.map(|()| path).map_err(|source| StoreError::Keep { kind: K::KIND, key: key.clone(), source })
}

/// Makes the folder in an existing state folder. If the volume is not mounted, nothing is made in its place.
pub(crate) fn make(folder: &Path) -> Result<(), FileError> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(FileError::of("make the directory", folder)(error))
        }
        _ => Ok(()),
    }
}

/// One file name for each object, safe for any name.
fn file_name(request: &Request) -> String {
    let Request { resource, namespace, name, requested_at: _ } = request;
    format!("{}.json", HEXLOWER.encode(&Sha256::digest(format!("{resource}/{namespace}/{name}"))))
}

/// Adds each request to its object as an annotation. Returns the files that could not be read, which are skipped.
pub(super) fn apply(folder: &Path, objects: &mut Objects) -> Vec<KeptProblem> {
    let (requests, problems) = read_all(folder);
    for_each_kind!(K => apply_to::<K>(objects, &requests));
    problems
}

/// Removes the requests of objects that no longer exist.
pub(super) fn sweep(folder: &Path, objects: &Objects) -> Result<(), StoreError> {
    let (requests, _) = read_all(folder);
    for_each_kind!(K => sweep_of::<K>(objects, &requests)?);
    Ok(())
}

fn apply_to<K: Resource>(objects: &mut Objects, requests: &BTreeMap<PathBuf, Request>) {
    for request in requests.values().filter(|request| request.resource == *K::plural(&())) {
        let Some(object) = objects.get::<K>(&request.key()) else { continue };
        let asked = request.requested_at.to_string();
        if object.annotations().get(REFRESH_REQUESTED_AT) != Some(&asked) {
            let mut object = (*object).clone();
            object.annotations_mut().insert(REFRESH_REQUESTED_AT.to_owned(), asked);
            objects.put(object);
        }
    }
}

fn sweep_of<K: Resource>(objects: &Objects, requests: &BTreeMap<PathBuf, Request>) -> Result<(), StoreError> {
    for (path, request) in requests.iter().filter(|(_, request)| request.resource == *K::plural(&())) {
        let key = request.key();
        if objects.get::<K>(&key).is_none() {
            remove(path).map_err(|source| StoreError::Keep { kind: K::KIND, key, source })?;
        }
    }
    Ok(())
}

impl Request {
    fn key(&self) -> ObjectKey {
        ObjectKey::new(&self.namespace, &self.name)
    }
}

fn read_all(folder: &Path) -> (BTreeMap<PathBuf, Request>, Vec<KeptProblem>) {
    let (mut requests, mut problems) = (BTreeMap::new(), Vec::new());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return (requests, problems),
        Err(error) => return (requests, vec![KeptProblem { path: folder.to_owned(), message: error.to_string() }]),
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        match read(&path) {
            Ok(request) => drop(requests.insert(path, request)),
            Err(message) => problems.push(KeptProblem { path, message }),
        }
    }
    (requests, problems)
}

fn read(path: &Path) -> Result<Request, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("expected a request of at most {LARGEST} bytes, found more"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("expected a request, found {error}"))
}
