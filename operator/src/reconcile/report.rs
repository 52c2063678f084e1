//! The report of a pass.

use jiff::Timestamp;

use crate::store::ObjectEvent;

/// The report of a pass. It is written once, at the end of the pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<S> {
    /// The whole status of the object.
    pub status: S,
    /// The events of the pass.
    pub events: Vec<ObjectEvent>,
    /// When to reconcile the object again without a change; `None`: only after a change.
    pub requeue_at: Option<Timestamp>,
}
