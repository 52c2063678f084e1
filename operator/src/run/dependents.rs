//! The dependencies between objects: which objects are reconciled after a change. Both drivers use this table.

use std::collections::BTreeSet;

use crate::api::{
    CachedImage, CloudTarget, Endorser, FilesSource, ImageListSubscription, Kind, ObjectKey, ObjectReference, Resource,
};
use crate::reconcile::Context;
use crate::store::ResourceStore;

/// A change that passes depend on.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// An endorser was added, changed or deleted.
    Endorser(&'a Endorser),
    /// A subscription was added, changed or deleted.
    Subscription(&'a ImageListSubscription),
    /// An image was added or changed.
    Image(&'a CachedImage),
    /// An image was deleted.
    ImageGone(&'a CachedImage),
    /// The status or the metadata of a target was changed.
    Target(&'a ObjectKey),
    /// A target was added or deleted, or its spec was changed.
    TargetSpec(&'a ObjectKey),
    /// A Secret was added, changed or deleted.
    Secret(&'a ObjectKey),
    /// A `ConfigMap` was added, changed or deleted.
    ConfigMap(&'a ObjectKey),
    /// The list in force of a subscription changed, or what its images take from its spec.
    List(&'a ObjectKey),
    /// The desired state of an image changed, at the targets of these names.
    Desired(&'a ObjectKey, BTreeSet<String>),
    /// The state of these images at a target changed.
    Published(Vec<ObjectKey>),
    /// The trust directory changed.
    Anchors,
    /// The blobs of these digests are damaged.
    Damaged(&'a [String]),
}

/// An object that is reconciled after a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dependent {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: ObjectKey,
    /// Many changes of this sort come together. One pass for all of them is enough.
    pub together: bool,
}

/// The objects that are reconciled after a change. An object that does not exist may be among them.
pub(super) fn dependents<S: ResourceStore>(context: &Context<S>, change: &Change<'_>) -> Vec<Dependent> {
    let store = &*context.store;
    match change {
        Change::Endorser(object) => of_endorser(store, &ObjectKey::of(*object)),
        Change::Subscription(object) => of_subscription(store, object),
        Change::Image(object) => vec![at_once(Kind::Image, ObjectKey::of(*object)), subscription_of(object)],
        Change::ImageGone(object) => of_gone_image(context, object),
        Change::Target(key) => vec![at_once(Kind::Target, (*key).clone())],
        Change::TargetSpec(key) => {
            let images = keys(store.list::<CachedImage>(&key.namespace)).map(|image| at_once(Kind::Image, image));
            std::iter::once(at_once(Kind::Target, (*key).clone())).chain(images).collect()
        }
        Change::Secret(key) => of_secret(store, key),
        Change::ConfigMap(key) => of_files(store, key, |files| files.config_map_ref.as_ref()),
        Change::List(key) => {
            let images = store.list::<CachedImage>(&key.namespace).into_iter();
            let own = images.filter(|image| image.spec.subscription_ref.name == key.name);
            own.map(|image| at_once(Kind::Image, ObjectKey::of(&*image))).collect()
        }
        Change::Desired(image, targets) => {
            targets.iter().map(|name| together(Kind::Target, image.sibling(name))).collect()
        }
        Change::Published(images) => images.iter().map(|image| at_once(Kind::Image, image.clone())).collect(),
        Change::Anchors => {
            let endorsers = keys(store.all::<Endorser>()).map(|key| at_once(Kind::Endorser, key));
            let subscriptions = keys(store.all::<ImageListSubscription>());
            endorsers.chain(subscriptions.map(|key| at_once(Kind::Subscription, key))).collect()
        }
        Change::Damaged(digests) => {
            let artifact = |image: &CachedImage| Some(image.status.as_ref()?.artifact.as_ref()?.sha512.clone());
            let images = store.all::<CachedImage>().into_iter();
            let damaged = images.filter(|image| artifact(image).is_some_and(|sha512| digests.contains(&sha512)));
            damaged.map(|image| at_once(Kind::Image, ObjectKey::of(&*image))).collect()
        }
    }
}

/// The endorser, and all subscriptions of its namespace: a credential that one endorser revokes is revoked for all.
fn of_endorser<S: ResourceStore>(store: &S, key: &ObjectKey) -> Vec<Dependent> {
    let subscriptions = keys(store.list::<ImageListSubscription>(&key.namespace));
    let subscriptions = subscriptions.map(|key| at_once(Kind::Subscription, key));
    std::iter::once(at_once(Kind::Endorser, key.clone())).chain(subscriptions).collect()
}

/// The subscription; the endorsers that it names, which count their subscriptions; and the targets that are being
/// deleted, which may wait for an image that the subscription creates again. Its images depend on its list.
fn of_subscription<S: ResourceStore>(store: &S, object: &ImageListSubscription) -> Vec<Dependent> {
    let key = ObjectKey::of(object);
    let endorsers = object.spec.verify.endorser_refs.iter();
    let endorsers = endorsers.map(|endorser| at_once(Kind::Endorser, key.sibling(&endorser.name)));
    let targets = store.list::<CloudTarget>(&key.namespace).into_iter();
    let going = targets.filter(|target| target.metadata.deletion_timestamp.is_some());
    let going = going.map(|target| together(Kind::Target, ObjectKey::of(&*target)));
    std::iter::once(at_once(Kind::Subscription, key.clone())).chain(endorsers).chain(going).collect()
}

/// The subscription, which creates a deleted image again if it is still selected; and the targets, which may wait for
/// this image only before they are deleted.
fn of_gone_image<S: ResourceStore>(context: &Context<S>, object: &CachedImage) -> Vec<Dependent> {
    let key = ObjectKey::of(object);
    let known = object.status.iter().flat_map(|status| &status.targets).map(|target| target.name.clone());
    let wanted = context.publications.desired(&key).into_iter().flat_map(|desired| desired.at.into_keys());
    let targets = known.chain(wanted).map(|name| together(Kind::Target, key.sibling(&name)));
    std::iter::once(subscription_of(object)).chain(targets).collect()
}

/// The subscription of an image, which counts its images.
fn subscription_of(object: &CachedImage) -> Dependent {
    together(Kind::Subscription, ObjectKey::of(object).sibling(&object.spec.subscription_ref.name))
}

fn of_secret<S: ResourceStore>(store: &S, key: &ObjectKey) -> Vec<Dependent> {
    let subscriptions = store.list::<ImageListSubscription>(&key.namespace).into_iter();
    let subscriptions = subscriptions.filter(|object| subscription_secrets(object).any(|name| name == key.name));
    let subscriptions = subscriptions.map(|object| at_once(Kind::Subscription, ObjectKey::of(&*object)));
    let targets = store.list::<CloudTarget>(&key.namespace).into_iter();
    let targets = targets.filter(|object| target_secrets(object).any(|name| name == key.name));
    let targets = targets.map(|object| at_once(Kind::Target, ObjectKey::of(&*object)));
    subscriptions.chain(targets).chain(of_files(store, key, |files| files.secret_ref.as_ref())).collect()
}

/// The endorsers whose trust anchors or OpenPGP keys are in an object, with all that depends on them.
fn of_files<S: ResourceStore>(
    store: &S,
    key: &ObjectKey,
    reference: fn(&FilesSource) -> Option<&ObjectReference>,
) -> Vec<Dependent> {
    let names = |endorser: &Endorser| {
        let keys = endorser.spec.credentials.iter().filter_map(|credential| credential.open_pgp.as_ref());
        let keys = keys.filter_map(|open_pgp| open_pgp.public_key_from.as_ref());
        let mut named = endorser.spec.trust_anchors.iter().chain(keys).filter_map(reference);
        named.any(|reference| reference.name == key.name)
    };
    let endorsers = store.list::<Endorser>(&key.namespace).into_iter();
    endorsers
        .filter(|endorser| names(endorser))
        .flat_map(|endorser| of_endorser(store, &ObjectKey::of(&*endorser)))
        .collect()
}

/// The Secrets that a subscription names.
pub(super) fn subscription_secrets(object: &ImageListSubscription) -> impl Iterator<Item = &str> {
    let source = &object.spec.source;
    let references = [&source.secret_ref, &source.tls.cert_secret_ref, &object.spec.verify.decryption_secret_ref];
    references.into_iter().flatten().map(|reference| reference.name.as_str())
}

fn target_secrets(object: &CloudTarget) -> impl Iterator<Item = &str> {
    let access = object.spec.access().into_iter();
    let references = access.flat_map(|access| std::iter::once(access.secret_ref).chain(&access.tls.cert_secret_ref));
    references.map(|reference| reference.name.as_str())
}

fn keys<K: Resource>(objects: Vec<std::sync::Arc<K>>) -> impl Iterator<Item = ObjectKey> {
    objects.into_iter().map(|object| ObjectKey::of(&*object))
}

fn at_once(kind: Kind, key: ObjectKey) -> Dependent {
    Dependent { kind, key, together: false }
}

fn together(kind: Kind, key: ObjectKey) -> Dependent {
    Dependent { kind, key, together: true }
}
