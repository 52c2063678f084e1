//! The chart's own papers: its README is made from values.yaml, each value has a comment and an entry in the schema.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap()
}

#[test]
fn the_readme_is_made_from_the_values() {
    let made = Command::new(workspace().join("config/chart-readme")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout).unwrap();
    assert!(made == read("charts/vmcatcher-operator/README.md"), "run config/generate");
    let rows: Vec<&str> = made.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 100, "{}", rows.len());
    for row in rows {
        let comment = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(comment.len() > 5 && !comment.starts_with('`'), "without a comment: {row}");
    }
}

/// The names of all values below one. A value of the user's own names (labels, limits) is one value.
fn names(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value.as_object().filter(|object| !object.is_empty() && !OWN_NAMES.contains(&path)) {
        Some(object) => {
            for (name, below) in object {
                names(below, &[path, name].join(if path.is_empty() { "" } else { "." }), found);
            }
        }
        None => {
            found.insert(path.to_owned());
        }
    }
}

/// Values whose names are the user's.
const OWN_NAMES: [&str; 3] = ["resources.requests", "resources.limits", "metrics.dashboard.labels"];

/// The same of the schema. Every object with known names takes no others.
fn described(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object().filter(|_| !WHOLE.contains(&path)) else {
        found.insert(path.to_owned());
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{path}: a mistyped name is refused");
    for (name, below) in properties {
        described(below, &[path, name].join(if path.is_empty() { "" } else { "." }), found);
    }
}

/// Values that are a whole object of Kubernetes, or a file.
const WHOLE: [&str; 3] = ["affinity", "config", "dnsConfig"];

#[test]
fn the_schema_has_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&read("charts/vmcatcher-operator/values.schema.json")).unwrap();
    let values: Value = serde_yaml::from_str(&read("charts/vmcatcher-operator/values.yaml")).unwrap();
    let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
    names(&values, "", &mut expected);
    described(&schema, "", &mut found);
    // `global` is Helm's own, and claims of resources are rare.
    found.retain(|name| name != "global" && name != "resources.claims");
    assert_eq!(found, expected, "values.schema.json, and values.yaml");
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart: Value = serde_yaml::from_str(&read("charts/vmcatcher-operator/Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let kinds = chart["annotations"]["artifacthub.io/crds"].as_str().unwrap();
    let kinds: Vec<Value> = serde_yaml::from_str(kinds).unwrap();
    let named: BTreeSet<&str> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    let all = vmcatcher_operator::api::crds();
    assert_eq!(named, all.iter().map(|crd| crd.spec.names.kind.as_str()).collect());
}
