//! What the suites stand on: a PKI, a list signer, an image server, a cloud stand-in. Real sockets, real files.

pub mod disk_image;
