use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// As recorded (032 and 074): an image after a refused upload.
fn recorded() -> Value {
    json!({
        "architecture": "x86_64", "vmcatcher_event_dc_identifier": "ef7f8b7a-1ca6-4d1d-b1c8-62bd8fff3d95",
        "eu.egi.cloud.tag": "22.04", "umlaut": "Grüße €", "empty": "", "name": "EGI Ubuntu 22.04 [ops]",
        "disk_format": "qcow2", "container_format": "bare", "visibility": "private", "size": null, "virtual_size": null,
        "status": "queued", "checksum": "7409c0cadc39c378e2bca7fefd5359b7", "protected": false, "min_ram": 512,
        "min_disk": 10, "owner": "532012dcee824b119a4ebe68574d80df", "os_hidden": false, "os_hash_algo": "sha512",
        "os_hash_value": "7b55", "id": "9ca7f796-7021-46cc-8211-ebfab1090a59", "created_at": "2026-11-29T05:48:36Z",
        "updated_at": "2026-11-29T05:49:11Z", "tags": ["vmcatcher", "list:test"],
        "self": "/v2/images/9ca7f796-7021-46cc-8211-ebfab1090a59", "file": "/v2/images/9ca7/file",
        "schema": "/v2/schemas/image", "stores": "local"
    })
}

#[test]
fn an_image_is_read_and_what_is_no_property_is_not_one() {
    let image = Image::parse(&recorded()).unwrap();
    assert_eq!(image.id.to_string(), "9ca7f796-7021-46cc-8211-ebfab1090a59");
    assert_eq!((image.status.clone(), image.visibility.clone()), (ImageStatus::Queued, Visibility::Private));
    assert_eq!((image.size, image.min_ram, image.min_disk), (None, 512, 10));
    assert_eq!(image.tags, ["list:test", "vmcatcher"].map(str::to_owned).into());
    assert_eq!(image.created_at.to_string(), "2026-11-29T05:48:36Z");
    let names: Vec<&str> = image.properties.keys().map(String::as_str).collect();
    assert_eq!(names, ["architecture", "empty", "eu.egi.cloud.tag", "umlaut", "vmcatcher_event_dc_identifier"]);
    assert_eq!(image.properties["umlaut"], "Grüße €");
}

#[test]
fn what_other_versions_leave_out_or_add_does_not_matter() {
    let mut value = recorded();
    let object = value.as_object_mut().unwrap();
    for name in ["os_hidden", "os_hash_algo", "os_hash_value", "tags", "owner", "min_ram", "virtual_size", "stores"] {
        object.remove(name);
    }
    object.insert("status".to_owned(), "melting".into());
    object.insert("locations".to_owned(), json!([{"url": "file:///a"}]));
    object.insert("future".to_owned(), json!({"a": 1}));
    let image = Image::parse(&value).unwrap();
    assert_eq!(image.status, ImageStatus::Unknown("melting".to_owned()));
    assert!(!image.os_hidden && image.owner.is_empty() && image.tags.is_empty() && image.os_hash_value.is_none());
    assert!(!image.properties.contains_key("future") && !image.properties.contains_key("locations"));
}

#[test]
fn an_image_that_is_not_readable_is_named() {
    let id = "9ca7f796-7021-46cc-8211-ebfab1090a59";
    let cases = [
        ("id", json!("1"), "image without an id: expected a UUID as id, found the text \"1\"".to_owned()),
        ("id", json!(1), "image without an id: expected a text as id, found the number 1".to_owned()),
        ("status", Value::Null, format!("image {id}: expected a text as status, found nothing")),
        ("visibility", json!(""), format!("image {id}: expected a text as visibility, found the text \"\"")),
        ("protected", json!("no"), format!("image {id}: expected true or false as protected, found the text \"no\"")),
        ("size", json!(-1), format!("image {id}: expected a number as size, found the number -1")),
        ("tags", json!([1]), format!("image {id}: expected a list of texts as tags, found a list")),
        (
            "created_at",
            json!("soon\u{1b}"),
            format!("image {id}: expected a time as created_at, found the text \"soon\\u{{1b}}\""),
        ),
        ("name", json!({}), format!("image {id}: expected a text as name, found an object")),
    ];
    for (name, value, expected) in cases {
        let mut image = recorded();
        image[name] = value;
        assert_eq!(Image::parse(&image).unwrap_err().to_string(), expected);
    }
    assert!(Image::parse(&json!([])).unwrap_err().to_string().contains("expected an object, found a list"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "2026-11-2[0-9]T05:48:3[0-9]Z".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics(value in any_json(), field in 0_usize..24, other in any_json()) {
        let _ = (Image::parse(&value), Member::parse(&value));
        let mut image = recorded();
        let names: Vec<String> = image.as_object().unwrap().keys().cloned().collect();
        image[&names[field % names.len()]] = other;
        if let Err(unreadable) = Image::parse(&image) {
            prop_assert!(unreadable.to_string().chars().all(crate::text::is_printable), "{unreadable}");
        }
    }
}
