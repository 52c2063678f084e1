//! The token that guards the pages, and the sessions of those who gave it. Pure.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::{SignedDuration, Timestamp};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use secrecy::{ExposeSecret, SecretString};

/// The fewest and the most characters of a token.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=1024;
/// How long a login lasts.
pub(super) const SESSION: SignedDuration = SignedDuration::from_hours(12);
/// The name of the cookie.
const COOKIE: &str = "vmcatcher-pages";

/// A secret that readers of the pages know.
#[derive(Debug, Clone)]
pub(super) struct Token(SecretString);

/// The text of a token file is not a token. The text is not part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is too short or too long.
    #[error("expected one line with a token of 16 to 1024 characters, found {found}")]
    Length {
        /// The number of its characters.
        found: usize,
    },
    /// A header cannot hold it.
    #[error(
        "expected a token of visible ASCII characters without spaces, found another character at position {position}"
    )]
    Character {
        /// The position of the first such character, counted from 1.
        position: usize,
    },
}

impl Token {
    /// Reads the text of a token file. Space around the token does not count.
    pub(super) fn read(text: &str) -> Result<Self, TokenError> {
        let token = text.trim();
        let found = token.chars().count();
        if !LENGTH.contains(&found) {
            return Err(TokenError::Length { found });
        }
        match token.chars().position(|c| !c.is_ascii_graphic()) {
            Some(position) => Err(TokenError::Character { position: position + 1 }),
            None => Ok(Self(token.to_owned().into())),
        }
    }

    /// Whether a text is the token. The time does not depend on how much of it is right.
    pub(super) fn is(&self, text: &str) -> bool {
        // The keyed digests have one length, whatever was given.
        match (self.sign("token", self.0.expose_secret()), self.sign("token", text)) {
            (Ok(expected), Ok(found)) => expected.len() == found.len() && memcmp::eq(&expected, &found),
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    /// The value of `Set-Cookie` for a new session. It holds no part of the token.
    pub(super) fn session(&self, now: Timestamp, secure: bool) -> Result<String, ErrorStack> {
        let until = now.as_second().saturating_add(SESSION.as_secs());
        let signature = HEXLOWER.encode(&self.sign("session", &until.to_string())?);
        Ok(cookie(&format!("{until}-{signature}"), SESSION.as_secs(), secure))
    }

    /// Whether a `Cookie` header has a session of this token that has not ended.
    pub(super) fn has_session(&self, header: &str, now: Timestamp) -> bool {
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
        ours.any(|value| self.is_session(value, now))
    }

    fn is_session(&self, value: &str, now: Timestamp) -> bool {
        let Some((until, signature)) = value.split_once('-') else { return false };
        let (Ok(end), Ok(signature)) = (until.parse::<i64>(), HEXLOWER_PERMISSIVE.decode(signature.as_bytes())) else {
            return false;
        };
        let Ok(expected) = self.sign("session", until) else { return false };
        signature.len() == expected.len() && memcmp::eq(&signature, &expected) && end > now.as_second()
    }

    /// HMAC-SHA-256 (RFC 2104) of a text for one use.
    fn sign(&self, purpose: &str, text: &str) -> Result<Vec<u8>, ErrorStack> {
        let key = PKey::hmac(self.0.expose_secret().as_bytes())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.update(format!("vmcatcher pages {purpose}\n{text}").as_bytes())?;
        signer.sign_to_vec()
    }
}

/// The value of `Set-Cookie` that ends a session.
pub(super) fn ended_session() -> String {
    cookie("", 0, false)
}

/// RFC 6265 section 4.1. A page of another site cannot use the cookie, and no script can read it.
fn cookie(value: &str, seconds: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0123456789abcdef";

    fn now() -> Timestamp {
        "2026-11-22T07:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_token_is_long_enough_and_fits_a_header() {
        assert!(Token::read(&format!("  {TEXT}\n")).unwrap().is(TEXT));
        assert_eq!(Token::read("short\n").unwrap_err(), TokenError::Length { found: 5 });
        assert_eq!(Token::read(&"a".repeat(1025)).unwrap_err(), TokenError::Length { found: 1025 });
        assert_eq!(Token::read("0123456789 abcdef").unwrap_err(), TokenError::Character { position: 11 });
        assert_eq!(Token::read("0123456789abcdé0").unwrap_err(), TokenError::Character { position: 15 });
        let shown = format!("{:?}", Token::read(TEXT).unwrap());
        assert!(!shown.contains(TEXT), "{shown}");
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::read(TEXT).unwrap();
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", " 0123456789abcdef"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_session_is_of_one_token_and_ends() {
        let token = Token::read(TEXT).unwrap();
        let cookie = token.session(now(), true).unwrap();
        assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        assert!(!cookie.contains(TEXT), "{cookie}");
        let sent = format!("other=1; {}", cookie.split(';').next().unwrap());
        assert!(token.has_session(&sent, now()));
        assert!(!token.has_session(&sent, now() + SESSION));
        assert!(!Token::read("another token of us".replace(' ', "_").as_str()).unwrap().has_session(&sent, now()));
        let later = sent.replacen("=1", "=9", 2);
        assert!(!token.has_session(&later, now()), "{later}");
        for bad in ["", "vmcatcher-pages", "vmcatcher-pages=", "vmcatcher-pages=1-", "vmcatcher-pages=x-00", "=-"] {
            assert!(!token.has_session(bad, now()), "{bad}");
        }
    }
}
