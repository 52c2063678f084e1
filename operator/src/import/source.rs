//! The address of a list and its credentials, as other programs store them: apart, or within the address. Pure.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use super::manifest::Manifest;

/// The password that goes with a token as the user name.
pub(super) const TOKEN: &str = "x-oauth-basic";

/// The longest address that a subscription can have.
const LONGEST: usize = 2048;

/// The address of a list, without credentials.
pub(super) struct Source {
    /// The address.
    pub(super) url: Url,
    /// The user name and the password.
    credentials: Option<(String, String)>,
}

impl Source {
    /// Reads an address. `user` and `password` are credentials that are stored apart; they count if the user is not empty.
    pub(super) fn new(address: &str, user: &str, password: &str) -> Result<Self, String> {
        let mut url = Url::parse(address).map_err(|error| format!("its address is no URL: {error}"))?;
        let known = ["http", "https", "file"].contains(&url.scheme());
        if !known || address.len() > LONGEST {
            return Err(format!("expected an address of https, http or file with at most {LONGEST} characters"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let within = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
        let apart = (user.to_owned(), password.to_owned());
        let given = [within, apart].into_iter().find(|(user, password)| !user.is_empty() || !password.is_empty());
        if !(url.username().is_empty() && url.password().is_none()) {
            url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| "its address has no host")?;
        }
        Ok(Self { url, credentials: given })
    }

    /// Whether the credentials would be readable on the way.
    pub(super) fn is_readable_on_the_way(&self) -> bool {
        self.credentials.is_some() && self.url.scheme() == "http"
    }

    /// The Secret with the credentials, if there are some. It names the only host to which they may go.
    pub(super) fn secret(&self, name: &str) -> Option<Manifest> {
        let (user, password) = self.credentials.as_ref()?;
        let texts =
            if password == TOKEN { json!({"token": user}) } else { json!({"username": user, "password": password}) };
        let mut secret = Manifest::secret(name, &texts);
        let host = self.url.host_str().unwrap_or_default();
        let host = self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        secret.object["metadata"]["annotations"] = json!({"vmcatcher.io/allowed-hosts": host});
        Some(secret)
    }

    /// `spec.source` of a subscription.
    pub(super) fn spec(&self, secret: Option<&Manifest>) -> Value {
        let mut spec = json!({"url": self.url.as_str()});
        if let Some(secret) = secret {
            spec["secretRef"] = json!({"name": secret.object["metadata"]["name"]});
        }
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let source = Source::new("https://T%40ken:x-oauth-basic@vo.example.org:8443/image.list?a=1", "", "").unwrap();
        let secret = source.secret("vo").unwrap();
        assert_eq!(secret.object["stringData"], json!({"token": "T@ken"}));
        assert_eq!(secret.object["metadata"]["annotations"]["vmcatcher.io/allowed-hosts"], "vo.example.org:8443");
        let spec = source.spec(Some(&secret));
        assert_eq!(spec, json!({"url": "https://vo.example.org:8443/image.list?a=1", "secretRef": {"name": "vo"}}));
        let apart = Source::new("http://a/l", "me", "s3cret").unwrap();
        assert!(apart.is_readable_on_the_way() && !apart.spec(None).to_string().contains("s3cret"));
        assert_eq!(apart.secret("s").unwrap().object["stringData"], json!({"username": "me", "password": "s3cret"}));
        assert!(Source::new("https://a/l", "", "").unwrap().secret("s").is_none());
        for bad in ["ftp://a/l", "no address", "https://", &format!("https://a/{}", "a".repeat(3000))] {
            assert!(Source::new(bad, "", "").is_err(), "{bad}");
        }
    }
}
