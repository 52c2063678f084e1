//! Parses the signed bytes into an [`ImageList`].
//!
//! The format is a JSON object `{"hv:imagelist": {…}}`, or the older form with the list's keys at the top level. An
//! error in the list refuses the list; an error in one image refuses only that image.

use std::cell::RefCell;
use std::collections::HashMap;

use super::field::{self, Fault, FieldError, optional, required};
use super::json::{self, Node, Object};
use super::model::{ImageList, ImageRefusal, ListedImage, NamedEndorser, RefusedImage};
use super::{LeftOut, ListError, Sha512Digest, WantedImages};
use crate::text::displayed;

/// The keys of a list that have a field in the model.
pub(super) const LIST_KEYS: [&str; 11] = [
    "dc:date:created",
    "dc:date:expires",
    "dc:identifier",
    "dc:description",
    "dc:title",
    "dc:source",
    "hv:version",
    "hv:uri",
    "hv:endorser",
    "hv:images",
    "ad:vo",
];

impl ImageList {
    /// Parses the payload of a list: exactly the signed bytes.
    ///
    /// It is tolerant where publishers differ (sizes as text, versions as numbers, one endorser or several, any RFC
    /// 3339 date, unknown keys), and strict where readers could differ (duplicate keys, keys beside `hv:imagelist`). An
    /// image is in [`ImageList::refused`] with its reason if it is not valid, if its identifier is not a safe file
    /// name, or if its identifier occurs twice. All other errors refuse the list.
    pub fn parse(payload: &[u8]) -> Result<Self, ListError> {
        Self::parse_for(payload, None)
    }

    /// The same. If `wanted` is given, other images and unknown keys are left out.
    pub fn parse_for(payload: &[u8], wanted: Option<WantedImages<'_>>) -> Result<Self, ListError> {
        let entries = RefCell::new(Vec::new());
        let take = |index, node: Node<'_>| {
            entries.borrow_mut().push(read_entry(index, node, wanted.is_none()).kept_for(wanted));
        };
        let document = json::read(payload, Some(&take))?;
        let (place, mut list) = find_list(document)?;
        let mut read = read_list(&mut list).map_err(|error| error.at(place))?;
        sort_entries(entries.into_inner(), wanted, &mut read);
        if wanted.is_none() {
            read.extra = list.into_map();
        }
        Ok(read)
    }
}

