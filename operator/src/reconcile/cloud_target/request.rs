//! The requests of images, in the form that the carry-over takes. Pure.

use std::fmt;

use jiff::Timestamp;

use super::check::Checked;
use super::conversions::{Handed, Start};
use super::observe::TargetImage;
use super::refusal::Refusal;
use crate::cache::VerifiedBlob;
use crate::cloud::{self, AnyRequest, EventAttributes, Source};
use crate::convert::Form;
use crate::convert::sniff::Outside;
use crate::reconcile::context::ImagePaths;
use crate::reconcile::exchange::{DesiredState, Offer};

/// The request for one image.
pub(super) fn request(checked: &Checked, wanted: &TargetImage, paths: Option<&ImagePaths>, now: Timestamp) -> Asked {
    let desired = &wanted.desired;
    let mut asked = Asked::default();
    let version = match desired.at.get(&checked.key.name) {
        None | Some(DesiredState::Leave | DesiredState::Release) => return asked,
        // Nothing new is published at a target that is being deleted.
        Some(DesiredState::Publish(_)) if checked.deleting.is_some() => return asked,
        Some(DesiredState::Withdraw) => None,
        Some(DesiredState::Publish(offer)) => {
            let source = offer.blob.as_ref().and_then(|blob| source(checked, wanted, blob, paths, &mut asked, now));
            let sha512 = offer.sha512;
            Some(cloud::Wanted { sha512, event: event(offer), source })
        }
    };
    let adopt = desired.adopt.as_ref().filter(|(target, _)| *target == checked.key.name).map(|(_, id)| *id);
    let (identifier, mut record) = (desired.identifier.clone(), wanted.record.clone());
    if desired.asked {
        record.clear_failures();
    }
    asked.request = Some(AnyRequest { identifier, wanted: version, record, adopt });
    asked
}

/// The location of the bytes for the cloud, in a format that it accepts. `None` if there are none; then `asked` has the
/// reason.
fn source(
    checked: &Checked,
    wanted: &TargetImage,
    blob: &VerifiedBlob,
    paths: Option<&ImagePaths>,
    asked: &mut Asked,
    now: Timestamp,
) -> Option<Source> {
    let handed = match &wanted.needed {
        Some(needed) => needed.handed(blob, wanted.desired.asked, now),
        None => as_it_is(checked, blob),
    };
    let (blob, format) = match handed {
        Handed::Blob(blob, format, note) => {
            asked.note = note;
            (blob, format)
        }
        Handed::Not(refusal, start, again) => {
            (asked.refusal, asked.start, asked.again) = (Some(refusal), start.map(|start| *start), again);
            return None;
        }
    };
    match checked.hand_over.location(blob, format, paths, now) {
        Ok(location) => {
            let (sha1, sha512, size) = (blob.sha1().map(str::to_owned), *blob.digest(), blob.size());
            Some(Source { location, format, sha1, sha512, size })
        }
        Err(refusal) => {
            asked.refusal = Some(refusal);
            None
        }
    }
}

fn as_it_is<'a>(checked: &Checked, blob: &'a VerifiedBlob) -> Handed<'a> {
    let refuse = |found: String| {
        let accepted: Vec<_> = checked.formats.iter().map(|format| format.as_str()).collect();
        let message = format!("the target accepts {}, found {found}", accepted.join(" and "));
        Handed::Not(Refusal { reason: "FormatNotAccepted", message }, None, None)
    };
    match (blob.sniffed().outside, Form::of(blob.format())) {
        (Some(Outside::BackingFile | Outside::DataFile), _) => {
            refuse("an image that needs another file beside it".to_owned())
        }
        (Some(Outside::OtherFormat), _) => refuse("an image of a format that is not known here".to_owned()),
        (None, Some(format)) if checked.formats.contains(&format) => Handed::Blob(blob, format, None),
        (None, _) => refuse(blob.format().to_string()),
    }
}

fn event(offer: &Offer) -> EventAttributes {
    let image = &offer.image;
    let text = |text: &str| Some(text.to_owned());
    EventAttributes {
        title: text(&image.title),
        description: text(&image.description),
        hypervisor: text(&image.hypervisor),
        size: image.size().map(|size| size.to_string()),
        // Without the query, which may contain a signature.
        uri: Some(image.uri.to_string()),
        format: image.format.clone(),
        version: Some(image.version.to_string()),
        arch: text(&image.arch),
        comments: text(&image.comments),
        os: text(&image.os),
        os_version: text(&image.os_version),
        list_identifier: Some(offer.list.to_string()),
        filename: Some(image.identifier.to_string()),
        mpuri: image.mpuri.clone(),
        vo: offer.vo.clone(),
    }
}

/// What is requested for one image.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The request; `None` if the current state stays.
    pub request: Option<AnyRequest>,
    /// Why its bytes are not handed over.
    pub refusal: Option<Refusal>,
    /// A conversion to start.
    pub start: Option<Start>,
    /// When to check the conversion again.
    pub again: Option<Timestamp>,
    /// An additional note about the bytes.
    pub note: Option<String>,
}

/// As the log shows it.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(request) = &self.request else { return f.write_str("leave an image as it is") };
        let Some(wanted) = &request.wanted else { return write!(f, "retire {}", request.identifier) };
        let version = wanted.event.version.as_deref().unwrap_or_default();
        write!(f, "publish {} {version}", request.identifier)?;
        match (&wanted.source, &self.refusal) {
            (Some(source), _) => write!(f, " as {}", source.format),
            (None, Some(refusal)) => write!(f, " later ({})", refusal.reason),
            (None, None) => f.write_str(" later (its bytes are not there)"),
        }
    }
}

impl Asked {
    /// Whether the request takes the image out of circulation.
    pub(super) fn is_withdrawal(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.wanted.is_none())
    }
}
