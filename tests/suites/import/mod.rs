//! Moving in: what vmcatcher, cloudkeeper and atrope left becomes manifests that work, and their images are not
//! downloaded again.

mod ages;
mod cloud;
mod credentials;
mod hostile;
pub(crate) mod old;
mod page;
mod peers;
mod seed;

use harness::site::Site;

use old::{Ran, operator};

/// Whether a site's manifests are valid and complete.
pub(crate) fn check(site: &Site) -> Ran {
    operator(&["reconcile", "--check", "--manifests", site.path("manifests").to_str().unwrap()])
}
