//! The outcome of the steps of one image.

use super::{Record, Verdict};
use crate::imagelist::ImageId;
use crate::opennebula::error::Reason;

/// The result of a pass for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The state of the image now.
    pub verdict: Verdict,
    /// Whether the cloud is copying it. This needs no further action.
    pub copying: bool,
    /// The record for the next pass. The [`Keeper`](super::Keeper) has already stored it.
    pub record: Record,
    /// The number of its images that are out of circulation.
    pub retired: usize,
    /// Images that claim to be this one but are not trusted.
    pub strangers: Vec<u32>,
    /// The steps that were done, as text.
    pub done: Vec<String>,
    /// Images that should be out of circulation but are not completely: the reason, and what is missing.
    pub unfinished: Vec<(Reason, String)>,
    /// Other messages: deletions that failed and are tried again, or an image that is not adopted.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Everything that is unfinished, as one: the first reason, and all messages.
    pub fn all_unfinished(&self) -> Option<(Reason, String)> {
        let (reason, _) = self.unfinished.first()?;
        let messages: Vec<_> = self.unfinished.iter().map(|(_, message)| message.as_str()).collect();
        Some((*reason, messages.join("; ")))
    }
}