/// Why a list is refused, before the path of the list's object is known.
pub(super) enum ListFault {
    Field(FieldError),
    Endorser { path: String, error: FieldError },
    Other { key: &'static str, message: String },
}

impl From<FieldError> for ListFault {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl ListFault {
    pub(super) fn at(self, place: &str) -> ListError {
        let (path, fault) = match self {
            Self::Field(error) => (format!("{place}{}", error.key), error.fault),
            Self::Endorser { path, error } => (format!("{place}{path}.{}", error.key), error.fault),
            Self::Other { key, message } => (format!("{place}{key}"), Fault::Unreadable(message)),
        };
        match fault {
            Fault::Missing(expected) => ListError::Missing { path, expected },
            Fault::Unreadable(message) => ListError::Field { path, message },
        }
    }
}

/// The object of the list, and the path before its keys. Unknown keys beside `hv:imagelist` are added to it.
pub(super) fn find_list(document: Node<'_>) -> Result<(&'static str, Object<'_>), ListError> {
    let Node::Object(mut top) = document else {
        return Err(ListError::NotAList { found: document.describe() });
    };
    match top.take("hv:imagelist") {
        None if LIST_KEYS.iter().any(|key| top.get(key).is_some()) => Ok(("", top)),
        None => Err(ListError::NotAList { found: Node::Object(top).describe() }),
        Some(Node::Object(list)) => {
            let beside = top.members().find(|(key, _)| LIST_KEYS.contains(key) || list.get(key).is_some());
            if let Some((key, _)) = beside {
                return Err(ListError::Ambiguous { path: key.to_owned() });
            }
            Ok(("hv:imagelist.", list.joined_by(top)))
        }
        Some(other) => {
            let message = format!("expected an object, found {}", other.describe());
            Err(ListError::Field { path: "hv:imagelist".to_owned(), message })
        }
    }
}

fn read_list(list: &mut Object<'_>) -> Result<ImageList, ListFault> {
    let read = ImageList {
        identifier: required(list, "dc:identifier", &field::IDENTIFIER)?,
        version: required(list, "hv:version", &field::VERSION)?,
        created: required(list, "dc:date:created", &field::DATE)?,
        expires: required(list, "dc:date:expires", &field::DATE)?,
        title: required(list, "dc:title", &field::TEXT)?,
        description: required(list, "dc:description", &field::TEXT)?,
        source: required(list, "dc:source", &field::TEXT)?,
        uri: required(list, "hv:uri", &field::TEXT)?,
        endorsers: read_endorsers(list.take("hv:endorser"))?,
        vo: optional(list, "ad:vo", &field::TEXT)?,
        images: Vec::new(),
        refused: Vec::new(),
        left_out: LeftOut::default(),
        extra: serde_json::Map::new(),
    };
    match list.take("hv:images") {
        Some(Node::Images) => Ok(read),
        None => Err(FieldError { key: "hv:images", fault: Fault::Missing("an array of images") }.into()),
        Some(other) => Err(ListFault::Other {
            key: "hv:images",
            message: format!("expected an array of images, found {}", other.describe()),
        }),
    }
}

/// One endorser, or an array of them.
pub(super) fn read_endorsers(node: Option<Node<'_>>) -> Result<Vec<NamedEndorser>, ListFault> {
    let key = "hv:endorser";
    match node {
        None => Err(FieldError { key, fault: Fault::Missing("an endorser") }.into()),
        Some(Node::Array(nodes)) if !nodes.is_empty() => {
            let nodes = nodes.into_iter().enumerate();
            nodes.map(|(index, node)| read_endorser(&format!("{key}[{index}]"), node)).collect()
        }
        Some(Node::Array(_)) => {
            Err(ListFault::Other { key, message: "expected at least one endorser, found an empty array".to_owned() })
        }
        Some(node) => Ok(vec![read_endorser(key, node)?]),
    }
}

fn read_endorser(path: &str, node: Node<'_>) -> Result<NamedEndorser, ListFault> {
    let at = |path: String| move |error| ListFault::Endorser { path, error };
    let wrong = |key, found: String| FieldError { key, fault: Fault::Unreadable(found) };
    let key = "hv:x509";
    let Node::Object(mut wrapper) = node else {
        let found = format!("expected it in an object, found {}", node.describe());
        return Err(at(path.to_owned())(wrong(key, found)));
    };
    let mut names = match wrapper.take(key) {
        Some(Node::Object(names)) => names,
        Some(other) => {
            let found = format!("expected an object, found {}", other.describe());
            return Err(at(path.to_owned())(wrong(key, found)));
        }
        None => {
            return Err(at(path.to_owned())(FieldError { key, fault: Fault::Missing("the names of a certificate") }));
        }
    };
    let inside = format!("{path}.{key}");
    let read = |names: &mut Object<'_>| -> Result<NamedEndorser, FieldError> {
        Ok(NamedEndorser {
            subject: required(names, "hv:dn", &field::TEXT)?,
            issuer: required(names, "hv:ca", &field::TEXT)?,
            email: required(names, "hv:email", &field::TEXT)?,
            creator: required(names, "dc:creator", &field::TEXT)?,
        })
    };
    read(&mut names).map_err(at(inside))
}

/// One element of `hv:images`.
struct Entry {
    /// `dc:identifier` as in the list, also of a refused entry. It is used to find duplicates.
    identifier: Option<String>,
    /// Its number, counted from 1.
    number: usize,
    outcome: Result<Option<Box<ListedImage>>, (ImageRefusal, String)>,
}

impl Entry {
    /// The entry without its image if that is not wanted.
    fn kept_for(self, wanted: Option<WantedImages<'_>>) -> Self {
        let Some(wanted) = wanted else { return self };
        Self { outcome: self.outcome.map(|image| image.filter(|image| wanted.has(image))), ..self }
    }
}

/// Reads one entry. `whole`: unknown keys are kept.
fn read_entry(index: usize, node: Node<'_>, whole: bool) -> Entry {
    let malformed = |message: String| Err((ImageRefusal::ImageMalformed, message));
    let number = index + 1;
    let mut wrapper = match node {
        Node::Object(wrapper) => wrapper,
        other => {
            let outcome = malformed(format!("expected an object with hv:image, found {}", other.describe()));
            return Entry { identifier: None, number, outcome };
        }
    };
    match wrapper.take("hv:image") {
        Some(Node::Object(image)) => {
            let beside = wrapper.members().find(|(key, _)| image.get(key).is_some()).map(|(key, _)| key.to_owned());
            let identifier = image.get("dc:identifier").and_then(|node| field::text(node).ok());
            let outcome = match beside {
                Some(key) => malformed(format!("{key}: expected it inside hv:image only, found it beside too")),
                None => read_image(image.joined_by(wrapper), whole).map(|image| Some(Box::new(image))),
            };
            Entry { identifier, number, outcome }
        }
        Some(other) => {
            let outcome = malformed(format!("hv:image: expected an object, found {}", other.describe()));
            Entry { identifier: None, number, outcome }
        }
        None => {
            let found = Node::Object(wrapper).describe();
            Entry { identifier: None, number, outcome: malformed(format!("expected hv:image, found {found}")) }
        }
    }
}

/// Reads the identifier first, because an unsafe one has its own reason.
fn read_image(mut image: Object<'_>, whole: bool) -> Result<ListedImage, (ImageRefusal, String)> {
    let identifier = required(&mut image, "dc:identifier", &field::IDENTIFIER).map_err(|error| {
        let reason = match error.fault {
            Fault::Missing(_) => ImageRefusal::ImageMalformed,
            Fault::Unreadable(_) => ImageRefusal::IdentifierUnsafe,
        };
        (reason, error.message())
    })?;
    let malformed = |error: FieldError| (ImageRefusal::ImageMalformed, error.message());
    let read = read_members(identifier, &mut image).map_err(malformed)?;
    Ok(if whole { ListedImage { extra: image.into_map(), ..read } } else { read })
}

fn read_members(identifier: super::ImageId, image: &mut Object<'_>) -> Result<ListedImage, FieldError> {
    let sha512: Sha512Digest = required(image, "sl:checksum:sha512", &field::DIGEST)?;
    Ok(ListedImage {
        identifier,
        version: required(image, "hv:version", &field::VERSION)?,
        title: required(image, "dc:title", &field::TEXT)?,
        description: required(image, "dc:description", &field::TEXT)?,
        size: Some(required(image, "hv:size", &field::SIZE)?),
        digest: sha512.into(),
        learned: None,
        uri: required(image, "hv:uri", &field::IMAGE_URL)?,
        os: required(image, "sl:os", &field::TEXT)?,
        os_version: required(image, "sl:osversion", &field::TEXT)?,
        arch: required(image, "sl:arch", &field::TEXT)?,
        hypervisor: required(image, "hv:hypervisor", &field::TEXT)?,
        comments: required(image, "sl:comments", &field::TEXT)?,
        format: optional(image, "hv:format", &field::TEXT)?,
        mpuri: optional(image, "ad:mpuri", &field::TEXT)?,
        expires: optional(image, "dc:date:expires", &field::DATE)?,
        extra: serde_json::Map::new(),
    })
}

/// Sorts entries into usable and refused images. If an identifier occurs more than once, all its entries are refused.
fn sort_entries(entries: Vec<Entry>, wanted: Option<WantedImages<'_>>, list: &mut ImageList) {
    let mut times: HashMap<String, usize> = HashMap::new();
    for identifier in entries.iter().filter_map(|entry| entry.identifier.clone()) {
        *times.entry(identifier).or_default() += 1;
    }
    for Entry { identifier, number, outcome } in entries {
        let count = identifier.as_ref().and_then(|identifier| times.get(identifier)).copied().unwrap_or(0);
        let (reason, message) = match outcome {
            Ok(Some(image)) if count < 2 => {
                list.images.push(*image);
                continue;
            }
            Ok(None) if count < 2 => {
                list.left_out.images += 1;
                continue;
            }
            Ok(_) => {
                let message = format!("dc:identifier: expected it once in the list, found it {count} times");
                (ImageRefusal::IdentifierDuplicate, message)
            }
            Err(refusal) => refusal,
        };
        let asked_for =
            |wanted: WantedImages<'_>| identifier.as_deref().is_some_and(|identifier| wanted.names(identifier));
        if wanted.is_some_and(|wanted| list.refused.len() >= WantedImages::REFUSED && !asked_for(wanted)) {
            list.left_out.refused += 1;
            continue;
        }
        let shown = identifier.filter(|text| !text.is_empty()).map(|text| shown(&text));
        let identifier = shown.unwrap_or_else(|| format!("image {number}"));
        list.refused.push(RefusedImage { identifier, reason, message });
    }
}

/// An identifier for display: at most 128 characters, with characters that are not printable replaced.
fn shown(text: &str) -> String {
    displayed(text, 128)
}

#[cfg(test)]
mod tests;
