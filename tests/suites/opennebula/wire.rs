//! The wire itself: what is slow, cut, huge, not OpenNebula, or not who it should be.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use harness::opennebula::{Cloud, Dialect, Fault};
use harness::pki::{CertificateSpec, Identity, Usage};
use jiff::Timestamp;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use secrecy::SecretString;
use vmcatcher_operator::cloud::Reason;
use vmcatcher_operator::opennebula::transport::Connection;
use vmcatcher_operator::opennebula::{Client, OneError};

use super::credential::{Credential, with_each_credential};
use super::site::{ALICE, IDENTIFIER, Site, Want, client, condition};

with_each_credential! {
    an_attribute_with_a_prefix_nobody_bound_does_not_hide_the_pool
}

fn connection(endpoint: &str) -> Connection {
    Connection::new(endpoint.parse().unwrap(), SecretString::from("oneadmin:opennebula-test".to_owned()))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A server that says this to whoever asks, once for each call.
fn says(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/RPC2", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).unwrap();
            let _ = socket.write_all(&answer);
        }
    });
    endpoint
}

#[test]
fn an_answer_that_does_not_come_ends_in_its_time_and_the_image_is_found_again() {
    let cloud = Cloud::start(Dialect::V7_4);
    let mut connection = connection(&cloud.endpoint());
    connection.timeouts.call = Duration::from_millis(200);
    cloud.fail(0, Fault::Hang);
    let error = run(Client::new(connection).unwrap().version()).unwrap_err();
    assert!(matches!(&error, OneError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("within 200 ms"), "{error}");
    // An allocate that was carried out and whose answer never came: the next pass finds what it made.
    let site = Site::new();
    site.pass(&[]).unwrap();
    site.cloud.fail(1, Fault::LoseAnswer);
    assert_eq!(site.condition(Some(1)).0, Reason::CloudUnreachable);
    site.publish(1);
    assert_eq!(site.images().len(), 1);
}

#[test]
fn what_is_no_opennebula_is_told() {
    let http = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).into_bytes()
    };
    let cases = [
        (http("200 OK", "<html>welcome</html>"), "expected a methodResponse"),
        (http("502 Bad Gateway", ""), "HTTP status 502"),
        (http("302 Found", ""), "HTTP status 302"),
        (http("200 OK", "<!DOCTYPE a [<!ENTITY b \"c\">]><methodResponse>&b;</methodResponse>"), "no document type"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe".to_vec(), "not UTF-8"),
    ];
    for (answer, expected) in cases {
        let error = run(Client::new(connection(&says(vec![answer]))).unwrap().version()).unwrap_err();
        assert!(matches!(&error, OneError::NotOpenNebula { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.reason(), Reason::CloudUnreachable);
    }
}

#[test]
fn an_answer_is_bounded_whatever_its_length_says() {
    for head in ["Content-Length: 100000000\r\n", ""] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{}", "x".repeat(200_000)).into_bytes();
        let mut connection = connection(&says(vec![answer]));
        connection.answer_limit = 100_000;
        let error = run(Client::new(connection).unwrap().version()).unwrap_err();
        assert!(matches!(error, OneError::TooLarge { limit: 100_000, .. }), "{error:?}");
    }
}

#[test]
fn a_read_is_tried_again_and_a_write_is_not() {
    let cloud = Cloud::start(Dialect::V7_4);
    cloud.fail(0, Fault::Drop);
    assert_eq!(run(client(&cloud, "oneadmin:opennebula-test").version()).unwrap().text, "7.4.0");
    let id = cloud.world(|world| world.put("x", 0, 0, 0o600));
    cloud.fail(0, Fault::LoseAnswer);
    cloud.take_calls();
    run(client(&cloud, "oneadmin:opennebula-test").rename(id, "y")).unwrap_err();
    assert_eq!(cloud.take_calls().len(), 1);
}

#[test]
fn a_session_is_never_shown() {
    let secret = "s3cret-word";
    let session = || SecretString::from(format!("oneadmin:{secret}"));
    let cloud = Cloud::start(Dialect::V7_4);
    let client = Client::new(Connection::new(cloud.endpoint().parse().unwrap(), session())).unwrap();
    let shown = [
        format!("{client:?}"),
        format!("{:?}", run(client.version()).unwrap_err()),
        format!("{:?}", Connection::new(cloud.endpoint().parse().unwrap(), session())),
    ];
    assert!(shown.iter().all(|text| !text.contains(secret)), "{shown:?}");
    for (endpoint, session) in [
        ("https://oneadmin:s3cret-word@one.example.org/RPC2", "oneadmin:s3cret-word"),
        ("ftp://one.example.org/RPC2", "oneadmin:s3cret-word"),
        ("https://one.example.org/RPC2", "s3cret-word"),
    ] {
        let connection = Connection::new(endpoint.parse().unwrap(), SecretString::from(session.to_owned()));
        let error = Client::new(connection).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
}

/// The stand-in behind TLS.
fn behind_tls(cloud: &Cloud, identity: &Identity) -> String {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&identity.certificate).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let inner = cloud.endpoint().split('/').nth(2).unwrap().to_owned();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            if let Ok(outer) = acceptor.accept(socket) {
                forward(outer, &inner);
            }
        }
    });
    format!("https://127.0.0.1:{port}/RPC2")
}

