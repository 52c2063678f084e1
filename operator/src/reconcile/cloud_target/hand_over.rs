//! How a cloud gets the bytes: from the volume, or from the image server. Pure.

use jiff::Timestamp;
use url::Url;

use super::refusal::Refusal;
use crate::api::{self, HandOverType, OpenStackHandOverType};
use crate::cache::VerifiedBlob;
use crate::convert::Form;
use crate::reconcile::check::{SpecError, http_address};
use crate::reconcile::context::ImagePaths;

/// The first part of an image's path on the image server. A ticket follows.
const IMAGES: &str = "images/";

/// How the cloud gets the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HandOver {
    /// The cloud has the volume mounted at this path, which does not end with a slash.
    Path(String),
    /// The cloud downloads from the image server at this address, which ends with a slash.
    Url(Url),
    /// The operator sends them.
    Upload,
}

impl HandOver {
    /// Checks the spec.
    pub(super) fn check(hand_over: &api::HandOver) -> Result<Self, SpecError> {
        match (hand_over.r#type, &hand_over.path, &hand_over.url) {
            (HandOverType::Path, Some(path), None) => prefix(&path.prefix).map(Self::Path),
            (HandOverType::Url, None, Some(url)) => base("openNebula.handOver.url.base", &url.base).map(Self::Url),
            (HandOverType::Path, None, _) => {
                Err(SpecError::invalid(FIELD_PATH, "expected it with type Path, found none"))
            }
            (HandOverType::Url, _, None) => Err(SpecError::invalid(FIELD_URL, "expected it with type URL, found none")),
            (HandOverType::Path, Some(_), Some(_)) => {
                Err(SpecError::invalid(FIELD_URL, "expected none with type Path, found one"))
            }
            (HandOverType::Url, Some(_), Some(_)) => {
                Err(SpecError::invalid(FIELD_PATH, "expected none with type URL, found one"))
            }
            (HandOverType::Unknown, _, _) => Err(SpecError::unsupported("openNebula.handOver.type", "Path or URL")),
        }
    }

    /// Checks the spec of an OpenStack.
    pub(super) fn check_openstack(hand_over: &api::OpenStackHandOver) -> Result<Self, SpecError> {
        const FIELD: &str = "openStack.handOver.url";
        match (hand_over.r#type, &hand_over.url) {
            (OpenStackHandOverType::Upload, None) => Ok(Self::Upload),
            (OpenStackHandOverType::Upload, Some(_)) => {
                Err(SpecError::invalid(FIELD, "expected none with type Upload, found one"))
            }
            (OpenStackHandOverType::Url, Some(url)) => base("openStack.handOver.url.base", &url.base).map(Self::Url),
            (OpenStackHandOverType::Url, None) => {
                Err(SpecError::invalid(FIELD, "expected it with type URL, found none"))
            }
            (OpenStackHandOverType::Unknown, _) => {
                Err(SpecError::unsupported("openStack.handOver.type", "Upload or URL"))
            }
        }
    }

    /// The location of a blob for the cloud: the file whose name is its digest, which never moves, or an address that
    /// is valid for some hours.
    pub(super) fn location(
        &self,
        blob: &VerifiedBlob,
        format: Form,
        paths: Option<&ImagePaths>,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let base = match self {
            Self::Path(prefix) => {
                let digest = blob.digest().to_string();
                return Ok(format!("{prefix}/blobs/sha512/{}/{digest}", &digest[..2]));
            }
            Self::Url(base) => base,
            Self::Upload => {
                let path = blob.path().to_str().ok_or_else(|| Refusal {
                    reason: "ImageServerFailed",
                    message: format!("expected a volume whose path is UTF-8, found {}", blob.path().display()),
                })?;
                return Ok(path.to_owned());
            }
        };
        let paths = paths.ok_or_else(no_image_server)?;
        let path = paths(blob.digest(), format.as_str(), now);
        let path = path.map_err(|message| Refusal { reason: "ImageServerFailed", message })?;
        Ok(format!("{base}{path}"))
    }

    /// Why no image can be handed over; `None` if nothing prevents it.
    pub(super) fn obstacle(&self, has_image_server: bool) -> Option<Refusal> {
        match self {
            Self::Path(_) | Self::Upload => None,
            Self::Url(_) => (!has_image_server).then(no_image_server),
        }
    }

    /// Removes tickets from a message of the cloud. The message may contain the address, and more people may read a
    /// status than may download the image.
    pub(super) fn without_tickets(&self, message: &str) -> String {
        let Self::Url(base) = self else { return message.to_owned() };
        let before = format!("{base}{IMAGES}");
        let mut parts = message.split(&before);
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let ticket = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(part.len());
            text.push_str(&before);
            text.push('…');
            text.push_str(&part[ticket..]);
        }
        text
    }
}

