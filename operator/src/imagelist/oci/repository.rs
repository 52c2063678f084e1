//! Names in a registry: repositories and tags.

use std::fmt;
use std::str::FromStr;

use serde_with::{DeserializeFromStr, SerializeDisplay};
use url::Url;

use crate::imagelist::described::SourceId;
use crate::imagelist::{ImageId, SourceUrl};

/// A repository: `host[:port]/path`, as in `registry.example.org/egi_vm_images/ubuntu`.
///
/// The path has 1 to 255 characters: components of lower-case letters and digits with `.`, `_`, `__` or `-` between them,
/// separated by slashes (OCI distribution specification, "Pulling manifests").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SerializeDisplay, DeserializeFromStr)]
pub struct Repository {
    host: String,
    path: String,
}

/// Why a text is not a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// It contains a scheme, a user, a tag or a digest.
    #[error("expected host[:port]/path alone, found {0}")]
    Beside(&'static str),
    /// There is no host with a path.
    #[error("expected host[:port]/path, as in registry.example.org/images/ubuntu, found {0:?}")]
    Form(String),
}

impl Repository {
    /// The most characters of the path.
    const MOST: usize = 255;

    /// The host and, if given, its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path: the name of the repository in its registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address of something in the repository: `https://host/v2/path/below`. `insecure` is http.
    pub fn address(&self, insecure: bool, below: &str) -> Option<SourceUrl> {
        let scheme = if insecure { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}/{below}", self.host, self.path).parse().ok()
    }

    /// The identifier of its list: UUID version 5 (RFC 9562) of `oci://host/path` as a URL.
    pub fn identifier(&self) -> Option<ImageId> {
        self.source_id().identifier().ok()
    }

    /// The identifier of the image of a tag: UUID version 5 of the list's identifier and the tag. An image without a
    /// tag, which is pinned by its digest, has that of the repository's name.
    pub fn image_identifier(&self, tag: Option<&Tag>) -> Option<ImageId> {
        let name = tag.map_or_else(|| self.to_string(), ToString::to_string);
        self.source_id().image(&name).identifier().ok()
    }

    fn source_id(&self) -> SourceId {
        SourceId::of(&format!("oci://{self}"))
    }

    /// Whether a reference in a signed payload (`docker-reference`) names this repository. Its tag or digest does not
    /// count. The three names of Docker's own registry are one.
    pub fn is_named_by(&self, reference: &str) -> bool {
        let start = reference.rfind('/').map_or(0, |slash| slash + 1);
        let end = reference[start..].find(['@', ':']).map_or(reference.len(), |at| start + at);
        let named = reference[..end].split_once('/');
        named.is_some_and(|(host, path)| same_registry(host) == same_registry(&self.host) && path == self.path)
    }
}

fn same_registry(host: &str) -> String {
    match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        if text.contains("://") {
            return Err(RepositoryError::Beside("a scheme before it (use insecure: true for http)"));
        }
        if text.contains('@') {
            return Err(RepositoryError::Beside("a user or a digest in it (use secretRef, or digest)"));
        }
        let refused = || RepositoryError::Form(text.chars().take(80).collect());
        let (host, path) = text.split_once('/').ok_or_else(refused)?;
        if path.contains(':') {
            return Err(RepositoryError::Beside("a tag in it (use tags)"));
        }
        if !is_host(host) || path.len() > Self::MOST || !path.split('/').all(is_component) {
            return Err(refused());
        }
        Ok(Self { host: host.to_ascii_lowercase(), path: path.to_owned() })
    }
}

