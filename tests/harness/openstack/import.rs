//! Imports: what was staged, and what Glance fetches itself, in a task.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::images::{Caller, not_authorized};
use super::request::{Answer, Request};
use super::upload::Bytes;
use super::world::World;

/// A task of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: Uuid,
    /// The image's id.
    pub image: Uuid,
    /// `processing`, `success` or `failure`.
    pub status: String,
    /// What became of it.
    pub message: String,
    /// What was asked for.
    request: Value,
    owner: String,
    user: String,
    created: i64,
    updated: i64,
}

/// Bytes that are to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) task: Uuid,
    pub(super) uri: String,
}

/// As Glance writes the times of tasks.
fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).expect("a time").strftime("%Y-%m-%dT%H:%M:%S.000000").to_string()
}

fn conflict(text: &str) -> Answer {
    Answer::refuse(409, text)
}

impl Task {
    fn document(&self) -> Value {
        let is_over = self.status != "processing";
        let result = (self.status == "success").then(|| json!({"image_id": self.image}));
        json!({
            "id": self.id, "type": "api_image_import", "status": self.status, "owner": self.owner,
            "expires_at": is_over.then(|| time(self.updated + 2 * 86400)), "created_at": time(self.created),
            "updated_at": time(self.updated), "deleted_at": null, "deleted": false, "image_id": self.image,
            "request_id": "req-1fccd1e5-3993-4fac-ae1b-b0c793b396af", "user_id": self.user,
            "input": {"image_id": self.image, "import_req": self.request, "backend": ["local"]},
            "result": result, "message": self.message,
        })
    }
}

impl World {
    /// What imports that began are to fetch.
    pub(super) fn take_fetches(&mut self) -> Vec<Fetch> {
        std::mem::take(&mut self.fetches)
    }

    pub(super) fn import_info(&self) -> Answer {
        Answer::json(
            200,
            &json!({"import-methods": {
                "description": "Import methods available.", "type": "array", "value": self.import_methods,
            }}),
        )
    }

    pub(super) fn task_list(&mut self, caller: &Caller, id: &str) -> Result<Answer, Answer> {
        let image = self.seen(caller, id)?.id;
        let tasks: Value = self.tasks.iter().filter(|task| task.image == image).map(Task::document).collect();
        Ok(Answer::json(200, &json!({"tasks": tasks})))
    }

    pub(super) fn import(&mut self, caller: &Caller, request: &Request, id: &str) -> Result<Answer, Answer> {
        let body = request.json()?;
        let method = body["method"]["name"].as_str().unwrap_or_default();
        if !self.import_methods.iter().any(|known| known == method) {
            return Err(Answer::refuse(400, &format!("Unknown import method name '{method}'.")));
        }
        let uri = body["method"]["uri"].as_str().unwrap_or_default();
        if method == "web-download" && !self.may_fetch(uri) {
            return Err(Answer::refuse(400, &format!("URI for web-download does not pass filtering: {uri}")));
        }
        self.check_import(caller, id, method)?;
        let (clock, task) = (self.clock, self.next_id());
        let image = self.seen(caller, id)?;
        image.properties.insert("os_glance_import_task".to_owned(), task.to_string());
        let key = image.id;
        let (owner, user) = (image.owner.clone(), caller.user.clone());
        let (status, message) = ("processing".to_owned(), String::new());
        let task = Task {
            id: task,
            image: key,
            status,
            message,
            request: body.clone(),
            owner,
            user,
            created: clock,
            updated: clock,
        };
        let number = task.id;
        self.tasks.push(task);
        if method == "web-download" {
            self.fetches.push(Fetch { task: number, uri: uri.to_owned() });
        } else {
            let staged = self.image(key).data.clone().unwrap_or_default();
            self.finish_import(number, Some(&staged));
        }
        Ok(Answer::empty(202))
    }

    fn may_fetch(&self, uri: &str) -> bool {
        let Ok(uri) = url::Url::parse(uri) else { return false };
        let has_port = |port: u16| self.import_ports.is_empty() || self.import_ports.contains(&port);
        ["http", "https"].contains(&uri.scheme()) && uri.port_or_known_default().is_some_and(has_port)
    }

    fn check_import(&mut self, caller: &Caller, id: &str, method: &str) -> Result<(), Answer> {
        let image = self.seen(caller, id)?;
        if !caller.owns(image) {
            return Err(not_authorized("modify_image"));
        }
        if image.status == "active" {
            return Err(conflict("Image with status active cannot be target for import"));
        }
        if method == "web-download" && image.status != "queued" {
            return Err(conflict("Image needs to be in 'queued' state to use 'web-download' method"));
        }
        if method == "glance-direct" && image.status != "uploading" {
            return Err(conflict("Image needs to be staged before 'glance-direct' method can be used"));
        }
        for (name, format) in [("container_format", &image.container_format), ("disk_format", &image.disk_format)] {
            if format.is_none() {
                return Err(conflict(&format!("'{name}' needs to be set before import")));
            }
        }
        Ok(())
    }

    /// The bytes of an import are there, or they could not be had.
    pub(super) fn finish_import(&mut self, task: Uuid, bytes: Option<&[u8]>) {
        let clock = self.clock;
        let Some(position) = self.tasks.iter().position(|one| one.id == task) else { return };
        let image = self.tasks[position].image;
        let is_there = self.images.contains_key(&image);
        let stored = bytes.filter(|_| is_there).is_some_and(|bytes| self.store(image, Bytes::of(bytes)).is_ok());
        let (status, message) = match bytes {
            Some(bytes) if stored => ("success", format!("Copied {} MiB", bytes.len() >> 20)),
            _ => ("failure", "Task failed due to Internal Error".to_owned()),
        };
        if let Some(image) = self.images.get_mut(&image) {
            image.properties.remove("os_glance_import_task");
            let failed = if stored { "" } else { "local" };
            for (name, value) in [("os_glance_importing_to_stores", ""), ("os_glance_failed_import", failed)] {
                image.properties.insert(name.to_owned(), value.to_owned());
            }
            if !stored {
                // Other than after an upload, no digest is left.
                (image.checksum, image.os_hash_value, image.stored) = (None, None, false);
                "queued".clone_into(&mut image.status);
            }
        }
        let task = &mut self.tasks[position];
        status.clone_into(&mut task.status);
        (task.message, task.updated) = (message, clock);
    }
}
