//! A list that was given on the command line.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::imagelist::oci::RepositoryMessage;
use crate::imagelist::{ImageList, ListFormat, MAXIMUM_BYTES, RefusedImage, is_signed_files};
use crate::text::printable;
use crate::trust::{PublicKey, SignedMessage, read_unverified, unverified_texts};

/// The bytes of a list, and where they were read from.
pub(super) struct ListInput {
    name: String,
    /// The bytes as they were read, signed or not.
    pub(super) bytes: Vec<u8>,
    /// How the files of a source that has several become a list.
    format: Option<ListFormat>,
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
        Self { name: name.to_string(), bytes, format: None }
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The same, with how the files of its source become a list.
    pub(super) fn with_format(self, format: ListFormat) -> Self {
        Self { format: Some(format), ..self }
    }

    /// Whether the bytes are files of a source that has several, which only the rule of its subscription makes a list of.
    pub(super) fn is_of_files(&self) -> bool {
        is_signed_files(&self.bytes)
    }

    /// Whether the bytes are what was fetched of a repository.
    pub(super) fn is_of_repository(&self) -> bool {
        RepositoryMessage::read(&self.bytes).is_ok()
    }

    /// Whether the bytes can be a signed message: they are not empty, and do not begin as a JSON object.
    pub(super) fn is_signed(&self) -> bool {
        !matches!(self.bytes.trim_ascii_start().first(), Some(b'{') | None)
    }

    /// The list, of any kind of source. No signature is verified.
    pub(super) fn into_list(self) -> anyhow::Result<ImageList> {
        let name = self.name.clone();
        if self.is_of_files() {
            let expected = || {
                format!(
                    "{name}: expected an image list, found the files of another source, which only the manifest of its \
                     subscription makes a list of (--subscription, or --volume, with --manifests)"
                )
            };
            return read_unverified(&self.bytes, &self.format.with_context(expected)?).with_context(|| name);
        }
        if let Ok(repository) = RepositoryMessage::read(&self.bytes) {
            return repository.unverified().with_context(|| format!("{name}: expected an image, found none"));
        }
        ImageList::parse(&self.into_text()?).with_context(|| name)
    }

    /// What was signed: the JSON of an image list, the texts of the files of another source one after the other, or what was
    /// fetched of a repository. No signature is verified.
    pub(super) fn into_signed_text(self) -> anyhow::Result<Vec<u8>> {
        if !self.is_of_files() {
            return self.into_text();
        }
        let mut texts = unverified_texts(&self.bytes).with_context(|| self.name.clone())?;
        let last = texts.pop().unwrap_or_default();
        for text in texts.iter_mut().filter(|text| !text.ends_with(b"\n")) {
            text.push(b'\n');
        }
        texts.push(last);
        Ok(texts.concat())
    }

    /// The JSON: the bytes themselves, or the text of a signed message. The signature is not verified.
    pub(super) fn into_text(self) -> anyhow::Result<Vec<u8>> {
        if !self.is_signed() {
            return Ok(self.bytes);
        }
        if self.is_of_files() {
            bail!("{}: expected an image list, found the files of another source", self.name);
        }
        let message = SignedMessage::read(&self.bytes);
        message.and_then(SignedMessage::into_payload).with_context(|| self.name.clone())
    }
}
