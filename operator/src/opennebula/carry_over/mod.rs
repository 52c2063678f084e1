//! Carry-over: replaces an old image by a new version, so that users notice only the new content.
//!
//! The site controls the metadata of an image: owner, group, permissions, whether it is enabled, and labels. These are
//! remembered (A), the old image is given to the retired owner with mode 700 (B), renamed and disabled (C), and the new
//! one gets the name (D) and the remembered metadata (E). [`UpdateMode`] sets the order; the result is the same.
//!
//! * [`plan`]: makes steps from the pool, the wanted images and the records. Pure: no clock, no network
//! * [`apply`]: applies the steps to a cloud; images are independent of each other
//! * `pass`: reads the pool once, makes the plan, applies its steps, and returns an outcome for each image
//!
//! Only the [`Record`] of each image is kept between passes. A pass may be interrupted after any call: the next one
//! reads the pool and continues from there.

mod apply;
mod attributes;
mod image;
mod image_plan;
mod metadata;
mod names;
mod pass;
mod recognise;
mod retirement;
mod settings;
mod snapshot;
mod step;

pub use apply::apply;
pub use image::plan;
pub use image_plan::{ImagePlan, Plan};
pub use metadata::{Metadata, Record};
pub use names::{LONGEST_IDENTIFIER, retired_name, staged_name};
pub use pass::{PassReport, Publisher};
pub use retirement::{End, Retirement};
pub use settings::{Adoptable, Reference, Retired, Settings, SettingsError, UpdateMode};
pub use snapshot::{Cloud, Hidden, Snapshot};
pub use step::Step;

use crate::cloud;

/// One image of one target.
pub type Request = cloud::Request<u32, Metadata>;
/// The state of an image.
pub type Verdict = cloud::Verdict<u32>;
/// The result of a pass for one image.
pub type Outcome = cloud::Outcome<u32, Metadata>;
