//! The manifests of an import, and the names of their objects. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::outcome::{Fate, Outcome};
use crate::text::{self, printable};

/// The longest name that is made from a text, so that a number and a suffix still fit into a label of 63 characters.
const LONGEST_NAME: usize = 40;

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What a person should know: comment lines above the document.
    pub notes: Vec<String>,
    /// The document.
    pub object: Value,
}

/// What an import found: the objects, and the outcome of each row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// Who may sign.
    pub endorsers: Vec<Manifest>,
    /// The lists.
    pub subscriptions: Vec<Manifest>,
    /// Single images.
    pub images: Vec<Manifest>,
    /// The clouds.
    pub targets: Vec<Manifest>,
    /// Credentials. They are kept apart from all others.
    pub secrets: Vec<Manifest>,
    /// What became of each row or entry.
    pub outcomes: Vec<Outcome>,
}

impl Manifest {
    /// An object of the project's group.
    pub(super) fn new(kind: &str, name: &str, spec: &Value) -> Self {
        let object = json!({
            "apiVersion": "vmcatcher.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        Self { notes: Vec::new(), object }
    }

    /// A Secret with texts.
    pub(super) fn secret(name: &str, texts: &Value) -> Self {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts});
        Self { notes: Vec::new(), object }
    }

    /// The same with a note.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The kind and the name.
    pub fn name(&self) -> String {
        let text = |pointer: &str| self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        format!("{} {}", text("/kind"), text("/metadata/name"))
    }

    /// The document, with its notes above it.
    pub fn text(&self) -> Result<String, serde_yaml::Error> {
        let mut document = "---\n".to_owned();
        for note in self.notes.iter().filter(|note| !note.is_empty()) {
            let _ = writeln!(document, "# {}", printable(note));
        }
        Ok(document + &text::yaml(&self.object)?)
    }
}

impl Imported {
    /// Whether something is left for a person.
    pub fn needs_a_person(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.fate, Fate::ByHand(_)))
    }

    /// Puts all objects into a namespace. `default` is not written, so that `kubectl apply -n` can choose another.
    pub fn set_namespace(&mut self, namespace: &str) {
        let parts =
            [&mut self.endorsers, &mut self.subscriptions, &mut self.images, &mut self.targets, &mut self.secrets];
        for manifest in parts.into_iter().flatten().filter(|_| namespace != "default") {
            manifest.object["metadata"]["namespace"] = json!(namespace);
        }
    }

    /// Publishes the images of all subscriptions at a target.
    pub(super) fn publish_at(&mut self, target: &str) {
        for subscription in &mut self.subscriptions {
            subscription.object["spec"]["targetRefs"] = json!([{"name": target}]);
        }
    }
}

/// An entry of `spec.credentials` of an Endorser, with the names in a certificate.
pub(super) fn x509_credential(number: usize, subject: &str, issuer: &str) -> Value {
    json!({"name": format!("credential-{number}"), "x509": {"subject": subject, "issuer": issuer}})
}

/// The names that were given so far, so that each is given once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name for an object, from a text: lower-case letters, digits and `-`.
    pub(super) fn give(&mut self, text: &str, otherwise: &str) -> String {
        let mut name = String::new();
        for c in text.chars().map(|c| c.to_ascii_lowercase()).take(LONGEST_NAME) {
            match c {
                'a'..='z' | '0'..='9' => name.push(c),
                _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                _ => {}
            }
        }
        let name = Some(name.trim_matches('-')).filter(|name| !name.is_empty()).unwrap_or(otherwise).to_owned();
        let mut given = name.clone();
        let mut number = 1;
        while !self.0.insert(given.clone()) {
            number += 1;
            given = format!("{name}-{number}");
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_from_any_text_and_given_once() {
        let mut names = Names::default();
        assert_eq!(names.give("Predrag Buncic", "x"), "predrag-buncic");
        assert_eq!(names.give("predrag/buncic\n", "x"), "predrag-buncic-2");
        assert_eq!(names.give("../../etc", "x"), "etc");
        assert_eq!(names.give("\0é--", "endorser-3"), "endorser-3");
        assert_eq!(names.give(&"a".repeat(300), "x").len(), LONGEST_NAME);
        let uuid = "63175437-7d59-4851-b333-c96cb6545a86";
        assert_eq!(names.give(uuid, "x"), uuid);
    }

    #[test]
    fn notes_cannot_leave_their_line() {
        let manifest = Manifest::new("Endorser", "a", &json!({})).note("a\nkind: Secret");
        assert_eq!(manifest.text().unwrap().lines().nth(1), Some("# a\\nkind: Secret"));
    }
}
