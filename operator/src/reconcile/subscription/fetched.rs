//! The result of a fetch. Pure.

use jiff::Timestamp;

use super::problem::FetchProblem;
use crate::reconcile::exchange::Message;

/// The result of a fetch.
pub(super) enum Fetched {
    /// The server was not asked in this pass.
    NotAsked,
    /// The list has not changed.
    NotModified,
    /// A message was fetched.
    Message(Message),
    /// The fetch failed.
    Failed(FetchProblem),
}

/// The result of a fetch, and the time according to the server.
pub(super) type FetchedAt = (Fetched, Option<Timestamp>);

impl Fetched {
    /// Whether the server was asked in this pass.
    pub(super) fn was_asked(&self) -> bool {
        match self {
            Self::NotAsked => false,
            Self::NotModified | Self::Message(_) | Self::Failed(_) => true,
        }
    }

    /// Whether the server was asked and the fetch succeeded.
    pub(super) fn succeeded(&self) -> bool {
        match self {
            Self::NotModified | Self::Message(_) => true,
            Self::NotAsked | Self::Failed(_) => false,
        }
    }
}
