//! One call that changes a cloud, or the start of an upload. Pure.

use std::fmt;

use url::Url;
use uuid::Uuid;

use crate::openstack::glance::{Change, NewImage};

/// A change. Each can be repeated safely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create an image (`POST /v2/images`) with an id of the operator.
    Create {
        /// All that is known of it.
        new: Box<NewImage>,
    },
    /// Begin to upload a file (`PUT /v2/images/{id}/file`). It continues in the background.
    Upload {
        /// The image.
        id: Uuid,
        /// The path of the file.
        path: String,
        /// Its size in bytes.
        size: u64,
    },
    /// Begin an import by Glance itself (`POST /v2/images/{id}/import`, method `web-download`).
    Import {
        /// The image.
        id: Uuid,
        /// Where Glance downloads it.
        location: Url,
    },
    /// Change fields and properties (`PATCH /v2/images/{id}`): all of them, or none.
    Patch {
        /// The image.
        id: Uuid,
        /// The changes; only what differs.
        changes: Vec<Change>,
        /// The purpose.
        why: &'static str,
    },
    /// Share an image with a project (`POST /v2/images/{id}/members`).
    AddMember {
        /// The image.
        id: Uuid,
        /// The project's id.
        project: String,
    },
    /// Accept an image for a project, as an administrator (`PUT /v2/images/{id}/members/{project}`).
    AcceptMember {
        /// The image.
        id: Uuid,
        /// The project's id.
        project: String,
    },
    /// No longer share an image with a project (`DELETE /v2/images/{id}/members/{project}`).
    RemoveMember {
        /// The image.
        id: Uuid,
        /// The project's id.
        project: String,
    },
    /// `POST /v2/images/{id}/actions/deactivate`.
    Deactivate {
        /// The image.
        id: Uuid,
    },
    /// `POST /v2/images/{id}/actions/reactivate`.
    Reactivate {
        /// The image.
        id: Uuid,
    },
    /// `DELETE /v2/images/{id}`. An upload of it that is running here is stopped first.
    Delete {
        /// The image.
        id: Uuid,
        /// The purpose.
        why: &'static str,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { new } => write!(f, "create {} as {:?}", new.id, new.name),
            Self::Upload { id, size, .. } => write!(f, "upload {size} bytes to {id}"),
            // The address can be signed.
            Self::Import { id, location } => {
                write!(f, "let the cloud download {id} from {}", location.origin().ascii_serialization())
            }
            Self::Patch { id, changes, why } => {
                let names: Vec<_> = changes.iter().map(name_of).collect();
                write!(f, "change {id}: {why} ({})", names.join(", "))
            }
            Self::AddMember { id, project } => write!(f, "share {id} with {project}"),
            Self::AcceptMember { id, project } => write!(f, "accept {id} for {project}"),
            Self::RemoveMember { id, project } => write!(f, "no longer share {id} with {project}"),
            Self::Deactivate { id } => write!(f, "deactivate {id}"),
            Self::Reactivate { id } => write!(f, "reactivate {id}"),
            Self::Delete { id, why } => write!(f, "delete {id}: {why}"),
        }
    }
}

fn name_of(change: &Change) -> &str {
    match change {
        Change::Add { name, .. } | Change::Replace { name, .. } | Change::Remove { name } => name,
    }
}
