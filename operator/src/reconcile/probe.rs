//! Asks each list server and each cloud once, for a person who looks for faults. The answers are not used.
//!
//! Nothing is changed: no list is accepted, nothing is published, no status is written. Objects that are suspended or
//! whose spec is invalid are passed over; [`survey`](super::survey()) reports the latter.

use futures::StreamExt as _;
use jiff::Timestamp;
use url::Url;

use super::context::Context;
use super::{cloud_target, subscription};
use crate::api::{CloudTarget, ImageListSubscription, Kind, ObjectKey};
use crate::store::ResourceStore;

/// Simultaneous requests: a server that does not answer delays only its own object.
const AT_ONCE: usize = 16;

/// The answer of the server of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The kind of the object: a subscription or a target.
    pub kind: Kind,
    /// The key of the object.
    pub key: ObjectKey,
    /// The scheme, the host and the port of the server.
    pub server: String,
    /// The time according to the server, if it answered with one.
    pub server_time: Option<Timestamp>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Why the answer cannot be used; `None` if it can.
    pub trouble: Option<Trouble>,
}

/// Why the answer of a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The reason that the conditions of the object would have: one word.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
}

/// Asks the servers of all subscriptions and targets. The answers are in the order of kinds and keys.
pub async fn probe<S: ResourceStore>(context: &Context<S>, clock: impl Fn() -> Timestamp) -> Vec<Probed> {
    let clock = &clock;
    let subscriptions = context.store.all::<ImageListSubscription>();
    let lists = futures::stream::iter(subscriptions)
        .map(|object| async move { subscription::probe(context, &object, clock).await })
        .buffer_unordered(AT_ONCE);
    let targets = futures::stream::iter(context.store.all::<CloudTarget>())
        .map(|object| async move { cloud_target::probe(context, &object, clock()).await })
        .buffer_unordered(AT_ONCE);
    let mut probed: Vec<Probed> = lists.chain(targets).filter_map(std::future::ready).collect().await;
    probed.sort_by(|one, other| (one.kind, &one.key).cmp(&(other.kind, &other.key)));
    probed
}

/// The scheme, the host and the port of an address.
pub(super) fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}
