//! Parses images and members. Unknown fields are ignored or, if they are texts, properties. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Image, ImageStatus, Member, MemberStatus, Unreadable, Visibility};
use crate::text::one_line;
use crate::yaml::describe;

/// The fields of an image that are not properties.
const FIELDS: [&str; 27] = [
    "id",
    "name",
    "status",
    "visibility",
    "owner",
    "protected",
    "os_hidden",
    "tags",
    "disk_format",
    "container_format",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "min_disk",
    "min_ram",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "locations",
    "direct_url",
    "stores",
    "deleted",
    "deleted_at",
];

/// Whether a name is one of a field, so that it cannot be one of a property.
pub(in crate::openstack) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

impl Image {
    /// Parses an image. The id, the status, the visibility, the switches and the times are required.
    pub fn parse(value: &Value) -> Result<Self, Unreadable> {
        let problem = |problem: String| Unreadable { id: read_id(value), problem };
        let object = value.as_object().ok_or_else(|| problem(format!("expected an object, found {}", kind(value))))?;
        Self::from_object(object).map_err(problem)
    }

    fn from_object(object: &Map<String, Value>) -> Result<Self, String> {
        let property = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let id = required(object, "id")?;
        Ok(Self {
            id: id.parse().map_err(|_| unexpected("id", "a UUID", object.get("id")))?,
            name: text(object, "name")?,
            status: ImageStatus::parse(required(object, "status")?),
            visibility: Visibility::parse(required(object, "visibility")?),
            owner: text(object, "owner")?.unwrap_or_default(),
            protected: switch(object, "protected")?,
            os_hidden: object.get("os_hidden").map_or(Ok(false), |_| switch(object, "os_hidden"))?,
            tags: tags(object)?,
            disk_format: text(object, "disk_format")?,
            container_format: text(object, "container_format")?,
            size: number(object, "size")?,
            checksum: text(object, "checksum")?,
            os_hash_algo: text(object, "os_hash_algo")?,
            os_hash_value: text(object, "os_hash_value")?,
            min_disk: number(object, "min_disk")?.unwrap_or_default(),
            min_ram: number(object, "min_ram")?.unwrap_or_default(),
            created_at: time(object, "created_at")?,
            updated_at: time(object, "updated_at")?,
            properties: object.iter().filter(|(name, _)| !is_field(name)).filter_map(property).collect(),
        })
    }
}

impl Member {
    /// Parses a member of an image ("Show image member details").
    pub(in crate::openstack) fn parse(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| format!("expected an object, found {}", kind(value)))?;
        let project = required(object, "member_id")?.to_owned();
        Ok(Self { project, status: MemberStatus::parse(required(object, "status")?) })
    }
}

fn read_id(value: &Value) -> Option<Uuid> {
    value.get("id")?.as_str()?.parse().ok()
}

/// What was found, shortened and printable.
fn kind(value: &Value) -> String {
    one_line(describe(value).as_bytes(), 80)
}

fn unexpected(name: &str, expected: &str, found: Option<&Value>) -> String {
    format!("expected {expected} as {name}, found {}", found.map_or_else(|| "nothing".to_owned(), kind))
}

pub(in crate::openstack) fn required<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let found = object.get(name);
    let text = found.and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| unexpected(name, "a text", found))
}

fn text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        other => Err(unexpected(name, "a text", other)),
    }
}

fn switch(object: &Map<String, Value>, name: &str) -> Result<bool, String> {
    let found = object.get(name);
    found.and_then(Value::as_bool).ok_or_else(|| unexpected(name, "true or false", found))
}

fn number(object: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        found => found.and_then(Value::as_u64).map(Some).ok_or_else(|| unexpected(name, "a number", found)),
    }
}

fn tags(object: &Map<String, Value>) -> Result<BTreeSet<String>, String> {
    let found = object.get("tags");
    let wrong = || unexpected("tags", "a list of texts", found);
    let list = match found {
        None | Some(Value::Null) => return Ok(BTreeSet::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong()),
    };
    list.iter().map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn time(object: &Map<String, Value>, name: &str) -> Result<Timestamp, String> {
    required(object, name)?.parse().map_err(|_| unexpected(name, "a time", object.get(name)))
}
