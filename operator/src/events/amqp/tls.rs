//! TLS to the broker, with OpenSSL: own authorities, a client certificate, and why a broker's certificate is refused.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::files::{bytes, unusable};
use super::peer::{Peer, words};
use crate::events::settings::ClientTls;
use crate::events::sink::SinkError;

/// What a connection is encrypted with.
pub(super) struct Tls {
    pub(super) connector: SslConnector,
    refusal: Arc<Mutex<Option<String>>>,
    is_accepted: AtomicBool,
}

impl Tls {
    /// Reads the files, and makes the settings of one connection.
    pub(super) async fn read(settings: &ClientTls, peer: &Peer) -> Result<Self, SinkError> {
        let internal = |error: ErrorStack| peer.unreachable(format!("OpenSSL: {}", words(&error.to_string())));
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(internal)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(internal)?;
        if let Some(path) = &settings.authorities {
            let found = certificates(path).await?;
            trust_only(&mut builder, found).map_err(|error| unusable(path, &error.to_string()))?;
        }
        if let Some((certificate, key)) = &settings.identity {
            identify(&mut builder, certificate, key).await?;
        }
        let refusal = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&refusal);
        builder.set_verify_callback(SslVerifyMode::PEER, move |good, context| {
            if !good {
                let why = words(context.error().error_string());
                noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
            }
            good
        });
        Ok(Self { connector: builder.build(), refusal, is_accepted: AtomicBool::new(false) })
    }

    /// Notes that the broker's certificate is accepted, and the connection encrypted.
    pub(super) fn accept(&self) {
        self.is_accepted.store(true, Ordering::Relaxed);
    }

    /// The error of a connection that ended early, with what TLS has to do with it.
    pub(super) fn explain(&self, error: SinkError) -> SinkError {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        match error {
            SinkError::Unreachable { address, found } => {
                let found = match refusal {
                    Some(why) => format!("the certificate of the broker is refused: {why}"),
                    // In TLS 1.3 a server looks at the client's certificate when the client is already done. It sends an
                    // alert then, but the client can see the end of the connection first (RFC 8446, section 4.4.2.4).
                    None if self.is_accepted.load(Ordering::Relaxed) => {
                        format!("{found}; the broker possibly requires another client certificate")
                    }
                    None => found,
                };
                SinkError::Unreachable { address, found }
            }
            other @ (SinkError::Denied { .. }
            | SinkError::Busy { .. }
            | SinkError::TimedOut { .. }
            | SinkError::File { .. }) => other,
        }
    }
}

/// The PEM certificates of a file, at least one.
async fn certificates(path: &Path) -> Result<Vec<X509>, SinkError> {
    let found = X509::stack_from_pem(&bytes(path).await?).map_err(|error| unusable(path, &error.to_string()))?;
    if found.is_empty() { Err(unusable(path, "expected PEM certificates, found none")) } else { Ok(found) }
}

/// Trusts these authorities, and those of the system no more.
fn trust_only(builder: &mut SslConnectorBuilder, authorities: Vec<X509>) -> Result<(), ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        store.add_cert(authority)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

/// Sets the client's certificate with its chain, and its key.
async fn identify(builder: &mut SslConnectorBuilder, certificate: &Path, key: &Path) -> Result<(), SinkError> {
    let mut chain = certificates(certificate).await?.into_iter();
    let private = bytes(key).await?;
    // OpenSSL's own words could contain a part of the key.
    let private = PKey::private_key_from_pem_callback(&private, |_| Ok(0))
        .map_err(|_| unusable(key, "expected an unencrypted PEM key, found something else"))?;
    let refused = |error: ErrorStack| unusable(certificate, &error.to_string());
    if let Some(own) = chain.next() {
        builder.set_certificate(&own).map_err(refused)?;
    }
    for issuer in chain {
        builder.add_extra_chain_cert(issuer).map_err(refused)?;
    }
    builder.set_private_key(&private).map_err(|_| unusable(key, "it is not the key of the certificate"))
}
