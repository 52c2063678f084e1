//! Sends a request and follows redirects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, PROXY_AUTHENTICATE, RETRY_AFTER,
    USER_AGENT, WWW_AUTHENTICATE,
};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;

use super::answer::{Answer, Arrived};
use super::challenge::Challenges;
use super::client::Client;
use super::error::{FetchError, ProxyChallenge, ProxyRefusal, failure, reason_phrase};
use super::http2::{Protocol, is_unreachable};
use super::proxy::{Proxy, TunnelAnswer};
use super::registry::BearerChallenge;
use super::source::{Credentials, Source};
use crate::imagelist::SourceUrl;
use crate::text::with_causes;

/// The maximum number of redirects. Browsers and wget follow at least as many.
const MOST_REDIRECTS: usize = 10;

/// The statuses of redirects that are followed.
const REDIRECTS: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// A request without a body.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) source: &'a Source,
    pub(super) headers: &'a HeaderMap,
    pub(super) protocol: Protocol,
}

/// Where a request goes, and with what: its target is the source's own server or not.
#[derive(Clone, Copy)]
struct Target<'a> {
    url: &'a SourceUrl,
    own: bool,
    credentials: Option<&'a Credentials>,
}

impl Client {
    /// Sends a GET and follows redirects. The response may have any status except redirects and 401, 403 and, with a
    /// proxy, 407.
    pub(super) async fn get(&self, source: &Source, headers: &HeaderMap) -> Result<Answer, FetchError> {
        self.get_over(Protocol::Negotiated, source, headers).await
    }

    /// The same over a protocol.
    pub(super) async fn get_over(
        &self,
        protocol: Protocol,
        source: &Source,
        headers: &HeaderMap,
    ) -> Result<Answer, FetchError> {
        Box::pin(self.request(&Request { method: Method::GET, source, headers, protocol })).await
    }

    /// Sends a request and follows redirects. A registry that wants a token gets one, asked for once.
    pub(super) async fn request(&self, request: &Request<'_>) -> Result<Answer, FetchError> {
        let source = request.source;
        let mut url = source.url.clone();
        let (mut token, mut has_asked) = (self.tokens.of(source), false);
        for _ in 0..=MOST_REDIRECTS {
            let own = url.url().origin() == source.url.url().origin();
            let credentials = token.as_ref().or(source.credentials.as_ref()).filter(|_| own).cloned();
            let target = Target { url: &url, own, credentials: credentials.as_ref() };
            let arrived = self.send(request, target).await?;
            let response = &arrived.response;
            if own && !has_asked && response.status() == StatusCode::UNAUTHORIZED {
                has_asked = true;
                token = self.token_after(source, response.headers()).await?;
                if token.is_some() {
                    continue;
                }
            }
            let proxy = self.proxies.for_url(url.url());
            match (response.status(), &proxy) {
                (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                    let proxy = proxy.map(|proxy| proxy.to_string());
                    return Err(not_authorized(url, arrived, credentials.is_some(), proxy).await);
                }
                (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) => {
                    let challenges = Challenges::of(response.headers(), &PROXY_AUTHENTICATE);
                    return Err(proxy_wants_credentials(url, proxy, challenges));
                }
                (status, _) if REDIRECTS.contains(&status) => url = redirect(&url, response.headers())?,
                _ => return Ok(Answer::new(arrived, &source.url, &url, proxy.map(|proxy| proxy.to_string()))),
            }
        }
        let message = format!("expected at most {MOST_REDIRECTS} redirects, found more");
        Err(FetchError::UrlInvalid { url: source.url.clone(), message })
    }

    /// The token for a registry that wants one; `None` if it wants none, or if the source is no registry.
    async fn token_after(&self, source: &Source, headers: &HeaderMap) -> Result<Option<Credentials>, FetchError> {
        match BearerChallenge::of(headers) {
            Some(challenge) => self.token(source, &challenge).await,
            None => Ok(None),
        }
    }

