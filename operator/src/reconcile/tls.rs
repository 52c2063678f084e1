//! Which authorities a server's certificate is checked against.

/// The authorities that the certificate of a server is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedTls {
    /// The operating system's authorities, and a client certificate from the Secret if one is named.
    System(Option<String>),
    /// The authorities of the trust directory.
    Grid,
    /// The authorities in the Secret's `ca.crt`, and its client certificate if it has one.
    Secret(String),
}
