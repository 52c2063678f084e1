//! The calls of the distribution API that a subscription needs.

use http::Method;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::pages;
use crate::digest::Sha256Digest;
use crate::fetch::answer::Answer;
use crate::fetch::http2::Protocol;
use crate::fetch::request::{Request, refused};
use crate::fetch::{Client, FetchError, Source, validator};
use crate::imagelist::SourceUrl;
use crate::imagelist::oci::{ACCEPTED, MAXIMUM_MANIFEST, Repository, Tag};

/// The digest of a manifest, as the registry states it.
static CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The media types of everything that is no manifest.
const ANY: &str = "*/*";
/// The maximum size of a page of tags, in bytes.
const LARGEST_PAGE: u64 = 1 << 20;
/// The maximum number of tags of a repository, over all pages.
const MOST_TAGS: usize = 10_000;
/// The referrers that are asked for. A registry may send others too.
const REFERRERS: &str = "artifactType=application%2Fvnd.dev.sigstore.bundle.v0.3%2Bjson";

/// A repository of a registry.
#[derive(Debug, Clone, Copy)]
pub struct Registry<'a> {
    client: &'a Client,
    /// The credentials and the TLS settings; its address is not used.
    source: &'a Source,
    repository: &'a Repository,
    insecure: bool,
}

/// A manifest as it was sent.
#[derive(Debug, Clone)]
pub struct FetchedManifest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The digest that the registry states, or that was asked for; that of the bytes if there is neither.
    pub digest: Sha256Digest,
}

#[derive(Deserialize)]
struct TagPage {
    /// Some registries write `null` for an empty repository.
    tags: Option<Vec<String>>,
}

impl<'a> Registry<'a> {
    /// A repository, with the credentials of a source.
    pub fn new(client: &'a Client, source: &'a Source, repository: &'a Repository, insecure: bool) -> Self {
        Self { client, source, repository, insecure }
    }

    /// All tags, in the order of the registry, and the server's `Date`. What is no tag is left out.
    pub async fn tags(&self) -> Result<(Vec<Tag>, Option<Timestamp>), FetchError> {
        let (mut tags, mut date) = (Vec::new(), None);
        let mut next = Some(self.address("tags/list?n=1000")?);
        for _ in 0..pages::MOST {
            let Some(url) = next.take() else { return Ok((tags, date)) };
            let answer = self.ask(Method::GET, &url, ANY).await?;
            let answer = self.found(&url, answer).await?;
            date = validator::date(answer.headers());
            next = pages::next(&url, answer.headers())?;
            let (document, _) = self.client.read_body(&url, answer, LARGEST_PAGE).await?;
            let bytes = document.read().map_err(|error| kept(&url, &error))?;
            let page: TagPage = serde_json::from_slice(&bytes)
                .map_err(|error| unreadable(&url, format!("expected a page of tags, found {error}")))?;
            tags.extend(page.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse::<Tag>().ok()));
            if tags.len() > MOST_TAGS {
                return Err(unreadable(&url, format!("expected at most {MOST_TAGS} tags, found more")));
            }
        }
        let url = self.address("tags/list")?;
        Err(unreadable(&url, format!("expected at most {} pages of tags, found more", pages::MOST)))
    }

    /// The digest of what a tag or a digest names, without fetching it. `None` if the registry does not state it.
    pub async fn digest(&self, reference: &str) -> Result<Option<Sha256Digest>, FetchError> {
        let url = self.address(&format!("manifests/{reference}"))?;
        let answer = self.ask(Method::HEAD, &url, &ACCEPTED.join(", ")).await?;
        Ok(stated(self.found(&url, answer).await?.headers()))
    }

    /// A manifest or an index.
    pub async fn manifest(&self, reference: &str) -> Result<FetchedManifest, FetchError> {
        let url = self.address(&format!("manifests/{reference}"))?;
        let answer = self.ask(Method::GET, &url, &ACCEPTED.join(", ")).await?;
        let answer = self.found(&url, answer).await?;
        let stated = stated(answer.headers());
        let (document, _) = self.client.read_body(&url, answer, MAXIMUM_MANIFEST as u64).await?;
        let bytes = document.read().map_err(|error| kept(&url, &error))?;
        let digest = reference.parse().ok().or(stated).unwrap_or_else(|| Sha256Digest::of(&bytes));
        Ok(FetchedManifest { bytes, digest })
    }

    /// A small blob; `None` if there is none.
    pub async fn blob(&self, digest: Sha256Digest, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        self.bytes(&format!("blobs/{digest}"), limit).await
    }

    /// The referrers of a manifest (an index), of which only the first page is read; `None` if the registry has no such
    /// API.
    pub async fn referrers(&self, digest: Sha256Digest) -> Result<Option<Vec<u8>>, FetchError> {
        self.bytes(&format!("referrers/{digest}?{REFERRERS}"), MAXIMUM_MANIFEST).await
    }

    async fn bytes(&self, below: &str, limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        let url = self.address(below)?;
        let answer = self.ask(Method::GET, &url, ANY).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.found(&url, answer).await?;
        let (document, _) = self.client.read_body(&url, answer, limit as u64).await?;
        document.read().map(Some).map_err(|error| kept(&url, &error))
    }

    fn address(&self, below: &str) -> Result<SourceUrl, FetchError> {
        let invalid = || FetchError::UrlInvalid {
            url: self.source.url.clone(),
            message: "expected a repository that makes an address, found another".to_owned(),
        };
        self.repository.address(self.insecure, below).ok_or_else(invalid)
    }

    async fn ask(&self, method: Method, url: &SourceUrl, accept: &str) -> Result<Answer, FetchError> {
        let source = Source { url: url.clone(), ..self.source.clone() };
        let mut headers = HeaderMap::new();
        if let Ok(accept) = HeaderValue::from_str(accept) {
            headers.insert(ACCEPT, accept);
        }
        let protocol = Protocol::Negotiated;
        let request = Request { method, source: &source, headers: &headers, protocol };
        Box::pin(self.client.request(&request)).await
    }

    async fn found(&self, url: &SourceUrl, answer: Answer) -> Result<Answer, FetchError> {
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        Err(refused(url, answer, Timestamp::now()).await)
    }
}

fn stated(headers: &HeaderMap) -> Option<Sha256Digest> {
    headers.get(&CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

fn unreadable(url: &SourceUrl, message: String) -> FetchError {
    FetchError::Unreadable { url: url.clone(), message }
}

fn kept(url: &SourceUrl, error: &std::io::Error) -> FetchError {
    FetchError::NotKept { url: url.clone(), message: error.to_string() }
}
