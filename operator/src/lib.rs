//! vmcatcher-operator keeps a site's virtual machine images equal to what trusted endorsers publish.
//!
//! The modules, from the top down. A module uses only modules below it in this list:
//!
//! * [`cli`]: the commands, one file each
//! * [`run`]: the drivers, which decide when each object is reconciled
//! * [`serve`]: the HTTP servers: images for clouds that pull them; health and metrics; web pages
//! * [`reconcile`]: the reconcilers, one folder for each kind
//! * [`store`]: the store of the resources: an API server, or a folder of manifests
//! * [`import`]: moving in: databases and configuration of other programs as manifests, their images as blobs
//! * [`anchors`]: the trust directory: load, watch, refresh CRLs (the I/O around `trust`)
//! * [`trust`]: verifies the signature of a message, and whether a list may replace the last one (pure)
//! * [`cloud`]: what the clouds have in common: requests, records, outcomes, and the trait that a cloud implements
//! * [`opennebula`]: XML-RPC client; carry-over: plan (pure) and steps
//! * [`openstack`]: client of Keystone and Glance
//! * [`cache`]: the volume: blobs by sha512, downloads, published and archived images, accepted lists, state
//! * [`events`]: events for programs outside: the model (pure), the spool, and the sinks
//! * [`fetch`]: downloads: HTTP(S) with conditional GET, resume, limits; file
//! * [`convert`]: detects the format of an image file by its bytes, and converts it to the format that a cloud takes
//! * [`imagelist`]: the `HEPiX` image list document: model, parse, validate, select (pure)
//! * [`xml`]: one small, bounded XML reader, for responses of clouds and for OVF files (pure)
//! * [`yaml`]: YAML documents whose problems have a line (pure)
//! * [`digest`]: SHA-256 and SHA-512 digests as types (pure)
//! * [`fs`]: files and directories: whole and durable writes, temporary files
//! * [`size`]: display and parsing of sizes, display of counts (pure)
//! * [`text`]: escapes text from outside for terminals, logs and documents (pure)
//! * [`turns`]: a fair queue: owners take turns (pure)
//! * [`parallel`]: maps many items on all processors
//! * [`duration`]: parses durations (pure)
//! * [`metrics`]: counters of events
//! * [`api`]: the custom resources: types, conditions, columns

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests prepare and spoil files as they like"))]

pub mod anchors;
pub mod api;
pub mod cache;
pub mod cli;
pub mod cloud;
pub mod convert;
pub mod digest;
pub mod duration;
pub mod events;
pub mod fetch;
pub mod fs;
pub mod imagelist;
pub mod import;
pub mod metrics;
pub mod opennebula;
pub mod openstack;
pub mod parallel;
pub mod reconcile;
pub mod run;
pub mod serve;
pub mod size;
pub mod store;
pub mod text;
pub mod trust;
pub mod turns;
pub mod xml;
pub mod yaml;
