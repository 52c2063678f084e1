//! What a Secret may be used for, and to which hosts its content may be sent. A user who may write a subscription
//! chooses a Secret and an address, but need not be allowed to read the Secret. So the Secret must allow the address.

use url::{Host, Url};

use crate::api::{ALLOW_PLAIN_HTTP, ALLOWED_HOSTS};
use crate::store::{OPAQUE, SecretData};
use crate::text::printable;

/// The types of Secrets with credentials for a source or a cloud.
const FOR_CREDENTIALS: [&str; 2] = [OPAQUE, "kubernetes.io/basic-auth"];

/// The types of Secrets with the configuration of docker.
const FOR_REGISTRIES: [&str; 2] = [OPAQUE, "kubernetes.io/dockerconfigjson"];

/// The types of Secrets with a certificate and its key.
const FOR_CERTIFICATES: [&str; 2] = [OPAQUE, "kubernetes.io/tls"];

/// The maximum number of characters of a value that a message repeats.
const SHOWN: usize = 80;

impl SecretData {
    /// Checks that the Secret has a type for credentials. The error contains the expected types.
    pub(super) fn holds_credentials(&self) -> Result<(), String> {
        self.is_of(FOR_CREDENTIALS)
    }

    /// Checks that the Secret has a type for the configuration of docker.
    pub(super) fn holds_registry_credentials(&self) -> Result<(), String> {
        self.is_of(FOR_REGISTRIES)
    }

    /// Checks that the Secret has a type for certificates.
    pub(super) fn holds_certificates(&self) -> Result<(), String> {
        self.is_of(FOR_CERTIFICATES)
    }

    fn is_of(&self, kinds: [&str; 2]) -> Result<(), String> {
        if kinds.contains(&self.kind.as_str()) {
            return Ok(());
        }
        let [one, other] = kinds;
        Err(format!(
            "expected a Secret of the type {one} or {other}, found {}; no part of it is sent",
            shown(&self.kind)
        ))
    }

    /// Checks that the credentials may be sent to an address. The error contains the annotation to add.
    pub(super) fn allows(&self, url: &Url) -> Result<(), String> {
        let Some(allowed) = &self.allowed_hosts else {
            return Err(format!(
                "it does not say that its credentials may go to {0}: expected the annotation {ALLOWED_HOSTS}: \"{0}\", found none",
                wanted(url)
            ));
        };
        allows_host(allowed, url)?;
        self.allows_scheme(url)
    }

    /// Checks that the credentials are not sent in plain text, unless the annotation allows that.
    pub(super) fn allows_scheme(&self, url: &Url) -> Result<(), String> {
        if url.scheme() != "https" && !self.allow_plain_http {
            return Err(format!(
                "expected https, found {}: anyone on the way could read its credentials (the annotation {ALLOW_PLAIN_HTTP}: \"true\" allows that)",
                url.scheme()
            ));
        }
        Ok(())
    }

    /// Checks an address without requiring the annotation; an existing annotation must name the host. This is for
    /// client certificates, because a server sees only a signature of the key, and for clouds, because the
    /// administrator chooses their address.
    pub(super) fn does_not_refuse(&self, url: &Url) -> Result<(), String> {
        self.allowed_hosts.as_ref().map_or(Ok(()), |allowed| allows_host(allowed, url))
    }
}

/// Checks that the annotation names the host of an address.
fn allows_host(allowed: &str, url: &Url) -> Result<(), String> {
    let entries = || allowed.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    let mut odd = None;
    for entry in entries() {
        match Allowed::read(entry) {
            Some(allowed) if allowed.takes(url) => return Ok(()),
            Some(_) => {}
            None => odd = odd.or(Some(entry)),
        }
    }
    let odd = odd.map(|entry| format!("; {} in it is no host", shown(entry))).unwrap_or_default();
    Err(format!("its annotation {ALLOWED_HOSTS} does not name {}{odd}", wanted(url)))
}

/// An entry of the annotation: `host`, `host:port`, `*.domain`, `*.domain:port`, `*`.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    /// Every host, on every port.
    Any,
    /// One host, or all hosts below a domain.
    Hosts {
        host: Host<String>,
        below: bool,
        /// `None`: the default port of the scheme.
        port: Option<u16>,
    },
}

impl Allowed {
    fn read(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Any);
        }
        let (below, rest) = entry.strip_prefix("*.").map_or((false, entry), |rest| (true, rest));
        // The port follows the last colon, unless that colon is inside the brackets of an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            Some(_) | None => (rest, None),
        };
        let host = Host::parse(host.trim_end_matches('.')).ok()?;
        let is_domain = matches!(&host, Host::Domain(name) if !name.is_empty());
        (is_domain || !below).then_some(Self::Hosts { host, below, port })
    }

    fn takes(&self, url: &Url) -> bool {
        let Self::Hosts { host, below, port } = self else { return true };
        let same = match (url.host(), host) {
            (Some(Host::Domain(name)), Host::Domain(allowed)) => {
                let name = name.trim_end_matches('.');
                let above = name.strip_suffix(allowed.as_str());
                if *below { above.is_some_and(|above| above.ends_with('.')) } else { above == Some("") }
            }
            (Some(Host::Ipv4(address)), Host::Ipv4(allowed)) => address == *allowed,
            (Some(Host::Ipv6(address)), Host::Ipv6(allowed)) => address == *allowed,
            (_, _) => false,
        };
        same && port.or_else(|| default_port(url)) == url.port_or_known_default()
    }
}

fn default_port(url: &Url) -> Option<u16> {
    match url.scheme() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

/// The entry that would allow an address.
fn wanted(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A text from outside in quotes, shortened and printable.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    format!("\"{}\"", printable(&short))
}

#[cfg(test)]
mod tests;
