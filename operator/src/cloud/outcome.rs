//! The state of an image after a pass.

use std::fmt;

use jiff::Timestamp;

use super::{CloudImageId, Reason, Record};
use crate::imagelist::ImageId;

/// The state of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<I> {
    /// The wanted version has the name.
    Published {
        /// Its id in the cloud.
        id: I,
    },
    /// No image of it is in circulation, as requested.
    Retired,
    /// It is not published or retired yet, or cannot be for now.
    Waiting {
        /// The reason.
        reason: Reason,
        /// The message.
        message: String,
        /// When it may continue, if known.
        until: Option<Timestamp>,
    },
}

impl<I> Verdict<I> {
    /// Waits for something whose end is not known.
    pub fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waiting { reason, message: message.into(), until: None }
    }
}

impl<I: fmt::Display> fmt::Display for Verdict<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { id } => write!(f, "Published as {id}"),
            Self::Retired => f.write_str("Retired"),
            Self::Waiting { reason, message, until } => {
                write!(f, "{}: {message}", reason.as_str())?;
                until.map_or(Ok(()), |until| write!(f, ", again at {until}"))
            }
        }
    }
}

/// The result of a pass for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<I, M> {
    /// The identifier of the image.
    pub identifier: ImageId,
    /// The state of the image now.
    pub verdict: Verdict<I>,
    /// Whether the cloud is copying it. This needs no further action.
    pub copying: bool,
    /// The record for the next pass. The [`Keeper`](super::Keeper) has already stored it.
    pub record: Record<I, M>,
    /// The number of its images that are out of circulation.
    pub retired: usize,
    /// Images that claim to be this one but are not trusted.
    pub strangers: Vec<I>,
    /// The steps that were done, as text.
    pub done: Vec<String>,
    /// Images that should be out of circulation but are not completely: the reason, and what is missing.
    pub unfinished: Vec<(Reason, String)>,
    /// Other messages: deletions that failed and are tried again, or an image that is not adopted.
    pub notes: Vec<String>,
}

impl<I, M> Outcome<I, M> {
    /// Everything that is unfinished, as one: the first reason, and all messages.
    pub fn all_unfinished(&self) -> Option<(Reason, String)> {
        let (reason, _) = self.unfinished.first()?;
        let messages: Vec<_> = self.unfinished.iter().map(|(_, message)| message.as_str()).collect();
        Some((*reason, messages.join("; ")))
    }

    /// The same without the record, in the form that all clouds return.
    pub fn any(self) -> AnyOutcome
    where
        I: Into<CloudImageId>,
    {
        let verdict = match self.verdict {
            Verdict::Published { id } => Verdict::Published { id: id.into() },
            Verdict::Retired => Verdict::Retired,
            Verdict::Waiting { reason, message, until } => Verdict::Waiting { reason, message, until },
        };
        Outcome {
            identifier: self.identifier,
            verdict,
            copying: self.copying,
            record: Record::default(),
            retired: self.retired,
            strangers: self.strangers.into_iter().map(Into::into).collect(),
            done: self.done,
            unfinished: self.unfinished,
            notes: self.notes,
        }
    }
}

/// An outcome in the form that all clouds return. Its record is empty; the [`Keeper`](super::Keeper) has it.
pub type AnyOutcome = Outcome<CloudImageId, ()>;
