//! What kind of trouble an error is.

/// The class of an error decides requeue, condition, event and log level, in one table (`reconcile::report`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Cannot work until a person changes something: no retry but by the ordinary interval.
    Stalled,
    /// Waits for something that others bring (a Secret, a list's acceptance): looked at again soon, no failure.
    Waiting,
    /// May pass by itself: tried again with back-off.
    Transient,
    /// A fault of this program or of its own volume.
    Internal,
}
