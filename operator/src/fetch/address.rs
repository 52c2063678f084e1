//! Which addresses are never asked, whatever a list or a server says.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The address policy of a client.
#[derive(Debug, Clone)]
pub(super) struct AddressPolicy {
    deny_loopback: bool,
    /// Host names of the environment's proxies: the administrator's word, so their addresses are not judged.
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
        write!(f, "expected an address that may be fetched from, found {address} ({range}) for {host}")
    }
}

impl std::error::Error for AddressRefused {}

impl AddressPolicy {
    pub(super) fn new(deny_loopback: bool, environment: impl Iterator<Item = (String, String)>) -> Self {
        let is_proxy = |name: &str| ["http_proxy", "https_proxy", "all_proxy"].contains(&name);
        let proxies = environment
            .filter(|(name, _)| is_proxy(&name.to_ascii_lowercase()))
            .filter_map(|(_, value)| {
                let url = Url::parse(&value).or_else(|_| Url::parse(&format!("http://{value}"))).ok()?;
                url.host_str().map(str::to_ascii_lowercase)
            })
            .collect();
        Self { deny_loopback, proxies: Arc::new(proxies) }
    }

    /// Judges a URL by its literal address or by the names that always mean this machine.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), AddressRefused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.check(&address.to_string(), IpAddr::V6(address)),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                if name == "localhost" || name.ends_with(".localhost") {
                    return self.check(&name, IpAddr::V4(Ipv4Addr::LOCALHOST));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRefused> {
        let refused = |range| Err(AddressRefused { host: host.to_owned(), address, range });
        let inner = unwrapped(address);
        if is_link_local(inner) {
            return refused("link-local");
        }
        if self.deny_loopback && (inner.is_loopback() || inner.is_unspecified()) {
            return refused("loopback");
        }
        Ok(())
    }

    /// What of a name's addresses may be connected to; an error when that is none.
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

/// The IPv4 address inside an IPv6 one that a system would turn into it: mapped and compatible (RFC 4291),
/// NAT64 (RFC 6052), 6to4 (RFC 3056).
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let pair = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 => pair(high, low),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            pair(high, low)
        }
        _ => address,
    }
}

/// 169.254.0.0/16 (RFC 3927), `fe80::/10` (RFC 4291) and the one unique-local address under which a cloud offers the
/// same metadata service as under 169.254.169.254.
fn is_link_local(address: IpAddr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA,
    }
}

impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed = policy.allowed(&host, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(deny_loopback: bool) -> AddressPolicy {
        AddressPolicy::new(deny_loopback, std::iter::empty())
    }

    #[test]
    fn link_local_is_refused_however_it_is_written() {
        let cases = [
            "http://169.254.169.254/latest/meta-data",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[fd00:ec2::254]/",
        ];
        for case in cases {
            let refused = policy(false).check_url(&Url::parse(case).unwrap()).unwrap_err();
            assert_eq!(refused.range, "link-local", "{case}");
        }
    }

    #[test]
    fn loopback_is_refused_where_told() {
        let cases = [
            "http://127.0.0.1/",
            "http://127.9.9.9/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://127.1/",
        ];
        for case in cases {
            let url = Url::parse(case).unwrap();
            assert_eq!(policy(true).check_url(&url).unwrap_err().range, "loopback", "{case}");
            assert!(policy(false).check_url(&url).is_ok(), "{case}");
        }
        for case in ["http://192.0.2.1/", "http://[2001:db8::1]/", "https://images.example.org/"] {
            assert!(policy(true).check_url(&Url::parse(case).unwrap()).is_ok(), "{case}");
        }
    }

    #[test]
    fn what_a_name_resolves_to_is_judged_but_for_a_proxy() {
        let found = || vec!["169.254.1.1:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()];
        let refused =
            |host: &str, policy: &AddressPolicy| policy.allowed(host, vec!["127.0.0.1:0".parse().unwrap()]).is_err();
        assert_eq!(policy(true).allowed("a", found()).unwrap(), ["192.0.2.1:0".parse().unwrap()]);
        assert!(refused("a", &policy(true)));
        let environment = [("HTTPS_PROXY".to_owned(), "http://user:word@proxy.local:3128".to_owned())];
        let with_proxy = AddressPolicy::new(true, environment.into_iter());
        assert!(!refused("Proxy.local", &with_proxy));
        assert!(refused("a", &with_proxy));
    }
}
