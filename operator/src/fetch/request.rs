//! One request, followed through its redirects.

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use secrecy::ExposeSecret;
use std::time::Duration;

use super::address::AddressRefused;
use super::client::{Client, chain};
use super::error::FetchError;
use super::source::{Credentials, Source};
use crate::imagelist::SourceUrl;

/// As many as browsers and wget follow at least.
const MOST_REDIRECTS: usize = 10;

impl Client {
    /// Sends a GET and follows redirects. The answer has any status that is not a redirect or a refusal of credentials.
    pub(super) async fn get(&self, source: &Source, headers: &HeaderMap) -> Result<Response, FetchError> {
        let mut url = source.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let own = url.url().origin() == source.url.url().origin();
            let answer = self.send(source, &url, own, headers).await?;
            let sent = own && source.credentials.is_some();
            match answer.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    return Err(FetchError::AuthenticationFailed { url, status: answer.status().as_u16(), sent });
                }
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = redirect(&url, answer.headers())?,
                _ => return Ok(answer),
            }
        }
        let message = format!("expected at most {MOST_REDIRECTS} redirects, found more");
        Err(FetchError::UrlInvalid { url: source.url.clone(), message })
    }

    async fn send(
        &self,
        source: &Source,
        url: &SourceUrl,
        own: bool,
        headers: &HeaderMap,
    ) -> Result<Response, FetchError> {
        if !url.is_remote() {
            let message = "expected http or https, found file".to_owned();
            return Err(FetchError::UrlInvalid { url: url.clone(), message });
        }
        self.policy
            .check_url(url.url())
            .map_err(|refused| FetchError::UrlInvalid { url: url.clone(), message: refused.to_string() })?;
        let mut request = self.connections(source, own)?.get(url.url().clone()).headers(headers.clone());
        request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request = match source.credentials.as_ref().filter(|_| own) {
            Some(Credentials::Basic { username, password }) => {
                request.basic_auth(username.expose_secret(), Some(password.expose_secret()))
            }
            Some(Credentials::Bearer(token)) => request.header(AUTHORIZATION, bearer(url, token.expose_secret())?),
            None => request,
        };
        request.send().await.map_err(|error| failure(url, error))
    }
}

fn bearer(url: &SourceUrl, token: &str) -> Result<HeaderValue, FetchError> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| FetchError::CredentialsUnusable { url: url.clone() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where a redirect leads. Never from https to anything else: what was protected stays so.
fn redirect(from: &SourceUrl, headers: &HeaderMap) -> Result<SourceUrl, FetchError> {
    let refused = |message: String| FetchError::UrlInvalid { url: from.clone(), message };
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| refused("expected a Location with the redirect, found none".to_owned()))?;
    let joined = from.url().join(location).map_err(|error| refused(format!("redirected to no URL: {error}")))?;
    let to: SourceUrl = joined.as_str().parse().map_err(|error| refused(format!("redirected: {error}")))?;
    match (from.url().scheme(), to.url().scheme()) {
        ("http", "http" | "https") | ("https", "https") => Ok(to),
        (was, becomes) => Err(refused(format!("expected a redirect that stays with {was}, found one to {becomes}"))),
    }
}

/// An answer that holds no bytes for us.
pub(super) fn refused(url: &SourceUrl, answer: &Response, now: jiff::Timestamp) -> FetchError {
    let status = answer.status().as_u16();
    FetchError::Status { url: url.clone(), status, retry_after: retry_after(answer.headers(), now) }
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = super::validator::http_date(text)?.as_second() - now.as_second();
    Some(Duration::from_secs(until.try_into().unwrap_or(0)))
}

/// What the HTTP client's error means.
pub(super) fn failure(url: &SourceUrl, error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let url = url.clone();
    if let Some(refused) = cause::<AddressRefused>(&error) {
        return FetchError::UrlInvalid { url, message: refused.to_string() };
    }
    let tls = cause::<openssl::ssl::Error>(&error).is_some_and(|error| error.ssl_error().is_some())
        || cause::<openssl::error::ErrorStack>(&error).is_some();
    let message = chain(&error);
    if tls {
        FetchError::Tls { url, message }
    } else if error.is_timeout() {
        FetchError::Timeout { url, message }
    } else {
        FetchError::Connection { url, message }
    }
}

fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An io::Error hides what it carries from `source`: it shows the cause of what it carries.
        if let Some(found) = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()?.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
