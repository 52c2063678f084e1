//! Requests that create and change images. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};
use url::Url;
use uuid::Uuid;

use crate::openstack::image::{DiskFormat, Visibility, is_field};

/// An image to create ("Create image"). Its container format is `bare`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// The id, which makes the call safe to repeat: Glance answers 409 to an id that is or was in use.
    pub id: Uuid,
    /// The name, of at most 255 characters.
    pub name: String,
    /// The format of the data.
    pub disk_format: DiskFormat,
    /// Who may see it.
    pub visibility: Visibility,
    /// Whether lists leave it out.
    pub os_hidden: bool,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// The tags, each of at most 255 characters.
    pub tags: BTreeSet<String>,
    /// The smallest disk for it, in GiB.
    pub min_disk: u64,
    /// The smallest memory for it, in MiB.
    pub min_ram: u64,
    /// Other properties. A name must not be one of a field of an image.
    pub properties: BTreeMap<String, String>,
}

impl NewImage {
    /// The body of the request. The error names a property that has the name of a field.
    pub(in crate::openstack) fn body(&self) -> Result<Json, String> {
        if let Some(name) = self.properties.keys().find(|name| is_field(name)) {
            return Err(format!("expected a property that is no field of an image, found {name:?}"));
        }
        let mut body: Map<String, Json> =
            self.properties.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let fields = json!({
            "id": self.id,
            "name": self.name,
            "disk_format": self.disk_format.as_str(),
            "container_format": "bare",
            "visibility": self.visibility.as_str(),
            "os_hidden": self.os_hidden,
            "protected": self.protected,
            "tags": self.tags,
            "min_disk": self.min_disk,
            "min_ram": self.min_ram,
        });
        if let Json::Object(fields) = fields {
            body.extend(fields);
        }
        Ok(Json::Object(body))
    }
}

/// A change of an image ("Update image"). Changes of one call are applied together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds a property, or replaces it.
    Add {
        /// The name of the field or property.
        name: String,
        /// The new value.
        value: Value,
    },
    /// Replaces a field or property. Glance answers 409 if there is none.
    Replace {
        /// The name of the field or property.
        name: String,
        /// The new value.
        value: Value,
    },
    /// Removes a property. Glance answers 409 if there is none.
    Remove {
        /// The name of the property.
        name: String,
    },
}

/// The value of a field or property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Such as of `protected`.
    Bool(bool),
    /// Such as of `min_disk`.
    Number(u64),
    /// All tags of an image.
    Tags(BTreeSet<String>),
}

/// The media type of changes. Glance answers 415 to the general `application/json-patch+json`.
pub(in crate::openstack) const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// The body of the request with these changes.
pub(in crate::openstack) fn patch(changes: &[Change]) -> Json {
    changes.iter().map(Change::operation).collect()
}

impl Change {
    fn operation(&self) -> Json {
        match self {
            Self::Add { name, value } => json!({"op": "add", "path": pointer(name), "value": value.json()}),
            Self::Replace { name, value } => json!({"op": "replace", "path": pointer(name), "value": value.json()}),
            Self::Remove { name } => json!({"op": "remove", "path": pointer(name)}),
        }
    }
}

impl Value {
    fn json(&self) -> Json {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Bool(flag) => (*flag).into(),
            Self::Number(number) => (*number).into(),
            Self::Tags(tags) => tags.iter().map(String::as_str).collect(),
        }
    }
}

/// A name as JSON Pointer (RFC 6901, 3): `~` is `~0`, and `/` is `~1`.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The address of a call. Each segment is one part of the path, whatever characters it has; the error is about one that
/// cannot be such a part.
pub(in crate::openstack) fn address(endpoint: &Url, segments: &[&str]) -> Result<Url, String> {
    if let Some(segment) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
        return Err(format!("expected an id, found {segment:?}"));
    }
    let mut url = endpoint.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("v2").extend(segments);
    }
    Ok(url)
}

/// The body of a request for an import ("Import an image", method `web-download`).
pub(in crate::openstack) fn import(uri: &Url) -> Json {
    json!({"method": {"name": "web-download", "uri": uri.as_str()}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(properties: &[(&str, &str)]) -> NewImage {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        NewImage {
            id: Uuid::from_u128(1),
            name: "EGI Ubuntu".to_owned(),
            disk_format: DiskFormat::Qcow2,
            visibility: Visibility::Private,
            os_hidden: true,
            protected: false,
            tags: ["vmcatcher".to_owned()].into(),
            min_disk: 10,
            min_ram: 512,
            properties,
        }
    }

    #[test]
    fn a_new_image_has_all_its_fields() {
        let expected = r#"{"a:b":"v","id":"00000000-0000-0000-0000-000000000001","name":"EGI Ubuntu","disk_format":"qcow2","container_format":"bare","visibility":"private","os_hidden":true,"protected":false,"tags":["vmcatcher"],"min_disk":10,"min_ram":512}"#;
        assert_eq!(new(&[("a:b", "v")]).body().unwrap().to_string(), expected);
        let refused = new(&[("os_hash_value", "0")]).body().unwrap_err();
        assert_eq!(refused, "expected a property that is no field of an image, found \"os_hash_value\"");
    }

    #[test]
    fn changes_are_operations_of_json_patch() {
        let name = |name: &str| name.to_owned();
        let changes = [
            Change::Add { name: name("eu.egi/cloud~1"), value: Value::Text(name("v")) },
            Change::Replace { name: name("protected"), value: Value::Bool(true) },
            Change::Replace { name: name("min_ram"), value: Value::Number(512) },
            Change::Replace { name: name("tags"), value: Value::Tags([name("b"), name("a")].into()) },
            Change::Remove { name: name("sha512") },
        ];
        let expected = r#"[{"op":"add","path":"/eu.egi~1cloud~01","value":"v"},{"op":"replace","path":"/protected","value":true},{"op":"replace","path":"/min_ram","value":512},{"op":"replace","path":"/tags","value":["a","b"]},{"op":"remove","path":"/sha512"}]"#;
        assert_eq!(patch(&changes).to_string(), expected);
    }

    #[test]
    fn a_segment_never_leaves_its_place_in_the_address() {
        let of = |endpoint: &str, id: &str| address(&endpoint.parse().unwrap(), &["images", id]).map(String::from);
        assert_eq!(of("http://g:9292", "a").unwrap(), "http://g:9292/v2/images/a");
        assert_eq!(of("https://g/image/", "a/../b?c#d%").unwrap(), "https://g/image/v2/images/a%2F..%2Fb%3Fc%23d%25");
        for id in ["", ".", ".."] {
            assert_eq!(of("https://g/image", id).unwrap_err(), format!("expected an id, found {id:?}"));
        }
    }
}