fn forward(mut outer: SslStream<TcpStream>, inner: &str) {
    let mut inner = TcpStream::connect(inner).unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"</methodCall>\n") {
        match outer.read(&mut buffer) {
            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
            Ok(_) | Err(_) => return,
        }
    }
    inner.write_all(&request).unwrap();
    let mut answer = Vec::new();
    inner.read_to_end(&mut answer).unwrap();
    let _ = outer.write_all(&answer);
    let _ = outer.shutdown();
}

#[test]
fn tls_trusts_the_sites_own_authority_and_nobody_else() {
    let now = Timestamp::now();
    let authority = CertificateSpec::authority("/O=Site/CN=Own CA", now).build(None);
    let other = CertificateSpec::authority("/O=Other/CN=Other CA", now).build(None);
    // subjectAltName: iPAddress 127.0.0.1 (RFC 5280, 4.2.1.6).
    let name = [0x30, 0x06, 0x87, 0x04, 127, 0, 0, 1];
    let server = CertificateSpec::person("/O=Site/CN=one", now).usages(&[Usage::ServerAuth]);
    let server = authority.issue(&server.extension("2.5.29.17", false, &name));
    let cloud = Cloud::start(Dialect::V7_4);
    let endpoint = behind_tls(&cloud, &server);
    let with = |authorities: Option<Vec<u8>>| {
        run(Client::new(Connection { authorities, ..connection(&endpoint) }).unwrap().version())
    };
    assert_eq!(with(Some(authority.pem().0)).unwrap().text, "7.4.0");
    for authorities in [None, Some(other.pem().0)] {
        let error = with(authorities).unwrap_err();
        assert_eq!(error.reason(), Reason::CloudUnreachable);
        assert!(error.to_string().contains("certificate verify failed"), "{error}");
    }
    let nonsense = Connection { authorities: Some(b"nonsense".to_vec()), ..connection(&endpoint) };
    assert!(matches!(Client::new(nonsense).unwrap_err(), OneError::Configuration { .. }));
}

fn an_attribute_with_a_prefix_nobody_bound_does_not_hide_the_pool(who: Credential) {
    let site = who.site();
    site.cloud.world(|world| {
        let id = world.put("somebody's", 2, 1, 0o600);
        world.image(id).attributes.insert("AD:MPURI".to_owned(), "x".to_owned());
    });
    site.publish(1);
    assert_eq!(site.plan(&[Want(IDENTIFIER, Some(1))]), format!("{IDENTIFIER}: Published as 1\n"));
}

#[test]
fn an_image_that_cannot_be_read_hides_only_itself() {
    let site = Site::new();
    let ours = site.publish(1);
    let (foreign, claiming) = site.cloud.world(|world| {
        let (foreign, claiming) = (world.put("somebody's", ALICE, 1, 0o644), world.put("a copy", ALICE, 1, 0o644));
        let says = ("VMCATCHER_EVENT_DC_IDENTIFIER".to_owned(), "claimed".to_owned());
        world.image(claiming).attributes.extend([says]);
        (foreign, claiming)
    });
    site.cloud.world(|world| world.garbled.insert(foreign));
    let new = site.publish(2);
    assert_ne!(new, ours);
    // One that is ours, or says so, could be anything: it is neither replaced nor said to be gone.
    site.cloud.world(|world| world.garbled.extend([new, claiming]));
    for wanted in [Some(2), Some(3), None] {
        let wants = [Want(IDENTIFIER, wanted), Want("claimed", Some(1)), Want("another", Some(1))];
        let outcomes = site.pass(&wants).unwrap().outcomes;
        for (outcome, image) in outcomes.iter().zip([new, claiming]) {
            let (reason, message) = condition(&outcome.verdict);
            assert_eq!(reason, Reason::CloudUnreachable, "{message}");
            assert!(message.contains(&format!("image {image} ")) && message.contains("\"SOON\""), "{message}");
        }
    }
    assert_eq!(site.cloud.world(|world| world.named("another").len()), 1, "all others go on");
    site.cloud.world(|world| world.garbled.clear());
    assert_eq!(site.publish(2), new, "nothing was forgotten");
}
