//! All images of the lists in force, whether the site selects them or not.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::table::{Output, render};
use crate::api::{CachedImage, HasConditions, ImageListSubscription, ObjectKey};
use crate::cache::Volume;
use crate::imagelist::{ImageId, ImageList, ListedImage, Selection};
use crate::reconcile::subscription::format;
use crate::size::Size;
use crate::store::ResourceStore as _;
use crate::store::directory::Directory;
use crate::text;
use crate::trust::read_unverified;

/// Reasons for which a subscription's list is no longer in force, although no newer list replaced it.
const OVER: [&str; 3] = ["ListExpired", "EndorserRevoked", "CertificateRevoked"];

/// A filter for images.
pub(super) struct ImageFilter<'a> {
    /// Only images of this namespace.
    pub namespace: Option<&'a str>,
    /// Only the image with this identifier.
    pub identifier: Option<&'a str>,
}

/// One image of a list in force.
pub(super) struct Available {
    /// The subscription of the list.
    pub subscription: ObjectKey,
    /// The image's entry in the list.
    pub image: ListedImage,
    list_version: String,
    choice: Choice,
}

/// Whether the site selects the image.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    Selected,
    ByHand,
    Excluded(String),
    NotSelected,
}

/// The images of the lists in force, in the order of the subscriptions and of their lists; and whether all lists could
/// be read. A list that cannot be read is logged.
pub(super) fn available(
    directory: &Directory,
    volume: &Path,
    wanted: &ImageFilter<'_>,
) -> anyhow::Result<(Vec<Available>, bool)> {
    let volume = Volume::read_only(volume)?;
    let (mut found, mut whole) = (Vec::new(), true);
    for subscription in directory.all::<ImageListSubscription>() {
        let key = ObjectKey::of(&*subscription);
        if wanted.namespace.is_some_and(|namespace| namespace != key.namespace) {
            continue;
        }
        match list_in_force(&volume, &subscription, &key) {
            Ok(Some(list)) => found.extend(of_list(directory, &subscription, &key, list)),
            Ok(None) => {}
            Err(error) => {
                tracing::error!("{key}: {error:#}");
                whole = false;
            }
        }
    }
    found.retain(|one| wanted.identifier.is_none_or(|identifier| one.image.identifier.as_str() == identifier));
    Ok((found, whole))
}

/// The list that a subscription's status names; `None` if it has none or it is no longer in force.
fn list_in_force(
    volume: &Volume,
    subscription: &Arc<ImageListSubscription>,
    key: &ObjectKey,
) -> anyhow::Result<Option<ImageList>> {
    let Some(status) = &subscription.status else { return Ok(None) };
    let Some(list) = &status.list else { return Ok(None) };
    let ready = status.condition("Ready");
    if let Some(over) = ready.filter(|ready| ready.status == "False" && OVER.contains(&ready.reason.as_str())) {
        tracing::warn!("{key}: its list is no longer in force: {}", over.reason);
        return Ok(None);
    }
    let digest = list.digest.trim_start_matches("sha256:");
    let (namespace, name) = (key.namespace.parse()?, key.name.parse()?);
    let message = volume.read_list(&namespace, &name, &list.version.parse()?, digest)?;
    let message = message.with_context(|| format!("expected its list {} on the volume, found none", list.version))?;
    let mut list = read_unverified(&message.read()?, &format(&subscription.spec.source)?)?;
    for image in &mut list.images {
        volume.complete(image)?;
    }
    Ok(Some(list))
}

fn of_list(
    directory: &Directory,
    subscription: &ImageListSubscription,
    key: &ObjectKey,
    list: ImageList,
) -> Vec<Available> {
    let selection = Selection::new(&subscription.spec.images).unwrap_or_else(|error| {
        tracing::warn!("{key}: {error}");
        Selection::default()
    });
    let list_version = list.version.to_string();
    let available = |image: ListedImage| Available {
        choice: choice(directory, &selection, key, &image),
        subscription: key.clone(),
        image,
        list_version: list_version.clone(),
    };
    list.images.into_iter().map(available).collect()
}

fn choice(directory: &Directory, selection: &Selection, key: &ObjectKey, image: &ListedImage) -> Choice {
    if let Some(by) = selection.excludes(image) {
        return Choice::Excluded(by.to_string());
    }
    if selection.includes(image) {
        return Choice::Selected;
    }
    if is_wanted_by_hand(directory, key, &image.identifier) { Choice::ByHand } else { Choice::NotSelected }
}

fn is_wanted_by_hand(directory: &Directory, key: &ObjectKey, identifier: &ImageId) -> bool {
    let object = directory.get::<CachedImage>(&key.sibling(&identifier.object_name()));
    object.is_some_and(|object| object.spec.subscription_ref.name == key.name)
}

impl Choice {
    fn shown(&self) -> &'static str {
        match self {
            Self::Selected => "yes",
            Self::ByHand => "by hand",
            Self::Excluded(_) => "excluded",
            Self::NotSelected => "no",
        }
    }
}

/// The images as text.
pub(super) fn show(images: &[Available], output: Output) -> anyhow::Result<String> {
    let documents = || images.iter().map(document).collect::<Vec<_>>();
    Ok(match output {
        Output::None => String::new(),
        Output::Json => text::json(&documents())?,
        Output::Yaml => text::yaml(&documents())?,
        Output::Table | Output::Wide if images.is_empty() => String::new(),
        Output::Table | Output::Wide => table(images, output == Output::Wide),
    })
}

fn document(one: &Available) -> Value {
    let Available { subscription, image, list_version, choice } = one;
    json!({
        "namespace": subscription.namespace,
        "subscription": subscription.name,
        "listVersion": list_version,
        "identifier": image.identifier,
        "version": image.version,
        "selected": matches!(choice, Choice::Selected | Choice::ByHand),
        "excludedBy": match choice {
            Choice::Excluded(by) => Some(by),
            Choice::Selected | Choice::ByHand | Choice::NotSelected => None,
        },
        "title": image.title,
        "os": image.os,
        "osVersion": image.os_version,
        "arch": image.arch,
        "hypervisor": image.hypervisor,
        "format": image.format,
        "size": image.size(),
        "sha512": image.sha512(),
        "digest": image.content().to_string(),
    })
}

fn table(images: &[Available], wide: bool) -> String {
    let mut head = vec!["namespace", "subscription", "identifier", "version", "selected", "title", "os", "arch"];
    head.extend(["hypervisor", "size"]);
    if wide {
        head.extend(["format", "sha512"]);
    }
    let row = |one: &Available| {
        let Available { subscription, image, choice, .. } = one;
        let mut row = vec![
            subscription.namespace.clone(),
            subscription.name.clone(),
            image.identifier.to_string(),
            image.version.to_string(),
            choice.shown().to_owned(),
            image.title.clone(),
            format!("{} {}", image.os, image.os_version).trim_end().to_owned(),
            image.arch.clone(),
            image.hypervisor.clone(),
            image.size().map_or_else(|| "-".to_owned(), |size| Size(size).to_string()),
        ];
        if wide {
            row.extend([image.format.clone().unwrap_or_else(|| "-".to_owned()), image.content().to_string()]);
        }
        row
    };
    render(head.into_iter(), images.iter().map(row).collect())
}
