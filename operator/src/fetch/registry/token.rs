//! Asks for the token that a registry wants.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;

use super::challenge::BearerChallenge;
use crate::fetch::request::refused;
use crate::fetch::{Client, Credentials, FetchError, Source, TlsSettings};
use crate::imagelist::SourceUrl;

/// The maximum size of the answer with a token, in bytes.
const LARGEST: u64 = 64 << 10;
/// How long a token is good if its server does not say (distribution, token authentication specification).
const USUAL: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Client {
    /// Asks for a token to pull from the repository of a source. `None` if the source has no use for one: it is no
    /// registry, or its credentials are a token already.
    pub(in crate::fetch) async fn token(
        &self,
        source: &Source,
        challenge: &BearerChallenge,
    ) -> Result<Option<Credentials>, FetchError> {
        let Some(asked) = realm(source, challenge)? else { return Ok(None) };
        let failed = |message: String| FetchError::TokenRefused { url: asked.url.clone(), message };
        // The answer may hold a token: it is never shown.
        let answer = Box::pin(self.get(&asked, &HeaderMap::new())).await?;
        if answer.status() != StatusCode::OK {
            return Err(refused(&asked.url, answer, jiff::Timestamp::now()).await);
        }
        let (document, _) = self.read_body(&asked.url, answer, LARGEST).await?;
        let bytes = document.read().map_err(|error| failed(error.to_string()))?;
        let read: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| failed("expected JSON with a token, found something else".to_owned()))?;
        let token = read.token.or(read.access_token).filter(|token| !token.is_empty());
        let token: SecretString = token.ok_or_else(|| failed("expected a token, found none".to_owned()))?.into();
        self.tokens.keep(source, &token, read.expires_in.map_or(USUAL, Duration::from_secs));
        Ok(Some(Credentials::Bearer(token)))
    }
}

/// The request for a token. It goes from https to https only. The credentials go to the registry itself, or where their
/// Secret allows it; the client certificate to the registry only.
fn realm(source: &Source, challenge: &BearerChallenge) -> Result<Option<Source>, FetchError> {
    let Some(access) = &source.registry else { return Ok(None) };
    let credentials = match &source.credentials {
        Some(Credentials::Bearer(_)) => return Ok(None),
        Some(Credentials::Basic { .. }) => source.credentials.clone(),
        None => None,
    };
    let refused = |message: String| FetchError::TokenRefused { url: source.url.clone(), message };
    let realm: SourceUrl =
        challenge.realm.parse().map_err(|error| refused(format!("its server of tokens cannot be asked: {error}")))?;
    match (source.url.url().scheme(), realm.url().scheme()) {
        ("https", "https") | ("http", "http" | "https") => {}
        (_, found) => return Err(refused(format!("expected a server of tokens with https, found {found}: {realm}"))),
    }
    let own = realm.url().origin() == source.url.url().origin();
    if credentials.is_some() && !own {
        let allowed = access.realms.allows(realm.url());
        allowed.map_err(|why| {
            refused(format!("it asks for a token of {realm}, which may not have the credentials: {why}"))
        })?;
    }
    let mut url = realm.url().clone();
    url.set_fragment(None);
    if let Some(service) = &challenge.service {
        url.query_pairs_mut().append_pair("service", service);
    }
    let scope = format!("repository:{}:pull", access.repository.path());
    url.query_pairs_mut().append_pair("scope", &scope);
    let url =
        url.as_str().parse().map_err(|error| refused(format!("its server of tokens cannot be asked: {error}")))?;
    let tls = if own { source.tls.clone() } else { TlsSettings::System };
    Ok(Some(Source { url, credentials, tls, registry: None }))
}
