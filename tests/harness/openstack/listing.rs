//! Lists of images: what a caller sees in them, filters, order, pages.

use std::cmp::Ordering;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::images::Caller;
use super::request::{Answer, Request};
use super::world::{Image, World, time};

const SORT_KEYS: [&str; 8] =
    ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"];
/// What Python's `urlencode` leaves as it is.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// What a client asks for.
#[derive(Default)]
struct Query {
    limit: Option<usize>,
    marker: Option<String>,
    member_status: Option<String>,
    visibility: Option<String>,
    os_hidden: bool,
    tags: Vec<String>,
    /// Keys, and whether they fall.
    sort: Vec<(String, bool)>,
    filters: Vec<(String, String)>,
}

fn invalid(text: &str) -> Answer {
    Answer::refuse(400, text)
}

fn sort_key(key: &str) -> Result<String, Answer> {
    if SORT_KEYS.contains(&key) {
        return Ok(key.to_owned());
    }
    let known = SORT_KEYS.join(", ");
    Err(invalid(&format!("Invalid sort key: {key}. It must be one of the following: {known}.")))
}

fn falls(direction: &str) -> Result<bool, Answer> {
    match direction {
        "desc" | "" => Ok(true),
        "asc" => Ok(false),
        _ => Err(invalid(&format!("Invalid sort direction: {direction}"))),
    }
}

fn one_of(value: &str, known: &[&str], text: &str) -> Result<(), Answer> {
    if known.contains(&value) { Ok(()) } else { Err(invalid(text)) }
}

impl Query {
    fn parse(pairs: Vec<(String, String)>) -> Result<Self, Answer> {
        let mut query = Self::default();
        let mut direction = String::new();
        for (name, value) in pairs {
            match name.as_str() {
                "sort" => {
                    for part in value.split(',') {
                        let (key, direction) = part.split_once(':').unwrap_or((part, ""));
                        query.sort.push((sort_key(key.trim())?, falls(direction.trim())?));
                    }
                }
                "sort_key" => query.sort.push((sort_key(value.trim())?, true)),
                "sort_dir" => direction = value,
                _ => query.take(name, value)?,
            }
        }
        if !direction.is_empty() {
            let falls = falls(&direction)?;
            query.sort.iter_mut().for_each(|(_, falling)| *falling = falls);
        }
        query.complete_order();
        Ok(query)
    }

    /// What has nothing to do with the order.
    fn take(&mut self, name: String, value: String) -> Result<(), Answer> {
        match name.as_str() {
            "limit" => {
                let limit: i64 = value.parse().map_err(|_| invalid("limit param must be an integer"))?;
                self.limit = Some(limit.try_into().map_err(|_| invalid("limit param must be positive"))?);
            }
            "marker" => self.marker = Some(value),
            "member_status" => {
                one_of(&value, &["pending", "accepted", "rejected", "all"], &format!("Invalid status: {value}"))?;
                self.member_status = Some(value);
            }
            "visibility" => {
                let known = ["community", "public", "private", "shared", "all"];
                one_of(&value, &known, &format!("Invalid visibility value: {value}"))?;
                self.visibility = Some(value);
            }
            "os_hidden" => {
                let value = value.to_lowercase();
                let known = "Valid values are 'true' or 'false'.";
                one_of(
                    &value,
                    &["true", "false"],
                    &format!("Invalid value '{value}' for 'os_hidden' filter. {known}"),
                )?;
                self.os_hidden = value == "true";
            }
            "tag" => self.tags.push(value.trim().to_owned()),
            _ => self.filters.push((name, value)),
        }
        Ok(())
    }

    /// `created_at` and `id` come last, so that the order is of all images.
    fn complete_order(&mut self) {
        if self.sort.is_empty() {
            self.sort.push(("created_at".to_owned(), true));
        }
        let falling = self.sort.len() != 1 || self.sort[0].1;
        for key in ["created_at", "id"] {
            if !self.sort.iter().any(|(other, _)| other == key) {
                self.sort.push((key.to_owned(), falling));
            }
        }
    }

