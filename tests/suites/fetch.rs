//! Lists over HTTP and HTTPS: conditions, redirects, credentials, certificates, addresses and limits.

use std::time::Duration;

use harness::image_server::{ImageServer, Resource, ServerCertificate};
use vmcatcher_operator::api::Class;
use vmcatcher_operator::fetch::{
    Client, ClientIdentity, ClientSettings, Credentials, FetchError, LIST_LIMIT, ListAnswer, Source, TlsSettings,
    Validator,
};

const TIMEOUT: Duration = Duration::from_secs(10);

fn source(url: &str) -> Source {
    Source::public(url.parse().unwrap())
}

fn client(settings: &ClientSettings) -> Client {
    Client::new(settings).unwrap()
}

async fn fetch(source: &Source) -> Result<ListAnswer, FetchError> {
    client(&ClientSettings::default()).fetch_list(source, None, TIMEOUT, LIST_LIMIT).await
}

fn body(answer: Result<ListAnswer, FetchError>) -> Vec<u8> {
    match answer.unwrap() {
        ListAnswer::Body { document, .. } => document.read().unwrap(),
        ListAnswer::NotModified { .. } => panic!("no condition was sent"),
    }
}

fn expect_failure(answer: Result<ListAnswer, FetchError>, reason: &str) -> FetchError {
    let error = answer.expect_err("a failure");
    assert_eq!(error.reason(), reason, "{error}");
    error
}

#[tokio::test]
async fn a_list_that_is_still_the_same_is_not_sent_again() {
    let server = ImageServer::start();
    let cases = [
        ("/etag", Resource::bytes("list").etag("\"1\""), "if-none-match"),
        ("/weak", Resource::bytes("list").etag("W/\"1\""), "if-none-match"),
        ("/date", Resource::bytes("list").last_modified("Sun, 06 Nov 1994 08:49:37 GMT"), "if-modified-since"),
    ];
    let client = client(&ClientSettings::default());
    for (path, resource, header) in cases {
        server.put(path, resource);
        let source = source(&server.url(path));
        let first = client.fetch_list(&source, None, TIMEOUT, LIST_LIMIT).await.unwrap();
        let ListAnswer::Body { document, validator: Some(validator), date: Some(_), .. } = first else {
            panic!("{first:?}")
        };
        assert_eq!(document.read().unwrap(), b"list");
        let kept: Validator = serde_json::from_str(&serde_json::to_string(&validator).unwrap()).unwrap();
        let second = client.fetch_list(&source, Some(&kept), TIMEOUT, LIST_LIMIT).await.unwrap();
        assert!(matches!(second, ListAnswer::NotModified { date: Some(_) }), "{path}: {second:?}");
        assert!(server.requests(path)[1].headers.contains_key(header), "{path}");
        server.put(path, Resource::bytes("new list").etag("\"2\""));
        let third = client.fetch_list(&source, Some(&kept), TIMEOUT, LIST_LIMIT).await;
        assert_eq!(body(third), b"new list", "{path}");
    }
    server.put("/none", Resource::bytes("list"));
    let answer = fetch(&source(&server.url("/none"))).await.unwrap();
    assert!(matches!(answer, ListAnswer::Body { validator: None, .. }), "{answer:?}");
    server.put("/unasked", Resource::status(304));
    expect_failure(fetch(&source(&server.url("/unasked"))).await, "HTTPError");
}

