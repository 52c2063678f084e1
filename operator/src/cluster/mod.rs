//! Where resources live: implementations of [`Cluster`](crate::reconcile::Cluster).

mod damage;
pub mod directory;
pub mod kubernetes;
