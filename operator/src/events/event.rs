//! The event: what occurred, to which object, with the metadata of the image. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::Kind;

/// One event. Each sink renders it in its own form; the spool and the `file` sink hold it as JSON, in this shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The identity. An event that is sent again has the same one, so that a receiver can drop the second.
    pub id: Uuid,
    /// The run of the program in which it occurred: all events of a run have the same one.
    pub session: Uuid,
    /// When it occurred.
    pub time: Timestamp,
    /// What occurred.
    pub event: EventType,
    /// Whether the step is about to be done, was done, or is running.
    pub phase: Phase,
    /// The object; `None` for [`EventType::Process`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// The name of the `CloudTarget`, for [`EventType::Publish`], [`EventType::Retire`] and [`EventType::Convert`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The metadata of the image, if the event is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Box<ImageMetadata>>,
    /// The condition reason, one word, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// One sentence for people, with the relevant figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How far the step is, in the phase [`Phase::Progress`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl Event {
    /// An event without an object, of no run and no time.
    pub fn new(id: Uuid, event: EventType, phase: Phase) -> Self {
        Self {
            id,
            session: Uuid::nil(),
            time: Timestamp::UNIX_EPOCH,
            event,
            phase,
            object: None,
            target: None,
            image: None,
            reason: None,
            message: None,
            progress: None,
        }
    }
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// A pass over the cache starts (before) or ended (after).
    Process,
    /// An accepted list names an image that no earlier accepted list of the subscription named (after).
    SubscriptionImageNew,
    /// A verified version is about to be published in the cache (before), or was (after).
    Available,
    /// The published version is about to leave the cache (before), or is in the archive or removed (after).
    Expire,
    /// A list was accepted (after).
    ListAccepted,
    /// A message was refused (after).
    ListRefused,
    /// A list removes more images than allowed at once, and waits for approval (after).
    RemovalBlocked,
    /// A `before` handler refused a step (after).
    HookVetoed,
    /// A download is running (progress).
    Download,
    /// A conversion is running (progress).
    Convert,
    /// A version is about to be published in a cloud (before), was published (after), or is being imported (progress).
    Publish,
    /// A version is about to be retired in a cloud (before), or was retired (after).
    Retire,
}

impl EventType {
    /// All types, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Process,
        Self::SubscriptionImageNew,
        Self::Available,
        Self::Expire,
        Self::ListAccepted,
        Self::ListRefused,
        Self::RemovalBlocked,
        Self::HookVetoed,
        Self::Download,
        Self::Convert,
        Self::Publish,
        Self::Retire,
    ];

    /// The name in configuration, arguments, routing keys and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "Process",
            Self::SubscriptionImageNew => "SubscriptionImageNew",
            Self::Available => "Available",
            Self::Expire => "Expire",
            Self::ListAccepted => "ListAccepted",
            Self::ListRefused => "ListRefused",
            Self::RemovalBlocked => "RemovalBlocked",
            Self::HookVetoed => "HookVetoed",
            Self::Download => "Download",
            Self::Convert => "Convert",
            Self::Publish => "Publish",
            Self::Retire => "Retire",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where the step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The step is about to be done. A handler can veto it.
    Before,
    /// The step was done.
    After,
    /// The step is running.
    Progress,
}

impl Phase {
    /// The name in configuration, arguments, routing keys and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Progress => "progress",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The bytes that were processed.
    pub done: u64,
    /// The bytes in all, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The metadata of an image version, as the list that it came from has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageMetadata {
    /// `dc:identifier` of the image.
    pub identifier: String,
    /// `hv:version`.
    pub version: String,
    /// `dc:title`.
    pub title: String,
    /// `dc:description`.
    pub description: String,
    /// `hv:hypervisor`.
    pub hypervisor: String,
    /// `hv:size` in bytes.
    pub size: u64,
    /// `hv:uri`, without user, password, query and fragment.
    pub uri: String,
    /// `hv:format`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// `sl:arch`.
    pub arch: String,
    /// `sl:checksum:sha512`.
    pub sha512: String,
    /// `sl:comments`.
    pub comments: String,
    /// `sl:os`.
    pub os: String,
    /// `sl:osversion`.
    pub os_version: String,
    /// `dc:identifier` of the list.
    pub list: String,
    /// `ad:mpuri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mpuri: Option<String>,
    /// `ad:vo` of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vo: Option<String>,
    /// The file of this version, relative to the directory of cached images (`Available`, and `Expire` before) or of the
    /// archive (`Expire`, after); `None` for events of clouds, and if the file is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
}
