//! What a failed call means for an image: the reason, what to do next, and advice. Pure.

use super::Step;
use crate::cloud::Reason;
use crate::openstack::error::OpenStackError;

/// What to do after a failed upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Upload again into the same image, with growing pauses.
    Again,
    /// Delete the image and begin with another one, with growing pauses.
    Anew,
    /// Look at the image again.
    Look,
}

/// What to do after an upload failed like this.
pub(super) fn remedy(error: &OpenStackError) -> Remedy {
    match error {
        OpenStackError::Configuration { .. }
        | OpenStackError::Unreachable { .. }
        | OpenStackError::TimedOut { .. }
        | OpenStackError::NotOpenStack { .. }
        | OpenStackError::TooLarge { .. }
        | OpenStackError::LoginRefused(_)
        | OpenStackError::NoProject { .. }
        | OpenStackError::NoImageService { .. }
        | OpenStackError::Unauthorized(_)
        | OpenStackError::Forbidden(_)
        | OpenStackError::QuotaExceeded(_)
        | OpenStackError::Rejected(_)
        | OpenStackError::Failed(_)
        | OpenStackError::UploadBroken { .. }
        | OpenStackError::File { .. } => Remedy::Again,
        OpenStackError::FormatRefused(_) | OpenStackError::Invalid(_) => Remedy::Anew,
        OpenStackError::NotLeading { .. }
        | OpenStackError::NotFound(_)
        | OpenStackError::Conflict(_)
        | OpenStackError::InUse(_)
        | OpenStackError::Gone(_) => Remedy::Look,
    }
}

/// The reason if a step of a hand-over or a creation failed.
pub(super) fn reason_of(step: &Step, error: &OpenStackError) -> Reason {
    match (step, error) {
        (Step::Create { .. }, OpenStackError::Invalid(refusal)) if refusal.text.contains("disk_format") => {
            Reason::FormatNotAccepted
        }
        _ => error.reason(),
    }
}

/// What to do about a failed step, as a continuation of its message. It is empty if there is nothing to add.
pub(super) fn advice(step: &Step, error: &OpenStackError) -> &'static str {
    match (step, error) {
        (Step::Create { .. }, OpenStackError::Invalid(refusal)) if refusal.text.contains("disk_format") => {
            "; name another format in openStack.formats of the target, or let Glance's disk_formats have this one"
        }
        (Step::Patch { .. }, OpenStackError::Forbidden(refusal)) if refusal.text.contains("publicize_image") => {
            "; the policy publicize_image must allow it, or an administrator must make the new image public"
        }
        (Step::Patch { .. }, OpenStackError::Forbidden(refusal)) if refusal.text.contains("communitize_image") => {
            "; the policy communitize_image must allow it, or an administrator must set the visibility of the new image"
        }
        (Step::Deactivate { .. }, OpenStackError::Forbidden(_)) => {
            "; the old image is deactivated, so the new one must be: the policy deactivate must allow it, or an \
             administrator must deactivate the new image"
        }
        (Step::Reactivate { .. }, OpenStackError::Forbidden(_)) => {
            "; the policy reactivate must allow it, or an administrator must reactivate the image"
        }
        (_, OpenStackError::Forbidden(_)) => {
            "; the project must have a role, such as member, that the policy allows it to"
        }
        (_, OpenStackError::QuotaExceeded(_)) => {
            "; delete images of the project, or let an administrator raise its limits"
        }
        _ => "",
    }
}
