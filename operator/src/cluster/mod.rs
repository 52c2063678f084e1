//! Where resources live: implementations of [`Cluster`](crate::reconcile::Cluster).

pub mod directory;
pub mod kubernetes;
