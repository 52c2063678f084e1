//! What an image wants, as the carry-over takes it. Pure.

use jiff::Timestamp;

use super::check::Checked;
use super::observe::Wanted;
use super::plan::Asked;
use crate::cache::VerifiedBlob;
use crate::convert::sniff::Format;
use crate::opennebula::carry_over::{self, DiskFormat, EventAttributes, Request, Source};
use crate::reconcile::context::ImagePaths;
use crate::reconcile::publications::{Desire, Offer};

/// Why bytes are not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The reason of the `Published` condition.
    pub reason: &'static str,
    /// What was expected and what was found.
    pub message: String,
}

/// The request for one image.
pub(super) fn request(checked: &Checked, wanted: &Wanted, paths: Option<&ImagePaths>, now: Timestamp) -> Asked {
    let desired = &wanted.desired;
    let (version, refusal) = match desired.at.get(&checked.key.name) {
        None | Some(Desire::Leave) => return Asked { request: None, refusal: None },
        Some(Desire::Withdraw) => (None, None),
        Some(Desire::Publish(offer)) => {
            let (source, refusal) = match offer.blob.as_ref().map(|blob| source(checked, blob, paths, now)) {
                None => (None, None),
                Some(Ok(source)) => (Some(source), None),
                Some(Err(refusal)) => (None, Some(refusal)),
            };
            let sha512 = offer.image.sha512;
            (Some(carry_over::Wanted { sha512, event: event(offer), source }), refusal)
        }
    };
    let adopt = desired.adopt.as_ref().filter(|(target, _)| *target == checked.key.name).map(|(_, id)| *id);
    let (identifier, record) = (desired.identifier.clone(), wanted.record.clone());
    Asked { request: Some(Request { identifier, wanted: version, record, adopt }), refusal }
}

/// Where the cloud finds the bytes.
fn source(
    checked: &Checked,
    blob: &VerifiedBlob,
    paths: Option<&ImagePaths>,
    now: Timestamp,
) -> Result<Source, Refusal> {
    let refuse = |found: String| {
        let accepted: Vec<_> = checked.formats.iter().map(|format| format.as_str()).collect();
        let message = format!("the target accepts {}, found {found}", accepted.join(" and "));
        Refusal { reason: "FormatNotAccepted", message }
    };
    if blob.sniffed().outside.is_some() {
        return Err(refuse("an image that needs another file beside it".to_owned()));
    }
    let format = disk_format(blob.format()).filter(|format| checked.formats.contains(format));
    let format = format.ok_or_else(|| refuse(blob.format().to_string()))?;
    let location = checked.hand_over.location(blob, format, paths, now)?;
    Ok(Source { location, format, sha1: Some(blob.sha1().to_owned()) })
}

fn disk_format(format: Format) -> Option<DiskFormat> {
    match format {
        Format::Qcow2 => Some(DiskFormat::Qcow2),
        Format::Raw => Some(DiskFormat::Raw),
        Format::Vmdk
        | Format::Vdi
        | Format::Vhd
        | Format::Vhdx
        | Format::Ova
        | Format::Tar
        | Format::Gz
        | Format::Bz2
        | Format::Xz
        | Format::Zst
        | Format::Iso => None,
    }
}

fn event(offer: &Offer) -> EventAttributes {
    let image = &offer.image;
    let text = |text: &str| Some(text.to_owned());
    EventAttributes {
        title: text(&image.title),
        description: text(&image.description),
        hypervisor: text(&image.hypervisor),
        size: Some(image.size.to_string()),
        // Without its query, which may hold a signature.
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
