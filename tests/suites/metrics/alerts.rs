//! The alerts and the dashboard: they ask for figures that there are, and fire when they should.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// The rules as the chart fills them in, as a file of Prometheus.
fn rules(folder: &Path) -> PathBuf {
    let groups = std::fs::read_to_string(files().join("alerts.yaml")).unwrap();
    let groups = groups.replace("$job", "vmcatcher").replace("$freeBytes", "50000000000");
    let path = folder.join("rules.yaml");
    std::fs::write(&path, format!("groups:\n{groups}")).unwrap();
    path
}

/// What a test of promtool is made of: series and their values, and at which time which alerts fire.
struct Case<'a> {
    series: &'a [(&'a str, &'a str)],
    at: &'a str,
    alert: &'a str,
    fires: bool,
}

const LIST: &str = r#"job="vmcatcher", namespace="default", name="vo""#;
const FAILS: &str = "vmcatcher_list_fetch_failing_timestamp_seconds";

fn cases() -> Vec<Case<'static>> {
    let condition = |kind, reason| -> &'static str {
        format!("vmcatcher_resource_condition{{{LIST}, kind=\"{kind}\", type=\"Ready\", status=\"False\", reason=\"{reason}\"}}")
            .leak()
    };
    let failing: &str = format!("{FAILS}{{{LIST}}}").leak();
    let of = |series: &'static [(&'static str, &'static str)], at, alert, fires| Case { series, at, alert, fires };
    let one = |name: &'static str, values: &'static str| -> &'static [(&'static str, &'static str)] {
        vec![(name, values)].leak()
    };
    let not_ready = |kind, reason, fires| of(one(condition(kind, reason), "1x500"), "7h", "VmcatcherNotReady", fires);
    vec![
        // It has failed since 0, and the program was started again every few hours: the figure is absent for a while.
        of(one(failing, "0x200 _x10 0x180 _x10 0x500"), "13h", "VmcatcherListNotFetched", true),
        of(one(failing, "0x1000"), "11h", "VmcatcherListNotFetched", false),
        // The program has just been started, and the list has failed for long.
        of(one(failing, "_x780 0x60"), "13h30m", "VmcatcherListNotFetched", true),
        not_ready("Endorser", "NoCredential", true),
        not_ready("Endorser", "Hold", false),
        not_ready("Endorser", "Revoked", false),
        not_ready("ImageListSubscription", "CRLExpired", true),
        not_ready("ImageListSubscription", "EndorserNotTrusted", true),
        not_ready("ImageListSubscription", "CertificateRevoked", true),
        not_ready("ImageListSubscription", "EndorserRevoked", false),
        not_ready("ImageListSubscription", "EndorserOnHold", false),
    ]
}

const LOST: &str = r#"vmcatcher_events_lost_total{job="vmcatcher", sink="log"}"#;
const OLDEST: &str = r#"vmcatcher_events_oldest_waiting_timestamp_seconds{job="vmcatcher", sink="log"}"#;
const SPOOL: &str = r#"vmcatcher_events_spool_bytes{job="vmcatcher"}"#;
const SPOOL_LIMIT: &str = r#"vmcatcher_events_spool_limit_bytes{job="vmcatcher"}"#;

fn cases_of_events() -> Vec<Case<'static>> {
    let of = |series: &'static [(&'static str, &'static str)], at, alert, fires| Case { series, at, alert, fires };
    vec![
        of(&[(LOST, "0x60 5x60")], "1h30m", "VmcatcherEventsLost", true),
        of(&[(LOST, "0x60 5x180")], "3h", "VmcatcherEventsLost", false),
        // The spool was damaged when the program started.
        of(&[(LOST, "_x30 3x200")], "40m", "VmcatcherEventsLost", true),
        of(&[(LOST, "_x30 3x200")], "3h", "VmcatcherEventsLost", false),
        of(&[(LOST, "0x200")], "2h", "VmcatcherEventsLost", false),
        of(&[(OLDEST, "0x200")], "1h20m", "VmcatcherEventSinkFailing", true),
        of(&[(OLDEST, "0x200")], "55m", "VmcatcherEventSinkFailing", false),
        // It delivers, so another event is the oldest.
        of(&[(OLDEST, "0x60 3000x60")], "1h45m", "VmcatcherEventSinkFailing", false),
        of(&[(OLDEST, "0x30 _x200")], "2h", "VmcatcherEventSinkFailing", false),
        of(&[(SPOOL, "90x100"), (SPOOL_LIMIT, "100x100")], "10m", "VmcatcherEventSpoolNearlyFull", true),
        of(&[(SPOOL, "70x100"), (SPOOL_LIMIT, "100x100")], "10m", "VmcatcherEventSpoolNearlyFull", false),
    ]
}

