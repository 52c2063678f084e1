//! TLS: whom the sink believes, and who it says that it is.

use std::path::{Path, PathBuf};

use harness::image_server::ServerCertificate;
use vmcatcher_operator::events::{ClientTls, Sink as _, SinkError, WebhookSettings, WebhookSink};

use super::receiver::Receiver;
use super::{SOURCE, event, is_whole, settings, stopped};

/// The files of a sink for TLS.
struct Files {
    folder: tempfile::TempDir,
    tls: ClientTls,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), tls: ClientTls::default() }
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The only authority is that of a certificate.
    fn believing(mut self, certificate: &ServerCertificate) -> Self {
        self.tls.authorities = Some(self.write("ca.crt", &certificate.authority_pem()));
        self
    }

    /// A client certificate of the same authority.
    fn with_client_certificate_of(mut self, certificate: &ServerCertificate) -> Self {
        let (pem, key) = certificate.client_pem();
        self.tls.identity = Some((self.write("tls.crt", &pem), self.write("tls.key", key.as_bytes())));
        self
    }

    fn sink(&self, url: &str) -> WebhookSink {
        WebhookSink::new(WebhookSettings { tls: self.tls.clone(), ..settings(url) }, SOURCE.to_owned())
    }
}

async fn is_delivered(sink: &mut WebhookSink) {
    let delivery = sink.deliver(&[event(0)]).await;
    assert!(is_whole(&delivery, &[event(0)]), "{delivery:?}");
}

#[tokio::test]
async fn the_receiver_proves_who_it_is_to_the_authorities_of_the_settings_alone() {
    let certificate = ServerCertificate::generate();
    let receiver = Receiver::start_tls(&certificate);
    let url = receiver.url("/hook?key=s3cret");
    let files = Files::new().believing(&certificate);
    is_delivered(&mut files.sink(&url)).await;
    let strangers = [
        (Files::new(), "unable to get local issuer certificate"),
        // It has the same name and another key.
        (Files::new().believing(&ServerCertificate::generate()), "certificate signature failure"),
    ];
    for (stranger, expected) in strangers {
        let message = stopped(&mut stranger.sink(&url)).await;
        let address = receiver.url("/hook");
        assert_eq!(message, format!("cannot reach {address}: TLS: certificate verify failed ({expected})"));
    }
    let other = ServerCertificate::generate_for("other.example.org");
    let receiver = Receiver::start_tls(&other);
    let message = stopped(&mut Files::new().believing(&other).sink(&receiver.url("/"))).await;
    assert!(message.ends_with("TLS: certificate verify failed (IP address mismatch)"), "{message}");
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn the_sink_shows_its_certificate_to_a_receiver_that_demands_one() {
    let certificate = ServerCertificate::generate().with_client_certificates();
    let receiver = Receiver::start_tls(&certificate);
    let url = receiver.url("/");
    let message = stopped(&mut Files::new().believing(&certificate).sink(&url)).await;
    assert!(message.contains("TLS: ") && message.contains("certificate required"), "{message}");
    assert_eq!(receiver.requests().len(), 0);
    is_delivered(&mut Files::new().believing(&certificate).with_client_certificate_of(&certificate).sink(&url)).await;
    let stranger = ServerCertificate::generate();
    let message =
        stopped(&mut Files::new().believing(&certificate).with_client_certificate_of(&stranger).sink(&url)).await;
    assert!(message.contains("TLS: "), "{message}");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn connections_are_made_again_when_the_files_change_and_only_then() {
    let (first, second) = (ServerCertificate::generate(), ServerCertificate::generate());
    let files = Files::new().believing(&first);
    let receiver = Receiver::start_tls(&first);
    let mut sink = files.sink(&receiver.url("/"));
    for _ in 0..3 {
        is_delivered(&mut sink).await;
        files.write("ca.crt", &first.authority_pem());
    }
    assert_eq!(receiver.connections(), 1);
    files.write("ca.crt", &second.authority_pem());
    let message = stopped(&mut sink).await;
    assert!(message.contains("certificate verify failed"), "{message}");
    files.write("ca.crt", &first.authority_pem());
    is_delivered(&mut sink).await;
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn files_that_are_no_certificates_are_refused_by_their_names() {
    let certificate = ServerCertificate::generate();
    let url = "https://127.0.0.1:1/";
    let whole = || Files::new().believing(&certificate).with_client_certificate_of(&certificate);
    let (_, other_key) = certificate.client_pem();
    let too_large = vec![b'x'; (4 << 20) + 1];
    let cases: [(&str, &[u8], &str); 7] = [
        ("ca.crt", b"", "expected PEM certificates, found none"),
        ("ca.crt", b"-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----\n", "found something else"),
        ("tls.crt", b"s3cret", "expected a PEM certificate, found something else"),
        ("tls.key", b"", "expected an unencrypted PEM key, found something else"),
        ("tls.key", b"-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n", "an unencrypted PEM key"),
        ("tls.key", other_key.as_bytes(), "expected the key of the certificate, found another key"),
        ("tls.key", &too_large, "expected at most 4194304 bytes, found more"),
    ];
    for (name, content, expected) in cases {
        let files = whole();
        let path = files.write(name, content);
        let error = files.sink(url).deliver(&[event(0)]).await.stopped.unwrap();
        assert!(matches!(&error, SinkError::File { path: found, .. } if *found == path), "{error}");
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains("s3cret"), "{name}: {message}");
    }
    let mut files = whole();
    files.tls.authorities = Some(Path::new("/nowhere/ca.crt").to_owned());
    assert!(stopped(&mut files.sink(url)).await.starts_with("cannot read /nowhere/ca.crt: No such file"));
}
