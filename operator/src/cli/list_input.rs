//! A list that was given on the command line.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::imagelist::oci::RepositoryMessage;
use crate::imagelist::{ImageList, MAXIMUM_BYTES, RefusedImage, is_signed_files};
use crate::text::printable;
use crate::trust::{PublicKey, SignedMessage};

/// The bytes of a list, and where they were read from.
pub(super) struct ListInput {
    name: String,
    /// The bytes as they were read, signed or not.
    pub(super) bytes: Vec<u8>,
}

/// The bytes of any file.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The OpenPGP public keys of a file, and its bytes.
pub(super) fn read_keys(path: &Path) -> anyhow::Result<(Vec<Arc<PublicKey>>, Vec<u8>)> {
    let bytes = read_file(path)?;
    let keys = PublicKey::read_all(&bytes).with_context(|| path.display().to_string())?;
    Ok((keys, bytes))
}

/// A refused image as JSON.
pub(super) fn refused_document(image: &RefusedImage) -> Value {
    json!({"identifier": image.identifier, "reason": image.reason.as_str(), "message": image.message})
}

/// A refused image as a line for people.
pub(super) fn refused_line(image: &RefusedImage) -> String {
    let (identifier, message) = (printable(&image.identifier), printable(&image.message));
    format!("refused: {identifier}: {}: {message}", image.reason.as_str())
}

/// Reads a file, or standard input for `-`. Fails if the list is larger than [`MAXIMUM_BYTES`].
pub(super) fn read(path: &Path) -> anyhow::Result<ListInput> {
    let shown = || format!("cannot read {}", path.display());
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).with_context(shown)?) };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAXIMUM_BYTES)?;
    source.take(limit + 1).read_to_end(&mut bytes).with_context(shown)?;
    if bytes.len() > MAXIMUM_BYTES {
        bail!("{}: expected a list of at most {MAXIMUM_BYTES} bytes, found more", path.display());
    }
    Ok(ListInput::of(path.display(), bytes))
}

impl ListInput {
    /// A list from bytes in memory; `name` is its name in messages.
    pub(super) fn of(name: impl Display, bytes: Vec<u8>) -> Self {
        Self { name: name.to_string(), bytes }
    }

    /// Whether the bytes can be a signed message: they are not empty, and do not begin as a JSON object.
    pub(super) fn is_signed(&self) -> bool {
        !matches!(self.bytes.trim_ascii_start().first(), Some(b'{') | None)
    }

    /// The list, of any kind of source. No signature is verified.
    pub(super) fn into_list(self) -> anyhow::Result<ImageList> {
        if let Ok(repository) = RepositoryMessage::read(&self.bytes) {
            return repository.unverified().with_context(|| format!("{}: expected an image, found none", self.name));
        }
        let name = self.name.clone();
        ImageList::parse(&self.into_text()?).with_context(|| name)
    }

    /// The JSON: the bytes themselves, or the text of a signed message. The signature is not verified.
    pub(super) fn into_text(self) -> anyhow::Result<Vec<u8>> {
        if !self.is_signed() {
            return Ok(self.bytes);
        }
        if is_signed_files(&self.bytes) {
            bail!(
                "{}: expected an image list, found the files of another source; `get images --available` shows its images, and \
                 `list show --format smime` prints the files",
                self.name
            );
        }
        let message = SignedMessage::read(&self.bytes);
        message.and_then(SignedMessage::into_payload).with_context(|| self.name.clone())
    }
}
