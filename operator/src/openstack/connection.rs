//! The settings of a connection to a cloud.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::credentials::Credentials;
use super::interface::Interface;

/// The connection settings of a cloud. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Keystone, with or without `/v3`: `https://keystone.example.org:5000/v3`; http or https, without user information.
    pub auth_url: Url,
    /// The region of Glance in the catalogue. `None`: the only region that has one.
    pub region: Option<String>,
    /// Which of Glance's addresses in the catalogue is used.
    pub interface: Interface,
    /// The credentials for Keystone.
    pub credentials: Credentials,
    /// The only certificate authorities that are trusted for Keystone and Glance (PEM, one or more); `None` means those
    /// of the system.
    pub authorities: Option<Vec<u8>>,
    /// A client certificate and its key (PEM, PKCS #8), if a proxy in front of the servers requires one.
    pub identity: Option<(Vec<u8>, SecretString)>,
    /// The timeouts of calls.
    pub timeouts: Timeouts,
    /// The maximum size of a response in bytes; for a listing, of all its pages together. 1,000 images have about 2 MiB.
    pub answer_limit: usize,
}

impl Connection {
    /// Settings with the default limits: 64 MiB for a response, and the timeouts of [`Timeouts::default`].
    pub fn new(auth_url: Url, credentials: Credentials) -> Self {
        Self {
            auth_url,
            region: None,
            interface: Interface::default(),
            credentials,
            authorities: None,
            identity: None,
            timeouts: Timeouts::default(),
            answer_limit: 64 << 20,
        }
    }
}

/// Timeouts of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The timeout for a connection.
    pub connect: Duration,
    /// The timeout of a whole call, except an upload.
    pub call: Duration,
    /// How long an upload may take to send its next part, of at most 256 KiB. An upload as a whole has no limit.
    pub stall: Duration,
    /// The timeout for the response to an upload after its last byte, because Glance's store may finish its work first.
    pub finish: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_mins(1),
            stall: Duration::from_mins(2),
            finish: Duration::from_mins(15),
        }
    }
}
