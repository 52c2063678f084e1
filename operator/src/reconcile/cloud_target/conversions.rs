//! Other forms of images that a target takes: which are needed, where they are, and what keeps them from being there.

use jiff::{SignedDuration, Timestamp};

use super::check::Checked;
use super::refusal::Refusal;
use crate::api::Progress;
use crate::cache::{ConversionKey, ConversionState, Figures, Jobs, Part, VerifiedBlob};
use crate::convert::Form;
use crate::convert::sniff::Format;

/// How soon a conversion is looked at again for its progress. Its end wakes whoever waits for it.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// A form of an image that the target needs, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    /// What of which image.
    pub key: ConversionKey,
    /// Where it is; `None` where it was never made, or is gone.
    pub state: Option<ConversionState>,
}

/// A conversion to start.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// What is converted.
    pub source: VerifiedBlob,
    /// To what.
    pub form: Form,
}

/// How bytes stand that the target may be handed.
pub(super) enum Handed<'a> {
    /// These bytes, of this format; what else there is to know.
    Blob(&'a VerifiedBlob, Form, Option<String>),
    /// None: why not, whether a conversion is to be started, and when it is worth another look.
    Not(Refusal, Option<Box<Start>>, Option<Timestamp>),
}

/// The form that an image has to be converted to; `None` where it goes as it is, or not at all. Pure.
pub(super) fn needed(checked: &Checked, blob: &VerifiedBlob) -> Option<ConversionKey> {
    let accepted = |format: Form| checked.formats.contains(&format);
    let as_it_is = Form::of(blob.format()).is_some_and(accepted);
    let impossible = blob.format() == Format::Iso || blob.sniffed().outside.is_some();
    let first = *checked.formats.first()?;
    (!as_it_is && !impossible).then(|| ConversionKey { source: *blob.digest(), form: first })
}

impl Needed {
    /// Looks where a conversion is. Trouble with the volume is a failure that passes.
    pub(super) fn look(jobs: &Jobs, key: ConversionKey, now: Timestamp) -> Self {
        let looked = jobs.conversions().keep(&key, now).and_then(|()| jobs.conversions().told(&key));
        let trouble = |error: crate::cache::CacheError| {
            let next = now.checked_add(LOOK_AGAIN).ok();
            Some(ConversionState::Failed { message: error.to_string(), next: next.or(Some(Timestamp::MAX)) })
        };
        Self { key, state: looked.unwrap_or_else(trouble) }
    }

    /// How far it is, where it is being made. Pure.
    pub(super) fn progress(&self) -> Option<Progress> {
        let Some(ConversionState::Running { part, figures }) = &self.state else { return None };
        let step = match part {
            Part::Unpack => "Unpack",
            Part::Convert => "Convert",
        };
        let Figures { bytes, total, bytes_per_second } = *figures;
        (total > 0).then(|| Progress::new(step, bytes, total, bytes_per_second))
    }

    /// What can be handed over of an image that needs it. `asked`: a person wants a try now. Pure.
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
                let again = if next.is_some() { "" } else { "; it is tried again when a person asks for it" };
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
