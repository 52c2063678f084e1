//! Changes of an image: JSON patch as Glance takes it, all of it or nothing.

use serde_json::{Map, Value};

use super::images::{Caller, not_authorized};
use super::request::{Answer, Request};
use super::schema::{BASE, check_name};
use super::world::{Image, World};

const TYPES: [&str; 2] =
    ["application/openstack-images-v2.0-json-patch", "application/openstack-images-v2.1-json-patch"];

/// One operation.
struct Change {
    operation: String,
    name: String,
    value: Value,
}

fn invalid(text: &str) -> Answer {
    Answer::refuse(400, text)
}

/// Operation and pointer, in the form of version 2.1 or 2.0.
fn operation(raw: &Map<String, Value>, is_old: bool) -> Result<(String, String), Answer> {
    if is_old {
        let found = ["add", "remove", "replace"].into_iter().find_map(|name| Some((name, raw.get(name)?.as_str()?)));
        let (name, pointer) = found.ok_or_else(|| {
            invalid("Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\".")
        })?;
        return Ok((name.to_owned(), pointer.to_owned()));
    }
    let missing = "Unable to find `op` in JSON Schema change. It must be one of the following: add, remove, replace.";
    let name = raw.get("op").and_then(Value::as_str).ok_or_else(|| invalid(missing))?;
    if !["add", "remove", "replace"].contains(&name) {
        return Err(invalid(&format!(
            "Invalid operation: `{name}`. It must be one of the following: add, remove, replace."
        )));
    }
    let pointer = raw.get("path").and_then(Value::as_str);
    let pointer = pointer.ok_or_else(|| invalid("Unable to find 'path' in JSON Schema change"))?;
    Ok((name.to_owned(), pointer.to_owned()))
}

/// The attribute that a pointer leads to.
fn attribute(pointer: &str) -> Result<String, Answer> {
    let name =
        pointer.strip_prefix('/').ok_or_else(|| invalid(&format!("Pointer `{pointer}` does not start with \"/\".")))?;
    if name.is_empty() || name.contains('/') {
        return Err(invalid(&format!("Invalid JSON pointer for this resource: '{pointer}'")));
    }
    Ok(name.replace("~1", "/").replace("~0", "~"))
}

impl World {
    fn changes(&self, request: &Request) -> Result<Vec<Change>, Answer> {
        let media_type = request.media_type();
        if !TYPES.contains(&media_type) {
            let text = format!(
                "415 Unsupported Media Type\n\nThe request media type {media_type} is not supported by this server. \n\n Image PATCH expects Content-Type one of: {}",
                TYPES.join(", ")
            );
            return Err(Answer::text(415, &text));
        }
        let body = request.json()?;
        let raw = body.as_array().ok_or_else(|| invalid("Request body must be a JSON array of operation objects."))?;
        raw.iter().map(|raw| self.change(raw, media_type == TYPES[0])).collect()
    }

    fn change(&self, raw: &Value, is_old: bool) -> Result<Change, Answer> {
        let raw = raw.as_object().ok_or_else(|| invalid("Operations must be JSON objects."))?;
        let (operation, pointer) = operation(raw, is_old)?;
        let name = attribute(&pointer)?;
        if name == "id" || name == "os_hash_value" {
            return Err(Answer::refuse(403, &format!("Attribute '{name}' is read-only.")));
        }
        if name.starts_with("os_glance") {
            return Err(Answer::refuse(403, &format!("Attribute '{name}' is reserved.")));
        }
        check_name(&name)?;
        let value = raw.get("value").cloned();
        if operation == "remove" {
            return Ok(Change { operation, name, value: Value::Null });
        }
        let value =
            value.ok_or_else(|| invalid(&format!("Operation \"{operation}\" requires a member named \"value\".")))?;
        self.check_value(&name, &value)?;
        Ok(Change { operation, name, value })
    }

    pub(super) fn patch(&mut self, caller: &Caller, request: &Request, id: &str) -> Result<Answer, Answer> {
        let changes = self.changes(request)?;
        let mut image = self.seen(caller, id)?.clone();
        for change in &changes {
            self.apply(caller, &mut image, change)?;
        }
        self.check_properties(&image)?;
        image.updated = self.clock;
        let document = image.document();
        self.images.insert(image.id, image);
        Ok(Answer::json(200, &document))
    }

    fn apply(&self, caller: &Caller, image: &mut Image, change: &Change) -> Result<(), Answer> {
        let Change { operation, name, value } = change;
        if operation == "replace" && name == "owner" && !caller.is_admin {
            return Err(Answer::refuse_in_detail(403, "Owner can't be updated by non admin."));
        }
        if !caller.owns(image) {
            return Err(not_authorized("modify_image"));
        }
        if name == "visibility" && value == "public" && !caller.is_admin && !self.member_may_publicise {
            return Err(not_authorized("publicize_image"));
        }
        if (name == "disk_format" || name == "container_format") && image.status != "queued" {
            return Err(Answer::refuse(403, &format!("Attribute {name} can be only replaced for a queued image.")));
        }
        let is_base = BASE.contains(&name.as_str());
        let missing = || Answer::refuse_in_detail(409, &format!("Property {name} does not exist."));
        if operation == "remove" {
            if is_base {
                return Err(Answer::refuse_in_detail(403, &format!("Property {name} may not be removed.")));
            }
            return image.properties.remove(name).map(drop).ok_or_else(missing);
        }
        if operation == "replace" && !is_base && !image.properties.contains_key(name) {
            return Err(missing());
        }
        image.set(name, value);
        Ok(())
    }
}
