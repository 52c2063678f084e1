//! The bytes of an image: uploads, that come whole or in pieces, and downloads.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use openssl::hash::{Hasher, MessageDigest};
use uuid::Uuid;

use super::images::{Caller, not_authorized};
use super::request::{Answer, Request};
use super::world::{Image, World};

/// Bytes that are kept for downloads.
const KEPT: usize = 64 << 20;
/// Glance reads so many bytes at once.
const CHUNK: u64 = 65536;
/// What Glance knows by its first bytes.
const INSPECTED: [&str; 6] = ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso"];

/// An upload that has begun.
pub(super) struct Upload {
    pub(super) image: Uuid,
    number: u64,
    is_stage: bool,
    /// The size that the client said the image has.
    expected: Option<u64>,
    /// The image when it began. What is changed meanwhile is lost at the end: Glance saves what it had read.
    before: Image,
    bytes: Bytes,
}

/// What is known of bytes that have come.
pub(super) struct Bytes {
    size: u64,
    sha512: Hasher,
    md5: Hasher,
    /// The first ones, for downloads and for the format.
    kept: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        let hasher = |digest| Hasher::new(digest).expect("a digest");
        let (sha512, md5) = (hasher(MessageDigest::sha512()), hasher(MessageDigest::md5()));
        Self { size: 0, sha512, md5, kept: Vec::new() }
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut all = Self::new();
        all.add(bytes);
        all
    }

    fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha512.update(bytes).expect("hashing");
        self.md5.update(bytes).expect("hashing");
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
    }

    /// The format by the first bytes.
    fn format(&self) -> &'static str {
        let magics: [(&[u8], usize, &str); 6] = [
            (b"QFI\xfb", 0, "qcow2"),
            (b"KDMV", 0, "vmdk"),
            (b"conectix", 0, "vhd"),
            (b"vhdxfile", 0, "vhdx"),
            (b"\x7f\x10\xda\xbe", 0x40, "vdi"),
            (b"CD001", 0x8001, "iso"),
        ];
        let has = |magic: &[u8], at: usize| self.kept.get(at..at + magic.len()) == Some(magic);
        magics.into_iter().find(|(magic, at, _)| has(magic, *at)).map_or("raw", |(_, _, format)| format)
    }

    /// What a virtual machine sees.
    fn virtual_size(&self, format: &str) -> Option<u64> {
        if format == "qcow2" {
            return Some(u64::from_be_bytes(self.kept.get(24..32)?.try_into().ok()?));
        }
        (self.size > 0).then_some(self.size)
    }
}

impl Upload {
    /// More bytes of it.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Answer> {
        self.bytes.add(bytes);
        match self.expected {
            Some(expected) if self.bytes.size > expected => {
                let got = self.bytes.size.min((expected / CHUNK + 1) * CHUNK);
                Err(Answer::refuse(400, &format!("Size exceeds: expected {expected} bytes, got {got} bytes")))
            }
            _ => Ok(()),
        }
    }
}

impl World {
    /// Begins an upload: the image is `saving` from then on, or `uploading` where it is staged.
    pub(super) fn begin_upload(
        &mut self,
        caller: &Caller,
        request: &Request,
        id: &str,
        kind: &str,
    ) -> Result<Upload, Answer> {
        let media_type = request.media_type();
        if media_type != "application/octet-stream" {
            return Err(unsupported(media_type, &format!("Invalid content type {media_type}")));
        }
        let number_of = |name: &str| request.header(name).and_then(|size| size.parse().ok());
        let is_stage = kind == "stage";
        let coming = number_of("content-length").unwrap_or(request.body.len() as u64);
        let image = self.seen(caller, id)?;
        if !caller.owns(image) {
            return Err(not_authorized("upload_image"));
        }
        let (key, owner) = (image.id, image.owner.clone());
        if is_stage {
            self.check_stage(&owner, coming)?;
        } else {
            self.check_size(&owner, coming)?;
        }
        let before = self.image(key).clone();
        self.save(key, if is_stage { "uploading" } else { "saving" })?;
        self.check_uploading(&owner).inspect_err(|_| self.requeue(key))?;
        self.uploads += 1;
        self.running.insert(key, self.uploads);
        let expected = number_of("x-openstack-image-size");
        Ok(Upload { image: key, number: self.uploads, is_stage, expected, before, bytes: Bytes::new() })
    }

    /// From `queued` to a status in which bytes come.
    fn save(&mut self, id: Uuid, to: &str) -> Result<(), Answer> {
        let clock = self.clock;
        let image = self.image(id);
        if image.status != "queued" {
            let from = &image.status;
            return Err(Answer::refuse(409, &format!("Image status transition from {from} to {to} is not allowed")));
        }
        let unset = [("disk_format", &image.disk_format), ("container_format", &image.container_format)];
        let unset: Vec<_> = unset.iter().filter(|(_, format)| format.is_none()).map(|(name, _)| *name).collect();
        if !unset.is_empty() {
            let names = unset.join(", ");
            return Err(Answer::refuse(400, &format!("Properties {names} must be set prior to saving data.")));
        }
        to.clone_into(&mut image.status);
        image.updated = clock;
        Ok(())
    }

    fn requeue(&mut self, id: Uuid) {
        let clock = self.clock;
        self.running.remove(&id);
        if let Some(image) = self.images.get_mut(&id) {
            "queued".clone_into(&mut image.status);
            image.updated = clock;
        }
    }

