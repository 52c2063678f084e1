//! Tasks of imports ("Show tasks associated with image"). Pure.

use std::fmt;

use serde_json::Value;

use crate::openstack::image::{required, texts};
use crate::text::one_line;

/// The most characters of a message.
const LONGEST: usize = 300;

texts! {
    /// The status of a task.
    TaskStatus {
        /// Not begun.
        Pending = "pending",
        /// At work.
        Processing = "processing",
        /// Done: the image is active.
        Success = "success",
        /// Failed: the image is `queued` again.
        Failure = "failure",
    }
}

/// A task of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The id.
    pub id: String,
    /// The kind, such as `api_image_import`.
    pub kind: String,
    /// The status.
    pub status: TaskStatus,
    /// Glance's message of a failure: one line, shortened and printable. Often no more than "Internal Error".
    pub message: String,
}

impl Task {
    /// Parses a response with tasks. The error says what was found.
    pub(in crate::openstack) fn parse_all(body: &[u8]) -> Result<Vec<Self>, String> {
        let body: Value = serde_json::from_slice(body).map_err(|error| format!("a body that is no JSON: {error}"))?;
        let tasks = body.get("tasks").and_then(Value::as_array).ok_or("no list \"tasks\"")?;
        tasks.iter().map(Self::parse).collect()
    }

    fn parse(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("a task that is no object")?;
        let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
        Ok(Self {
            id: required(object, "id")?.to_owned(),
            kind: required(object, "type")?.to_owned(),
            status: TaskStatus::parse(required(object, "status")?),
            message: one_line(message.as_bytes(), LONGEST),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shortened from the recorded exchange 199.
    #[test]
    fn a_task_is_read() {
        let body = br#"{"tasks": [{"id": "5564a32e", "type": "api_image_import", "status": "failure", "expires_at": null,
            "created_at": "2026-11-29T05:49:51.756891", "result": null, "message": "Task failed\ndue to Internal Error"}]}"#;
        let tasks = Task::parse_all(body).unwrap();
        assert_eq!((tasks.len(), tasks[0].status.clone()), (1, TaskStatus::Failure));
        assert_eq!(tasks[0].message, "Task failed due to Internal Error");
        for (body, expected) in [
            ("{}", "no list \"tasks\""),
            (r#"{"tasks": [1]}"#, "a task that is no object"),
            (r#"{"tasks": [{"id": "1", "type": "t"}]}"#, "expected a text as status, found nothing"),
        ] {
            assert_eq!(Task::parse_all(body.as_bytes()).unwrap_err(), expected);
        }
    }
}
