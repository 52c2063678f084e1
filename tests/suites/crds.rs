//! The definitions in crds/ are those that the types make, and every field of them says what it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vmcatcher_operator::api::crds;

fn folder(path: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn the_folder_is_what_the_program_writes() {
    let written = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_operator")).args(["crds", "--output"]).arg(written.path()).status();
    assert!(ended.unwrap().success());
    let kept = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds"));
    let written = folder(written.path());
    assert_eq!(kept.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
    for (name, text) in &written {
        assert!(
            kept.get(name) == Some(text),
            "crds/{name} differs: cargo run -p vmcatcher-operator -- crds --output crds"
        );
    }
}

/// Flux packs a chart without its symbolic links, and a copy of the chart has to work too: its definitions are files.
#[test]
fn the_chart_has_the_same_as_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = root.join("charts/vmcatcher-operator/files/crds");
    let is_file = |path: &Path| fs::symlink_metadata(path).unwrap().is_file();
    assert!(fs::symlink_metadata(&own).unwrap().is_dir());
    assert!(fs::read_dir(&own).unwrap().all(|entry| is_file(&entry.unwrap().path())));
    assert!(
        folder(&own) == folder(&root.join("crds")),
        "cargo run -p vmcatcher-operator -- crds --output charts/vmcatcher-operator/files/crds"
    );
}

/// `kubectl explain` shows a description for every field, down to the last.
#[test]
fn every_field_says_what_it_is() {
    let mut silent = Vec::new();
    let mut fields = 0;
    for crd in crds() {
        let name = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        for version in crd["spec"]["versions"].as_array().unwrap() {
            walk(&version["schema"]["openAPIV3Schema"], &name, &mut silent, &mut fields);
        }
    }
    assert!(fields > 100, "{fields} fields");
    assert!(silent.is_empty(), "without a description: {silent:#?}");
}

/// Nothing that a person or the program writes is without a bound, and numbers are in formats that API servers know: of
/// others they warn whoever applies the definitions.
#[test]
fn everything_has_a_bound_and_a_known_format() {
    let mut open = Vec::new();
    for crd in crds() {
        let name = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        bounds(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &name, &mut open);
    }
    assert!(open.is_empty(), "{open:#?}");
}

fn bounds(schema: &Value, path: &str, open: &mut Vec<String>) {
    let has = |name: &str| !schema[name].is_null();
    let format = schema["format"].as_str();
    let bounded = match schema["type"].as_str() {
        Some("string") => has("maxLength") || has("enum") || format == Some("date-time"),
        Some("array") => has("maxItems"),
        Some("object") => has("properties") || has("maxProperties"),
        Some("integer" | "number" | "boolean") => true,
        _ => schema["x-kubernetes-int-or-string"] == true && has("maxLength"),
    };
    if !bounded || !matches!(format, None | Some("date-time" | "int32" | "int64")) {
        open.push(format!("{path}: {format:?}"));
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        bounds(field, &format!("{path}.{name}"), open);
    }
    for inside in ["items", "additionalProperties"] {
        if schema[inside].is_object() {
            bounds(&schema[inside], &format!("{path}.{inside}"), open);
        }
    }
}

fn walk(schema: &Value, path: &str, silent: &mut Vec<String>, fields: &mut usize) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        *fields += 1;
        // The API server itself describes these three.
        let described = field["description"].as_str().is_some_and(|text| text.len() >= 6);
        if !described && !matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            silent.push(path.clone());
        }
        walk(field, &path, silent, fields);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], path, silent, fields);
    }
}

/// Without bounds an API server refuses rules over a field, and a hostile status could fill its store.
#[test]
fn every_text_and_list_has_an_end() {
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let value = serde_json::to_value(&crd).unwrap();
        let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1, "{kind}");
        ends(&kind, &schema["properties"]["spec"]);
        ends(&kind, &schema["properties"]["status"]);
    }
}

fn ends(path: &str, schema: &Value) {
    // Conditions are Kubernetes' own type.
    if path.ends_with(".conditions") {
        return;
    }
    let bounded = |key: &str| schema[key].as_u64().is_some();
    match schema["type"].as_str() {
        Some("array") => {
            assert!(bounded("maxItems"), "{path}: an array without an end");
            ends(&format!("{path}[]"), &schema["items"]);
        }
        Some("string") => {
            let known = schema["enum"].is_array() || schema["format"] == "date-time";
            assert!(known || bounded("maxLength"), "{path}: a text without an end");
        }
        Some("object") if schema["additionalProperties"].is_object() => {
            assert!(bounded("maxProperties"), "{path}: a map without an end");
        }
        None if schema["x-kubernetes-int-or-string"] == true => {}
        Some("object") => {
            for (name, below) in schema["properties"].as_object().expect(path) {
                ends(&format!("{path}.{name}"), below);
            }
        }
        Some("integer" | "boolean") => {}
        other => panic!("{path}: {other:?}"),
    }
}
