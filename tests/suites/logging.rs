//! The log as JSON: each line is an object with the fields of docs/logging.md, and the page has each field of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use harness::opennebula::{Cloud, Dialect};
use harness::site::Site;
use serde_json::Value;

use crate::architecture::{is_test, product_code, sources};
use crate::reconcile::process::operator;

/// The fields of the page with their types.
fn documented() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/logging.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| field | type | |\n|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| `"));
    let row = |line: &str| -> Vec<(String, String)> {
        let mut cells = line.trim_matches('|').split(" | ");
        let (names, kinds) = (cells.next().unwrap().to_owned(), cells.next().unwrap().to_owned());
        let kinds: Vec<&str> = kinds.split(", ").map(str::trim).collect();
        let names = names.split('`').skip(1).step_by(2).map(str::to_owned).enumerate();
        // One type is that of all names in the row.
        names.map(|(index, name)| (name, kinds.get(index).unwrap_or(&kinds[0]).to_string())).collect()
    };
    rows.flat_map(row).collect()
}

/// The arguments of a macro: what is between commas that are not inside brackets or quotation marks.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut found = vec![String::new()];
    for c in call.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            '(' | '[' | '{' | '<' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' | '>' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        found.last_mut().unwrap().push(c);
    }
    found.iter().map(|argument| argument.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The names of the fields before a call's message.
fn fields(call: &str) -> BTreeSet<String> {
    let before = arguments(call).into_iter().take_while(|argument| !argument.starts_with('"'));
    let named = before.filter(|argument| !argument.starts_with("target: "));
    named.map(|argument| argument.split(" = ").next().unwrap().trim_start_matches(['%', '?']).to_owned()).collect()
}

#[test]
fn every_field_of_the_code_is_on_the_page() {
    let mut found = BTreeSet::from(["message".to_owned()]);
    let mut calls = 0;
    for (path, text) in sources("operator/src") {
        // The filters of events and the spans of traces are no lines of the log.
        if is_test(&path) {
            continue;
        }
        let code = product_code(&text);
        for level in ["trace", "debug", "info", "warn", "error"] {
            for call in code.split(&format!("tracing::{level}!(")).skip(1) {
                calls += 1;
                found.extend(fields(call));
            }
        }
    }
    assert!(calls > 100, "{calls}");
    assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), found, "on the page, and in the code");
}

/// A site where something works and something fails.
fn site(cloud: &Cloud) -> Site {
    let site = crate::metrics::site(cloud);
    site.subscribe_to("gone", &site.server.url("/gone.list"), "");
    site.manifest(
        "broken",
        "apiVersion: vmcatcher.io/v1alpha1\nkind: Endorser\nmetadata: {name: broken}\nspec: {credentialz: []}\n",
    );
    let config =
        format!("events: {{sinks: [{{name: log, file: {{path: \"{}\"}}}}]}}\n", site.path("no/events").display());
    std::fs::write(site.path("config.yaml"), config).unwrap();
    site
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "text" => value.as_str().is_some_and(|text| !text.is_empty()),
        "number" => value.is_number(),
        "true or false" => value.is_boolean(),
        other => panic!("{other:?} is no type"),
    }
}

/// Whether a line has the shape of the page.
fn check(line: &str, documented: &BTreeMap<String, String>) -> BTreeSet<String> {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let keys: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["fields", "level", "timestamp"]), "{line}");
    assert!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&event["level"].as_str().unwrap()), "{line}");
    let time = event["timestamp"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    let fields = event["fields"].as_object().unwrap();
    assert!(fields.contains_key("message"), "{line}");
    for (name, value) in fields {
        let kind = documented.get(name).unwrap_or_else(|| panic!("{name} is not documented: {line}"));
        assert!(is_of(kind, value), "{name}, expected {kind}: {line}");
    }
    if let Some(object) = fields.get("object") {
        assert!(object.as_str().unwrap().split('/').count() == 2 && fields.contains_key("kind"), "{line}");
    }
    fields.keys().cloned().collect()
}

#[test]
fn each_line_has_the_documented_fields() {
    let cloud = Cloud::start(Dialect::V7_4);
    let site = site(&cloud);
    let config = site.path("config.yaml");
    let more = ["--once", "--log-format", "json", "--verbose", "--config", config.to_str().unwrap()];
    let output = operator(&site, &more).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let documented = documented();
    let mut seen = BTreeSet::new();
    for line in told.lines() {
        seen.extend(check(line, &documented));
    }
    let expected =
        ["message", "kind", "object", "reason", "error", "url", "digest", "size", "path", "manifest", "sink", "wait"];
    let missing: Vec<_> = expected.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} in no line:\n{told}");
}
