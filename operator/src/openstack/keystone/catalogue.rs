//! The address of Glance in the catalogue of a token (Identity API v3, "Service catalog"). Pure.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use crate::openstack::interface::Interface;
use crate::text::one_line;

/// The type of the service in the catalogue.
const IMAGE: &str = "image";

/// The most characters of what a message lists.
const SHOWN: usize = 300;

/// Finds the address of Glance, without `/v2`. The error says what was found instead.
pub fn image_endpoint(catalogue: &Value, region: Option<&str>, interface: Interface) -> Result<Url, String> {
    let entries = catalogue.as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        return Err("no catalogue".to_owned());
    }
    let services: Vec<&Value> = entries.iter().filter(|entry| text(entry, "type") == Some(IMAGE)).collect();
    if services.is_empty() {
        return Err(format!("no service of type {IMAGE}, only {}", list(entries, "type")));
    }
    let all: Vec<&Value> = services.iter().filter_map(|entry| entry.get("endpoints")?.as_array()).flatten().collect();
    let of_interface = |endpoint: &&&Value| text(endpoint, "interface").and_then(Interface::parse) == Some(interface);
    let usable: Vec<&Value> = all.iter().filter(of_interface).copied().collect();
    if usable.is_empty() {
        return Err(format!("only {}", list(all, "interface")));
    }
    let found = match region {
        Some(region) => usable.iter().find(|endpoint| region_of(endpoint) == region),
        None if regions(&usable).len() > 1 => {
            return Err(format!("several regions, so one must be configured: {}", shown(regions(&usable))));
        }
        None => usable.first(),
    };
    let found = found.ok_or_else(|| format!("only the regions {}", shown(regions(&usable))))?;
    address(text(found, "url").unwrap_or_default())
}

/// An address of Glance without `/v2`, which some sites register and others do not.
fn address(text: &str) -> Result<Url, String> {
    let refused = || format!("the address \"{}\"", one_line(text.as_bytes(), SHOWN));
    let mut url: Url = text.parse().map_err(|_| refused())?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_plain || url.fragment().is_some() || !url.has_host() {
        return Err(refused());
    }
    let path = url.path().trim_end_matches('/');
    let versions = ["/v2", "/v2.0", "/v1"];
    let base = versions.iter().find_map(|version| path.strip_suffix(version)).unwrap_or(path);
    let base = base.trim_end_matches('/').to_owned();
    url.set_path(&base);
    Ok(url)
}

fn regions<'a>(endpoints: &[&'a Value]) -> BTreeSet<&'a str> {
    endpoints.iter().map(|endpoint| region_of(endpoint)).collect()
}

fn region_of(endpoint: &Value) -> &str {
    text(endpoint, "region_id").or_else(|| text(endpoint, "region")).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn list<'a>(values: impl IntoIterator<Item = &'a Value>, name: &str) -> String {
    shown(values.into_iter().filter_map(|value| text(value, name)).collect())
}

fn shown(texts: BTreeSet<&str>) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    one_line(if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }.as_bytes(), SHOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(interface: &str, region: &str, url: &str) -> Value {
        json!({"id": "3db7", "interface": interface, "region_id": region, "url": url, "region": region})
    }

    fn catalogue(endpoints: &[Value]) -> Value {
        json!([
            {"type": "identity", "name": "keystone", "endpoints": [endpoint("public", "One", "http://k:5000/v3")]},
            {"type": "image", "name": "glance", "endpoints": endpoints},
        ])
    }

    #[test]
    fn the_address_is_by_interface_and_region_without_the_version() {
        let two = catalogue(&[
            endpoint("public", "One", "http://one:9292"),
            endpoint("internal", "One", "http://inside:9292/v2/"),
            endpoint("public", "Two", "https://two/image/v2"),
            endpoint("adminURL", "Two", "https://admin/image/"),
        ]);
        let find = |region: Option<&str>, interface| image_endpoint(&two, region, interface).map(String::from);
        assert_eq!(find(Some("One"), Interface::Public).unwrap(), "http://one:9292/");
        assert_eq!(find(Some("Two"), Interface::Public).unwrap(), "https://two/image");
        assert_eq!(find(None, Interface::Internal).unwrap(), "http://inside:9292/");
        assert_eq!(find(None, Interface::Admin).unwrap(), "https://admin/image");
        let several = find(None, Interface::Public).unwrap_err();
        assert_eq!(several, "several regions, so one must be configured: One, Two");
        assert_eq!(find(Some("Three"), Interface::Public).unwrap_err(), "only the regions One, Two");
        assert_eq!(find(Some("Two"), Interface::Internal).unwrap_err(), "only the regions One");
    }

    #[test]
    fn what_is_found_instead_is_named() {
        let find = |catalogue: &Value| image_endpoint(catalogue, None, Interface::Public).unwrap_err();
        assert_eq!(find(&Value::Null), "no catalogue");
        assert_eq!(find(&json!([])), "no catalogue");
        assert_eq!(find(&json!([{"type": "identity"}, 1])), "no service of type image, only identity");
        assert_eq!(find(&catalogue(&[])), "only none");
        assert_eq!(find(&catalogue(&[endpoint("internal", "One", "http://one")])), "only internal");
        for url in
            ["", "glance:9292", "ftp://one", "http://user:password@one/", "http://one/?a=b", "http://one/\u{1b}#"]
        {
            let found = find(&catalogue(&[endpoint("public", "One", url)]));
            assert!(found.starts_with("the address \"") && !found.contains('\u{1b}'), "{found}");
        }
    }
}
