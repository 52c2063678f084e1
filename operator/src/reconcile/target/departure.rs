//! A target that is being deleted: what it owes to images before it goes.
//!
//! Nothing of ours is left behind silently: the finalizer stays until each image that has something there has said that
//! it may stay, or it is out of circulation.

use jiff::Timestamp;

use crate::api::{CachedImage, CloudTarget, FINALIZER};
use crate::reconcile::cluster::{Cluster, ClusterError, ObjectKey};
use crate::reconcile::context::Context;
use crate::reconcile::publications::{Desire, Desired, Standing};

/// How a target stands to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Departure {
    /// It stays. Whether its object has to be held from now on: something is to be published there.
    Stays {
        /// The finalizer is missing.
        unheld: bool,
    },
    /// It is being deleted, and owes something to these images.
    Owes {
        /// Their identifiers.
        images: Vec<String>,
        /// When to look again though nothing is told, because not all may have been seen yet.
        again: Option<Timestamp>,
    },
    /// It is being deleted, and nothing is owed.
    Free,
}

/// Looks at the images of a target's namespace.
pub(super) fn look<C: Cluster>(context: &Context<C>, object: &CloudTarget, now: Timestamp) -> Departure {
    let key = ObjectKey::of(object);
    let held = object.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER);
    let images = context.cluster.list::<CachedImage>(&key.namespace);
    let Some(since) = object.metadata.deletion_timestamp.as_ref().map(|time| time.0) else {
        let names = |image: &CachedImage| is_known(image, &key.name);
        let used = || !context.publications.wanted_of(&key).is_empty() || images.iter().any(|image| names(image));
        return Departure::Stays { unheld: !held && used() };
    };
    let others = others(context, object);
    let owed = images.iter().filter(|image| {
        let image_key = ObjectKey::of(&***image);
        let desired = context.publications.desired(&image_key);
        let standing = context.publications.standing(&key, &image_key);
        let elsewhere = desired.as_ref().is_some_and(|desired| is_wanted_at(desired, &others));
        !elsewhere && owes(&key.name, is_known(image, &key.name), desired.as_ref(), standing.as_ref())
    });
    let owed: Vec<String> = owed.map(|image| image.spec.identifier.clone()).collect();
    let lag_ends = since.checked_add(context.cluster.lag()).ok().filter(|end| *end > now);
    // A deletion in the future is one by another clock: nothing more is known of it later.
    let lag_ends = lag_ends.filter(|_| since <= now);
    match (owed.is_empty(), lag_ends) {
        (true, None) => Departure::Free,
        (_, again) => Departure::Owes { images: owed, again },
    }
}

/// Lets the object go.
pub(super) async fn let_go<C: Cluster>(context: &Context<C>, object: &CloudTarget) -> Result<(), ClusterError> {
    let key = ObjectKey::of(object);
    match context.cluster.finalize::<CloudTarget>(&key, false).await {
        Err(ClusterError::Gone { .. }) => Ok(()),
        other => other,
    }
}

/// Whether an image's status speaks of a target.
fn is_known(image: &CachedImage, target: &str) -> bool {
    image.status.iter().flat_map(|status| &status.targets).any(|known| known.name == target)
}

/// Whether something is owed to an image, by what it wants and how it stands. Pure.
fn owes(target: &str, known: bool, desired: Option<&Desired>, standing: Option<&Standing>) -> bool {
    let Some(desired) = desired else { return known };
    match desired.at.get(target) {
        None | Some(Desire::LetGo) => false,
        Some(Desire::Withdraw) => !standing.is_some_and(|standing| standing.asked && standing.withdrawn),
        // Said before it knew that the target goes.
        Some(Desire::Publish(_) | Desire::Leave) => true,
    }
}

/// Whether an image is to be published at one of these targets.
fn is_wanted_at(desired: &Desired, targets: &[String]) -> bool {
    targets.iter().any(|name| matches!(desired.at.get(name), Some(Desire::Publish(_))))
}

/// Other targets of the namespace with the same address that stay: what one of them publishes is theirs.
fn others<C: Cluster>(context: &Context<C>, object: &CloudTarget) -> Vec<String> {
    let address = |target: &CloudTarget| -> Option<url::Url> {
        target.spec.open_nebula.as_ref().and_then(|cloud| cloud.endpoint.parse().ok())
    };
    let Some(own) = address(object) else { return Vec::new() };
    let all = context.cluster.list::<CloudTarget>(&ObjectKey::of(object).namespace);
    let stay = all.iter().filter(|other| other.metadata.deletion_timestamp.is_none());
    stay.filter(|other| address(other).as_ref() == Some(&own)).filter_map(|other| other.metadata.name.clone()).collect()
}

/// What a person is told of a target that is held, with what keeps it.
pub(super) fn told(images: &[String], obstacle: &str) -> String {
    const MOST: usize = 5;
    let named = images.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    let more = images.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let waits = if images.is_empty() {
        "until all images were heard".to_owned()
    } else {
        format!("until {} of its images are out of circulation: {named}{more}", images.len())
    };
    let obstacle = if obstacle.is_empty() { String::new() } else { format!("; {obstacle}") };
    format!("being deleted, and held {waits}{obstacle}")
}
