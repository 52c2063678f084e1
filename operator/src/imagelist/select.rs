//! Selects the images of a list that a site wants: (identifiers or match) and not exclude.

use std::collections::BTreeSet;
use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{ImageId, ImageList, ListedImage, Sha512Digest};
use crate::api::{self, Class};

/// A checked `spec.images` of a subscription. The default selects nothing.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    include_identifiers: BTreeSet<ImageId>,
    include_match: Vec<ImageMatch>,
    exclude_identifiers: BTreeSet<ImageId>,
    exclude_match: Vec<ImageMatch>,
    exclude_sha512: BTreeSet<Sha512Digest>,
}

/// Globs for fields of an image. All globs that are set must match; if none is set, every image matches.
///
/// `*`, `?`, `[a-z]` and `{a,b}` work as in a shell, without regard to case, but `*` also matches slashes.
#[derive(Debug, Clone)]
pub struct ImageMatch {
    name: String,
    os: Option<GlobSet>,
    os_version: Option<GlobSet>,
    arch: Option<GlobSet>,
    hypervisor: Option<GlobSet>,
    title: Option<GlobSet>,
}

/// The result of a selection on a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selected<'a> {
    /// The selected images, in the order of the list.
    pub selected: Vec<&'a ListedImage>,
    /// The images that `exclude` refuses, even if `include` does not select them.
    pub excluded: Vec<(&'a ListedImage, ExcludedBy)>,
    /// The wanted identifiers that are not in the list, neither as usable nor as refused images.
    pub missing: Vec<ImageId>,
}

/// What excludes an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExcludedBy {
    /// `exclude.identifiers` names it.
    Identifier,
    /// The match with this name in `exclude.match`.
    Match(String),
    /// `exclude.sha512` names its digest.
    Sha512,
}

impl std::fmt::Display for ExcludedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Identifier => f.write_str("exclude.identifiers"),
            Self::Match(name) => write!(f, "exclude.match {name:?}"),
            Self::Sha512 => f.write_str("exclude.sha512"),
        }
    }
}

/// Why a selection cannot be used. `path` is the field in the spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// An entry that is not a valid identifier, digest or name.
    #[error("{path}: {message}")]
    Entry {
        /// The field.
        path: String,
        /// `expected …, found …`.
        message: String,
    },
    /// A glob that is not valid.
    #[error("{path}: expected a glob (* ? [a-z] {{a,b}}), found {pattern:?}: {message}")]
    Glob {
        /// The field.
        path: String,
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// Too many entries.
    #[error("{path}: expected at most {limit} entries, found {found}")]
    TooMany {
        /// The field.
        path: String,
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// The same entry occurs twice.
    #[error("{path}: expected each entry once, found {entry:?} again")]
    Duplicate {
        /// The field.
        path: String,
        /// The entry.
        entry: String,
    },
}

impl SelectionError {
    /// The error class: the spec must be changed.
    pub const fn class(&self) -> Class {
        Class::Stalled
    }

    /// The reason in conditions, events and metrics.
    pub const fn reason(&self) -> &'static str {
        "SelectionInvalid"
    }
}

/// The most identifiers or digests in one field.
const MAXIMUM_ENTRIES: usize = 1000;
/// The most matches in one field.
const MAXIMUM_MATCHES: usize = 32;
/// The longest glob, in characters.
const MAXIMUM_GLOB: usize = 128;

impl Selection {
    /// Checks a subscription's `spec.images`. Fails at the first error.
    pub fn new(spec: &api::ImageSelection) -> Result<Self, SelectionError> {
        let api::ImageSelection { include, exclude } = spec;
        Ok(Self {
            include_identifiers: entries("spec.images.include.identifiers", &include.identifiers)?,
            include_match: matches("spec.images.include.match", &include.r#match)?,
            exclude_identifiers: entries("spec.images.exclude.identifiers", &exclude.identifiers)?,
            exclude_match: matches("spec.images.exclude.match", &exclude.r#match)?,
            exclude_sha512: entries("spec.images.exclude.sha512", &exclude.sha512)?,
        })
    }

    /// Whether `include` selects this image. `exclude` is not applied.
    pub fn includes(&self, image: &ListedImage) -> bool {
        self.include_identifiers.contains(&image.identifier)
            || self.include_match.iter().any(|wanted| wanted.matches(image))
    }

    /// Whether `include` names this identifier.
    pub(super) fn names(&self, identifier: &str) -> bool {
        identifier.parse().is_ok_and(|identifier: ImageId| self.include_identifiers.contains(&identifier))
    }

    /// Whether `exclude` names this identifier. This is all that can be checked for an image that is not in the list.
    pub fn excludes_identifier(&self, identifier: &ImageId) -> bool {
        self.exclude_identifiers.contains(identifier)
    }

    /// What excludes this image, if anything. It has priority over `include` and over images that users ask for in a
    /// manifest.
    pub fn excludes(&self, image: &ListedImage) -> Option<ExcludedBy> {
        if self.exclude_identifiers.contains(&image.identifier) {
            return Some(ExcludedBy::Identifier);
        }
        if image.sha512().is_some_and(|sha512| self.exclude_sha512.contains(&sha512)) {
            return Some(ExcludedBy::Sha512);
        }
        let unwanted = self.exclude_match.iter().find(|unwanted| unwanted.matches(image))?;
        Some(ExcludedBy::Match(unwanted.name.clone()))
    }

    /// Applies the selection to a list.
    pub fn select<'a>(&self, list: &'a ImageList) -> Selected<'a> {
        let mut selected = Selected::default();
        for image in &list.images {
            match self.excludes(image) {
                Some(by) => selected.excluded.push((image, by)),
                None if self.includes(image) => selected.selected.push(image),
                None => {}
            }
        }
        let usable = list.images.iter().map(|image| image.identifier.as_str());
        let refused = list.refused.iter().map(|refused| refused.identifier.as_str());
        let listed: BTreeSet<&str> = usable.chain(refused).collect();
        let asked = self.include_identifiers.difference(&self.exclude_identifiers);
        selected.missing = asked.filter(|identifier| !listed.contains(identifier.as_str())).cloned().collect();
        selected
    }
}

