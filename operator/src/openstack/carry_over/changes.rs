//! The changes of one call: only what differs from the image. Pure.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Step;
use crate::openstack::glance::{Change, Value};
use crate::openstack::image::{Image, Visibility};

/// Collects the changes of an image.
pub(super) struct Changes<'a> {
    image: &'a Image,
    list: Vec<Change>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(image: &'a Image) -> Self {
        Self { image, list: Vec::new() }
    }

    fn replace(mut self, differs: bool, name: &str, value: Value) -> Self {
        if differs {
            self.list.push(Change::Replace { name: name.to_owned(), value });
        }
        self
    }

    pub(super) fn name(self, name: &str) -> Self {
        let differs = self.image.name.as_deref() != Some(name);
        self.replace(differs, "name", Value::Text(name.to_owned()))
    }

    pub(super) fn visibility(self, visibility: &Visibility) -> Self {
        let differs = self.image.visibility != *visibility;
        self.replace(differs, "visibility", Value::Text(visibility.as_str().to_owned()))
    }

    pub(super) fn hidden(self, hidden: bool) -> Self {
        let differs = self.image.os_hidden != hidden;
        self.replace(differs, "os_hidden", Value::Bool(hidden))
    }

    pub(super) fn protected(self, protected: bool) -> Self {
        let differs = self.image.protected != protected;
        self.replace(differs, "protected", Value::Bool(protected))
    }

    pub(super) fn minimum(self, disk: u64, ram: u64) -> Self {
        let (of_disk, of_ram) = (self.image.min_disk != disk, self.image.min_ram != ram);
        self.replace(of_disk, "min_disk", Value::Number(disk)).replace(of_ram, "min_ram", Value::Number(ram))
    }

    pub(super) fn tags(self, tags: BTreeSet<String>) -> Self {
        let differs = self.image.tags != tags;
        self.replace(differs, "tags", Value::Tags(tags))
    }

    /// Adds or replaces these properties.
    pub(super) fn set(mut self, properties: &BTreeMap<String, String>) -> Self {
        let differing = properties.iter().filter(|(name, value)| self.image.properties.get(*name) != Some(*value));
        let changes =
            differing.map(|(name, value)| Change::Add { name: name.clone(), value: Value::Text(value.clone()) });
        self.list.extend(changes);
        self
    }

    /// Removes these properties, if the image has them.
    pub(super) fn remove(mut self, names: impl IntoIterator<Item = String>) -> Self {
        let present = names.into_iter().filter(|name| self.image.properties.contains_key(name));
        self.list.extend(present.map(|name| Change::Remove { name }));
        self
    }

    /// The step, unless nothing differs.
    pub(super) fn step(self, why: &'static str) -> Option<Step> {
        let id: Uuid = self.image.id;
        (!self.list.is_empty()).then_some(Step::Patch { id, changes: self.list, why })
    }
}
