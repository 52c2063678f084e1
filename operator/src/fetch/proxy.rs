//! The proxies of the environment: which proxy a request uses, and its response if it refuses a connection.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::header::{HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::challenge::Challenges;

/// The environment variables that name a proxy. The HTTP client reads the upper-case form first.
const VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// The maximum wait for a proxy to repeat a refusal.
const PATIENCE: Duration = Duration::from_secs(5);

/// The maximum size of the head of a proxy's response, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;

/// The proxies of the environment, parsed in the same way as by the HTTP client.
#[derive(Clone)]
pub(super) struct Proxies {
    matcher: Arc<Matcher>,
}

/// A proxy that a request uses. Displayed without user and password.
#[derive(Clone)]
pub(super) struct Proxy(Intercept);

/// The response of a proxy to a request for a tunnel.
pub(super) struct TunnelAnswer {
    /// The status code.
    pub(super) status: u16,
    /// The authentication schemes that it requests.
    pub(super) challenges: Challenges,
}

impl Proxies {
    /// The proxies of the environment, and their hosts. An invalid variable is an error, because the client would
    /// ignore it and connect without a proxy.
    pub(super) fn of_environment() -> Result<(Self, BTreeSet<String>), String> {
        let hosts = variables().map(|(name, value)| Ok(read(&name, &value)?.host().to_ascii_lowercase()));
        Ok((Self { matcher: Arc::new(Matcher::from_env()) }, hosts.collect::<Result<_, String>>()?))
    }

    /// The proxy for a URL.
    pub(super) fn for_url(&self, url: &Url) -> Option<Proxy> {
        self.matcher.intercept(&url.as_str().parse::<Uri>().ok()?).map(Proxy)
    }
}

/// The environment variables for proxies and their values. Values that are not UTF-8 are ignored.
fn variables() -> impl Iterator<Item = (String, String)> {
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, value)| VARIABLES.contains(&name.to_ascii_lowercase().as_str()) && !value.is_empty())
}

/// The proxy in a variable, parsed in the same way as by the HTTP client. Messages do not contain the value, because it
/// may contain a password.
fn read(name: &str, value: &str) -> Result<Proxy, String> {
    let any = Uri::from_static("http://example.org");
    if let Some(proxy) = Matcher::builder().all(value).build().intercept(&any) {
        return Ok(Proxy(proxy));
    }
    let schemes = "expected a proxy's address (http, https, socks4, socks4a, socks5 or socks5h)";
    match value.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|c| c.is_ascii_alphanumeric()) => {
            Err(format!("{name}: {schemes}, found the scheme {scheme:?} or an address that is none"))
        }
        Some(_) | None => Err(format!("{name}: {schemes}, found something else")),
    }
}

impl Proxy {
    /// Its host. The authority is not used, because it may contain the end of a password that has an `@` in it.
    fn host(&self) -> &str {
        self.0.uri().host().unwrap_or_default()
    }

    /// Whether its URL contains a user and password.
    pub(super) fn has_credentials(&self) -> bool {
        self.0.basic_auth().is_some() || self.0.raw_auth().is_some()
    }

    /// Requests the tunnel once more and returns the response of the proxy, because the HTTP client reports only that
    /// there was no tunnel. `None` if the proxy does not use plain HTTP, does not respond in time, or now opens the
    /// tunnel.
    pub(super) async fn tunnel_answer(&self, to: &Url) -> Option<TunnelAnswer> {
        let answer = tokio::time::timeout(PATIENCE, self.ask_for_tunnel(to)).await.ok()??;
        (!(200..300).contains(&answer.status)).then_some(answer)
    }

    async fn ask_for_tunnel(&self, to: &Url) -> Option<TunnelAnswer> {
        let uri = self.0.uri();
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let host = uri.host()?.trim_matches(['[', ']']);
        let mut stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await.ok()?;
        let target = format!("{}:{}", to.host_str()?, to.port_or_known_default()?);
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = self.0.basic_auth() {
            head.extend([b"Proxy-Authorization: ", authorization.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        stream.write_all(&head).await.ok()?;
        let mut answer = Vec::new();
        loop {
            if let Some(answer) = read_head(&answer) {
                return Some(answer);
            }
            let left = LARGEST_HEAD.checked_sub(answer.len()).filter(|left| *left > 0)?;
            let count = (&mut stream).take(left as u64).read_buf(&mut answer).await.ok()?;
            if count == 0 {
                return None;
            }
        }
    }
}

fn read_head(bytes: &[u8]) -> Option<TunnelAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    if !head.parse(bytes).ok()?.is_complete() {
        return None;
    }
    let mut read = HeaderMap::new();
    for header in head.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(header.value)) {
            read.append(name, value);
        }
    }
    Some(TunnelAnswer { status: head.code?, challenges: Challenges::of(&read, &PROXY_AUTHENTICATE) })
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.0.uri();
        let scheme = uri.scheme_str().unwrap_or("http");
        let host = self.host();
        match uri.port_u16() {
            Some(port) => write!(f, "{scheme}://{host}:{port}"),
            None => write!(f, "{scheme}://{host}"),
        }
    }
}

crate::text::opaque!(Proxies, "Proxies(of the environment)");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_no_proxy_is_refused_by_its_name_and_without_its_password() {
        let good = [
            "http://proxy:3128",
            "proxy.example.org:3128",
            "https://u:p@proxy",
            "socks4://proxy:1080",
            "socks4a://proxy:1080",
            "socks5://u:p@proxy:1080",
            "socks5h://[::1]:1080/",
        ];
        for value in good {
            let proxy = read("HTTPS_PROXY", value).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert!(["proxy", "proxy.example.org", "[::1]"].contains(&proxy.host()), "{value}: {}", proxy.host());
        }
        for bad in ["ftp://u:s3cret@proxy", "socks6://proxy", "http://u:s3cret word@proxy", "://", "http://"] {
            let error = read("HTTPS_PROXY", bad).err().unwrap();
            assert!(
                error.starts_with("HTTPS_PROXY: expected a proxy's address") && !error.contains("s3cret"),
                "{error}"
            );
        }
        assert!(read("all_proxy", "ftp://proxy").err().unwrap().contains("\"ftp\""));
    }

    #[test]
    fn a_proxy_is_shown_without_user_and_password() {
        let cases = [
            ("http://user:s3cret@proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("http://user:half@s3cret@proxy:3128", "http://proxy:3128"),
            ("socks5://user:s3cret@[::1]:1080", "socks5://[::1]:1080"),
            ("proxy", "http://proxy"),
        ];
        for (value, shown) in cases {
            let proxy = read("all_proxy", value).ok().unwrap();
            assert_eq!(proxy.to_string(), shown);
            assert_eq!(proxy.has_credentials(), value.contains('@'));
        }
    }

    #[test]
    fn a_proxys_head_is_read_whole_or_not_at_all() {
        let head =
            b"HTTP/1.1 407 Nope\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
        for cut in 0..head.len() {
            assert!(read_head(&head[..cut]).is_none(), "{cut}");
        }
        let answer = read_head(head).unwrap();
        assert_eq!((answer.status, answer.challenges.to_string().as_str()), (407, "Negotiate, Basic"));
        assert!(read_head(b"SSH-2.0-OpenSSH_9\r\n").is_none());
    }
}
