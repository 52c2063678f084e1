//! The list that the artefacts of a repository make.

use jiff::Timestamp;

use super::{Disk, ManifestError, RepositoryMessage, TaggedManifest};
use crate::imagelist::{
    ContentDigest, ImageId, ImageList, ImageRefusal, LeftOut, ListVersion, ListedImage, RefusedImage,
};

impl RepositoryMessage {
    /// The identifier of the image of a tag.
    pub fn identifier(&self, tagged: &TaggedManifest) -> Result<ImageId, ManifestError> {
        let identifier = self.repository.image_identifier(tagged.tag.as_ref());
        identifier.ok_or_else(|| unusable("tag", "expected a tag that makes an identifier, found another"))
    }

    /// The image of a tag, and when it was made.
    pub fn image(&self, tagged: &TaggedManifest) -> Result<(ListedImage, Timestamp), ManifestError> {
        let disk = Disk::read(tagged)?;
        let address = self.repository.address(self.insecure, &format!("blobs/{}", disk.sha256));
        let uri = address.ok_or_else(|| unusable("repository", "expected one that makes an address, found another"))?;
        let image = ListedImage {
            identifier: self.identifier(tagged)?,
            version: disk.version,
            title: disk.title.unwrap_or_else(|| format!("{}:{}", self.repository.path(), tagged.shown())),
            description: disk.description,
            size: Some(disk.size),
            digest: ContentDigest::Sha256(disk.sha256),
            learned: None,
            uri,
            os: disk.os,
            os_version: disk.os_version,
            arch: disk.arch,
            hypervisor: disk.hypervisor,
            comments: disk.comments,
            format: disk.format,
            mpuri: None,
            expires: disk.expires,
            extra: serde_json::Map::new(),
        };
        Ok((image, disk.created))
    }

    /// The list of these images, of which the newest was made at `created`. `None` if the repository's names make no
    /// identifier or version.
    pub fn list(&self, images: Vec<ListedImage>, refused: Vec<RefusedImage>, created: Timestamp) -> Option<ImageList> {
        let name = self.repository.to_string();
        Some(ImageList {
            identifier: self.repository.identifier()?,
            version: ListVersion::of_time(created).ok()?,
            created,
            expires: ImageList::NEVER,
            title: name.clone(),
            description: String::new(),
            source: name,
            uri: self.repository.address(self.insecure, "tags/list")?.url().to_string(),
            endorsers: Vec::new(),
            vo: None,
            images,
            refused,
            left_out: LeftOut::default(),
            extra: serde_json::Map::new(),
        })
    }

    /// The list of everything in the message, for tools that show it. No signature is verified, so it must never be
    /// published. `None` if there is no usable image.
    pub fn unverified(&self) -> Option<ImageList> {
        let (mut images, mut refused, mut newest) = (Vec::new(), Vec::new(), None);
        for tagged in &self.tags {
            match self.image(tagged) {
                Ok((image, created)) => {
                    newest = newest.max(Some(created));
                    images.push(image);
                }
                Err(error) => refused.push(self.refused(tagged, ImageRefusal::ImageMalformed, &error.to_string())),
            }
        }
        self.list(images, refused, newest?)
    }

    /// An entry about a tag that cannot be used.
    pub fn refused(&self, tagged: &TaggedManifest, reason: ImageRefusal, message: &str) -> RefusedImage {
        let identifier = self.identifier(tagged).map_or_else(|_| tagged.shown(), |identifier| identifier.to_string());
        RefusedImage { identifier, reason, message: format!("{}: {message}", tagged.shown()) }
    }
}

fn unusable(place: &str, message: &str) -> ManifestError {
    ManifestError::Field { place: place.to_owned(), message: message.to_owned() }
}
