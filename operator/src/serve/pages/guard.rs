//! Who may read the pages: those on this machine, those who know a token, or those whom a proxy lets through.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST};
use jiff::Timestamp;

use super::token::{Token, TokenError};
use crate::fs::{InputError, read_input};

/// How long the token is used before its file is read again. A Secret that is mounted can change.
const KNOWN: Duration = Duration::from_secs(5);
/// The most bytes of a token file that are read.
const LARGEST: u64 = 8 * 1024;

/// Who may read the pages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Loopback,
    Token(Arc<TokenFile>),
    Proxy,
}

/// A token file, and the token that it held when it was last read.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    known: Mutex<(Token, Instant)>,
}

/// Why the pages are not served.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Others could read the pages.
    #[error(
        "expected a loopback address such as 127.0.0.1:9091, or a guard (--pages-token-file FILE, or --pages-behind-proxy \
         if a proxy checks who reads), found {address}, which others can reach"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The token file cannot be read.
    #[error("expected a readable token file, found {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InputError,
    },
    /// The file does not hold a token.
    #[error("{path}: {source}")]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TokenError,
    },
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It may read the pages.
    Granted,
    /// It has no token and no session.
    NeedsToken,
    /// It names a host that is not this machine. A page of another site had its name point here (DNS rebinding).
    OtherHost,
}

impl Guard {
    /// The guard of pages at this address. A token is read now, so that a wrong file is reported at once.
    pub fn new(address: SocketAddr, token_file: Option<&Path>, behind_proxy: bool) -> Result<Self, GuardError> {
        let kind = match token_file {
            Some(path) => {
                let known = Mutex::new((read(path)?, Instant::now()));
                Kind::Token(Arc::new(TokenFile { path: path.to_owned(), known }))
            }
            None if behind_proxy => Kind::Proxy,
            None if address.ip().to_canonical().is_loopback() => Kind::Loopback,
            None => return Err(GuardError::Open { address }),
        };
        Ok(Self(kind))
    }

    /// Whether readers have to log in.
    pub(super) fn has_login(&self) -> bool {
        match &self.0 {
            Kind::Token(_) => true,
            Kind::Loopback | Kind::Proxy => false,
        }
    }

    /// Whether the headers that a proxy sets are believed.
    pub(super) fn has_proxy(&self) -> bool {
        match &self.0 {
            Kind::Proxy => true,
            Kind::Loopback | Kind::Token(_) => false,
        }
    }

    /// What a request with these headers may do. It may read the token file.
    pub(super) fn access(&self, headers: &HeaderMap, now: Timestamp) -> Access {
        match &self.0 {
            Kind::Proxy => Access::Granted,
            Kind::Loopback if names_this_machine(headers) => Access::Granted,
            Kind::Loopback => Access::OtherHost,
            Kind::Token(file) => {
                let token = file.token();
                if has_token(&token, headers, now) { Access::Granted } else { Access::NeedsToken }
            }
        }
    }

    /// The token; `None` if the guard is another one. It may read the file.
    pub(super) fn token(&self) -> Option<Token> {
        match &self.0 {
            Kind::Token(file) => Some(file.token()),
            Kind::Loopback | Kind::Proxy => None,
        }
    }
}

impl TokenFile {
    /// The token of now. If the file cannot be read any more, the last one stays.
    fn token(&self) -> Token {
        if self.known().1.elapsed() >= KNOWN {
            // The file may hang, so the lock is not held meanwhile.
            let read = read(&self.path);
            let mut known = self.known();
            match read {
                Ok(token) => *known = (token, Instant::now()),
                Err(error) => {
                    tracing::warn!("the token of the pages stays as it was: {error}");
                    known.1 = Instant::now();
                }
            }
        }
        self.known().0.clone()
    }

    fn known(&self) -> MutexGuard<'_, (Token, Instant)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Token, GuardError> {
    let unreadable = |source| GuardError::Unreadable { path: path.to_owned(), source };
    let bytes = read_input(path, LARGEST).map_err(unreadable)?;
    Token::read(&String::from_utf8_lossy(&bytes)).map_err(|source| GuardError::Token { path: path.to_owned(), source })
}

/// `Authorization: Bearer` (RFC 6750 section 2.1), or the cookie of a session.
fn has_token(token: &Token, headers: &HeaderMap, now: Timestamp) -> bool {
    let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let bearer = |text: &str| {
        let (scheme, given) = text.split_once(' ').unwrap_or_default();
        scheme.eq_ignore_ascii_case("bearer") && token.is(given.trim())
    };
    texts(AUTHORIZATION).any(bearer) || texts(COOKIE).any(|cookies| token.has_session(cookies, now))
}

/// Whether `Host` is `localhost` or a loopback address, at any port.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn with(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn now() -> Timestamp {
        "2026-11-22T07:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_open_address_needs_a_guard() {
        for open in ["0.0.0.0:9091", "[::]:9091", "192.0.2.1:9091", "[::ffff:192.0.2.1]:1"] {
            let refused = Guard::new(open.parse().unwrap(), None, false).unwrap_err().to_string();
            assert!(refused.contains("--pages-token-file") && refused.contains("which others can reach"), "{refused}");
            assert!(Guard::new(open.parse().unwrap(), None, true).is_ok());
        }
        for own in ["127.0.0.1:0", "[::1]:9091", "127.9.9.9:1"] {
            assert!(Guard::new(own.parse().unwrap(), None, false).is_ok(), "{own}");
        }
    }

    #[test]
    fn a_token_file_is_read_at_once_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let address = "0.0.0.0:1".parse().unwrap();
        let missing = Guard::new(address, Some(&path), false).unwrap_err().to_string();
        assert!(missing.contains("expected a readable token file"), "{missing}");
        std::fs::write(&path, "secret").unwrap();
        let short = Guard::new(address, Some(&path), false).unwrap_err().to_string();
        assert!(short.contains("found 6") && !short.contains("secret"), "{short}");
        std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
        let guard = Guard::new(address, Some(&path), false).unwrap();
        assert!(!format!("{guard:?}").contains(TOKEN));
        assert_eq!(guard.access(&HeaderMap::new(), now()), Access::NeedsToken);
        assert_eq!(guard.access(&with(AUTHORIZATION, &format!("bearer {TOKEN}")), now()), Access::Granted);
        assert_eq!(guard.access(&with(AUTHORIZATION, &format!("Basic {TOKEN}")), now()), Access::NeedsToken);
        assert_eq!(guard.access(&with(AUTHORIZATION, "Bearer 0123456789abcdeg"), now()), Access::NeedsToken);
        let cookie = guard.token().unwrap().session(now(), false).unwrap();
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(guard.access(&with(COOKIE, cookie), now()), Access::Granted);
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_answered() {
        let guard = Guard::new("127.0.0.1:1".parse().unwrap(), None, false).unwrap();
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:9091", "[::1]:9091", "[::1]", "127.1.2.3"] {
            assert_eq!(guard.access(&with(HOST, host), now()), Access::Granted, "{host}");
        }
        for host in ["", "evil.example", "evil.example:9091", "localhost.evil.example", "192.0.2.1", "[::2]:1", "["] {
            assert_eq!(guard.access(&with(HOST, host), now()), Access::OtherHost, "{host}");
        }
        assert_eq!(guard.access(&HeaderMap::new(), now()), Access::OtherHost);
    }
}
