//! Which images of a list are wanted. All others are left out while the list is read.

use std::collections::BTreeSet;

use super::{ListedImage, Selection};

/// A filter for the images of a list: those that a subscription selects, and those that already exist. A list can be
/// too large to keep all of it in memory while it is in force.
#[derive(Debug, Clone, Copy)]
pub struct WantedImages<'a> {
    /// What the subscription selects.
    pub selection: &'a Selection,
    /// Identifiers of existing images, selected or not.
    pub known: &'a BTreeSet<String>,
}

impl WantedImages<'_> {
    /// The number of refused entries that are always kept, for display.
    pub(super) const REFUSED: usize = 20;

    pub(super) fn has(self, image: &ListedImage) -> bool {
        self.known.contains(image.identifier.as_str()) || self.selection.includes(image)
    }

    pub(super) fn names(self, identifier: &str) -> bool {
        self.known.contains(identifier) || self.selection.names(identifier)
    }
}
