//! Sinks that run programs: `exec`. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::Faults;
use super::node::{Node, Object};
use super::scalar::{path, timeout};
use crate::events::settings::{ExecSettings, Handlers};
use crate::yaml::Step;

/// The default time of a handler.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most words of a command, and the most variables of an environment.
const MOST_WORDS: usize = 256;
/// The beginning of the names that the interface of handlers uses.
const RESERVED: &str = "VMCATCHER_";

/// The settings of an `exec` sink.
pub(super) fn exec(node: &Node<'_>, faults: &mut Faults) -> Option<ExecSettings> {
    let object = node.object(&["directory", "command", "timeout", "environment"], faults)?;
    let handlers = handlers(&object, faults);
    let timeout = timeout(&object, TIMEOUT, faults);
    let environment = match object.field("environment") {
        Some(node) => environment(&node, faults),
        None => Some(BTreeMap::new()),
    };
    Some(ExecSettings { handlers: handlers?, timeout: timeout?, environment: environment? })
}

fn handlers(object: &Object<'_>, faults: &mut Faults) -> Option<Handlers> {
    match (object.field("directory"), object.field("command")) {
        (Some(node), None) => path(&node, faults).map(Handlers::Directory),
        (None, Some(node)) => command(&node, faults).map(Handlers::Command),
        (Some(_), Some(second)) => {
            faults.at_key(&second.path, "expected directory or command, found both");
            None
        }
        (None, None) => {
            faults.at_key(&object.path, "expected directory or command, found neither");
            None
        }
    }
}

/// A program by its absolute path, and its first arguments. No shell reads them. Arguments are in no message, because
/// one can be a password.
fn command(node: &Node<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let items = node.items(MOST_WORDS, faults)?;
    let Some((program, arguments)) = items.split_first() else {
        faults.at_key(&node.path, "expected the absolute path of a program and its arguments, found no item");
        return None;
    };
    let mut words = vec![path(program, faults).and_then(|path| path.into_os_string().into_string().ok())];
    words.extend(arguments.iter().map(|argument| plain_text(&argument.clone().secret(), faults)));
    words.into_iter().collect()
}

/// A text that can be an argument or the value of a variable: it has no NUL (exec(3)).
fn plain_text(node: &Node<'_>, faults: &mut Faults) -> Option<String> {
    let text = node.text("text", faults)?;
    if text.contains('\0') {
        faults.at_value(&node.path, "expected text without NUL characters, found one");
        return None;
    }
    Some(text.to_owned())
}

/// Variables, `name: value`. Values are in no message, because one can be a password.
fn environment(node: &Node<'_>, faults: &mut Faults) -> Option<BTreeMap<String, String>> {
    let object = node.members("an object of names and values", faults)?;
    let count = object.all().count();
    if count > MOST_WORDS {
        faults.at_key(&object.path, format!("expected at most {MOST_WORDS} variables, found {count}"));
        return None;
    }
    let mut found = BTreeMap::new();
    for node in object.all() {
        let Some(Step::Field(name)) = node.path.last().cloned() else { continue };
        if !is_name(&name) {
            faults.at_key(
                &node.path,
                "expected a name of letters, digits and _ that begins with no digit, found this one",
            );
        } else if name.starts_with(RESERVED) {
            faults.at_key(
                &node.path,
                format!("expected a name that does not begin with {RESERVED} (events use it), found this one"),
            );
        }
        if let Some(value) = plain_text(&node.secret(), faults) {
            found.insert(name, value);
        }
    }
    Some(found)
}

/// Whether a text is `^[A-Za-z_][A-Za-z0-9_]*$` (POSIX.1-2017, 3.235 Name).
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(inner) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
