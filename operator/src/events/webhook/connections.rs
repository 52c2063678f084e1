//! The HTTP client of a sink.

use openssl::pkey::PKey;
use openssl::x509::X509;
use reqwest::{Certificate, Identity, redirect};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::super::settings::WebhookSettings;
use super::super::sink::SinkError;
use super::failure::chain;
use super::material::TlsMaterial;
use super::verdict::shown;

/// Connections with these settings and certificates. One is kept open between deliveries.
pub(super) fn client(settings: &WebhookSettings, tls: &TlsMaterial) -> Result<reqwest::Client, SinkError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_native()
        .http1_only()
        .user_agent(concat!("vmcatcher-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(1);
    if let (Some(pem), Some(path)) = (&tls.authorities, &settings.tls.authorities) {
        let unusable = |found| SinkError::File { step: "use", path: path.clone(), found };
        builder = builder.tls_certs_only(authorities(pem).map_err(unusable)?);
    }
    if let (Some((certificate, key)), Some((path, key_path))) = (&tls.identity, &settings.tls.identity) {
        builder = builder.identity(identity(certificate, key).map_err(|(of_key, found)| {
            let path = if of_key { key_path } else { path };
            SinkError::File { step: "use", path: path.clone(), found: found.to_owned() }
        })?);
    }
    builder.build().map_err(|error| SinkError::Unreachable { address: shown(&settings.url), found: chain(&error) })
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let found = X509::stack_from_pem(pem).map_err(|_| "expected PEM certificates, found something else")?;
    if found.is_empty() {
        return Err("expected PEM certificates, found none".to_owned());
    }
    let certificate = |certificate: &X509| {
        let der = certificate.to_der().map_err(|error| error.to_string())?;
        Certificate::from_der(&der).map_err(|error| chain(&error))
    };
    found.iter().map(certificate).collect()
}

/// The client certificate with its chain, and its key. An error has whether the key is wrong, and what was expected;
/// it has no text of OpenSSL, which could contain parts of the file.
fn identity(certificate: &[u8], key: &SecretSlice<u8>) -> Result<Identity, (bool, &'static str)> {
    let no_certificate = (false, "expected a PEM certificate, found something else");
    let no_key = (true, "expected an unencrypted PEM key, found something else");
    let chain = X509::stack_from_pem(certificate).map_err(|_| no_certificate)?;
    let public = chain.first().and_then(|leaf| leaf.public_key().ok()).ok_or(no_certificate)?;
    // A key with a password would make OpenSSL ask for it on the terminal.
    let key = PKey::private_key_from_pem_callback(key.expose_secret(), |_| Ok(0)).map_err(|_| no_key)?;
    if !key.public_eq(&public) {
        return Err((true, "expected the key of the certificate, found another key"));
    }
    // PKCS #8 is the only form that the TLS library takes.
    let key = key.private_key_to_pem_pkcs8().map_err(|_| no_key)?;
    Identity::from_pkcs8_pem(certificate, &key).map_err(|_| no_certificate)
}
