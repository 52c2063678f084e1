//! Each value of the chart: setting it has an effect, a value of another type is refused, and a release that is older
//! than the value is upgraded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use harness::control_plane::ControlPlane;
use serde_json::{Value, json};

use super::chart::{helm, rendered, told, workspace};

/// A line of tests/data/chart/effects.
struct Effect {
    path: String,
    set: Value,
    others: Value,
    object: (String, String),
    pointer: String,
    expected: Expected,
}

/// What is at the pointer with the value, and not without it.
enum Expected {
    Is(Value),
    /// An array with this element, or with an object that has this text as a field.
    Has(Value),
    Nothing,
}

impl Expected {
    fn holds(&self, found: Option<&Value>) -> bool {
        match self {
            Self::Is(value) => found == Some(value),
            Self::Has(value) => found.and_then(Value::as_array).is_some_and(|all| {
                all.iter()
                    .any(|one| one == value || one.as_object().is_some_and(|one| one.values().any(|v| v == value)))
            }),
            Self::Nothing => found.is_none(),
        }
    }
}

fn parsed(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn effects() -> Vec<Effect> {
    let text = std::fs::read_to_string(workspace().join("tests/data/chart/effects")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let effect = |line: &str| {
        let cells: Vec<&str> = line.split(" |").map(str::trim).collect();
        let [path, set, others, object, pointer, expected] = cells[..] else { panic!("{line}") };
        let (kind, name) = object.split_once('/').unwrap();
        let expected = match expected.strip_prefix("+ ") {
            Some(element) => Expected::Has(element_of(element)),
            None if expected.is_empty() => Expected::Nothing,
            None => Expected::Is(parsed(expected)),
        };
        let object = (kind.to_owned(), name.to_owned());
        Effect {
            path: path.to_owned(),
            set: parsed(set),
            others: parsed(others),
            object,
            pointer: pointer.to_owned(),
            expected,
        }
    };
    lines.map(effect).collect()
}

/// An element is an object or a text; a text may have the characters of YAML.
fn element_of(text: &str) -> Value {
    if text.starts_with('{') { parsed(text) } else { text.into() }
}

/// The values of `others` with the value of this name, and those that every rendering needs.
fn values(others: &Value, set: Option<(&str, &Value)>) -> Value {
    let mut all = json!({"image": {"repository": "x"}});
    merge(&mut all, others);
    if let Some((path, value)) = set {
        let nested = path.rsplit('.').fold(value.clone(), |value, name| json!({ name: value }));
        merge(&mut all, &nested);
    }
    all
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// The names of all values, with their defaults: the rows of the chart's README, whose defaults are YAML.
fn documented() -> BTreeMap<String, Value> {
    let readme = std::fs::read_to_string(workspace().join("charts/vmcatcher-operator/README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    let row = |(name, rest): (&str, &str)| (name.to_owned(), parsed(rest.split_once("` | ").unwrap().0));
    rows.map(row).collect()
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn each_value_has_its_effect() {
    let plane = ControlPlane::shared().await;
    let effects = effects();
    let named: BTreeSet<&String> = effects.iter().map(|effect| &effect.path).collect();
    assert_eq!(named, documented().keys().collect(), "the values that are tried, and those that there are");
    let mut without = BTreeMap::new();
    for effect in &effects {
        let found = |all: &BTreeMap<(String, String), Value>| {
            let object = all.get(&effect.object);
            let found = object.and_then(|object| object.pointer(&effect.pointer)).cloned();
            (effect.expected.holds(found.as_ref()), found)
        };
        let with = rendered(plane, &values(&effect.others, Some((&effect.path, &effect.set))).to_string());
        let (holds, shown) = found(&with);
        assert!(holds, "{}: {shown:?}", effect.path);
        let plain = values(&effect.others, None).to_string();
        let plain = without.entry(plain.clone()).or_insert_with(|| rendered(plane, &plain));
        assert!(!found(plain).0, "{} has no effect of its own", effect.path);
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_value_of_another_type_is_refused() {
    let plane = ControlPlane::shared().await;
    for (path, default) in documented() {
        let wrong = if default.is_array() { json!("text") } else { json!([["text"]]) };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), values(&json!({}), Some((&path, &wrong))).to_string()).unwrap();
        let output =
            helm(plane, &["template", "site", "charts/vmcatcher-operator", "--values", file.path().to_str().unwrap()]);
        let told = told(&output);
        assert!(!output.status.success() && told.contains(&path), "{path}: {told}");
        assert!(told.contains("values don't meet the specifications of the schema"), "{path}: {told}");
    }
}

/// The values that the first chart did not have, as `helm upgrade --reuse-values` leaves them out.
const NEWER: [&str; 29] = [
    "crds",
    "nameOverride",
    "fullnameOverride",
    "commonLabels",
    "extraEnv",
    "extraEnvFrom",
    "extraArgs",
    "extraVolumes",
    "extraVolumeMounts",
    "initContainers",
    "rbac",
    "podAntiAffinity",
    "topologySpreadConstraints",
    "priorityClassName",
    "runtimeClassName",
    "hostAliases",
    "dnsPolicy",
    "dnsConfig",
    "podLabels",
    "revisionHistoryLimit",
    "terminationGracePeriodSeconds",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
    "image.registry",
    "image.digest",
    "metrics.podMonitor",
    "metrics.rules.runbookURL",
    "serviceAccount.create",
];

/// Takes a value out of the file of values.
fn take(values: &mut Value, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer = parent.split('.').filter(|part| !part.is_empty()).fold(String::new(), |path, part| path + "/" + part);
    let taken = values.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(name);
    assert!(taken.is_some(), "{path}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs a control plane: tests/run makes one"]
async fn a_release_that_is_older_than_the_values_stays_as_it_is() {
    let plane = ControlPlane::shared().await;
    let older = tempfile::tempdir().unwrap();
    copy(&workspace().join("charts/vmcatcher-operator"), older.path());
    let file = older.path().join("values.yaml");
    let mut values = parsed(&std::fs::read_to_string(&file).unwrap());
    for path in NEWER {
        take(&mut values, path);
    }
    std::fs::write(&file, values.to_string()).unwrap();
    let more = [
        "--skip-tests",
        "--set",
        "image.repository=x,replicas=2,leaderElection.enabled=true,volume.existingClaim=v,metrics.service.enabled=true",
        "--set",
        "metrics.serviceMonitor.enabled=true,metrics.rules.enabled=true,metrics.dashboard.enabled=true",
    ];
    let render = |chart: &str, last: &[&str]| {
        let output = helm(plane, &[&["template", "site", chart][..], &more, last].concat());
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    // Definitions that are there already are left as they are.
    let today = render("charts/vmcatcher-operator", &["--set", "crds.enabled=false"]);
    assert_eq!(render(older.path().to_str().unwrap(), &[]), today);
}
