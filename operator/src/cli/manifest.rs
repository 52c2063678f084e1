//! Edits the fields of `spec` in a user's manifest. Only the lines of these fields change; comments, other documents
//! and the order of fields are kept. The changed text is parsed again, and the edit fails if anything else changed.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_yaml::Value;

use crate::api::ObjectKey;
use crate::fs::write_atomic;
use crate::store::directory::manifest_files;

/// The largest manifest that is read, in bytes. Larger ones are skipped.
const LARGEST: u64 = 8 << 20;

/// One document of a manifest file: one object.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The file.
    pub path: PathBuf,
    /// The whole file.
    pub text: String,
    document: Range<usize>,
    value: Value,
}

/// A manifest after a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    /// The changed document, for output.
    pub document: String,
    /// The whole file.
    pub text: String,
}

/// A field of `spec` and its new value; `None` removes it.
pub(super) type Field<'a> = (&'a str, Option<&'a str>);

impl Manifest {
    /// Finds the manifest of a CachedImage in a folder of manifests.
    pub(super) fn of_image(folder: &Path, key: &ObjectKey) -> anyhow::Result<Option<Self>> {
        let files =
            manifest_files(folder).with_context(|| format!("cannot read the manifests in {}", folder.display()))?;
        for path in files {
            let small = fs::metadata(&path).is_ok_and(|about| about.len() <= LARGEST);
            let Some(text) = small.then(|| fs::read_to_string(&path).ok()).flatten() else { continue };
            for document in documents(&text) {
                let value: Value = serde_yaml::from_str(&text[document.clone()]).unwrap_or_default();
                if is_image(&value, key) {
                    return Ok(Some(Self { path, text, document, value }));
                }
            }
        }
        Ok(None)
    }

    /// The value of a field of `spec`.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.value.get("spec")?.get(name)?.as_str()
    }

    /// The names of the fields of `spec`.
    pub(super) fn fields(&self) -> Vec<&str> {
        let spec = self.value.get("spec").and_then(Value::as_mapping);
        spec.into_iter().flat_map(|spec| spec.keys().filter_map(Value::as_str)).collect()
    }

    /// Whether the file has no other document.
    pub(super) fn is_alone(&self) -> bool {
        read_all(&self.text).is_ok_and(|all| all.iter().filter(|value| !value.is_null()).count() == 1)
    }

    /// The manifest with changed fields. Fails if the fields cannot be changed line by line.
    pub(super) fn with(&self, fields: &[Field<'_>]) -> anyhow::Result<Edited> {
        let shown = || self.path.display().to_string();
        let mut lines: Vec<String> =
            self.text[self.document.clone()].split_inclusive('\n').map(str::to_owned).collect();
        for field in fields {
            set(&mut lines, *field).with_context(shown)?;
        }
        let document = lines.concat();
        let Range { start, end } = self.document;
        let text = format!("{}{document}{}", &self.text[..start], &self.text[end..]);
        self.prove(fields, &text).with_context(shown)?;
        Ok(Edited { document, text })
    }

    /// Parses the changed text: the fields must have the new values, and everything else must be the same.
    fn prove(&self, fields: &[Field<'_>], text: &str) -> anyhow::Result<()> {
        let mut meant = self.value.clone();
        let spec = meant.get_mut("spec").and_then(Value::as_mapping_mut).context("expected a spec, found none")?;
        for (name, value) in fields {
            match value {
                Some(value) => drop(spec.insert((*name).into(), (*value).into())),
                None => drop(spec.remove(*name)),
            }
        }
        let (before, after) = (read_all(&self.text)?, read_all(text)?);
        let is_meant =
            |(before, after): (&Value, &Value)| before == after || (*before == self.value && *after == meant);
        if before.len() != after.len() || !before.iter().zip(&after).all(is_meant) || !after.contains(&meant) {
            bail!("expected a document whose lines can be changed one by one, found another form");
        }
        Ok(())
    }

    /// Replaces the file atomically, with the same mode and, if that is permitted, the same owner. Fails if the file
    /// has changed since it was read.
    pub(super) fn replace(&self, edited: &Edited) -> anyhow::Result<()> {
        let shown = || format!("cannot change {}", self.path.display());
        let about = fs::symlink_metadata(&self.path).with_context(shown)?;
        if !about.is_file() {
            bail!("{}: expected a regular file, found something else, such as a link", self.path.display());
        }
        if fs::read_to_string(&self.path).with_context(shown)? != self.text {
            bail!("{}: it was changed in the meantime; try again", self.path.display());
        }
        write_atomic(&self.path, edited.text.as_bytes(), about.permissions().mode() & 0o7777).with_context(shown)?;
        let now = fs::symlink_metadata(&self.path).with_context(shown)?;
        if (now.uid(), now.gid()) != (about.uid(), about.gid()) {
            let owner = chown(&self.path, Some(about.uid()), Some(about.gid()));
            owner.with_context(|| format!("{} is changed, and has another owner now", self.path.display()))?;
        }
        Ok(())
    }
}

/// The documents of a file: a line that begins with `---` begins one (YAML 1.2, section 9.1.2).
fn documents(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start, mut place) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && place > start {
            found.push(start..place);
            start = place;
        }
        place += line.len();
    }
    found.push(start..place);
    found
}

