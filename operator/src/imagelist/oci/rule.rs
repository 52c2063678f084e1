//! What a subscription says about a repository.

use globset::{GlobBuilder, GlobMatcher};

use super::{Repository, RepositoryError, Tag};
use crate::digest::{DigestError, Sha256Digest};

/// A checked `spec.source.oci`.
#[derive(Debug, Clone)]
pub struct OciRule {
    /// The repository.
    pub repository: Repository,
    /// Whether the registry is asked with http.
    pub insecure: bool,
    /// The tags, or the one manifest.
    pub wanted: WantedTags,
}

/// Which manifests of a repository are images.
#[derive(Debug, Clone)]
pub enum WantedTags {
    /// The tags that match a glob.
    Matching(GlobMatcher),
    /// One manifest, by its digest.
    Pinned(Sha256Digest),
}

/// Why a source cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OciRuleError {
    /// The repository.
    #[error("repository: {0}")]
    Repository(#[from] RepositoryError),
    /// The glob of tags.
    #[error("tags: expected a glob (* ? [a-z] {{a,b}}) of 1 to {most} characters, found {pattern:?}: {message}")]
    Tags {
        /// The glob, cut.
        pattern: String,
        /// The most characters.
        most: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The digest.
    #[error("digest: {0}")]
    Digest(#[from] DigestError),
    /// Both or neither.
    #[error("expected exactly one of tags and digest, found {0}")]
    OneOfTwo(&'static str),
}

impl PartialEq for OciRule {
    fn eq(&self, other: &Self) -> bool {
        self.described() == other.described()
    }
}

impl OciRule {
    /// The most characters of a glob.
    const MOST: usize = 128;

    /// Checks the fields of a source.
    pub fn new(
        repository: &str,
        insecure: bool,
        tags: Option<&str>,
        digest: Option<&str>,
    ) -> Result<Self, OciRuleError> {
        let repository = repository.parse()?;
        let wanted = match (tags, digest) {
            (Some(pattern), None) => WantedTags::Matching(glob(pattern)?),
            (None, Some(digest)) => WantedTags::Pinned(digest.parse()?),
            (Some(_), Some(_)) => return Err(OciRuleError::OneOfTwo("both")),
            (None, None) => return Err(OciRuleError::OneOfTwo("none")),
        };
        Ok(Self { repository, insecure, wanted })
    }

    /// Whether a manifest of this tag, or without one, is an image of the subscription.
    pub fn takes(&self, tag: Option<&Tag>) -> bool {
        match (&self.wanted, tag) {
            (WantedTags::Matching(glob), Some(tag)) => {
                !tag.is_about_another() && glob.is_match(tag.as_str().to_lowercase())
            }
            (WantedTags::Pinned(_), None) => true,
            (WantedTags::Matching(_), None) | (WantedTags::Pinned(_), Some(_)) => false,
        }
    }

    /// The rule as one text, to notice that it was changed.
    pub fn described(&self) -> String {
        let wanted = match &self.wanted {
            WantedTags::Matching(glob) => format!("tags {}", glob.glob()),
            WantedTags::Pinned(digest) => format!("digest {digest}"),
        };
        format!("oci {} {} {wanted}", self.repository, self.insecure)
    }
}

fn glob(pattern: &str) -> Result<GlobMatcher, OciRuleError> {
    let refused = |message: String| OciRuleError::Tags {
        pattern: pattern.chars().take(40).collect(),
        most: OciRule::MOST,
        message,
    };
    let length = pattern.chars().count();
    if !(1..=OciRule::MOST).contains(&length) {
        return Err(refused(format!("it has {length} characters")));
    }
    let built = GlobBuilder::new(&pattern.to_lowercase()).backslash_escape(true).build();
    Ok(built.map_err(|error| refused(error.kind().to_string()))?.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn the_fields_are_checked() {
        let table = [
            (Some("2?.04"), None, ""),
            (None, Some(DIGEST), ""),
            (None, None, "expected exactly one of tags and digest, found none"),
            (Some("*"), Some(DIGEST), "expected exactly one of tags and digest, found both"),
            (Some("[a"), None, "tags: expected a glob"),
            (Some(""), None, "it has 0 characters"),
            (None, Some("sha512:00"), "digest: expected sha256: and 64 hexadecimal digits"),
        ];
        for (tags, digest, expected) in table {
            let error = OciRule::new("host/a", false, tags, digest).err().map(|error| error.to_string());
            assert!(error.clone().unwrap_or_default().contains(expected), "{tags:?} {digest:?}: {error:?}");
            assert_eq!(error.is_none(), expected.is_empty(), "{tags:?} {digest:?}: {error:?}");
        }
    }

    #[test]
    fn a_glob_takes_tags_without_regard_to_case_but_no_signatures() {
        let rule = OciRule::new("host/a", false, Some("{2?.04,Rocky-*,sha256-*}"), None).unwrap();
        let signature = format!("sha256-{}.sig", "0".repeat(64));
        for (tag, taken) in [("22.04", true), ("rocky-9", true), ("22.10", false), (&*signature, false)] {
            assert_eq!(rule.takes(Some(&tag.parse().unwrap())), taken, "{tag}");
        }
        assert!(!rule.takes(None));
        assert!(OciRule::new("host/a", false, None, Some(DIGEST)).unwrap().takes(None));
    }
}
