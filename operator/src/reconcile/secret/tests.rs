use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

use super::*;

fn secret(allowed: Option<&str>, plain: bool) -> SecretData {
    let entries = BTreeMap::new();
    SecretData { kind: OPAQUE.to_owned(), allowed_hosts: allowed.map(str::to_owned), allow_plain_http: plain, entries }
}

fn allowed(allowed: &str, url: &str) -> bool {
    secret(Some(allowed), true).allows(&Url::parse(url).unwrap()).is_ok()
}

#[test]
fn credentials_go_where_the_secret_says_and_nowhere_else() {
    let good = [
        ("lists.example.org", "https://lists.example.org/image.list"),
        ("lists.example.org", "https://LISTS.example.org.:443/image.list"),
        ("Lists.Example.Org.", "https://lists.example.org/"),
        ("lists.example.org", "http://lists.example.org/"),
        ("a.example.org, lists.example.org", "https://lists.example.org/"),
        ("a.example.org\n  lists.example.org", "https://lists.example.org/"),
        ("lists.example.org:8443", "https://lists.example.org:8443/"),
        ("*.example.org", "https://lists.example.org/"),
        ("*.example.org", "https://a.b.example.org/"),
        ("*.example.org:8443", "https://a.example.org:8443/"),
        ("192.0.2.1", "https://192.0.2.1/"),
        ("[2001:db8::1]", "https://[2001:db8::1]/"),
        ("[2001:db8::1]:8443", "https://[2001:db8:0::1]:8443/"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("*", "https://anywhere.example.org:1/"),
        ("https://odd/, lists.example.org", "https://lists.example.org/"),
    ];
    for (said, url) in good {
        assert!(allowed(said, url), "{said:?} {url}");
    }
    let bad = [
        ("", "https://lists.example.org/"),
        (",,", "https://lists.example.org/"),
        ("lists.example.org", "https://lists.example.org:8443/"),
        ("lists.example.org:8443", "https://lists.example.org/"),
        ("lists.example.org", "https://lists.example.org.evil.example/"),
        ("lists.example.org", "https://evil-lists.example.org/"),
        ("lists.example.org", "https://a.lists.example.org/"),
        ("*.example.org", "https://example.org/"),
        ("*.example.org", "https://evilexample.org/"),
        ("*.example.org", "https://a.example.org:8443/"),
        ("*.", "https://example.org/"),
        ("*.192.0.2.1", "https://192.0.2.1/"),
        ("**", "https://example.org/"),
        ("192.0.2.1", "https://[::ffff:192.0.2.1]/"),
        ("https://lists.example.org", "https://lists.example.org/"),
        ("lists.example.org:x", "https://lists.example.org/"),
    ];
    for (said, url) in bad {
        assert!(!allowed(said, url), "{said:?} {url}");
    }
}

#[test]
fn what_is_missing_is_told_with_what_to_add() {
    let at = |url: &str| Url::parse(url).unwrap();
    let told = secret(None, true).allows(&at("https://lists.example.org:8443/")).unwrap_err();
    assert!(told.contains("vmcatcher.io/allowed-hosts: \"lists.example.org:8443\", found none"), "{told}");
    let told = secret(Some("https://\u{1b}[2J"), true).allows(&at("https://a/")).unwrap_err();
    assert!(told.contains("does not name a; \"https://\\u{1b}[2J\" in it is no host"), "{told}");
    let told = secret(Some("*"), false).allows(&at("http://a/")).unwrap_err();
    assert!(told.contains("expected https, found http") && told.contains("vmcatcher.io/allow-plain-http"), "{told}");
    assert_eq!(secret(Some("*"), true).allows(&at("http://a/")), Ok(()));
    assert_eq!(secret(Some("a"), false).allows(&at("https://a/")), Ok(()));
    assert_eq!(secret(None, false).does_not_refuse(&at("https://a/")), Ok(()));
    assert!(secret(Some("b"), false).does_not_refuse(&at("https://a/")).is_err());
}

#[test]
fn only_types_that_are_meant_for_it_are_read() {
    let of = |kind: &str| SecretData { kind: kind.to_owned(), ..secret(Some("*"), true) };
    let others = [
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/dockercfg",
        "kubernetes.io/ssh-auth",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
    ];
    for kind in others {
        let told = of(kind).holds_credentials().unwrap_err();
        assert!(told.contains(kind) && of(kind).holds_certificates().is_err(), "{told}");
    }
    assert!(of("Opaque").holds_credentials().is_ok() && of("Opaque").holds_certificates().is_ok());
    assert!(of("kubernetes.io/basic-auth").holds_credentials().is_ok());
    assert!(
        of("kubernetes.io/tls").holds_credentials().is_err() && of("kubernetes.io/tls").holds_certificates().is_ok()
    );
    let unsaid: Secret = serde_json::from_str(r#"{"type": ""}"#).unwrap();
    assert_eq!(SecretData::from(unsaid).kind, "Opaque");
}
