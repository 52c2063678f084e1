//! Fetching: HTTP and HTTPS with conditional GET, resume, address policy and limits; `file:` for lists.
//!
//! * [`Client`] is made once and shared. [`Source`] contains the URL, the credentials and the TLS settings.
//! * [`Client::fetch_list`] fetches one document of limited size, conditionally.
//! * [`Client::open_image`] requests an image from an offset on and returns its bytes as a stream; the cache writes
//!   them.
//! * [`Client::until_http2`] waits until a server is known to have HTTP/2, over which documents and images of at most
//!   [`SMALL_IMAGE`] bytes share one connection.
//! * [`Registry`] asks a registry of OCI artefacts for tags, manifests and signatures.
//!
//! These rules apply to every request. TLS certificates are verified. At most ten redirects are followed, never from
//! https to http. Credentials and client certificates are sent only to the scheme, host and port that they are for.
//! Link-local addresses and metadata services are always refused, and loopback if [`ClientSettings::deny_loopback`] is
//! set. The address policy checks names, literal addresses, and the addresses that are connected to. Proxies are those
//! of the environment. A proxy resolves names itself, so with a proxy only names and literal addresses are checked.

mod address;
mod answer;
mod budget;
mod came;
mod challenge;
mod client;
mod document;
mod encoding;
mod error;
mod http2;
mod image;
mod list;
mod plain;
mod proxy;
mod registry;
mod request;
mod source;
mod validator;

pub use budget::{Budget, Permit};
pub use came::Came;
pub use challenge::Challenges;
pub use client::{Client, ClientSettings, LIST_LIMIT};
pub use document::Document;
pub use error::{FetchError, ProxyChallenge, ProxyRefusal};
pub use http2::SMALL_IMAGE;
pub use image::{ImageAnswer, ImageBody, ImageRequest, RateFloor};
pub use list::ListAnswer;
pub use registry::{FetchedManifest, RealmRule, Registry, RegistryAccess};
pub use source::{ClientIdentity, Credentials, Source, TlsSettings};
pub use validator::Validator;