const FIELD_PATH: &str = "openNebula.handOver.path";
const FIELD_URL: &str = "openNebula.handOver.url";

fn no_image_server() -> Refusal {
    let message = "expected an image server (--image-server) for a target with handOver type URL, found that none runs";
    Refusal { reason: "NoImageServer", message: message.to_owned() }
}

fn prefix(text: &str) -> Result<String, SpecError> {
    let prefix = text.trim_end_matches('/');
    let clean = prefix.starts_with('/') && !prefix.split('/').any(|part| part == "..");
    if clean && prefix.chars().all(|c| !c.is_control()) {
        return Ok(prefix.to_owned());
    }
    let message = format!("expected an absolute path without .., found {prefix:?}");
    Err(SpecError::invalid("openNebula.handOver.path.prefix", &message))
}

fn base(field: &str, text: &str) -> Result<Url, SpecError> {
    let mut url = http_address(field, text, "the paths are signed")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(SpecError::invalid(field, "expected an address that a path can be put below, found ? or # in it"));
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(manifest: serde_json::Value) -> Result<HandOver, SpecError> {
        HandOver::check(&serde_json::from_value(manifest).unwrap())
    }

    #[test]
    fn exactly_the_member_that_type_names_is_set() {
        let url = |text: &str| HandOver::Url(text.parse().unwrap());
        let good = [
            (r#"{"type": "Path", "path": {"prefix": "/mnt/images/"}}"#, HandOver::Path("/mnt/images".to_owned())),
            (r#"{"type": "URL", "url": {"base": "https://i.example.org"}}"#, url("https://i.example.org/")),
            (r#"{"type": "URL", "url": {"base": "http://10.0.0.1:8080/a/b//"}}"#, url("http://10.0.0.1:8080/a/b/")),
        ];
        for (manifest, expected) in good {
            assert_eq!(checked(serde_json::from_str(manifest).unwrap()), Ok(expected), "{manifest}");
        }
        let bad = [
            (r#"{"type": "Path"}"#, "handOver.path: expected it with type Path"),
            (r#"{"type": "URL"}"#, "handOver.url: expected it with type URL"),
            (r#"{"type": "Path", "url": {"base": "https://i"}}"#, "handOver.path: expected it with type Path"),
            (r#"{"type": "URL", "path": {"prefix": "/mnt"}}"#, "handOver.url: expected it with type URL"),
            (
                r#"{"type": "Path", "path": {"prefix": "/a"}, "url": {"base": "https://i"}}"#,
                "handOver.url: expected none",
            ),
            (
                r#"{"type": "URL", "path": {"prefix": "/a"}, "url": {"base": "https://i"}}"#,
                "handOver.path: expected none",
            ),
            (r#"{"type": "Carrier", "path": {"prefix": "/a"}}"#, "handOver.type: expected Path or URL"),
            (r#"{"type": "Path", "path": {"prefix": "/a/../b"}}"#, "path.prefix: expected an absolute path"),
            (r#"{"type": "URL", "url": {"base": "ftp://i"}}"#, "url.base: expected an http or https address"),
            (r#"{"type": "URL", "url": {"base": "https://u:secret@i"}}"#, "url.base: expected no user:password@"),
            (r#"{"type": "URL", "url": {"base": "https://i/?a=b"}}"#, "url.base: expected an address that a path"),
            (r#"{"type": "URL", "url": {"base": "images"}}"#, "url.base: relative URL"),
            (
                r#"{"type": "URL", "url": {"base": "https:///images"}}"#,
                "url.base: expected a host behind //, found none",
            ),
        ];
        for (manifest, expected) in bad {
            let error = checked(serde_json::from_str(manifest).unwrap()).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{manifest}: {error}");
        }
    }

    #[test]
    fn a_ticket_does_not_reach_a_status() {
        let by_url = HandOver::Url("https://i.example.org/a/".parse().unwrap());
        let cases = [
            (
                "cannot access 'https://i.example.org/a/images/12-ab/f.raw' (x)",
                "cannot access 'https://i.example.org/a/images/…/f.raw' (x)",
            ),
            ("https://i.example.org/a/images/12-ab", "https://i.example.org/a/images/…"),
            (
                "https://i.example.org/a/images/12-ab/f and https://i.example.org/a/images/13-cd/g",
                "https://i.example.org/a/images/…/f and https://i.example.org/a/images/…/g",
            ),
            ("no space", "no space"),
        ];
        for (message, expected) in cases {
            assert_eq!(by_url.without_tickets(message), expected);
        }
    }
}