#[tokio::test]
async fn each_failure_has_its_reason_and_class() {
    let server = ImageServer::start();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/", dead.local_addr().unwrap());
    drop(dead);
    let paths = [
        ("/401", Resource::status(401), "AuthenticationFailed", Class::Stalled),
        ("/403", Resource::status(403), "AuthenticationFailed", Class::Stalled),
        ("/404", Resource::status(404), "HTTPError", Class::Transient),
        ("/500", Resource::status(500), "HTTPError", Class::Transient),
        ("/204", Resource::status(204), "HTTPError", Class::Transient),
        ("/cut", Resource::bytes("a list").cut_every(2), "HTTPError", Class::Transient),
        ("/large", Resource::zeros(LIST_LIMIT + 1), "TooLarge", Class::Stalled),
        ("/endless", Resource::zeros(LIST_LIMIT * 2).chunked(), "TooLarge", Class::Stalled),
        ("/nowhere", Resource::status(302), "URLInvalid", Class::Stalled),
    ];
    for (path, resource, reason, class) in paths {
        server.put(path, resource);
        let error = expect_failure(fetch(&source(&server.url(path))).await, reason);
        assert_eq!(error.class(), class, "{path}");
        assert!(error.to_string().contains(path), "{error} names what was asked for");
    }
    expect_failure(fetch(&source(&closed)).await, "HTTPError");
    expect_failure(fetch(&source("http://does-not-exist.invalid/")).await, "HTTPError");
    server.put("/silent", Resource::silent());
    server.put("/stalls", Resource::bytes("a list").stall_after(1));
    for path in ["/silent", "/stalls"] {
        let source = source(&server.url(path));
        let client = client(&ClientSettings::default());
        let answer = client.fetch_list(&source, None, Duration::from_millis(300), LIST_LIMIT).await;
        expect_failure(answer, "Timeout");
    }
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_they_may_go() {
    let server = ImageServer::start();
    server.put("/list", Resource::bytes("list"));
    for status in [301, 302, 303, 307, 308] {
        server.put("/moved", Resource::redirect(status, "/list"));
        assert_eq!(body(fetch(&source(&server.url("/moved"))).await), b"list", "{status}");
    }
    for hop in 0..11 {
        server.put(&format!("/hop{hop}"), Resource::redirect(302, &format!("/hop{}", hop + 1)));
    }
    server.put("/hop11", Resource::bytes("list"));
    assert_eq!(body(fetch(&source(&server.url("/hop1"))).await), b"list", "ten redirects");
    expect_failure(fetch(&source(&server.url("/hop0"))).await, "URLInvalid");
    let bad = [
        "ftp://127.0.0.1/list",
        "file:///etc/passwd",
        "http://u:p@127.0.0.1/",
        "http://169.254.169.254/",
        "//",
        "http:///list",
        "http:/list",
        "///list",
        "/\\127.0.0.1/list",
    ];
    for to in bad {
        server.put("/bad", Resource::redirect(302, to));
        let error = expect_failure(fetch(&source(&server.url("/bad"))).await, "URLInvalid");
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
}

#[tokio::test]
async fn credentials_and_client_certificates_stay_with_their_host() {
    let server = ImageServer::start();
    let other = ImageServer::start();
    other.put("/list", Resource::bytes("list"));
    server.put("/list", Resource::bytes("list").basic("site", "word"));
    server.put("/here", Resource::redirect(302, "/list").basic("site", "word"));
    server.put("/other-port", Resource::redirect(302, &other.url("/list")));
    server.put("/other-name", Resource::redirect(302, &server.url_at("localhost", "/list")));
    let with =
        |path: &str| Source { credentials: Some(Credentials::basic("site", "word")), ..source(&server.url(path)) };
    assert_eq!(body(fetch(&with("/here")).await), b"list");
    assert_eq!(body(fetch(&with("/other-port")).await), b"list");
    assert!(!other.requests("/list")[0].headers.contains_key("authorization"));
    let error = expect_failure(fetch(&with("/other-name")).await, "AuthenticationFailed");
    assert!(error.to_string().contains("wants credentials"), "{error}");
    let error = expect_failure(fetch(&source(&server.url("/list"))).await, "AuthenticationFailed");
    assert!(error.to_string().contains("has no secret"), "{error}");
    let wrong = Source { credentials: Some(Credentials::basic("site", "other")), ..source(&server.url("/list")) };
    let error = expect_failure(fetch(&wrong).await, "AuthenticationFailed");
    assert!(error.to_string().contains("were refused"), "{error}");
}

#[tokio::test]
async fn only_certificates_that_are_believed_are_talked_to() {
    let certificate = ServerCertificate::generate();
    let server = ImageServer::start_tls(&certificate);
    server.put("/list", Resource::bytes("list"));
    let grid = tempfile::tempdir().unwrap();
    std::fs::write(grid.path().join("0123abcd.0"), certificate.authority_pem()).unwrap();
    std::fs::write(grid.path().join("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    std::fs::write(grid.path().join("0123abcd.namespaces"), "TO Issuer").unwrap();
    let own = |pem: &[u8]| TlsSettings::Own { ca_pem: Some(pem.to_vec()), identity: None };
    let at = |host: &str, tls: TlsSettings| Source { tls, ..source(&server.url_at(host, "/list")) };
    let pem = certificate.authority_pem();
    for good in [own(&pem), TlsSettings::Grid(grid.path().to_owned())] {
        assert_eq!(body(fetch(&at("localhost", good.clone())).await), b"list");
        assert_eq!(body(fetch(&at("127.0.0.1", good)).await), b"list");
    }
    let another = ServerCertificate::generate().authority_pem();
    for bad in [TlsSettings::System, own(&another)] {
        let error = expect_failure(fetch(&at("localhost", bad)).await, "TLSError");
        assert!(error.to_string().contains("certificate verify failed"), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    for unusable in
        [own(b"no certificate"), TlsSettings::Grid(empty.path().to_owned()), TlsSettings::Grid("/nowhere".into())]
    {
        let error = expect_failure(fetch(&at("localhost", unusable)).await, "TLSError");
        assert_eq!(error.class(), Class::Stalled, "{error}");
    }
    assert_eq!(server.all_requests().len(), 4);
}

#[tokio::test]
async fn the_name_in_a_certificate_counts() {
    let certificate = ServerCertificate::generate_for("images.example.org");
    let server = ImageServer::start_tls(&certificate);
    let tls = TlsSettings::Own { ca_pem: Some(certificate.authority_pem()), identity: None };
    for host in ["localhost", "127.0.0.1"] {
        let at = Source { tls: tls.clone(), ..source(&server.url_at(host, "/list")) };
        expect_failure(fetch(&at).await, "TLSError");
    }
    assert!(server.all_requests().is_empty());
}

#[tokio::test]
async fn a_client_certificate_opens_what_asks_for_one() {
    let certificate = ServerCertificate::generate().with_client_certificates();
    let server = ImageServer::start_tls(&certificate);
    server.put("/list", Resource::bytes("list"));
    server.put("/other-name", Resource::redirect(302, &server.url_at("localhost", "/list")));
    let (certificate_pem, key) = certificate.client_pem();
    let own = |path: &str, identity| Source {
        tls: TlsSettings::Own { ca_pem: Some(certificate.authority_pem()), identity },
        ..source(&server.url(path))
    };
    let identity = ClientIdentity { certificate_pem: certificate_pem.clone(), key_pem: key.clone().into() };
    assert!(!format!("{identity:?}").contains("PRIVATE"));
    assert_eq!(body(fetch(&own("/list", Some(identity.clone()))).await), b"list");
    assert!(fetch(&own("/list", None)).await.is_err());
    assert!(fetch(&own("/other-name", Some(identity.clone()))).await.is_err(), "it is not shown to another host");
    let broken = ClientIdentity { key_pem: "no key".to_owned().into(), ..identity };
    let error = expect_failure(fetch(&own("/list", Some(broken))).await, "TLSError");
    assert!(error.to_string().contains("tls.key"), "{error}");
}

#[tokio::test]
async fn https_never_leads_to_http() {
    let certificate = ServerCertificate::generate();
    let server = ImageServer::start_tls(&certificate);
    let plain = ImageServer::start();
    plain.put("/list", Resource::bytes("list"));
    server.put("/down", Resource::redirect(302, &plain.url("/list")));
    let tls = TlsSettings::Own { ca_pem: Some(certificate.authority_pem()), identity: None };
    let error = expect_failure(fetch(&Source { tls: tls.clone(), ..source(&server.url("/down")) }).await, "URLInvalid");
    assert!(error.to_string().contains("stays with https, found one to http"), "{error}");
    assert!(plain.all_requests().is_empty());
    server.put("/list", Resource::bytes("list"));
    plain.put("/up", Resource::redirect(302, &server.url("/list")));
    assert_eq!(body(fetch(&Source { tls, ..source(&plain.url("/up")) }).await), b"list", "up is fine");
}

#[tokio::test]
async fn addresses_that_are_never_asked() {
    let server = ImageServer::start();
    server.put("/list", Resource::bytes("list"));
    let in_cluster = client(&ClientSettings { deny_loopback: true, ..ClientSettings::default() });
    for url in [server.url("/list"), server.url_at("localhost", "/list"), server.url_at("[::1]", "/list")] {
        let answer = in_cluster.fetch_list(&source(&url), None, TIMEOUT, LIST_LIMIT).await;
        let error = expect_failure(answer, "URLInvalid");
        assert!(error.to_string().contains("(loopback)"), "{error}");
    }
    for url in ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://[::ffff:a9fe:a9fe]/"] {
        let error = expect_failure(fetch(&source(url)).await, "URLInvalid");
        assert!(error.to_string().contains("(link-local)"), "{error}");
    }
    assert!(server.all_requests().is_empty());
}

#[tokio::test]
async fn files_are_read_where_they_are_allowed_and_within_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image list.smime");
    std::fs::write(&path, "list").unwrap();
    let at = |path: &std::path::Path| source(url::Url::from_file_path(path).unwrap().as_str());
    expect_failure(fetch(&at(&path)).await, "URLInvalid");
    let standalone = client(&ClientSettings { allow_files: true, ..ClientSettings::default() });
    assert_eq!(body(standalone.fetch_list(&at(&path), None, TIMEOUT, 4).await), b"list");
    expect_failure(standalone.fetch_list(&at(&path), None, TIMEOUT, 3).await, "TooLarge");
    for bad in [directory.path(), std::path::Path::new("/dev/zero"), &directory.path().join("none")] {
        expect_failure(standalone.fetch_list(&at(bad), None, TIMEOUT, LIST_LIMIT).await, "URLInvalid");
    }
}

#[tokio::test]
async fn what_a_server_wants_is_told_where_it_refuses() {
    let server = ImageServer::start();
    let wants = |schemes: &[&str]| {
        schemes.iter().fold(Resource::status(401), |resource, scheme| resource.header("WWW-Authenticate", scheme))
    };
    let cases = [
        (wants(&["Negotiate"]), "has no secret (it asks for Negotiate; Negotiate is not spoken here)"),
        (
            wants(&["Negotiate", "NTLM, Basic realm=\"a, b\""]),
            "(it asks for Negotiate, NTLM, Basic; Negotiate and NTLM are not spoken here)",
        ),
        (wants(&["Bearer realm=\"r\""]), "has no secret (it asks for Bearer)"),
        (
            Resource::status(403).header("Content-Type", "application/xml"),
            "has no secret; the answer is application/xml, begins with \"403\"",
        ),
    ];
    for (resource, words) in cases {
        server.put("/list", resource);
        let error = expect_failure(fetch(&source(&server.url("/list"))).await, "AuthenticationFailed");
        assert!(error.to_string().contains(words), "{error}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_encoding_that_was_forced_on_is_undone() {
    let server = ImageServer::start();
    let list = b"MIME-Version: 1.0\n a list".repeat(5_000);
    let encoded = |name: &str, bytes: Vec<u8>| Resource::bytes(bytes).header("Content-Encoding", name);
    let cases = [
        encoded("gzip", gzip(&list)),
        encoded("x-gzip", gzip(&list)).chunked(),
        encoded("deflate", zlib(&list)).until_close(),
        encoded("identity", list.clone()),
        // Not true, or no encoding at all: some servers put anything there.
        encoded("gzip", list.clone()),
        encoded("UTF-8", list.clone()),
    ];
    for resource in cases {
        server.put("/list", resource.clone());
        assert_eq!(body(fetch(&source(&server.url("/list"))).await), list, "{resource:?}");
    }
    assert_eq!(server.all_requests()[0].headers["accept-encoding"], "identity");
    let whole = gzip(&list);
    server.put("/list", encoded("gzip", whole[..whole.len() - 9].to_vec()));
    let error = expect_failure(fetch(&source(&server.url("/list"))).await, "HTTPError");
    assert!(error.to_string().contains("expected what the Content-Encoding says"), "{error}");
}

#[tokio::test]
async fn an_encoded_answer_is_held_to_the_limit_that_its_bytes_have() {
    let server = ImageServer::start();
    let bomb = gzip(&vec![0; 8 << 20]);
    assert!(bomb.len() < 20_000);
    server.put("/list", Resource::bytes(bomb.clone()).header("Content-Encoding", "gzip"));
    let client = client(&ClientSettings::default());
    let source = source(&server.url("/list"));
    let error = expect_failure(client.fetch_list(&source, None, TIMEOUT, (8 << 20) - 1).await, "TooLarge");
    assert!(error.to_string().contains("found more"), "{error}");
    assert_eq!(body(client.fetch_list(&source, None, TIMEOUT, 8 << 20).await).len(), 8 << 20);
    // A bomb in a bomb is a document like any other.
    server.put("/list", Resource::bytes(gzip(&bomb)).header("Content-Encoding", "gzip"));
    assert_eq!(body(client.fetch_list(&source, None, TIMEOUT, 1 << 20).await), bomb);
}

#[tokio::test]
async fn what_came_instead_is_told() {
    let server = ImageServer::start();
    let page = b"<!DOCTYPE html>\n<title>Sign\x1b[2J in</title>".to_vec();
    let answer = |status: u16| {
        Resource::body(harness::image_server::Body::Bytes(page.clone().into()))
            .status_of(status)
            .header("Content-Type", "text/html; charset=utf-8")
    };
    server.put("/gone", answer(404));
    server.put("/login", answer(500));
    server.put("/list", Resource::redirect(302, "/login?SAMLRequest=s3cret"));
    let error = expect_failure(fetch(&source(&server.url("/gone"))).await, "HTTPError").to_string();
    let words = "404 Not Found; the answer is text/html; charset=utf-8, begins with \"<!DOCTYPE html> <title>Sign [2J in</title>\"";
    assert!(error.contains(words), "{error}");
    let error = expect_failure(fetch(&source(&server.url("/list"))).await, "HTTPError").to_string();
    assert!(error.contains(&format!("came by redirect from {}?…, begins", server.url("/login"))), "{error}");
    assert!(!error.contains("s3cret") && !error.contains('\x1b'), "{error}");
    server.put("/login", answer(200));
    let ListAnswer::Body { came, .. } = fetch(&source(&server.url("/list"))).await.unwrap() else { panic!("no body") };
    assert!(
        came.to_string().contains("came by redirect from") && came.to_string().contains("<!DOCTYPE html>"),
        "{came}"
    );
    // A body that never comes holds nothing up.
    server.put("/silent", answer(503).stall_after(0));
    let error = expect_failure(fetch(&source(&server.url("/silent"))).await, "HTTPError").to_string();
    assert!(error.ends_with("503 Service Unavailable; the answer is text/html; charset=utf-8"), "{error}");
}
