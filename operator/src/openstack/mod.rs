//! OpenStack: the Keystone and Glance calls that the operator uses, and carry-over.
//!
//! * `address`, [`interface`]: addresses of servers, and which of them is used (pure)
//! * [`connection`]: the settings of a connection
//! * [`credentials`]: the credentials for Keystone, read from the entries of a Secret or from `clouds.yaml` (pure)
//! * `transport`: one HTTP call, limited in time and size
//! * `words`: the message in the body of an error (pure)
//! * [`keystone`]: tokens (Identity API v3): requests, sessions, and the catalogue with the address of Glance
//! * [`glance`]: requests and answers of the Image API v2, and the body of an upload
//! * [`image`]: images, as Glance returns them (pure)
//! * [`client`]: the calls, with types
//! * [`settings`]: the settings of the site for its images (pure)
//! * [`carry_over`]: replaces an old image by a new version: plan (pure) and steps
//! * [`target`]: an OpenStack as the reconciler of `CloudTarget` uses it
//!
//! Facts about the APIs are from the API references ("Identity API v3", "Image Service API v2") and from traffic
//! recorded with Keystone 30.0.0 and Glance 33.0.0.

mod address;
pub mod carry_over;
pub mod client;
pub mod connection;
pub mod credentials;
pub mod error;
pub mod glance;
pub mod image;
pub mod interface;
pub mod keystone;
pub mod settings;
pub mod target;
mod transport;
mod words;

pub use client::Client;
pub use connection::{Connection, Timeouts};
pub use credentials::{CloudSettings, Credentials, CredentialsError};
pub use error::OpenStackError;
pub use image::{DiskFormat, Image, ImageStatus, Member, MemberStatus, Unreadable, Visibility};
pub use interface::Interface;
pub use keystone::Session;
pub use settings::Settings;
pub use target::Target;
