//! What Glance's schema of an image allows, and the texts of what it does not.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::request::Answer;
use super::world::{Image, World};

const READ_ONLY: [&str; 11] = [
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "size",
    "virtual_size",
    "direct_url",
    "self",
    "file",
    "schema",
    "os_hash_algo",
];
const RESERVED: [&str; 4] = ["location", "locations", "deleted", "deleted_at"];
const VISIBILITIES: [&str; 4] = ["community", "public", "private", "shared"];
const CONTAINERS: [&str; 8] = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];
/// Attributes that are no properties, besides those that are read only.
pub(super) const BASE: [&str; 11] = [
    "id",
    "name",
    "owner",
    "visibility",
    "protected",
    "os_hidden",
    "tags",
    "disk_format",
    "container_format",
    "min_ram",
    "min_disk",
];

/// A value as Python prints it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn choices<'a>(nullable: bool, values: impl IntoIterator<Item = &'a str>) -> String {
    let values = values.into_iter().map(|value| format!("'{value}'"));
    let all: Vec<_> = nullable.then(|| "None".to_owned()).into_iter().chain(values).collect();
    format!("[{}]", all.join(", "))
}

/// The text goes on with the part of the schema, over many lines; what is before it is what people read.
fn mismatch(problem: &str, rule: &str, place: &str, instance: &str, value: &Value) -> Answer {
    let value = python(value);
    let text = format!(
        "Provided object does not match schema 'image': {value} {problem}  Failed validating '{rule}' in schema{place}:     {{}}  On instance{instance}:     {value}"
    );
    Answer::refuse(400, &text)
}

/// Whether an attribute may be given at all.
pub(super) fn check_name(name: &str) -> Result<(), Answer> {
    if READ_ONLY.contains(&name) {
        return Err(Answer::refuse(403, &format!("Attribute '{name}' is read-only.")));
    }
    if RESERVED.contains(&name) {
        return Err(Answer::refuse(403, &format!("Attribute '{name}' is reserved.")));
    }
    if name.starts_with("os_glance") {
        return Err(Answer::refuse_in_detail(403, &format!("Attribute '{name}' is reserved.")));
    }
    if name.len() > 255 {
        return Err(Answer::refuse(400, "Custom property should not be greater than 255 characters."));
    }
    Ok(())
}

fn check_text(name: &str, value: &Value) -> Result<(), Answer> {
    let place = format!("['properties']['{name}']");
    let instance = format!("['{name}']");
    match value {
        Value::String(text) if text.chars().count() > 255 => {
            Err(mismatch("is too long", "maxLength", &place, &instance, value))
        }
        Value::String(_) | Value::Null => Ok(()),
        _ => Err(mismatch("is not of type 'null', 'string'", "type", &place, &instance, value)),
    }
}

fn check_choice(name: &str, value: &Value, nullable: bool, allowed: &[&str]) -> Result<(), Answer> {
    let fits = value.as_str().is_some_and(|value| allowed.contains(&value)) || nullable && value.is_null();
    let problem = format!("is not one of {}", choices(nullable, allowed.iter().copied()));
    let (place, instance) = (format!("['properties']['{name}']"), format!("['{name}']"));
    if fits { Ok(()) } else { Err(mismatch(&problem, "enum", &place, &instance, value)) }
}

fn check_type(name: &str, value: &Value, fits: bool, kind: &str) -> Result<(), Answer> {
    let (place, instance) = (format!("['properties']['{name}']"), format!("['{name}']"));
    if fits { Ok(()) } else { Err(mismatch(&format!("is not of type '{kind}'"), "type", &place, &instance, value)) }
}

fn check_tags(value: &Value) -> Result<(), Answer> {
    check_type("tags", value, value.is_array(), "array")?;
    for (number, tag) in value.as_array().into_iter().flatten().enumerate() {
        let (place, instance) = ("['properties']['tags']['items']", format!("['tags'][{number}]"));
        match tag.as_str() {
            Some(text) if text.chars().count() <= 255 => {}
            Some(_) => return Err(mismatch("is too long", "maxLength", place, &instance, tag)),
            None => return Err(mismatch("is not of type 'string'", "type", place, &instance, tag)),
        }
    }
    Ok(())
}

