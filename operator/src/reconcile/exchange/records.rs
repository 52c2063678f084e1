//! The path on the volume of the record of an image at a target.

use crate::api::ObjectKey;
use crate::cache::StatePath;
use crate::imagelist::ImageId;

/// `state/published/<namespace>/<target>/<identifier>.json`.
pub(in crate::reconcile) fn state_path(
    target: &ObjectKey,
    identifier: &ImageId,
) -> Result<StatePath, crate::cache::NameError> {
    StatePath::new(["published", &target.namespace, &target.name, identifier.as_str()])
}
