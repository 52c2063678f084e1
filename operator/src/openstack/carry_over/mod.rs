//! Carry-over: replaces an old image by a new version, so that users notice only the new content.
//!
//! The site controls the metadata of an image: its name, visibility, members, protection, tags, other properties, whether it
//! is hidden or deactivated, and its smallest disk and memory. A new version is created hidden and private under the same
//! name, with an id of the operator, which makes the call safe to repeat. Its bytes are uploaded, and compared with the
//! digest that Glance computed. Then it gets the metadata of the old image; only after that is the old image hidden, made
//! private, renamed, marked and deactivated. Names are not unique in Glance. So at no moment is there no usable image of the
//! name; a cut leaves two, never none.
//!
//! * [`plan`]: makes steps from the images, the wanted versions and the records. Pure: no clock, no network
//! * [`apply`]: applies the steps to a cloud; images are independent of each other
//! * [`Uploads`]: uploads in the background; no pass waits for one
//! * `pass`: lists the images, makes the plan, applies its steps, and returns an outcome for each image
//!
//! Only the [`Record`] of each image is kept between passes. A pass may be interrupted after any call: the next one lists
//! the images and continues from there.

mod apply;
mod changes;
mod failure;
mod glance;
mod image;
mod image_plan;
mod metadata;
mod names;
mod pass;
mod properties;
mod read;
mod recognise;
mod remembered;
mod snapshot;
mod step;
mod systems;
#[cfg(test)]
mod tests;
mod uploads;

pub use apply::apply;
pub use glance::{Glance, GlanceSession};
pub use image::plan;
pub use image_plan::{ImagePlan, Needs, Plan, Retirement};
pub use metadata::{Members, Metadata, Record};
pub use names::{LONGEST_NAME, retired_name};
pub use pass::{PassReport, Publisher};
pub use properties::{RETIRED_TAG, TAG};
pub use snapshot::{Account, Progress, Snapshot};
pub use step::Step;
pub use uploads::Uploads;

use uuid::Uuid;

use crate::cloud;

/// One image of one target.
pub type Request = cloud::Request<Uuid, Metadata>;
/// The state of an image.
pub type Verdict = cloud::Verdict<Uuid>;
/// The result of a pass for one image.
pub type Outcome = cloud::Outcome<Uuid, Metadata>;