fn check_id(value: &Value) -> Result<(), Answer> {
    const PATTERN: &str = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";
    let fits = value.as_str().is_some_and(|id| id.len() == 36 && id.parse::<Uuid>().is_ok());
    let problem = format!("does not match '{PATTERN}'");
    if fits { Ok(()) } else { Err(mismatch(&problem, "pattern", "['properties']['id']", "['id']", value)) }
}

impl World {
    /// Whether an attribute may have a value.
    pub(super) fn check_value(&self, name: &str, value: &Value) -> Result<(), Answer> {
        match name {
            "id" => check_id(value),
            "name" | "owner" => check_text(name, value),
            "visibility" => check_choice(name, value, false, &VISIBILITIES),
            "disk_format" => {
                let formats: Vec<&str> = self.disk_formats.iter().map(String::as_str).collect();
                check_choice(name, value, true, &formats)
            }
            "container_format" => check_choice(name, value, true, &CONTAINERS),
            "min_ram" | "min_disk" => check_type(name, value, value.is_u64(), "integer"),
            "protected" | "os_hidden" => check_type(name, value, value.is_boolean(), "boolean"),
            "tags" => check_tags(value),
            _ if value.is_string() => Ok(()),
            _ => {
                let (place, instance) = ("['additionalProperties']", format!("['{name}']"));
                Err(mismatch("is not of type 'string'", "type", place, &instance, value))
            }
        }
    }

    /// What a creation asks for: the schema first, then what is read only or reserved.
    pub(super) fn check_new(&self, body: &Value) -> Result<Map<String, Value>, Answer> {
        let Value::Object(asked) = body else {
            return Err(mismatch("is not of type 'object'", "type", "", "", body));
        };
        let skipped = |name: &str| READ_ONLY.contains(&name) || RESERVED.contains(&name);
        for (name, value) in asked.iter().filter(|(name, _)| !skipped(name)) {
            self.check_value(name, value)?;
        }
        let mut taken = asked.clone();
        // Accepted, and without effect.
        taken.remove("os_hash_value");
        for name in taken.keys() {
            check_name(name)?;
        }
        taken.remove("id");
        taken.remove("owner");
        Ok(taken)
    }

    /// Whether an image has more properties than are allowed.
    pub(super) fn check_properties(&self, image: &Image) -> Result<(), Answer> {
        let (attempted, maximum) = (image.properties.len(), self.property_limit);
        if attempted <= maximum {
            return Ok(());
        }
        let text = format!(
            "The limit has been exceeded on the number of allowed image properties. Attempted: {attempted}, Maximum: {maximum}"
        );
        Err(Answer::refuse(413, &text))
    }
}

impl Image {
    /// Gives an attribute or a property a value that was checked.
    pub(super) fn set(&mut self, name: &str, value: &Value) {
        let text = || value.as_str().map(str::to_owned);
        match name {
            "name" => self.name = text(),
            "owner" => self.owner = text().unwrap_or_default(),
            "visibility" => self.visibility = text().unwrap_or_default(),
            "disk_format" => self.disk_format = text(),
            "container_format" => self.container_format = text(),
            "min_ram" => self.min_ram = value.as_u64().unwrap_or_default(),
            "min_disk" => self.min_disk = value.as_u64().unwrap_or_default(),
            "protected" => self.protected = value.as_bool().unwrap_or_default(),
            "os_hidden" => self.os_hidden = value.as_bool().unwrap_or_default(),
            "tags" => {
                let tags = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                self.tags = tags.map(str::to_owned).collect();
            }
            _ => {
                self.properties.insert(name.to_owned(), text().unwrap_or_default());
            }
        }
    }
}