    fn is_running(&self, upload: &Upload) -> bool {
        self.images.contains_key(&upload.image) && self.running.get(&upload.image) == Some(&upload.number)
    }

    /// An upload that was cut off, or whose bytes were refused: the image is queued again.
    pub(super) fn fail_upload(&mut self, upload: &Upload) {
        if self.is_running(upload) {
            self.put_back(upload);
            self.requeue(upload.image);
        }
    }

    /// What a client can set is again as it was when the upload began; members are kept elsewhere.
    fn put_back(&mut self, upload: &Upload) {
        let before = upload.before.clone();
        let image = self.image(upload.image);
        let (status, members) = (std::mem::take(&mut image.status), std::mem::take(&mut image.members));
        *image = Image { status, members, in_use: image.in_use, ..before };
    }

    /// All bytes are there.
    pub(super) fn finish_upload(&mut self, upload: Upload) -> Answer {
        if !self.is_running(&upload) {
            let id = upload.image;
            let text = format!(
                "Image {id} could not be found after upload. The image may have been deleted during the upload, cleaning up the chunks uploaded."
            );
            return Answer::refuse(410, &text);
        }
        self.running.remove(&upload.image);
        self.put_back(&upload);
        if let Some(expected) = upload.expected.filter(|expected| upload.bytes.size < *expected) {
            self.requeue(upload.image);
            let got = upload.bytes.size;
            return Answer::refuse(400, &format!("Size mismatch: expected {expected} bytes, got {got} bytes"));
        }
        if upload.is_stage {
            let clock = self.clock;
            let image = self.image(upload.image);
            image.size = Some(upload.bytes.size);
            image.updated = clock;
            image.data = Some(upload.bytes.kept.into());
            return Answer::empty(204);
        }
        match self.store(upload.image, upload.bytes) {
            Ok(()) => Answer::empty(204),
            Err(detail) => unsupported("application/octet-stream", &detail),
        }
    }

    /// Puts bytes into an image, which is active then. Where they are not of its format, digests are left on it, as Glance does.
    pub(super) fn store(&mut self, id: Uuid, mut bytes: Bytes) -> Result<(), String> {
        let clock = self.clock;
        let image = self.image(id);
        let digest = |hasher: &mut Hasher| Some(HEXLOWER.encode(&hasher.finish().expect("a digest")));
        image.checksum = digest(&mut bytes.md5);
        image.os_hash_value = digest(&mut bytes.sha512);
        image.stored = true;
        image.updated = clock;
        let (found, declared) = (bytes.format(), image.disk_format.clone().unwrap_or_default());
        let is_inspected = image.container_format.as_deref() == Some("bare") && INSPECTED.contains(&declared.as_str());
        if is_inspected && found != declared {
            "queued".clone_into(&mut image.status);
            image.size = None;
            return Err(format!("Image disk_format {declared} does not match stream data {found}"));
        }
        image.size = Some(bytes.size);
        image.virtual_size = bytes.virtual_size(&declared);
        image.data = (bytes.size == bytes.kept.len() as u64).then(|| bytes.kept.into());
        "active".clone_into(&mut image.status);
        Ok(())
    }

    /// Puts bytes into an image as if a person had uploaded them.
    ///
    /// # Panics
    /// When they are not of the image's format.
    pub fn fill(&mut self, id: Uuid, bytes: &[u8]) {
        self.store(id, Bytes::of(bytes)).expect("bytes of the image's format");
    }

    pub(super) fn download(&mut self, caller: &Caller, request: &Request, id: &str) -> Result<Answer, Answer> {
        let image = self.seen(caller, id)?;
        if image.status == "deactivated" && !caller.is_admin {
            let text = "The requested image has been deactivated. Image data download is forbidden.";
            return Err(Answer::refuse(403, text));
        }
        if !caller.is_admin && !caller.is_member {
            return Err(not_authorized("download_image"));
        }
        let Some(data) = image.data.clone().filter(|_| image.status == "active" || image.status == "deactivated")
        else {
            return Ok(Answer::nothing());
        };
        let answer = answer_range(&data, request.header("range"))?;
        Ok(answer.with("Content-MD5", image_checksum(image)))
    }
}

fn image_checksum(image: &Image) -> String {
    image.checksum.clone().unwrap_or_default()
}

fn answer_range(data: &Arc<[u8]>, range: Option<&str>) -> Result<Answer, Answer> {
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(Answer::bytes(200, data.to_vec()));
    };
    let end = data.len().saturating_sub(1);
    let (first, last) = (first.parse().unwrap_or(0), last.parse::<usize>().unwrap_or(end).min(end));
    let part = data.get(first..=last).ok_or_else(|| {
        let text = format!(
            "416 Request Range Not Satisfiable\n\nThe Range requested is not available.\n\n Invalid start position in Range header. Start position MUST be in the inclusive range [0, {end}].  "
        );
        Answer::text(416, &text)
    })?;
    let range = format!("bytes {first}-{last}/{}", data.len());
    Ok(Answer::bytes(206, part.to_vec()).with("Content-Range", range))
}

fn unsupported(media_type: &str, detail: &str) -> Answer {
    let text = format!(
        "415 Unsupported Media Type\n\nThe request media type {media_type} is not supported by this server. \n\n {detail}"
    );
    Answer::text(415, &text)
}
