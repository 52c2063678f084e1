//! A certificate authority and a server certificate, made in memory.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{AlpnError, SslAcceptor, SslAcceptorBuilder, SslMethod, SslVerifyMode, select_next_proto};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Name};

/// A server certificate for `localhost` and 127.0.0.1, with the authority that signed it.
#[must_use]
pub struct ServerCertificate {
    authority: X509,
    authority_key: PKey<Private>,
    certificate: X509,
    key: PKey<Private>,
    wants_client: bool,
}

impl ServerCertificate {
    /// A new authority and a certificate of it, for `localhost` and 127.0.0.1.
    pub fn generate() -> Self {
        let mut names = SubjectAlternativeName::new();
        names.dns("localhost").ip("127.0.0.1");
        Self::with_names(&names)
    }

    /// The same for another host's name.
    pub fn generate_for(host: &str) -> Self {
        let mut names = SubjectAlternativeName::new();
        names.dns(host);
        Self::with_names(&names)
    }

    fn with_names(names: &SubjectAlternativeName) -> Self {
        let (authority_key, key) = (new_key(), new_key());
        let authority = build("A test authority", &authority_key, None, None);
        let certificate = build("a server", &key, Some((&authority, &authority_key)), Some(names));
        Self { authority, authority_key, certificate, key, wants_client: false }
    }

    /// Refuses clients without a certificate of the same authority.
    pub fn with_client_certificates(mut self) -> Self {
        self.wants_client = true;
        self
    }

    /// The authority, PEM.
    pub fn authority_pem(&self) -> Vec<u8> {
        self.authority.to_pem().expect("PEM")
    }

    /// The server's certificate and its key, both PEM.
    pub fn server_pem(&self) -> (Vec<u8>, Vec<u8>) {
        (self.certificate.to_pem().expect("PEM"), self.key.private_key_to_pem_pkcs8().expect("PEM"))
    }

    /// A client certificate of the authority and its key, both PEM.
    pub fn client_pem(&self) -> (Vec<u8>, String) {
        let key = new_key();
        let mut names = SubjectAlternativeName::new();
        names.dns("client.example.org");
        let certificate = build("a client", &key, Some((&self.authority, &self.authority_key)), Some(&names));
        let key = key.ec_key().and_then(|key| key.private_key_to_pem()).expect("PEM");
        (certificate.to_pem().expect("PEM"), String::from_utf8(key).expect("PEM is text"))
    }

    /// What a server of one's own accepts connections with.
    pub fn acceptor(&self) -> SslAcceptor {
        self.builder().build()
    }

    /// The same for a server that has HTTP/2 too, and prefers it.
    pub fn http2_acceptor(&self) -> SslAcceptor {
        let mut builder = self.builder();
        builder.set_alpn_select_callback(|_, client| {
            select_next_proto(b"\x02h2\x08http/1.1", client).ok_or(AlpnError::NOACK)
        });
        builder.build()
    }

    fn builder(&self) -> SslAcceptorBuilder {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("TLS");
        acceptor.set_private_key(&self.key).expect("the key");
        acceptor.set_certificate(&self.certificate).expect("the certificate");
        if self.wants_client {
            let mut store = X509StoreBuilder::new().expect("a store");
            store.add_cert(self.authority.clone()).expect("the authority");
            acceptor.set_verify_cert_store(store.build()).expect("the store");
            acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        acceptor
    }
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn build(
    name: &str,
    key: &PKey<Private>,
    issuer: Option<(&X509, &PKey<Private>)>,
    names: Option<&SubjectAlternativeName>,
) -> X509 {
    let mut subject = X509Name::builder().expect("a name");
    subject.append_entry_by_nid(Nid::COMMONNAME, name).expect("a name");
    let subject = subject.build();
    let mut builder = X509::builder().expect("a certificate");
    let serial = BigNum::from_u32(if names.is_none() { 1 } else { 2 }).and_then(|number| number.to_asn1_integer());
    builder.set_version(2).expect("a version");
    builder.set_serial_number(&serial.expect("a number")).expect("a number");
    builder.set_subject_name(&subject).expect("a name");
    builder.set_issuer_name(issuer.map_or(&*subject, |(issuer, _)| issuer.subject_name())).expect("a name");
    builder.set_pubkey(key).expect("a key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(7).expect("a time")).expect("a time");
    if let Some(names) = names {
        let names = names.build(&builder.x509v3_context(None, None)).expect("an extension");
        builder.append_extension(names).expect("an extension");
    } else {
        let constraints = BasicConstraints::new().critical().ca().build().expect("an extension");
        builder.append_extension(constraints).expect("an extension");
    }
    builder.sign(issuer.map_or(key, |(_, key)| key), MessageDigest::sha256()).expect("a signature");
    builder.build()
}
