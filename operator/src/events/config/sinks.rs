//! The sinks of the configuration. Pure.

use std::collections::BTreeMap;

use super::exec::exec;
use super::faults::Faults;
use super::filter::filter;
use super::node::{Node, Object};
use super::receivers::{amqp, webhook};
use super::scalar::path;
use crate::events::settings::{FileSettings, SinkKind, SinkName, SinkSettings};
use crate::yaml::{Step, one_of};

/// The most sinks of a file.
const MOST: usize = 64;
/// The kinds. A sink has one of them.
const KINDS: [&str; 4] = ["exec", "amqp", "webhook", "file"];

/// All sinks, in the order of the file. Their names and their files differ.
pub(super) fn sinks(node: &Node<'_>, faults: &mut Faults) -> Option<Vec<SinkSettings>> {
    if node.value.is_null() {
        return Some(Vec::new());
    }
    let items = node.items(MOST, faults)?;
    let sinks = items.iter().map(|item| sink(item, faults)).collect::<Vec<_>>();
    apart(&items, "name", &[], faults);
    apart(&items, "file", &["path"], faults);
    sinks.into_iter().collect()
}

/// Adds a fault for each sink that has the same text in a field as one before it.
fn apart(items: &[Node<'_>], field: &str, rest: &[&str], faults: &mut Faults) {
    let mut seen = BTreeMap::new();
    for (number, item) in items.iter().enumerate() {
        let names = || [field].into_iter().chain(rest.iter().copied());
        let Some(text) = names().try_fold(item.value, |value, name| value.get(name)).and_then(|value| value.as_str())
        else {
            continue;
        };
        if let Some(first) = seen.insert(text, number) {
            seen.insert(text, first);
            let path: Vec<_> = item.path.iter().cloned().chain(names().map(|name| Step::Field(name.into()))).collect();
            let what = names().next_back().unwrap_or(field);
            faults
                .at_value(&path, format!("expected another {what} for each sink, found that of events.sinks[{first}]"));
        }
    }
}

fn sink(node: &Node<'_>, faults: &mut Faults) -> Option<SinkSettings> {
    let known = [&["name", "events", "phases"], &KINDS[..]].concat();
    let object = node.object(&known, faults)?;
    let name = object.required("name", faults).and_then(|node| name(&node, faults));
    let kind = kind(&object, faults);
    // Without a known kind its phases are not judged: the kind is the mistake.
    let can_veto = object.field("exec").is_some() || KINDS.iter().all(|kind| object.field(kind).is_none());
    let filter = filter(&object, can_veto, faults);
    Some(SinkSettings { name: name?, filter: filter?, kind: kind? })
}

fn name(node: &Node<'_>, faults: &mut Faults) -> Option<SinkName> {
    const LABEL: &str = "a name of 1 to 63 characters a-z, 0-9 and -, with no - at its ends (RFC 1123)";
    let name = SinkName::new(node.text(LABEL, faults)?);
    if name.is_none() {
        node.expected(LABEL, faults);
    }
    name
}

/// The one kind that a sink has. If it has several, the faults of all are found.
fn kind(sink: &Object<'_>, faults: &mut Faults) -> Option<SinkKind> {
    let found: Vec<&str> = KINDS.into_iter().filter(|kind| sink.field(kind).is_some()).collect();
    if found.len() != 1 {
        let found = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
        faults.at_key(&sink.path, format!("expected one of {}, found {found}", one_of(&KINDS)));
    }
    let exec = sink.field("exec").map(|node| exec(&node, faults).map(SinkKind::Exec));
    let amqp = sink.field("amqp").map(|node| amqp(&node, faults).map(SinkKind::Amqp));
    let webhook = sink.field("webhook").map(|node| webhook(&node, faults).map(SinkKind::Webhook));
    let file = sink.field("file").map(|node| file(&node, faults).map(SinkKind::File));
    exec.or(amqp).or(webhook).or(file).flatten()
}

fn file(node: &Node<'_>, faults: &mut Faults) -> Option<FileSettings> {
    let object = node.object(&["path"], faults)?;
    let node = object.required("path", faults)?;
    let path = path(&node, faults)?;
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        node.expected("the path of a file", faults);
        return None;
    }
    Some(FileSettings { path })
}
