//! What a pass tells.

use jiff::Timestamp;

use crate::store::ObjectEvent;

/// What a pass tells: written once, at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<S> {
    /// The whole status of the object.
    pub status: S,
    /// What happened, for people and programs that listen.
    pub events: Vec<ObjectEvent>,
    /// When to look at the object again though nothing changed; `None`: only then.
    pub requeue_at: Option<Timestamp>,
}
