//! The alerts and the dashboard: they ask for figures that there are, and fire when they should.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::explained;

/// Runs promtool, which `tests/run` gets and names in `$PROMTOOL`; where there is none, nothing is checked by it.
pub(super) fn promtool(arguments: &[&str], input: Option<&str>) {
    let program = std::env::var_os("PROMTOOL");
    let mut command = Command::new(program.as_deref().unwrap_or_else(|| "promtool".as_ref()));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if program.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return eprintln!("promtool is not here: it checks nothing");
        }
        Err(error) => panic!("{error}"),
    };
    child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&told));
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/vmcatcher-operator/files")
}

/// Where the pages of runbooks are, in these tests.
const RUNBOOK: &str = "https://docs.example.org/runbook.md";

/// The rules as the chart fills them in, as a file of Prometheus.
fn rules(folder: &Path) -> PathBuf {
    let groups = std::fs::read_to_string(files().join("alerts.yaml")).unwrap();
    let groups =
        groups.replace("$job", "vmcatcher").replace("$freeBytes", "50000000000").replace("$runbookURL", RUNBOOK);
    let path = folder.join("rules.yaml");
    std::fs::write(&path, format!("groups:\n{groups}")).unwrap();
    path
}

/// The alerts of the chart's file, by name.
fn alerts() -> BTreeMap<String, Value> {
    let groups: Value = serde_yaml::from_str(&std::fs::read_to_string(files().join("alerts.yaml")).unwrap()).unwrap();
    let rules = groups[0]["rules"].as_array().unwrap().clone();
    rules.into_iter().map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule)).collect()
}

/// What is fed to promtool: series and their values, and which alert fires at a time, or does not.
fn cases() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/alerts/cases.yaml");
    serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// An annotation of a rule as Prometheus fills it in.
fn filled(text: &Value, case: &Value) -> String {
    let text = text.as_str().unwrap().replace("$runbookURL", RUNBOOK);
    let value = case["value"].as_str().unwrap_or("none");
    let text = text.replace("{{ $value | humanize1024 }}", value).replace("{{ $value }}", value);
    let labels = case["fires"].as_object().unwrap().iter();
    labels.fold(text, |text, (name, value)| text.replace(&format!("{{{{ $labels.{name} }}}}"), value.as_str().unwrap()))
}

/// A case as a test of promtool.
fn tested(case: &Value, rule: &Value) -> Value {
    let series = case["series"].as_object().unwrap().iter();
    let series = series.map(|(series, values)| json!({"series": series, "values": values.as_str().unwrap()}));
    let expected = case["fires"].as_object().map(|labels| {
        let mut labels = labels.clone();
        labels.insert("severity".to_owned(), rule["labels"]["severity"].clone());
        let annotations = rule["annotations"].as_object().unwrap().iter();
        let annotations = annotations.map(|(name, text)| (name.clone(), Value::String(filled(text, case))));
        json!({"exp_labels": labels, "exp_annotations": annotations.collect::<serde_json::Map<_, _>>()})
    });
    let alert = json!({
        "eval_time": case["at"], "alertname": case["alert"], "exp_alerts": expected.into_iter().collect::<Vec<_>>()
    });
    let name = format!("{} at {}", case["alert"], case["at"]);
    json!({"interval": "1m", "name": name, "input_series": series.collect::<Vec<_>>(), "alert_rule_test": [alert]})
}

#[test]
fn alerts_fire_when_a_person_is_needed_and_not_for_what_a_person_said() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path());
    promtool(&["check", "rules", rules.to_str().unwrap()], None);
    let (alerts, cases) = (alerts(), cases());
    for name in alerts.keys() {
        let of = |fires: bool| cases.iter().any(|case| case["alert"] == **name && case["fires"].is_object() == fires);
        assert!(of(true) && of(false), "{name}: one case that fires, and one that does not");
    }
    let tests = cases.iter().map(|case| tested(case, &alerts[case["alert"].as_str().unwrap()]));
    let document = json!({
        "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests.collect::<Vec<_>>(),
    });
    let path = folder.path().join("tests.yaml");
    std::fs::write(&path, document.to_string()).unwrap();
    promtool(&["test", "rules", path.to_str().unwrap()], None);
}

#[test]
fn each_alert_has_a_section_of_the_runbook() {
    let page = std::fs::read_to_string(files().join("../../../docs/runbook.md")).unwrap();
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    assert_eq!(
        sections.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        alerts.keys().cloned().collect()
    );
    for (name, rule) in &alerts {
        let anchor = format!("$runbookURL#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], anchor, "{name}");
        let (_, text) = page.split_once(&format!("## {name}\n\n")).unwrap();
        assert!(text.split("\n## ").next().unwrap().len() > 60, "{name}");
    }
}

/// The figures that an expression names: `vmcatcher_…` and `process_…`, and the labels that it asks of each.
fn named(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let begins = ["vmcatcher_", "process_"].into_iter().flat_map(|prefix| expression.match_indices(prefix));
    let begins: Vec<usize> = begins.map(|(at, _)| at).collect();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let one = |at: usize| {
        let rest = &expression[at..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let label = |matcher: &str| matcher.split(['=', '!']).next().unwrap_or_default().trim().to_owned();
        let labels = matchers.split(',').map(label).filter(|label| !label.is_empty() && label != "job").collect();
        (name.strip_suffix("_bucket").unwrap_or(name).to_owned(), labels)
    };
    begins.into_iter().map(one).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_figures_that_there_are() {
    let read = |name: &str| std::fs::read_to_string(files().join(name)).unwrap();
    let alerts = alerts();
    let rules = alerts.values();
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let page = std::fs::read_to_string(files().join("../../../docs/metrics.md")).unwrap();
    for rule in rules.clone() {
        assert!(page.contains(&format!("`{}`", rule["alert"].as_str().unwrap())), "{rule}");
        assert!(rule["labels"]["severity"].is_string() && rule["annotations"]["summary"].is_string(), "{rule}");
    }
    let explained = explained();
    let mut found = 0;
    for query in rules.chain(targets) {
        let expression = query["expr"].as_str().unwrap();
        let figures = named(expression);
        assert!(!figures.is_empty(), "{expression}");
        for (name, labels) in figures {
            let known = explained.get(&name).unwrap_or_else(|| panic!("{name} in {expression}"));
            assert!(labels.is_subset(known), "{labels:?} of {name} in {expression}");
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}
