//! The state of a cloud in one pass. Pure.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::metadata::Members;
use crate::openstack::error::OpenStackError;
use crate::openstack::glance::Task;
use crate::openstack::image::{Image, Unreadable};

/// The project and the user of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The id of the project. Images of other projects are never changed.
    pub project: String,
    /// The name of the project.
    pub project_name: String,
    /// The name of the user.
    pub user: String,
    /// Whether the user has the role `admin`, which may accept images for other projects.
    pub is_administrator: bool,
}

/// What was read of a cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Who reads.
    pub account: Account,
    /// The project's images with the operator's tag, and others that were read by id.
    pub images: Vec<Image>,
    /// Images that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Whether hidden images were listed too. If not, retired images that the records have may exist.
    pub complete: bool,
    /// Members of the images that a plan needs them of.
    pub members: BTreeMap<Uuid, Members>,
    /// Tasks of the images that a plan needs them of.
    pub tasks: BTreeMap<Uuid, Vec<Task>>,
    /// The uploads of this process, read before the images.
    pub uploads: BTreeMap<Uuid, Progress>,
    /// An id for each request, which no image has: that of a new image.
    pub fresh: Vec<Uuid>,
}

/// An upload of this process. One that succeeded is no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It waits for others, or is running.
    Running {
        /// The bytes that were sent.
        sent: u64,
        /// All bytes.
        size: u64,
    },
    /// It failed. It is not tried again before a plan saw this.
    Failed(OpenStackError),
}