impl ImageMatch {
    fn new(path: &str, spec: &api::ImageMatch) -> Result<Self, SelectionError> {
        let api::ImageMatch { name, os, os_version, arch, hypervisor, title } = spec;
        if !is_match_name(name) {
            let expected = "expected a name of 1 to 253 lower-case letters, digits, - and .";
            return Err(SelectionError::Entry {
                path: format!("{path}.name"),
                message: format!("{expected}, found {name:?}"),
            });
        }
        let glob = |field: &str, pattern: &Option<String>| {
            pattern.as_ref().map(|pattern| glob(format!("{path}[{name}].{field}"), pattern)).transpose()
        };
        Ok(Self {
            os: glob("os", os)?,
            os_version: glob("osVersion", os_version)?,
            arch: glob("arch", arch)?,
            hypervisor: glob("hypervisor", hypervisor)?,
            title: glob("title", title)?,
            name: name.clone(),
        })
    }

    /// Whether all globs match. For a hypervisor such as `QEMU,KVM`, one member or the whole text must match.
    pub fn matches(&self, image: &ListedImage) -> bool {
        let Self { name: _, os, os_version, arch, hypervisor, title } = self;
        let matches =
            |glob: &Option<GlobSet>, text: &str| glob.as_ref().is_none_or(|glob| glob.is_match(text.to_lowercase()));
        let members = || image.hypervisor.split(',').map(str::trim).chain([image.hypervisor.as_str()]);
        matches(os, &image.os)
            && matches(os_version, &image.os_version)
            && matches(arch, &image.arch)
            && members().any(|member| matches(hypervisor, member))
            && matches(title, &image.title)
    }
}

/// The pattern of the API server: `^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`.
pub(super) fn is_match_name(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&name.len())
        && name.chars().all(|c| alphanumeric(c) || c == '-' || c == '.')
        && name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric)
}

fn glob(path: String, pattern: &str) -> Result<GlobSet, SelectionError> {
    let length = pattern.chars().count();
    if length > MAXIMUM_GLOB {
        let message = format!("expected a glob of at most {MAXIMUM_GLOB} characters, found {length}");
        return Err(SelectionError::Entry { path, message });
    }
    let built = GlobBuilder::new(&pattern.to_lowercase()).backslash_escape(true).build();
    built.and_then(|glob| GlobSetBuilder::new().add(glob).build()).map_err(|error| SelectionError::Glob {
        path,
        pattern: pattern.to_owned(),
        message: error.kind().to_string(),
    })
}

fn matches(path: &str, specs: &[api::ImageMatch]) -> Result<Vec<ImageMatch>, SelectionError> {
    at_most(path, MAXIMUM_MATCHES, specs.len())?;
    let mut names = BTreeSet::new();
    if let Some(again) = specs.iter().find(|spec| !names.insert(&spec.name)) {
        return Err(SelectionError::Duplicate { path: path.to_owned(), entry: again.name.clone() });
    }
    specs.iter().map(|spec| ImageMatch::new(path, spec)).collect()
}

fn entries<T>(path: &str, texts: &[String]) -> Result<BTreeSet<T>, SelectionError>
where
    T: FromStr<Err: std::fmt::Display> + Ord,
{
    at_most(path, MAXIMUM_ENTRIES, texts.len())?;
    let mut entries = BTreeSet::new();
    for (index, text) in texts.iter().enumerate() {
        let entry = text.parse().map_err(|error: T::Err| SelectionError::Entry {
            path: format!("{path}[{index}]"),
            message: error.to_string(),
        })?;
        if !entries.insert(entry) {
            return Err(SelectionError::Duplicate { path: path.to_owned(), entry: text.clone() });
        }
    }
    Ok(entries)
}

fn at_most(path: &str, limit: usize, found: usize) -> Result<(), SelectionError> {
    if found > limit {
        return Err(SelectionError::TooMany { path: path.to_owned(), limit, found });
    }
    Ok(())
}

/// A filter for the images of a list: those that a subscription selects, and those that already exist. A list can be
/// too large to keep all of it in memory while it is in force.
#[derive(Debug, Clone, Copy)]
pub struct WantedImages<'a> {
    /// What the subscription selects.
    pub selection: &'a Selection,
    /// Identifiers of existing images, selected or not.
    pub known: &'a BTreeSet<String>,
}

impl WantedImages<'_> {
    /// The number of refused entries that are always kept, for display.
    pub(super) const REFUSED: usize = 20;

    pub(super) fn has(self, image: &ListedImage) -> bool {
        self.known.contains(image.identifier.as_str()) || self.selection.includes(image)
    }

    pub(super) fn names(self, identifier: &str) -> bool {
        self.known.contains(identifier) || self.selection.names(identifier)
    }
}

#[cfg(test)]
mod tests;