/// Whether a text is a host with an optional port, exactly as it would be in a URL.
fn is_host(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['.', '-', ':', '[', ']'].contains(&c);
    let lower = text.to_ascii_lowercase();
    let url = Url::parse(&format!("https://{lower}/"));
    let same = |url: &Url| {
        let port = lower.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let host = port.map_or(lower.as_str(), |(host, _)| host);
        let numbered = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|number| number > 0));
        url.host_str() == Some(host) && numbered
    };
    text.len() <= Repository::MOST && text.chars().all(allowed) && url.as_ref().is_ok_and(same)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |run: &str| matches!(run, "." | "_" | "__") || (!run.is_empty() && run.chars().all(|c| c == '-'));
    let mut rest = text;
    loop {
        let end = rest.find(|c| !alphanumeric(c)).unwrap_or(rest.len());
        if end == 0 {
            return false;
        }
        rest = &rest[end..];
        if rest.is_empty() {
            return true;
        }
        let next = rest.find(alphanumeric).unwrap_or(rest.len());
        if !separator(&rest[..next]) {
            return false;
        }
        rest = &rest[next..];
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// A tag: a letter, a digit or `_`, then at most 127 letters, digits and `. _ -` (OCI distribution specification).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, SerializeDisplay, DeserializeFromStr)]
pub struct Tag(String);

/// Why a text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a tag of 1 to 128 letters, digits and . _ -, found {0:?}")]
pub struct TagError(String);

impl Tag {
    /// Whether it is the tag of a signature (`sha256-<digits>.sig`, and what cosign stores the same way) or a list of
    /// referrers (`sha256-<digits>`, OCI distribution specification, "Referrers tag schema"), and no image.
    pub fn is_about_another(&self) -> bool {
        let digits = self.0.strip_prefix("sha256-").map(|rest| rest.split_once('.').map_or(rest, |(digits, _)| digits));
        digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|c| c.is_ascii_hexdigit()))
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let inner = |c: char| first(c) || c == '.' || c == '-';
        if text.len() <= 128 && text.starts_with(first) && text.chars().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TagError(text.chars().take(64).collect()))
        }
    }
}

crate::text::checked_text!(Tag);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_repository_is_read_strictly() {
        for good in [
            "registry.example.org/egi_vm_images/ubuntu",
            "127.0.0.1:5000/a",
            "[::1]:5000/a",
            "localhost/a.b/c__d/e---f",
            "registry:443/a",
        ] {
            assert_eq!(good.parse::<Repository>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "ubuntu",
            "https://host/a",
            "host/",
            "host//a",
            "host/a/",
            "host/A",
            "host/a:1",
            "user@host/a",
            "host/a@sha256:0",
            "host/.a",
            "host/a.",
            "host/a___b",
            "host/a..b",
            "host:/a",
            "host:0/a",
            "host:x/a",
            "/a",
            "ho st/a",
            "host/../a",
            "host?/a",
            "host#/a",
            "1/a",
            "host/a?b",
            "host/%61",
        ] {
            assert!(bad.parse::<Repository>().is_err(), "{bad:?}");
        }
        let repository: Repository = "Registry.Example.ORG/a".parse().unwrap();
        assert_eq!(repository.host(), "registry.example.org");
        let address = repository.address(false, "tags/list").unwrap();
        assert_eq!(address.to_string(), "https://registry.example.org/v2/a/tags/list");
    }

    #[test]
    fn a_reference_names_a_repository_whatever_its_tag_is() {
        let repository: Repository = "registry.example.org:5000/a/b".parse().unwrap();
        for (reference, is_named) in [
            ("registry.example.org:5000/a/b", true),
            ("Registry.example.org:5000/a/b:22.04", true),
            ("registry.example.org:5000/a/b@sha256:00", true),
            ("registry.example.org:5000/a/b:1@sha256:00", true),
            ("registry.example.org/a/b", false),
            ("registry.example.org:5000/a/c", false),
            ("registry.example.org:5000/a/b/c", false),
            ("a/b", false),
            ("", false),
        ] {
            assert_eq!(repository.is_named_by(reference), is_named, "{reference}");
        }
        let docker: Repository = "registry-1.docker.io/library/a".parse().unwrap();
        assert!(docker.is_named_by("index.docker.io/library/a:1"));
    }

    #[test]
    fn tags_of_signatures_and_referrers_are_no_images() {
        let digits = "0a".repeat(32);
        for (tag, about) in [
            (format!("sha256-{digits}"), true),
            (format!("sha256-{digits}.sig"), true),
            (format!("sha256-{digits}.att"), true),
            ("sha256-1".to_owned(), false),
            ("22.04".to_owned(), false),
        ] {
            assert_eq!(tag.parse::<Tag>().unwrap().is_about_another(), about, "{tag}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "a:b", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_are_of_the_repository_and_of_the_tag() {
        let repository: Repository = "registry.example.org/a".parse().unwrap();
        let list = repository.identifier().unwrap();
        let expected = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"oci://registry.example.org/a");
        assert_eq!(list.as_str(), expected.to_string());
        let tag: Tag = "22.04".parse().unwrap();
        let image = repository.image_identifier(Some(&tag)).unwrap();
        assert_eq!(image.as_str(), Uuid::new_v5(&expected, b"22.04").to_string());
        assert_ne!(repository.image_identifier(None).unwrap(), image);
    }
}
