//! What the suites stand on: a PKI, a list signer, an image server, a cloud stand-in. Real sockets, real files.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "all of it is test code: what cannot be set up ends the test"
)]

pub mod appliance;
pub mod control_plane;
pub mod der;
pub mod disk_headers;
pub mod disk_image;
mod gate;
pub mod gpg;
pub mod http2_server;
pub mod image_server;
pub mod list;
pub mod lossy_disk;
pub mod manifests;
pub mod oci;
pub mod open_metrics;
pub mod opennebula;
pub mod openstack;
pub mod orders;
pub mod patience;
pub mod pki;
pub mod program;
pub mod rabbitmq;
pub mod recording;
mod served;
pub mod signer;
pub mod site;
