//! What the HTTP clients of clouds have in common.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};
use secrecy::{ExposeSecret as _, SecretString};

/// The settings of a client: OpenSSL, no redirects, HTTP/1.1. Connections are not kept: a server may close one at the
/// moment in which a call is sent that must not be repeated.
///
/// `authorities` are the only certificate authorities that are trusted (PEM, one or more), `None` means those of the
/// system; `identity` is a client certificate with its key (PEM, PKCS #8). Fails if one of them cannot be read.
pub(crate) fn builder(
    connect: Duration,
    authorities: Option<&[u8]>,
    identity: Option<&(Vec<u8>, SecretString)>,
) -> reqwest::Result<ClientBuilder> {
    let mut builder = Client::builder()
        .tls_backend_native()
        .redirect(redirect::Policy::none())
        .connect_timeout(connect)
        .pool_max_idle_per_host(0)
        .http1_only()
        .user_agent(concat!("vmcatcher-operator/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = authorities {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem)?);
    }
    if let Some((certificate, key)) = identity {
        builder = builder.identity(Identity::from_pkcs8_pem(certificate, key.expose_secret().as_bytes())?);
    }
    Ok(builder)
}

/// The last cause of an error, without the URL, which the error variant contains redacted.
pub(crate) fn last_cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    // The outermost text of reqwest contains the URL; the last cause is the useful part.
    causes.last().map_or_else(
        || if error.is_connect() { "no connection".to_owned() } else { "it broke off".to_owned() },
        ToString::to_string,
    )
}
