//! One version of an image on the volume: its download, and the script for it. Pure.

use askama::Template;

use super::frame::{Frame, Request, page_of};
use super::image::{Parts, version_page};
use super::script::{self, Script};
use super::shown::{Moment, Text};
use crate::api::ObjectKey;
use crate::cache::{Entry, VerifiedBlob, encode_version};
use crate::size::Size;

/// The page.
#[derive(Template)]
#[template(path = "version.html")]
pub(super) struct VersionPage {
    frame: Frame,
    image: Text,
    image_page: String,
    version: Text,
    archived: Option<Moment>,
    digest: Text,
    format: &'static str,
    size: String,
    bytes: u64,
    verified: Moment,
    file: Text,
    download: String,
    script_file: String,
    script: Option<String>,
}

/// A version whose bytes may be given out.
pub(super) struct Available<'a> {
    pub parts: &'a Parts,
    pub entry: &'a Entry,
    pub blob: &'a VerifiedBlob,
}

impl Available<'_> {
    /// `IDENTIFIER-VERSION.FORMAT`, as `image get` names it. It has only letters, digits and `. _ @ + = - % ~`.
    pub(super) fn file(&self) -> String {
        let (identifier, extension) = (&self.parts.object.spec.identifier, self.blob.format().extension());
        format!("{identifier}-{}.{extension}", encode_version(&self.entry.version))
    }

    fn title(&self) -> &str {
        let wanted = self.parts.object.status.as_ref().and_then(|status| status.image.as_ref());
        let title = wanted.map(|wanted| wanted.title.as_str()).filter(|title| !title.is_empty());
        title.unwrap_or(&self.parts.object.spec.identifier)
    }

    fn download(&self) -> String {
        format!("{}/download", version_page(&ObjectKey::of(&*self.parts.object), &self.entry.digest))
    }

    /// The script, for pages at `base`.
    pub(super) fn script(&self, base: &str) -> Script {
        let wanted = self.parts.object.status.as_ref().and_then(|status| status.image.as_ref());
        let version = script::Version {
            title: self.title(),
            name: self.entry.version.as_str(),
            arch: wanted.map(|wanted| wanted.arch.as_str()).unwrap_or_default(),
            format: self.blob.format(),
            file: &self.file(),
            path: &self.download(),
            sha512: &self.entry.digest.to_string(),
            size: self.blob.size(),
        };
        Script::of(&version, base)
    }
}

impl VersionPage {
    /// Makes the page. There is no script if the address of the pages is not known.
    pub(super) fn of(request: &Request, one: &Available<'_>, base: Option<&str>) -> Self {
        let key = ObjectKey::of(&*one.parts.object);
        Self {
            frame: Frame::of(request, format!("{} {}", one.title(), one.entry.version), "Images"),
            image: Text::at_most(one.title(), 120),
            image_page: page_of("images", &key),
            version: Text::of(one.entry.version.as_str()),
            archived: one.entry.archived_time.map(|at| Moment::of(at, request.now)),
            digest: Text::of(one.entry.digest.to_string()),
            format: one.blob.format().extension(),
            size: Size(one.blob.size()).to_string(),
            bytes: one.blob.size(),
            verified: Moment::of(one.blob.last_verified_time(), request.now),
            file: Text::of(one.file()),
            download: one.download(),
            script_file: format!("{}/script", version_page(&key, &one.entry.digest)),
            script: base.and_then(|base| one.script(base).render().ok()),
        }
    }
}