fn read_all(text: &str) -> anyhow::Result<Vec<Value>> {
    serde_yaml::Deserializer::from_str(text).map(|document| Ok(Value::deserialize(document)?)).collect()
}

fn is_image(value: &Value, key: &ObjectKey) -> bool {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(metadata) = value.get("metadata") else { return false };
    let namespace = text(metadata, "namespace");
    let namespace = if namespace.is_empty() { "default" } else { &namespace };
    text(value, "kind") == "CachedImage" && text(metadata, "name") == key.name && namespace == key.namespace
}

/// Sets or removes a field of `spec`. Each field of `spec` must be on its own line.
fn set(lines: &mut Vec<String>, (name, value): Field<'_>) -> anyhow::Result<()> {
    let spec = Spec::find(lines)?;
    let line = value.map(|value| -> anyhow::Result<String> {
        let scalar = serde_yaml::to_string(value)?;
        Ok(format!("{}{name}: {}", " ".repeat(spec.indent), scalar.trim_end()))
    });
    let line = line.transpose()?;
    match (spec.field(lines, name), line) {
        (Some(place), Some(line)) => {
            let comment = if place.len() == 1 { comment(&lines[place.start]) } else { "" };
            let line = format!("{line}{comment}{}", spec.line_end);
            lines.splice(place, [line]);
        }
        (Some(place), None) => drop(lines.drain(place)),
        (None, Some(line)) => {
            let after = spec.field(lines, "identifier").map_or(spec.place.end, |place| place.end);
            if let Some(last) = lines.get_mut(after - 1).filter(|last| !last.ends_with('\n')) {
                last.push_str(spec.line_end);
            }
            lines.insert(after, format!("{line}{}", spec.line_end));
        }
        (None, None) => {}
    }
    Ok(())
}

/// The lines of the fields of `spec`.
struct Spec {
    place: Range<usize>,
    indent: usize,
    line_end: &'static str,
}

impl Spec {
    fn find(lines: &[String]) -> anyhow::Result<Self> {
        let is_spec = |line: &String| line.strip_prefix("spec:").is_some_and(is_empty);
        let spec = lines.iter().position(is_spec);
        let spec = spec.context("expected `spec:` with its fields on lines of their own, found it otherwise")?;
        let within = lines[spec + 1..].iter().position(|line| !is_empty(line) && indent(line) == 0);
        let end = within.map_or(lines.len(), |offset| spec + 1 + offset);
        let first = lines[spec + 1..end].iter().position(|line| !is_empty(line)).context("expected fields in spec")?;
        let last = lines[..end].iter().rposition(|line| !is_empty(line)).unwrap_or(spec);
        let line_end = if lines[spec].ends_with("\r\n") { "\r\n" } else { "\n" };
        Ok(Self { place: spec + 1..last + 1, indent: indent(&lines[spec + 1 + first]), line_end })
    }

    /// The lines of a field, with the lines that are indented below it.
    fn field(&self, lines: &[String], name: &str) -> Option<Range<usize>> {
        let is_field = |line: &String| {
            let key = line.trim_start().split(':').next().unwrap_or_default().trim_end().trim_matches(['"', '\'']);
            indent(line) == self.indent && !is_empty(line) && key == name
        };
        let start = self.place.start + lines[self.place.clone()].iter().position(is_field)?;
        let below = |line: &&String| is_empty(line) || indent(line) > self.indent;
        let reach = start + 1 + lines[start + 1..self.place.end].iter().take_while(below).count();
        let last = lines[..reach].iter().rposition(|line| !is_empty(line)).unwrap_or(start);
        Some(start..last + 1)
    }
}

/// Whether a line, or the rest of one, is blank or a comment.
fn is_empty(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The comment at the end of a line with a value, with the spaces before it.
fn comment(line: &str) -> &str {
    let line = line.trim_end_matches(['\r', '\n']);
    let Some((_, value)) = line.split_once(':') else { return "" };
    let rest = after_quoted(value.trim_start()).unwrap_or(value);
    let Some(place) = rest.find(" #") else { return "" };
    let blanks = rest[..place].trim_end().len();
    &rest[blanks..]
}

/// The text after a quoted value, in which a `#` is not a comment. `None` if the value is not quoted.
fn after_quoted(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first))?;
    let (mut escaped, mut place) = (false, 1);
    for (offset, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => {
                place = offset + 1;
                // Two single quotes are one quote in the value.
                if quote == '"' || !value[place..].starts_with('\'') {
                    break;
                }
                escaped = true;
            }
            _ => {}
        }
    }
    value.get(place..)
}

#[cfg(test)]
mod tests;
