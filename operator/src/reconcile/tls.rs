//! Which authorities a server's certificate is checked against.

/// Which authorities count for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedTls {
    /// The operating system's authorities, and a client certificate from the Secret where one is named.
    System(Option<String>),
    /// The trust directory's.
    Grid,
    /// The Secret's `ca.crt`, and its client certificate where it has one.
    Secret(String),
}