    fn compare(&self, one: &Image, other: &Image) -> Ordering {
        let orders = self.sort.iter().map(|(key, falls)| {
            let order = compare(key, one, other);
            if *falls { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    }

    /// What is in a list of the caller's: neither hidden images nor those of other communities, unless asked for.
    fn shows(&self, caller: &Caller, image: &Image) -> bool {
        let status = self.member_status.as_deref().unwrap_or("accepted");
        let shared = |member: &super::world::Member| {
            member.project == caller.project && (status == "all" || member.status == status)
        };
        let is_own = image.owner == caller.project;
        let is_visible = caller.is_admin
            || is_own
            || ["public", "community"].contains(&image.visibility.as_str())
            || image.visibility == "shared" && image.members.iter().any(shared);
        let is_wanted = match self.visibility.as_deref() {
            Some("all") => true,
            Some(visibility) => image.visibility == visibility,
            None => is_own || image.visibility != "community",
        };
        is_visible && is_wanted && image.os_hidden == self.os_hidden && image.status != "killed"
    }

    fn takes(&self, image: &Image) -> bool {
        self.tags.iter().all(|tag| image.tags.contains(tag))
            && self.filters.iter().all(|(name, value)| fits(image, name, value))
    }
}

fn compare(key: &str, one: &Image, other: &Image) -> Ordering {
    match key {
        "name" => one.name.cmp(&other.name),
        "status" => one.status.cmp(&other.status),
        "container_format" => one.container_format.cmp(&other.container_format),
        "disk_format" => one.disk_format.cmp(&other.disk_format),
        "size" => one.size.cmp(&other.size),
        "id" => one.id.cmp(&other.id),
        "updated_at" => one.updated.cmp(&other.updated),
        _ => one.created.cmp(&other.created),
    }
}

/// The values of a filter `in:a,"b,c"`.
fn values(list: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut is_quoted = false;
    for letter in list.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => values.push(String::new()),
            _ => values.last_mut().expect("never empty").push(letter),
        }
    }
    values
}

fn fits(image: &Image, name: &str, wanted: &str) -> bool {
    let document = image.document();
    match name {
        "size_min" => image.size >= wanted.parse().ok(),
        "size_max" => image.size.is_some() && image.size <= wanted.parse().ok(),
        "created_at" => fits_time(image.created, wanted),
        "updated_at" => fits_time(image.updated, wanted),
        "name" | "status" | "id" | "container_format" | "disk_format" => {
            let found = document[name].as_str().unwrap_or_default();
            wanted.strip_prefix("in:").map_or(found == wanted, |list| values(list).iter().any(|one| one == found))
        }
        _ => match &document[name] {
            Value::String(found) => found == wanted,
            Value::Bool(found) => wanted.parse() == Ok(*found),
            Value::Number(found) => found.as_u64() == wanted.parse().ok(),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        },
    }
}

fn fits_time(found: i64, wanted: &str) -> bool {
    let (operator, wanted) =
        wanted.split_once(':').filter(|(operator, _)| operator.len() < 4).unwrap_or(("eq", wanted));
    let order = time(found).as_str().cmp(wanted);
    match operator {
        "gt" => order.is_gt(),
        "gte" => order.is_ge(),
        "lt" => order.is_lt(),
        "lte" => order.is_le(),
        "neq" => order.is_ne(),
        _ => order.is_eq(),
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string().replace("%20", "+")
}

/// Glance loses all but the last value of a name in the addresses that it answers with: of two tags, one is left.
fn last_of_each(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        match kept.iter_mut().find(|(other, _)| *other == name) {
            Some((_, other)) => *other = value,
            None => kept.push((name, value)),
        }
    }
    kept
}

/// The address of a list with this query.
fn address(pairs: &[(String, String)], marker: Option<&str>) -> String {
    let own = pairs.iter().filter(|(name, _)| name != "marker").map(|(name, value)| (name.as_str(), value.as_str()));
    let all = own.chain(marker.map(|marker| ("marker", marker)));
    let query: Vec<_> = all.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    if query.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{}", query.join("&")) }
}

impl World {
    pub(super) fn list(&mut self, caller: &Caller, request: &Request) -> Result<Answer, Answer> {
        let query = Query::parse(request.query())?;
        let pairs = last_of_each(request.query());
        let limit = query.limit.unwrap_or(self.page_size).min(self.page_limit);
        let marker = match &query.marker {
            Some(id) => {
                let text = format!("No image found with ID {id}");
                Some(self.visible(caller, id).ok_or_else(|| invalid(&text))?.clone())
            }
            None => None,
        };
        let mut found: Vec<&Image> =
            self.images.values().filter(|image| query.shows(caller, image) && query.takes(image)).collect();
        found.sort_by(|one, other| query.compare(one, other));
        if let Some(marker) = &marker {
            found.retain(|image| query.compare(marker, image).is_lt());
        }
        found.truncate(limit);
        let images: Value = found.iter().map(|image| image.document()).collect();
        let mut list = json!({"images": images, "first": address(&pairs, None), "schema": "/v2/schemas/images"});
        // A full page is followed by another, which can be empty.
        if let Some(last) = found.last().filter(|_| found.len() == limit) {
            list["next"] = json!(address(&pairs, Some(&last.id.to_string())));
        }
        Ok(Answer::json(200, &list))
    }
}
