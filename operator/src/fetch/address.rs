//! The address policy: addresses that are never connected to, whatever a list or a server contains.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The name of the loopback range. It is refused only if the policy requires it; every other range is always refused.
const LOOPBACK: &str = "loopback";

/// The address of the metadata service of most clouds, which gives a machine its credentials.
const METADATA_SERVICE: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Metadata services outside 169.254.0.0/16: Alibaba Cloud, Oracle Cloud, Azure's wire server.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// Metadata services outside `fe80::/10`, each with the length of its prefix: Amazon (all services for its machines),
/// Google, Scaleway, Akamai.
const METADATA_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
    (Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1), 128),
];

/// Names that are used only for such services.
const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// The address policy of a client.
#[derive(Debug, Clone)]
pub(super) struct AddressPolicy {
    deny_loopback: bool,
    /// Host names of the proxies in the environment. The administrator configured them, so their addresses are not
    /// checked.
    proxies: Arc<BTreeSet<String>>,
}

/// An address that the policy refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressRefused {
    host: String,
    address: IpAddr,
    range: &'static str,
}

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, range } = self;
        write!(f, "expected an address that is allowed to be fetched, found {address} ({range}) for {host}")
    }
}

impl std::error::Error for AddressRefused {}

impl AddressPolicy {
    /// `proxies` are the hosts of the environment's proxies.
    pub(super) fn new(deny_loopback: bool, proxies: BTreeSet<String>) -> Self {
        Self { deny_loopback, proxies: Arc::new(proxies) }
    }

    /// Whether the environment has proxies.
    pub(super) fn has_proxies(&self) -> bool {
        !self.proxies.is_empty()
    }

    /// Checks a URL by its literal address, or by names that always mean this machine or a metadata service. With a
    /// proxy this is the only check, because the proxy resolves names itself.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), AddressRefused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.check(&address.to_string(), IpAddr::V6(address)),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                if name == "localhost" || name.ends_with(".localhost") {
                    return self.check(&name, IpAddr::V4(Ipv4Addr::LOCALHOST));
                }
                if METADATA_NAMES.contains(&name.as_str()) {
                    return self.check(&name, IpAddr::V4(METADATA_SERVICE));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRefused> {
        let refused = |range| AddressRefused { host: host.to_owned(), address, range };
        let inner = match address {
            IpAddr::V4(_) => Vec::new(),
            // 0.0.0.0/8 inside an IPv6 address is ignored, because no translator sends packets there.
            IpAddr::V6(v6) => embedded(v6).into_iter().filter(|inner| !is_this_network(*inner)).collect(),
        };
        let all = std::iter::once(address).chain(inner.into_iter().map(IpAddr::V4));
        match all.filter_map(range_of).find(|range| self.deny_loopback || *range != LOOPBACK) {
            Some(range) => Err(refused(range)),
            None => Ok(()),
        }
    }

    /// Looks up the addresses of a name that may be connected to.
    pub(super) async fn lookup(
        &self,
        host: &str,
    ) -> Result<std::vec::IntoIter<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
        Ok(self.allowed(host, found)?.into_iter())
    }

    /// The addresses of a name that may be connected to; an error if there is none.
    fn allowed(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, AddressRefused> {
        if self.proxies.contains(&host.to_ascii_lowercase()) {
            return Ok(found);
        }
        let mut refusal = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.check(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(refused) => refusal = Some(refused),
            }
        }
        match (allowed.is_empty(), refusal) {
            (true, Some(refused)) => Err(refused),
            (true | false, _) => Ok(allowed),
        }
    }
}

/// The range of an address, if it is one of the ranges that can be refused.
fn range_of(address: IpAddr) -> Option<&'static str> {
    let (loopback, link_local) = match address {
        IpAddr::V4(v4) => (v4.is_loopback() || is_this_network(v4), v4.is_link_local()),
        IpAddr::V6(v6) => (v6.is_loopback() || v6.is_unspecified(), v6.is_unicast_link_local()),
    };
    let metadata = match address {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            METADATA_V6.iter().any(|(prefix, bits)| v6.to_bits() >> (128 - bits) == prefix.to_bits() >> (128 - bits))
        }
    };
    match (loopback, link_local, metadata) {
        (true, _, _) => Some(LOOPBACK),
        (false, true, _) => Some("link-local"),
        (false, false, true) => Some("metadata service"),
        (false, false, false) => None,
    }
}

/// 0.0.0.0/8 (RFC 6890): a connection to 0.0.0.0 reaches this machine.
fn is_this_network(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
}

/// Every IPv4 address that packets to an IPv6 address may reach. If a prefix is ambiguous (the administrator of a
/// translator chooses its prefix length), all possible addresses are returned.
///
/// A site's own prefix for NAT64 (RFC 6052) or 6rd (RFC 5969) cannot be distinguished from other addresses, so it is
/// not detected.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [_, _, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = address.octets();
    let last = Ipv4Addr::new(b12, b13, b14, b15);
    let mut found = Vec::new();
    match address.segments() {
        // `::` and `::1` embed no address (RFC 4291 sections 2.5.2 and 2.5.3).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {}
        // IPv4-compatible and IPv4-mapped (RFC 4291 section 2.5.5), IPv4-translated (RFC 2765 section 2.1), NAT64
        // (RFC 6052 section 2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            found.push(last);
        }
        // NAT64 for local use (RFC 8215), with a prefix of 48, 56, 64 or 96 bits. Bits 64 to 71 are skipped (RFC 6052
        // section 2.2).
        [0x64, 0xff9b, 1, ..] => found.extend([
            Ipv4Addr::new(b6, b7, b9, b10),
            Ipv4Addr::new(b7, b9, b10, b11),
            Ipv4Addr::new(b9, b10, b11, b12),
            last,
        ]),
        // 6to4 (RFC 3056 section 2).
        [0x2002, ..] => found.push(Ipv4Addr::new(b2, b3, b4, b5)),
        // Teredo (RFC 4380 section 4): the server, and the client with all bits inverted.
        [0x2001, 0, ..] => {
            found.extend([Ipv4Addr::new(b4, b5, b6, b7), Ipv4Addr::new(!b12, !b13, !b14, !b15)]);
        }
        _ => {}
    }
    // ISATAP (RFC 5214 section 6.1) with any prefix. The "universal" and "group" bits may be set.
    if [b8 & !3, b9, b10, b11] == [0, 0, 0x5e, 0xfe] {
        found.push(last);
    }
    found
}

impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move { Ok(Box::new(policy.lookup(name.as_str()).await?) as Addrs) })
    }
}

#[cfg(test)]
mod tests;
