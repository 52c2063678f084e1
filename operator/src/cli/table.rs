//! Resources as tables, with the printer columns of their definitions, as kubectl shows them.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube::CustomResourceExt;
use serde::Serialize;
use serde_json::Value;

use crate::api::Resource;
use crate::size::Size;
use crate::text::{self, printable};

/// The most characters of a status in a table; `wide` shows the whole status.
const LONGEST_STATUS: usize = 80;

/// Format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// The columns that kubectl shows.
    Table,
    /// All columns.
    Wide,
    /// A JSON list.
    Json,
    /// YAML documents.
    Yaml,
    /// Nothing; only the exit code counts.
    None,
}

/// The parts of an output: one table, with all columns if they are wanted, or one document for each entry.
pub(super) fn documents<'a, T, D: Serialize>(
    output: Output,
    entries: &'a [T],
    document: impl Fn(&'a T) -> anyhow::Result<D>,
    table: impl FnOnce(bool) -> anyhow::Result<String>,
) -> anyhow::Result<Vec<String>> {
    match output {
        Output::Table | Output::Wide => Ok(vec![table(output == Output::Wide)?]),
        Output::Json => entries.iter().map(|entry| Ok(serde_json::to_string(&document(entry)?)?)).collect(),
        Output::Yaml => entries.iter().map(|entry| Ok(text::yaml(&document(entry)?)?)).collect(),
        Output::None => Ok(vec![String::new()]),
    }
}

/// The objects of one kind as a table.
pub(super) fn show<K: Resource + CustomResourceExt>(
    objects: &[impl AsRef<K>],
    wide: bool,
    now: Timestamp,
) -> anyhow::Result<String> {
    let crd = K::crd();
    let versions = crd.spec.versions.into_iter().next();
    let columns = versions.and_then(|version| version.additional_printer_columns).unwrap_or_default();
    let columns: Vec<_> = columns.into_iter().filter(|column| wide || column.priority.unwrap_or(0) == 0).collect();
    let mut rows = Vec::new();
    for object in objects {
        let value = serde_json::to_value(object.as_ref())?;
        let name = |field: &str| value.pointer(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut row = vec![name("/metadata/namespace"), name("/metadata/name")];
        row.extend(columns.iter().map(|column| cell(&value, column, wide, now)));
        rows.push(row);
    }
    let head = ["Namespace", "Name"].into_iter().chain(columns.iter().map(|column| column.name.as_str()));
    Ok(format!("{}\n{}", crd.spec.names.kind, render(head, rows)))
}

/// A table without borders, with two spaces between columns. A cell is always one line.
pub(super) fn render<'a>(head: impl Iterator<Item = &'a str>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    let cells = |row: Vec<String>| row.into_iter().map(|cell| printable(&cell).into_owned()).collect::<Vec<_>>();
    table.load_style(NOTHING).set_header(head.map(str::to_uppercase)).add_rows(rows.into_iter().map(cells));
    let mut text = String::new();
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end());
    }
    text
}

fn cell(object: &Value, column: &CustomResourceColumnDefinition, wide: bool, now: Timestamp) -> String {
    let Some(value) = find(object, &column.json_path) else { return String::new() };
    match (column.type_.as_str(), value) {
        ("date", Value::String(text)) => text.parse().map_or_else(|_| text.clone(), |at| age(now.duration_since(at))),
        (_, Value::Number(bytes)) if column.name == "Size" => Size(bytes.as_u64().unwrap_or_default()).to_string(),
        (_, Value::String(_)) if column.name == "Published" && has_no_target(object) => "-".to_owned(),
        (_, Value::String(text)) if column.name == "Status" && !wide => cut(text),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// Whether the image has no cloud target. Its condition Published is `True` then, so that nobody waits for it.
fn has_no_target(image: &Value) -> bool {
    let reason = find(image, r#".status.conditions[?(@.type=="Published")].reason"#);
    reason.and_then(Value::as_str) == Some("NoTargets")
}

/// The first line of a text, cut to [`LONGEST_STATUS`] characters.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let beginning: String = line.chars().take(LONGEST_STATUS - 1).collect();
    let whole = line.len() == text.len() && line.chars().nth(LONGEST_STATUS).is_none();
    if whole { line.to_owned() } else { format!("{}…", beginning.trim_end()) }
}

/// The value at the path of a printer column: `.a.b`, or `.a[?(@.type=="T")].b` for conditions.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let (before, after) = match path.split_once("[?(@.type==\"") {
        Some((before, rest)) => (before, Some(rest.split_once("\")]")?)),
        None => (path, None),
    };
    let found = walk(object, before)?;
    match after {
        None => Some(found),
        Some((name, rest)) => {
            let named = |entry: &&Value| entry.get("type").and_then(Value::as_str) == Some(name);
            walk(found.as_array()?.iter().find(named)?, rest)
        }
    }
}

fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(value, |value, part| value.get(part))
}

/// An age in its largest fitting unit, similar to kubectl: `119s`, `3m`, `47h`, `2d`.
fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    match seconds {
        ..0 => format!("in {}", self::age(age.abs())),
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_printer_columns_are_found() {
        let object = serde_json::json!({"a": {"b": 1}, "status": {"conditions": [
            {"type": "Reconciling", "status": "True"}, {"type": "Ready", "status": "False"}
        ]}});
        assert_eq!(find(&object, ".a.b"), Some(&Value::from(1)));
        let ready = r#".status.conditions[?(@.type=="Ready")].status"#;
        assert_eq!(find(&object, ready), Some(&Value::from("False")));
        assert_eq!(find(&object, ".a.c"), None);
        assert_eq!(find(&object, r#".status.conditions[?(@.type=="Stalled")].status"#), None);
    }

    #[test]
    fn a_cell_is_one_line_for_people() {
        let column = |name: &str, path: &str, type_: &str| CustomResourceColumnDefinition {
            name: name.to_owned(),
            json_path: path.to_owned(),
            type_: type_.to_owned(),
            ..CustomResourceColumnDefinition::default()
        };
        let (long, now) = ("x".repeat(81), Timestamp::UNIX_EPOCH);
        let image = |message: &str, reason: &str| {
            serde_json::json!({"status": {"image": {"size": 5000}, "conditions": [
                {"type": "Ready", "status": "False", "message": message},
                {"type": "Published", "status": "True", "reason": reason},
            ]}})
        };
        let status = column("Status", r#".status.conditions[?(@.type=="Ready")].message"#, "string");
        for (message, shown) in [
            ("ab", "ab".to_owned()),
            (&*"x".repeat(80), "x".repeat(80)),
            (&long, format!("{}…", "x".repeat(79))),
            ("ab\ncd", "ab…".to_owned()),
        ] {
            assert_eq!(cell(&image(message, ""), &status, false, now), shown);
            assert_eq!(cell(&image(message, ""), &status, true, now), message);
        }
        let published = column("Published", r#".status.conditions[?(@.type=="Published")].status"#, "string");
        assert_eq!(cell(&image("", "NoTargets"), &published, false, now), "-");
        assert_eq!(cell(&image("", "Published"), &published, false, now), "True");
        let size = column("Size", ".status.image.size", "integer");
        assert_eq!(cell(&image("", ""), &size, false, now), "4.88 KiB");
    }

    #[test]
    fn ages_as_kubectl_writes_them() {
        let cases = [(5, "5s"), (119, "119s"), (120, "2m"), (7_200, "2h"), (172_800, "2d"), (-600, "in 10m")];
        for (seconds, text) in cases {
            assert_eq!(age(SignedDuration::from_secs(seconds)), text);
        }
    }
}
