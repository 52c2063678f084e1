//! Which images of a list somebody will ask for, so that the others are left out while it is read.

use std::collections::BTreeSet;

use super::{ListedImage, Selection};

/// What is kept of a list that is read for a subscription: what it selects, and what it has. The list may be of a
/// size that nobody wants to hold in memory for as long as it is in force.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What the subscription selects.
    pub selection: &'a Selection,
    /// Identifiers of images that are there, selected or not.
    pub known: &'a BTreeSet<String>,
}

/// How many entries of a list were read and left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Of the images that can be used.
    pub images: usize,
    /// Of those that were refused.
    pub refused: usize,
}

impl Wanted<'_> {
    /// So many refused entries are kept for people to see, whoever asks for them.
    pub(super) const REFUSED: usize = 20;

    pub(super) fn has(self, image: &ListedImage) -> bool {
        self.known.contains(image.identifier.as_str()) || self.selection.includes(image)
    }

    pub(super) fn names(self, identifier: &str) -> bool {
        self.known.contains(identifier) || self.selection.names(identifier)
    }
}
