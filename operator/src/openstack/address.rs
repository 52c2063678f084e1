//! Addresses of servers. Pure.

use url::Url;

/// Checks that an address is http or https, without user information, query and fragment.
pub(super) fn check(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected http or https, found {:?}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected no user:password@ in the address, found one".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected an address without ? and #, found one with".to_owned());
    }
    Ok(())
}

/// Whether two addresses are of the same Keystone: a last `/` and `/v3` make no difference.
pub(super) fn same_server(one: &Url, other: &Url) -> bool {
    let parts = |url: &Url| {
        (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default(), base(url).to_owned())
    };
    parts(one) == parts(other)
}

/// The path of an address without a last `/` and `/v3`.
pub(super) fn base(url: &Url) -> &str {
    let path = url.path().trim_end_matches('/');
    path.strip_suffix("/v3").unwrap_or(path).trim_end_matches('/')
}

/// An address without user information and query.
pub(super) fn shown(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = endpoint.path().trim_end_matches('/');
    format!("{}://{host}{port}{path}", endpoint.scheme())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keystone_is_the_same_with_and_without_its_version() {
        let same = |one: &str, other: &str| same_server(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://k", "https://K:443/v3/"));
        assert!(same("http://k/identity/", "http://k/identity/v3"));
        assert!(!same("https://k", "http://k/v3"));
        assert!(!same("https://k:5000", "https://k"));
        assert!(!same("https://k/identity", "https://k/v3"));
    }

    #[test]
    fn an_address_is_plain() {
        let check = |text: &str| check(&text.parse().unwrap());
        assert_eq!(check("https://k:5000/v3"), Ok(()));
        for (address, words) in [
            ("ftp://k", "expected http or https, found \"ftp\""),
            ("https://user:s3cret@k", "expected no user:password@"),
            ("https://k/?a=b", "without ? and #"),
        ] {
            let found = check(address).unwrap_err();
            assert!(found.contains(words) && !found.contains("s3cret"), "{found}");
        }
    }
}