    /// Sends a request once, and again over HTTP/1.1 if HTTP/2 failed before the head of the answer.
    async fn send(&self, request: &Request<'_>, target: Target<'_>) -> Result<Arrived, FetchError> {
        let url = target.url;
        if !url.is_remote() {
            let message = "expected http or https, found file".to_owned();
            return Err(FetchError::UrlInvalid { url: url.clone(), message });
        }
        self.policy
            .check_url(url.url())
            .map_err(|refused| FetchError::UrlInvalid { url: url.clone(), message: refused.to_string() })?;
        let headers = self.headers(url, target.credentials, request.headers)?;
        let prepared = || {
            let mut prepared = reqwest::Request::new(request.method.clone(), url.url().clone());
            prepared.headers_mut().clone_from(&headers);
            prepared
        };
        // Not through a proxy: what it makes of HTTP/2 in its tunnel is not known.
        let direct = self.proxies.for_url(url.url()).is_none();
        if direct && url.url().scheme() == "http" {
            return Ok(Arrived { response: self.plain.send(url, prepared()).await?, stream: None });
        }
        if direct
            && request.protocol == Protocol::Negotiated
            && let Some(arrived) = self.send_over_http2(request.source, target, prepared()).await?
        {
            return Ok(arrived);
        }
        match self.connections(request.source, target.own, Protocol::Http1)?.execute(prepared()).await {
            Ok(response) => Ok(Arrived { response, stream: None }),
            Err(error) => Err(self.not_sent(url, error).await),
        }
    }

    /// Sends a request over HTTP/2 if the server has it, else over HTTP/1.1. `None` if HTTP/2 is avoided, or failed.
    async fn send_over_http2(
        &self,
        source: &Source,
        target: Target<'_>,
        request: reqwest::Request,
    ) -> Result<Option<Arrived>, FetchError> {
        let url = target.url;
        let Some(stream) = self.http2.stream(url.url()) else { return Ok(None) };
        match self.connections(source, target.own, Protocol::Negotiated)?.execute(request).await {
            Ok(response) => Ok(Some(Arrived { stream: stream.of(&response), response })),
            Err(error) if is_unreachable(&error) => Err(failure(url, error)),
            Err(error) => {
                stream.failed(&error);
                let error = failure(url, error);
                tracing::debug!(%error, "asked again over HTTP/1.1");
                Ok(None)
            }
        }
    }

    /// All headers of a request.
    fn headers(
        &self,
        url: &SourceUrl,
        credentials: Option<&Credentials>,
        headers: &HeaderMap,
    ) -> Result<HeaderMap, FetchError> {
        let mut all = headers.clone();
        all.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        all.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let agent = HeaderValue::from_str(&self.settings.user_agent);
        all.insert(USER_AGENT, agent.map_err(|error| FetchError::Setup(error.to_string()))?);
        if let Some(credentials) = credentials {
            all.insert(AUTHORIZATION, authorization(url, credentials)?);
        }
        Ok(all)
    }

    /// The error if there is no response. With a proxy it contains the proxy's response.
    async fn not_sent(&self, url: &SourceUrl, error: reqwest::Error) -> FetchError {
        let Some(proxy) = self.proxies.for_url(url.url()) else { return failure(url, error) };
        let told = with_causes(&error);
        // The tunnel errors have no public type.
        if told.contains("tunnel error: proxy authorization required") || told.contains("tunnel error: unsuccessful") {
            return refused_tunnel(url, &proxy, proxy.tunnel_answer(url.url()).await, &told);
        }
        if let Some((_, said)) = told.split_once("SOCKS error: ") {
            if ["authentication", "credentials", "ident"].iter().any(|word| said.contains(word)) {
                return proxy_wants_credentials(url.clone(), &proxy, Challenges::default());
            }
            return proxy_refused(url, &proxy, None, said.to_owned());
        }
        failure(url, error).through(&proxy)
    }
}

