//! The conversions of images for a target: which are needed, their states, and why one is missing.

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::refusal::Refusal;
use crate::api::Progress;
use crate::cache::{ConversionKey, ConversionState, Figures, Jobs, Part, VerifiedBlob};
use crate::convert::Form;
use crate::convert::sniff::Format;

/// How often the progress of a conversion is checked. The end of a conversion wakes the target.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// A conversion that the target needs, and its state.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    /// The source image and the form.
    pub key: ConversionKey,
    /// The state of the conversion; `None` if it was never started, or its result is gone.
    pub state: Option<ConversionState>,
}

/// A conversion to start.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// The source.
    pub source: VerifiedBlob,
    /// The form to convert it to.
    pub form: Form,
}

/// Whether the bytes for the target are available.
pub(super) enum Handed<'a> {
    /// These bytes, their format, and an optional note.
    Blob(&'a VerifiedBlob, Form, Option<String>),
    /// No bytes: the reason, a conversion to start if one is needed, and when to check again.
    Not(Refusal, Option<Box<Start>>, Option<Timestamp>),
}

/// The conversion that an image needs; `None` if it is used as it is, or cannot be converted. Pure.
pub(super) fn needed(checked: &Checked, blob: &VerifiedBlob) -> Option<ConversionKey> {
    let accepted = |format: Form| checked.formats.contains(&format);
    let as_it_is = Form::of(blob.format()).is_some_and(accepted);
    let impossible = blob.format() == Format::Iso || blob.sniffed().outside.is_some();
    let first = *checked.formats.first()?;
    (!as_it_is && !impossible).then(|| ConversionKey { source: *blob.digest(), form: first })
}

impl Needed {
    /// Reads the state of a conversion. An error of the volume counts as a transient failure.
    pub(super) fn look(jobs: &Jobs, key: ConversionKey, now: Timestamp) -> Self {
        let looked = jobs.conversions().keep(&key, now).and_then(|()| jobs.conversions().told(&key));
        let trouble = |error: crate::cache::CacheError| {
            let next = now.checked_add(LOOK_AGAIN).ok();
            Some(ConversionState::Failed { message: error.to_string(), next: next.or(Some(Timestamp::MAX)) })
        };
        Self { key, state: looked.unwrap_or_else(trouble) }
    }

    /// The progress, while it is running. Pure.
    pub(super) fn progress(&self) -> Option<Progress> {
        let Some(ConversionState::Running { part, figures }) = &self.state else { return None };
        let step = match part {
            Part::Unpack => "Unpack",
            Part::Convert => "Convert",
        };
        let Figures { bytes, total, bytes_per_second } = *figures;
        (total > 0).then(|| Progress::new(step, bytes, total, bytes_per_second))
    }

    /// The bytes for the target, or why there are none. `asked`: a user requests a try now. Pure.
    pub(super) fn handed(&self, source: &VerifiedBlob, asked: bool, now: Timestamp) -> Handed<'_> {
        let what = format!("the image, a {}, is converted to {}", source.format(), self.key.form);
        let later = now.checked_add(LOOK_AGAIN).ok();
        let start = || Some(Box::new(Start { source: source.clone(), form: self.key.form }));
        let converting = |start| Handed::Not(Refusal { reason: "Converting", message: what.clone() }, start, later);
        match &self.state {
            Some(ConversionState::Done { blob, left_out }) => Handed::Blob(blob, self.key.form, left_out_of(left_out)),
            Some(ConversionState::Queued | ConversionState::Running { .. }) => converting(None),
            None => converting(start()),
            Some(ConversionState::Failed { next, .. }) if asked || next.is_some_and(|next| next <= now) => {
                converting(start())
            }
            Some(ConversionState::Failed { message, next }) => {
                let again = if next.is_some() { "" } else { "; it is tried again when a user requests it" };
                let message = format!("{} to {}: {message}{again}", source.format(), self.key.form);
                Handed::Not(Refusal { reason: "ConversionFailed", message }, None, *next)
            }
        }
    }
}

fn left_out_of(names: &[String]) -> Option<String> {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    (!quoted.is_empty()).then(|| format!("other disks of the appliance are left out: {}", quoted.join(", ")))
}
