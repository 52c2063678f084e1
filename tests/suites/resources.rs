//! The definitions of the resources: what is in `crds/` is what the types make, and all of it reads well.

use std::path::Path;

use serde_json::Value;
use vmcatcher_operator::api::crds;

#[test]
fn the_definitions_in_the_folder_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let mut expected = Vec::new();
    for crd in crds() {
        let name = format!("{}.yaml", crd.metadata.name.clone().unwrap());
        let text = format!("---\n{}", serde_yaml::to_string(&crd).unwrap());
        let found = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(found == text, "crds/{name} differs: run `cargo run -p vmcatcher-operator -- crds --output crds`");
        expected.push(name);
    }
    let mut found: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn every_field_is_described_and_bounded() {
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let value = serde_json::to_value(&crd).unwrap();
        let schema = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["status"]["default"]["observedGeneration"], -1, "{kind}");
        walk(&kind, &schema["properties"]["spec"]);
        walk(&kind, &schema["properties"]["status"]);
    }
}

fn walk(path: &str, schema: &Value) {
    let described = schema["description"].as_str().is_some_and(|text| text.len() > 8);
    assert!(described, "{path} has no description");
    walk_below(path, schema);
}

fn walk_below(path: &str, schema: &Value) {
    // Conditions are Kubernetes' own type.
    if path.ends_with(".conditions") {
        return;
    }
    let bounded = |key: &str| schema[key].as_u64().is_some();
    match schema["type"].as_str() {
        Some("array") => {
            assert!(bounded("maxItems"), "{path}: an array without an end");
            walk_below(&format!("{path}[]"), &schema["items"]);
        }
        Some("string") => {
            let known = schema["enum"].is_array() || schema["format"] == "date-time";
            assert!(known || bounded("maxLength"), "{path}: a text without an end");
        }
        Some("object") => {
            for (name, below) in schema["properties"].as_object().expect(path) {
                walk(&format!("{path}.{name}"), below);
            }
        }
        Some("integer" | "boolean") => {}
        other => panic!("{path}: {other:?}"),
    }
}
