//! vmcatcher-operator keeps a site's virtual machine images equal to what trusted endorsers publish.
//!
//! The map, from the top down; a module may use those below it and never those above:
//!
//! * [`cli`]: the commands: one file each
//! * [`run`]: the drivers: which object is looked at when
//! * [`serve`]: what is served over HTTP: images, to clouds that pull them; health and metrics
//! * [`reconcile`]: the reconcilers: one folder a kind, one file a call
//! * [`store`]: where the resources are: an API server, or a folder of manifests
//! * [`anchors`]: the trust directory: load, watch, refresh CRLs (the I/O around `trust`)
//! * [`trust`]: is this message signed by someone we believe, and may this list replace the last? (pure)
//! * [`opennebula`]: XML-RPC client; carry-over: plan (pure) and steps
//! * [`cache`]: the volume: blobs by sha512, downloads, what is published and archived, accepted lists, state
//! * [`fetch`]: bytes from elsewhere: HTTP(S) with conditional GET, resume, limits; file
//! * [`convert`]: what an image file is, by its bytes, and how it becomes what a cloud takes
//! * [`imagelist`]: the `HEPiX` image list document: model, parse, validate, select (pure)
//! * [`xml`]: one small, bounded XML reader: for what a cloud answers, and for OVFs (pure)
//! * [`size`]: how sizes and numbers are shown to people
//! * [`text`]: text from outside, escaped for terminals, logs and documents (pure)
//! * [`turns`]: who is served next, of many who wait (pure)
//! * [`metrics`]: what is counted while it happens
//! * [`api`]: the custom resources: types, conditions, columns

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests prepare and spoil files as they like"))]

pub mod anchors;
pub mod api;
pub mod cache;
pub mod cli;
pub mod convert;
pub mod fetch;
pub mod imagelist;
pub mod metrics;
pub mod opennebula;
pub mod reconcile;
pub mod run;
pub mod serve;
pub mod size;
pub mod store;
pub mod text;
pub mod trust;
pub mod turns;
pub mod xml;
