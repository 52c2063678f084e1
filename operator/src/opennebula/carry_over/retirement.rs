//! The state of an image that is out of circulation, and the steps to it.

use super::attributes::Role;
use super::{Reference, Step};
use crate::imagelist::ImageId;
use crate::opennebula::document::{Image, ImageState, Permissions};

/// The retirement of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The image.
    pub id: u32,
    /// The steps. Each is tried even if an earlier one failed, because disabling an image must not depend on what only
    /// an administrator may do.
    pub steps: Vec<Step>,
    /// The required state of the image.
    pub end: End,
}

/// The state of an image that is out of circulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The name that it must no longer have.
    pub identifier: ImageId,
    /// The required owner.
    pub owner: Reference,
    /// The required group.
    pub group: Reference,
    /// Whether the operator may give the owner the right to administer it (mode 700). Otherwise mode 600 is required,
    /// which excludes all others too.
    pub administers: bool,
}

impl End {
    /// The required permissions.
    pub fn permissions(&self, image: &Image) -> Permissions {
        let owner = Permissions::from_bits(image.permissions.bits() & Permissions::RETIRED.bits());
        if self.administers { Permissions::RETIRED } else { Permissions::PRIVATE.administered_as(owner) }
    }

    /// Whether it no longer has the name.
    pub fn is_nameless(&self, image: &Image) -> bool {
        image.name != self.identifier.as_str()
    }

    /// Whether no other user can start a VM from it: it is marked, renamed, disabled or in use, and closed to all but
    /// its owner. The owner may not be the required one yet.
    pub fn is_closed(&self, image: &Image) -> bool {
        const USE_AND_MANAGE_OF_OTHERS: u16 = 0o066;
        let marked = Role::read(image) == Some(Role::Retired);
        let shared = image.permissions.bits() & USE_AND_MANAGE_OF_OTHERS != 0;
        marked && self.is_nameless(image) && image.state != ImageState::Ready && !shared
    }

    /// What an image lacks to be out of circulation; empty if nothing. An image in use cannot be disabled, but only its
    /// owner can use it for another VM.
    pub fn lacks(&self, image: &Image) -> Vec<String> {
        let mut lacks = Vec::new();
        if Role::read(image) != Some(Role::Retired) {
            lacks.push("it is not marked as retired".to_owned());
        }
        if !self.is_nameless(image) {
            lacks.push(format!("its name is still {}", image.name));
        }
        if image.state == ImageState::Ready {
            lacks.push("expected it DISABLED, found READY".to_owned());
        }
        let permissions = self.permissions(image);
        if image.permissions != permissions {
            lacks.push(format!("expected mode {permissions}, found {}", image.permissions));
        }
        if !self.owner.is(image.uid, &image.uname) {
            lacks.push(format!("expected owner {}, found {}", self.owner, image.uname));
        }
        if !self.group.is(image.gid, &image.gname) {
            lacks.push(format!("expected group {}, found {}", self.group, image.gname));
        }
        lacks
    }

    /// The calls that close an image: first those that a user with the manage right may make, then those that need an
    /// administrator.
    pub fn close(&self, image: &Image) -> Vec<Step> {
        let (id, from) = (image.id, image.permissions);
        let to = self.permissions(image);
        let managed = if self.administers { to } else { to.administered_as(from) };
        let chown = Step::chown(image, &self.owner, &self.group);
        let chmod = |from: Permissions, to: Permissions| (from != to).then_some(Step::Chmod { id, from, to });
        chmod(from, managed).into_iter().chain(chmod(managed, to)).chain(chown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opennebula::document::read_image;

    fn image(mode: u16, state: u32, uid: u32) -> Image {
        let flags = Permissions::from_bits(mode).flags().map(u8::from);
        let names = ["OWNER_U", "OWNER_M", "OWNER_A", "GROUP_U", "GROUP_M", "GROUP_A", "OTHER_U", "OTHER_M", "OTHER_A"];
        let bits: Vec<_> = names.iter().zip(flags).map(|(name, bit)| format!("<{name}>{bit}</{name}>")).collect();
        let bits = bits.concat();
        let text = format!(
            "<IMAGE><ID>7</ID><UID>{uid}</UID><GID>1</GID><UNAME>u{uid}</UNAME><GNAME>users</GNAME><NAME>a_2026</NAME>\
             <PERMISSIONS>{bits}</PERMISSIONS><PERSISTENT>0</PERSISTENT><REGTIME>1</REGTIME><SOURCE>x</SOURCE><SIZE>1</SIZE>\
             <STATE>{state}</STATE><RUNNING_VMS>0</RUNNING_VMS><DATASTORE_ID>1</DATASTORE_ID><TEMPLATE>\
             <VMCATCHER_ROLE>retired</VMCATCHER_ROLE></TEMPLATE></IMAGE>"
        );
        read_image(&text).unwrap()
    }

    fn end(administers: bool) -> End {
        End { identifier: "a".parse().unwrap(), owner: Reference::Id(5), group: Reference::Id(1), administers }
    }

    /// Whatever the mode: an administrator closes it with one call, a manager with bits that it may change first.
    #[test]
    fn every_mode_is_closed_with_what_one_may() {
        for mode in 0..512 {
            let image = image(mode, 1, 5);
            for administers in [true, false] {
                let end = end(administers);
                let steps = end.close(&image);
                let mut mode = image.permissions;
                for (place, step) in steps.iter().enumerate() {
                    let Step::Chmod { from, to, .. } = step else { panic!("{step}") };
                    assert_eq!(*from, mode);
                    let administered = to.administered_as(*from) != *to;
                    assert!(administers || !administered || place + 1 == steps.len(), "{mode} {steps:?}");
                    mode = *to;
                }
                assert_eq!(mode, end.permissions(&image));
                assert!(mode.bits().trailing_zeros() >= 6 && steps.len() <= 2, "{mode} {steps:?}");
            }
        }
        assert_eq!(end(false).permissions(&image(0o644, 1, 5)), Permissions::PRIVATE);
        assert_eq!(end(false).close(&image(0o600, 1, 5)), []);
    }

    #[test]
    fn what_is_lacking_is_named() {
        assert_eq!(end(false).lacks(&image(0o600, 3, 5)), [""; 0]);
        assert_eq!(end(false).lacks(&image(0o600, 2, 5)), [""; 0], "in use");
        assert!(end(true).is_closed(&image(0o611, 3, 6)) && !end(true).is_closed(&image(0o640, 3, 5)));
        assert!(!end(true).is_closed(&image(0o700, 1, 5)));
        let told = end(true).lacks(&image(0o644, 1, 6)).join("; ");
        assert_eq!(told, "expected it DISABLED, found READY; expected mode 700, found 644; expected owner 5, found u6");
    }
}
