//! Finds the image that a person names, by its identifier or the name of its object.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;

use crate::api::{CachedImage, ObjectKey};
use crate::cache::Volume;
use crate::cli::available::{ImageFilter, available};
use crate::imagelist::ImageId;
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;
use crate::text::nearest;

/// The maximum number of similar names in a message.
const MOST_NAMES: usize = 5;
/// The minimum length of a beginning of a name that counts as similar.
const SHORTEST_BEGINNING: usize = 4;

/// An image that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// The namespace.
    pub namespace: String,
    /// `dc:identifier`.
    pub identifier: ImageId,
    /// The name of the subscription whose list has it; `None` if only the volume has it.
    pub subscription: Option<String>,
}

impl Candidate {
    /// The key of its object, whether the object exists or not.
    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.clone(), self.identifier.object_name())
    }

    fn is_named(&self, name: &str) -> bool {
        self.identifier.as_str() == name || self.identifier.object_name() == name
    }
}

/// All images that are known.
pub(super) struct Candidates(Vec<Candidate>);

/// The result of a search.
pub(super) enum Named<'t> {
    /// The image, and what follows it after an `@`.
    One(Candidate, Option<&'t str>),
    /// None has that name. The message has similar names.
    None(String),
}

impl Candidates {
    /// The images that have an object, those of the lists in force, and those on the volume.
    pub(super) fn read(directory: &Directory, volume: &Path, namespace: Option<&str>) -> anyhow::Result<Self> {
        let mut found = BTreeSet::new();
        for image in directory.all::<CachedImage>() {
            let Ok(identifier) = image.spec.identifier.parse() else { continue };
            let namespace = ObjectKey::of(&*image).namespace;
            let subscription = Some(image.spec.subscription_ref.name.clone());
            found.insert(Candidate { namespace, identifier, subscription });
        }
        for one in available(directory, volume, &ImageFilter { namespace, identifier: None })?.0 {
            let (key, identifier) = (one.subscription, one.image.identifier);
            found.insert(Candidate { namespace: key.namespace, identifier, subscription: Some(key.name) });
        }
        let volume = Volume::read_only(volume)?;
        for safe in volume.namespaces()? {
            for identifier in volume.index(&safe)?.into_keys() {
                let is_known = found.iter().any(|one| one.namespace == safe.as_str() && one.identifier == identifier);
                if !is_known {
                    found.insert(Candidate { namespace: safe.to_string(), identifier, subscription: None });
                }
            }
        }
        let mut found: Vec<Candidate> = found.into_iter().collect();
        found.retain(|one| namespace.is_none_or(|namespace| namespace == one.namespace));
        Ok(Self(found))
    }

    /// The image that `text` names. An identifier may contain `@`, so the longest name that is known counts. An image
    /// that has an object is preferred to one that another list has too. Fails if several have the name.
    pub(super) fn named<'t>(&self, directory: &Directory, text: &'t str) -> anyhow::Result<Named<'t>> {
        let splits = text.rmatch_indices('@').map(|(at, _)| (&text[..at], Some(&text[at + 1..])));
        for (name, rest) in [(text, None)].into_iter().chain(splits) {
            let mut found: Vec<&Candidate> = self.0.iter().filter(|one| one.is_named(name)).collect();
            let has_object = |one: &&Candidate| {
                let object = directory.get::<CachedImage>(&one.key());
                object.is_some_and(|object| Some(&object.spec.subscription_ref.name) == one.subscription.as_ref())
            };
            if found.iter().any(has_object) {
                found.retain(has_object);
            }
            match found.as_slice() {
                [] => {}
                [one] => return Ok(Named::One((*one).clone(), rest)),
                several => bail!("expected one image {name}, found {}; name the namespace (-n)", shown(several)),
            }
        }
        let name = text.split('@').next().unwrap_or(text);
        Ok(Named::None(self.unknown(name)))
    }

    fn unknown(&self, name: &str) -> String {
        let names: BTreeSet<&str> = self.0.iter().map(|one| one.identifier.as_str()).collect();
        let begins = |known: &&&str| name.len() >= SHORTEST_BEGINNING && known.starts_with(name);
        let mut similar: Vec<&str> = names.iter().filter(begins).copied().take(MOST_NAMES).collect();
        if similar.is_empty() {
            similar.extend(nearest(name, names.iter().copied()));
        }
        let hint = match similar.as_slice() {
            [] => "`get images --available` shows those of the lists".to_owned(),
            similar => format!("similar: {}", similar.join(", ")),
        };
        format!("NotFound: no image {name:?} is known to an accepted list or to the volume; {hint}")
    }
}

fn shown(several: &[&Candidate]) -> String {
    let list = |one: &Candidate| one.subscription.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    several.iter().map(|one| format!("{}{}", one.key(), list(one))).collect::<Vec<_>>().join(", ")
}