/// The error for 401 and 403. `sent` is whether credentials were sent.
async fn not_authorized(url: SourceUrl, arrived: Arrived, sent: bool, proxy: Option<String>) -> FetchError {
    let status = arrived.response.status().as_u16();
    let challenges = Box::new(Challenges::of(arrived.response.headers(), &WWW_AUTHENTICATE));
    let came = Answer::new(arrived, &url, &url, proxy).came().await;
    FetchError::AuthenticationFailed { url, status, sent, challenges, came }
}

/// The error if a proxy opened no tunnel, with its response to the repeated request, if any.
fn refused_tunnel(url: &SourceUrl, proxy: &Proxy, answer: Option<TunnelAnswer>, told: &str) -> FetchError {
    match answer {
        Some(TunnelAnswer { status: 407, challenges }) => proxy_wants_credentials(url.clone(), proxy, challenges),
        Some(TunnelAnswer { status, .. }) => {
            let message = format!("it answered {status}{} to CONNECT", reason_phrase(status));
            proxy_refused(url, proxy, Some(status), message)
        }
        None if told.contains("proxy authorization required") => {
            proxy_wants_credentials(url.clone(), proxy, Challenges::default())
        }
        None => proxy_refused(url, proxy, None, "it answered CONNECT with no success".to_owned()),
    }
}

fn proxy_wants_credentials(url: SourceUrl, proxy: &Proxy, challenges: Challenges) -> FetchError {
    let sent = proxy.has_credentials();
    let challenge = Box::new(ProxyChallenge { proxy: proxy.to_string(), sent, challenges });
    FetchError::ProxyAuthenticationFailed { url, challenge }
}

fn proxy_refused(url: &SourceUrl, proxy: &Proxy, status: Option<u16>, message: String) -> FetchError {
    let refusal = Box::new(ProxyRefusal { proxy: proxy.to_string(), status, message });
    FetchError::ProxyRefused { url: url.clone(), refusal }
}

impl FetchError {
    /// Adds the proxy to the message of a connection error.
    fn through(mut self, proxy: &Proxy) -> Self {
        if let Self::Connection { message, .. } | Self::Timeout { message, .. } | Self::Tls { message, .. } = &mut self
        {
            *message = format!("{message} (through the proxy {proxy})");
        }
        self
    }
}

/// The value of `Authorization`: Basic (RFC 7617) or Bearer (RFC 6750).
fn authorization(url: &SourceUrl, credentials: &Credentials) -> Result<HeaderValue, FetchError> {
    let value = match credentials {
        Credentials::Basic { username, password } => {
            let pair = format!("{}:{}", username.expose_secret(), password.expose_secret());
            format!("Basic {}", STANDARD.encode(pair))
        }
        Credentials::Bearer(token) => format!("Bearer {}", token.expose_secret()),
    };
    let mut value = HeaderValue::from_str(&value).map_err(|_| FetchError::CredentialsUnusable(url.clone()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The target of a redirect. A redirect from https to another scheme is refused.
fn redirect(from: &SourceUrl, headers: &HeaderMap) -> Result<SourceUrl, FetchError> {
    let refused = |message: String| FetchError::UrlInvalid { url: from.clone(), message };
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| refused("expected a Location with the redirect, found none".to_owned()))?;
    let to = from.join(location).map_err(|error| refused(format!("redirected: {error}")))?;
    match (from.url().scheme(), to.url().scheme()) {
        ("http", "http" | "https") | ("https", "https") => Ok(to),
        (was, becomes) => Err(refused(format!("expected a redirect that stays with {was}, found one to {becomes}"))),
    }
}

/// The error for a response without usable content.
pub(super) async fn refused(url: &SourceUrl, answer: Answer, now: jiff::Timestamp) -> FetchError {
    let status = answer.status().as_u16();
    let retry_after = retry_after(answer.headers(), now);
    FetchError::Status { url: url.clone(), status, retry_after, came: answer.came().await }
}

/// Parses `Retry-After`, which is in seconds or a date (RFC 9110 section 10.2.3), to seconds.
fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<u32> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds: i64 = match text.parse::<u64>() {
        Ok(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX),
        Err(_) => super::validator::http_date(text)?.as_second() - now.as_second(),
    };
    Some(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}
