//! What a sink is: it delivers events, in order, to something outside.

use std::future::Future;

use uuid::Uuid;

use super::event::Event;

/// Delivers events to something outside.
pub trait Sink: Send {
    /// Delivers events in their order, and returns when all were handled or one could not be delivered now. It never
    /// waits longer than its settings allow, and can be dropped at any moment: the events then count as not delivered.
    fn deliver(&mut self, events: &[Event]) -> impl Future<Output = Delivery> + Send;
}

/// The result of a delivery.
#[derive(Debug, Default)]
pub struct Delivery {
    /// How many events, from the first, need no further delivery.
    pub handled: usize,
    /// Those of them that the receiver refused for good: the event and what the receiver said, one line.
    pub refused: Vec<(Uuid, String)>,
    /// Why the next event could not be delivered now; `None` if all were handled.
    pub stopped: Option<SinkError>,
}

/// Why events cannot be delivered now. They stay in the spool, and are tried again with back-off.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// There is no connection to the receiver, or it broke.
    #[error("cannot reach {address}: {found}")]
    Unreachable {
        /// The address, without credentials and query.
        address: String,
        /// What was found.
        found: String,
    },
    /// The receiver does not accept who delivers, or does not allow it to deliver there.
    #[error("{address} refuses the delivery: {found}")]
    Denied {
        /// The address, without credentials and query.
        address: String,
        /// What was found.
        found: String,
    },
    /// The receiver cannot take events at the moment: it is overloaded, full or has an error of its own.
    #[error("{address} does not take events now: {found}")]
    Busy {
        /// The address, without credentials and query.
        address: String,
        /// What was found.
        found: String,
        /// How long it asks to wait (`Retry-After`).
        retry_after: Option<std::time::Duration>,
    },
    /// There was no answer in time.
    #[error("no answer from {address} in {} s", .after.as_secs_f64())]
    TimedOut {
        /// The address, or the handler.
        address: String,
        /// The time that it had.
        after: std::time::Duration,
    },
    /// A file of this machine that the sink needs cannot be used: a key, a password, the file that is written.
    #[error("cannot {step} {path}: {found}")]
    File {
        /// What was tried, such as `read`.
        step: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What was found.
        found: String,
    },
}

impl SinkError {
    /// How long the receiver asks to wait.
    pub const fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Unreachable { .. } | Self::Denied { .. } | Self::TimedOut { .. } | Self::File { .. } => None,
        }
    }

    /// One word for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "Unreachable",
            Self::Denied { .. } => "Denied",
            Self::Busy { .. } => "Busy",
            Self::TimedOut { .. } => "TimedOut",
            Self::File { .. } => "FileUnusable",
        }
    }
}
