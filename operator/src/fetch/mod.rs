//! Bytes from elsewhere: HTTP and HTTPS with conditional GET, resume, address policy and limits; `file:` for lists.
//!
//! * [`Client`] is made once and shared; [`Source`] says where bytes are and who may have them.
//! * [`Client::fetch_list`] reads one bounded document, conditionally.
//! * [`Client::open_image`] asks for an image from an offset on and hands its bytes over as they come; the cache writes.
//!
//! Rules that hold for every request: TLS is checked; at most ten redirects, never from https to http; credentials and
//! client certificates go to the scheme, host and port they were given for and nowhere else; link-local addresses and
//! metadata services are refused always and loopback where [`ClientSettings::deny_loopback`] says so, by name, by literal
//! and by the address that is connected to; proxies are those of the environment (a proxy resolves names itself, so there
//! only names and literals are seen).

mod address;
mod answer;
mod budget;
mod came;
mod challenge;
mod client;
mod document;
mod embedded;
mod encoding;
mod error;
mod image;
mod list;
mod proxy;
mod request;
mod source;
mod tls;
mod validator;

pub use budget::{Budget, Permit};
pub use came::Came;
pub use challenge::Challenges;
pub use client::{Client, ClientSettings};
pub use document::Document;
pub use error::{FetchError, ProxyChallenge, ProxyRefusal};
pub use image::{ImageAnswer, ImageBody, ImageRequest, RateFloor};
pub use list::{LIST_LIMIT, ListAnswer};
pub use source::{ClientIdentity, Credentials, Source, TlsTrust};
pub use validator::Validator;
