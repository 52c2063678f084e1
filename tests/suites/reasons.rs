//! Every reason that a condition or an event can have is told of in docs/, with what it means.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::architecture::{is_test, product_code, sources};

/// Words of the same form that are no reasons.
const OTHERS: &[&str] = &[
    // Types of conditions.
    "CRLsFresh",
    "Cached",
    "ClockSkewDetected",
    "CredentialExpiring",
    "Endorsed",
    "FetchFailed",
    "ImagesReady",
    "Ready",
    "Reconciling",
    "RemovalBlocked",
    "RequestIgnored",
    "SourceVerified",
    "Stalled",
    // Statuses of conditions, and what a status calls a version or a step.
    "Archived",
    "Convert",
    "Download",
    "False",
    "True",
    "Unpack",
    "Unknown",
    // Kinds, and values of fields.
    "CachedImage",
    "CloudTarget",
    "ConfigMap",
    "Endorser",
    "ImageListSubscription",
    "List",
    "Opaque",
    "OpenNebula",
    "Path",
    "Secret",
    "Warning",
    "Normal",
    // Words by which Glance says that something uses an image.
    "InUse",
    // A cause by which an API server refuses.
    "NamespaceTerminating",
];

/// Where reasons come from: the reconcilers, and the errors that they repeat.
fn speaks_of_reasons(path: &Path) -> bool {
    let path = path.to_string_lossy();
    let errors = ["error.rs", "refusal.rs", "cloud/reason.rs", "store/kubernetes/call.rs"];
    path.contains("/reconcile/") || errors.iter().any(|end| path.ends_with(end))
}

/// Text literals that are one word in the form of a reason: CamelCase, letters alone.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let form = |word: &&str| {
        word.len() > 3
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphabetic())
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(form)
}

#[test]
fn every_reason_is_explained() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let told: String = ["resources.md", "opennebula.md", "openstack.md", "progress.md"]
        .iter()
        .map(|name| fs::read_to_string(docs.join(name)).unwrap())
        .collect();
    let mut missing = BTreeMap::new();
    let mut found = 0;
    for (path, text) in sources("operator/src") {
        if !speaks_of_reasons(&path) || is_test(&path) {
            continue;
        }
        for word in words(&product_code(&text)).filter(|word| !OTHERS.contains(word)) {
            found += 1;
            if !told.contains(&format!("`{word}`")) && !told.contains(&format!(" {word}`")) {
                missing.insert(word.to_owned(), path.clone());
            }
        }
    }
    assert!(found > 100, "{found} reasons");
    assert!(missing.is_empty(), "not in the pages on reasons: {missing:#?}");
}