/// The labels of an alert besides its severity.
fn labels(alert: &str, kind: &str) -> serde_json::Value {
    match alert {
        "VmcatcherEventSpoolNearlyFull" => serde_json::json!({}),
        "VmcatcherEventsLost" | "VmcatcherEventSinkFailing" => serde_json::json!({"sink": "log"}),
        "VmcatcherNotReady" => serde_json::json!({"namespace": "default", "name": "vo", "kind": kind}),
        _ => serde_json::json!({"namespace": "default", "name": "vo"}),
    }
}

#[test]
fn alerts_fire_when_a_person_is_needed_and_not_for_what_a_person_said() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path());
    promtool(&["check", "rules", rules.to_str().unwrap()], None);
    let alerts: serde_json::Value = serde_yaml::from_str(&std::fs::read_to_string(&rules).unwrap()).unwrap();
    let rule = |name: &str| {
        let rules = alerts["groups"][0]["rules"].as_array().unwrap().clone();
        rules.into_iter().find(|rule| rule["alert"] == name).unwrap()
    };
    let tests = cases().into_iter().chain(cases_of_events()).map(|case| {
        let series = case.series.iter().map(|(series, values)| serde_json::json!({"series": series, "values": values}));
        let kind = if case.series[0].0.contains("kind=\"Endorser\"") { "Endorser" } else { "ImageListSubscription" };
        let fill = |text: &serde_json::Value| {
            let text = text.as_str().unwrap().replace("{{ $labels.kind }}", kind);
            let text = text.replace("{{ $labels.namespace }}", "default").replace("{{ $labels.name }}", "vo");
            text.replace("{{ $labels.sink }}", "log")
        };
        let rule = rule(case.alert);
        let mut labels = labels(case.alert, kind);
        labels["severity"] = rule["labels"]["severity"].clone();
        let annotations = serde_json::json!({
            "summary": fill(&rule["annotations"]["summary"]), "description": fill(&rule["annotations"]["description"]),
        });
        let fires = serde_json::json!({"exp_labels": labels, "exp_annotations": annotations});
        let expected: Vec<_> = case.fires.then_some(fires).into_iter().collect();
        serde_json::json!({
            "interval": "1m",
            "name": format!("{} {:?}", case.alert, case.series),
            "input_series": series.collect::<Vec<_>>(),
            "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}],
        })
    });
    let document = serde_json::json!({
        "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests.collect::<Vec<_>>(),
    });
    let path = folder.path().join("tests.yaml");
    std::fs::write(&path, document.to_string()).unwrap();
    promtool(&["test", "rules", path.to_str().unwrap()], None);
}

/// The figures that an expression names: `vmcatcher_…`, and the labels that it asks of each.
fn named(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let begins: Vec<usize> = expression.match_indices("vmcatcher_").map(|(at, _)| at).collect();
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
    let groups: serde_json::Value = serde_yaml::from_str(&read("alerts.yaml")).unwrap();
    let rules = groups[0]["rules"].as_array().unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let page = std::fs::read_to_string(files().join("../../../docs/metrics.md")).unwrap();
    for rule in rules {
        assert!(page.contains(&format!("`{}`", rule["alert"].as_str().unwrap())), "{rule}");
        assert!(rule["labels"]["severity"].is_string() && rule["annotations"]["summary"].is_string(), "{rule}");
    }
    let explained = explained();
    let mut found = 0;
    for query in rules.iter().chain(targets) {
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
