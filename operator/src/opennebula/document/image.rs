//! Images in OpenNebula's documents.

use std::collections::BTreeMap;
use std::fmt;

use super::{Permissions, attributes, number, required};
use crate::opennebula::xmlrpc::ValueError;
use crate::xml::Element;

/// An image in the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `ID`: never used twice by one server.
    pub id: u32,
    /// `NAME`: unique among the images of one owner, in every state.
    pub name: String,
    /// `UID`.
    pub uid: u32,
    /// `GID`.
    pub gid: u32,
    /// `UNAME`.
    pub uname: String,
    /// `GNAME`.
    pub gname: String,
    /// `PERMISSIONS`.
    pub permissions: Permissions,
    /// `STATE`.
    pub state: ImageState,
    /// `PERSISTENT`: changes made by its one VM are kept.
    pub persistent: bool,
    /// `REGTIME`: when it was registered, in seconds since 1970.
    pub registered: i64,
    /// `SOURCE`: its location in the datastore; empty until it is copied.
    pub source: String,
    /// `SIZE` in MiB, virtual and rounded up.
    pub size_mb: u64,
    /// `DATASTORE_ID`.
    pub datastore: i64,
    /// The number of VMs that use it (`RUNNING_VMS`, which includes waiting ones).
    pub running_vms: u32,
    /// A user's lock. It is independent of the state LOCKED.
    pub lock: Option<Lock>,
    /// The leaves of `TEMPLATE`.
    pub attributes: BTreeMap<String, String>,
}

/// A lock that a user put on an image (`one.image.lock`, since 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// 1 use, 2 manage, 3 administer, 4 all.
    pub level: u32,
    /// The user's id.
    pub owner: u32,
}

/// States of an image (OpenNebula documentation, "Managing Images", and `Image.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageState {
    /// 0: not seen in practice.
    Init,
    /// 1.
    Ready,
    /// 2: used by at least one VM, or being cloned.
    Used,
    /// 3: no new VM can use it.
    Disabled,
    /// 4: being copied.
    Locked,
    /// 5: the copy failed; the attribute ERROR contains the reason.
    Error,
    /// 6: a persistent image being cloned.
    Clone,
    /// 7: being removed.
    Delete,
    /// 8: persistent, used by its VM.
    UsedPersistent,
    /// 9: being copied while VMs wait for it.
    LockedUsed,
    /// 10: the same for a persistent image.
    LockedUsedPersistent,
    /// An unknown state.
    Unknown(u32),
}

impl ImageState {
    /// From the number in `STATE`.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Init,
            1 => Self::Ready,
            2 => Self::Used,
            3 => Self::Disabled,
            4 => Self::Locked,
            5 => Self::Error,
            6 => Self::Clone,
            7 => Self::Delete,
            8 => Self::UsedPersistent,
            9 => Self::LockedUsed,
            10 => Self::LockedUsedPersistent,
            other => Self::Unknown(other),
        }
    }

    /// Whether it is still being copied.
    pub fn is_arriving(self) -> bool {
        matches!(self, Self::Init | Self::Locked | Self::LockedUsed | Self::LockedUsedPersistent)
    }

    /// Whether the copy is complete, and VMs use it, can use it, or could use it once it is enabled.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Used | Self::Disabled | Self::Clone | Self::UsedPersistent)
    }
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("INIT"),
            Self::Ready => f.write_str("READY"),
            Self::Used => f.write_str("USED"),
            Self::Disabled => f.write_str("DISABLED"),
            Self::Locked => f.write_str("LOCKED"),
            Self::Error => f.write_str("ERROR"),
            Self::Clone => f.write_str("CLONE"),
            Self::Delete => f.write_str("DELETE"),
            Self::UsedPersistent => f.write_str("USED_PERS"),
            Self::LockedUsed => f.write_str("LOCKED_USED"),
            Self::LockedUsedPersistent => f.write_str("LOCKED_USED_PERS"),
            Self::Unknown(number) => write!(f, "state {number}"),
        }
    }
}

impl Image {
    pub(super) fn from_element(element: &Element) -> Result<Self, ValueError> {
        Ok(Self {
            id: number(element, "ID")?,
            name: required(element, "NAME")?,
            uid: number(element, "UID")?,
            gid: number(element, "GID")?,
            uname: required(element, "UNAME")?,
            gname: required(element, "GNAME")?,
            permissions: permissions(element)?,
            state: ImageState::from_number(number(element, "STATE")?),
            persistent: number::<u32>(element, "PERSISTENT")? != 0,
            registered: number(element, "REGTIME")?,
            source: element.child_text("SOURCE").to_owned(),
            size_mb: number(element, "SIZE")?,
            datastore: number(element, "DATASTORE_ID")?,
            running_vms: number(element, "RUNNING_VMS")?,
            lock: element.child("LOCK").map(lock).transpose()?,
            attributes: attributes(element),
        })
    }

    /// The value of an attribute; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Whether VMs can use it, now or once it is enabled. An image in state READY without a SOURCE is not usable: its
    /// copy failed, and somebody enabled it.
    pub fn is_usable(&self) -> bool {
        self.state.is_settled() && !self.source.is_empty()
    }

    /// Whether the site has disabled it.
    pub fn is_disabled(&self) -> bool {
        self.state == ImageState::Disabled
    }
}

const BITS: [&str; 9] =
    ["OWNER_U", "OWNER_M", "OWNER_A", "GROUP_U", "GROUP_M", "GROUP_A", "OTHER_U", "OTHER_M", "OTHER_A"];

fn permissions(element: &Element) -> Result<Permissions, ValueError> {
    let bits = element.child("PERMISSIONS").ok_or_else(|| ValueError::unexpected("PERMISSIONS", "none"))?;
    let mut mode = 0;
    for name in BITS {
        mode = mode << 1 | u16::from(number::<u32>(bits, name)? != 0);
    }
    Ok(Permissions::from_bits(mode))
}

fn lock(element: &Element) -> Result<Lock, ValueError> {
    Ok(Lock { level: number(element, "LOCKED")?, owner: number(element, "OWNER")? })
}
