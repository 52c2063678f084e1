//! Images, as Glance returns them (Image Service API v2, "Show image"). Pure.

mod parse;

pub(super) use self::parse::{is_field, required};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The id. It is never used for another image.
    pub id: Uuid,
    /// The name, which need not be unique.
    pub name: Option<String>,
    /// The status.
    pub status: ImageStatus,
    /// Who may see it.
    pub visibility: Visibility,
    /// The id of the project that owns it; empty if Glance says nothing.
    pub owner: String,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// Whether lists leave it out, unless they ask for it.
    pub os_hidden: bool,
    /// The tags.
    pub tags: BTreeSet<String>,
    /// The format of the disk.
    pub disk_format: Option<String>,
    /// The format around the disk, `bare` for none.
    pub container_format: Option<String>,
    /// The size of the data in bytes; `None` before there is data.
    pub size: Option<u64>,
    /// MD5 of the data. A failed upload can leave one, so it says nothing unless the status is `active`.
    pub checksum: Option<String>,
    /// The algorithm of `os_hash_value`.
    pub os_hash_algo: Option<String>,
    /// The digest of the data in hexadecimal digits, computed by Glance. A failed upload can leave one, so it says nothing
    /// unless the status is `active`.
    pub os_hash_value: Option<String>,
    /// The smallest disk for it, in GiB.
    pub min_disk: u64,
    /// The smallest memory for it, in MiB.
    pub min_ram: u64,
    /// When it was created, by Glance's clock.
    pub created_at: Timestamp,
    /// When it was changed last, by Glance's clock.
    pub updated_at: Timestamp,
    /// All other properties that are texts.
    pub properties: BTreeMap<String, String>,
}

/// An image, or another object, that does not have the required form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image {}: {problem}", id.map_or_else(|| "without an id".to_owned(), |id| id.to_string()))]
pub struct Unreadable {
    /// The id, if that is readable.
    pub id: Option<Uuid>,
    /// What was expected and found.
    pub problem: String,
}

/// Makes an enum of texts of an API, with a variant for all other texts.
macro_rules! texts {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// Another text.
            Unknown(String),
        }

        impl $name {
            /// Parses the text of the API.
            pub fn parse(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Unknown(other.to_owned()),
                }
            }

            /// The text of the API.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&crate::text::printable(self.as_str()))
            }
        }
    };
}
pub(super) use texts;

texts! {
    /// The status of an image ("Image Statuses").
    ImageStatus {
        /// Without data. A failed upload or import sets it back to this.
        Queued = "queued",
        /// Data is being uploaded.
        Saving = "saving",
        /// Data is being staged for an import.
        Uploading = "uploading",
        /// An import is at work.
        Importing = "importing",
        /// Usable.
        Active = "active",
        /// Its data is closed to users.
        Deactivated = "deactivated",
        /// An upload failed, in old versions.
        Killed = "killed",
        /// Deleted, with its data kept for a while.
        PendingDelete = "pending_delete",
        /// Deleted.
        Deleted = "deleted",
    }
}

texts! {
    /// Who may see an image ("Image Visibility").
    Visibility {
        /// The owner.
        Private = "private",
        /// The owner and the members.
        Shared = "shared",
        /// Everybody by id; lists leave it out unless they ask for it.
        Community = "community",
        /// Everybody.
        Public = "public",
    }
}

texts! {
    /// What a member made of an image that was shared with it ("Image members").
    MemberStatus {
        /// Nothing yet: usable by id, but not in the member's lists.
        Pending = "pending",
        /// Accepted: in the member's lists.
        Accepted = "accepted",
        /// Rejected: usable by id, but not in the member's lists.
        Rejected = "rejected",
    }
}

texts! {
    /// The format of a disk ("Disk format").
    DiskFormat {
        /// Without structure.
        Raw = "raw",
        /// QEMU's copy-on-write format.
        Qcow2 = "qcow2",
        /// VMware's format.
        Vmdk = "vmdk",
        /// VirtualBox's format.
        Vdi = "vdi",
        /// Virtual PC's format.
        Vhd = "vhd",
        /// Hyper-V's format.
        Vhdx = "vhdx",
        /// An optical disc.
        Iso = "iso",
        /// Virtuozzo's format.
        Ploop = "ploop",
    }
}

/// A project with which an image is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id of the project. Glance accepts ids of projects that do not exist.
    pub project: String,
    /// What the project made of it.
    pub status: MemberStatus,
}

#[cfg(test)]
mod tests;
