//! Lists over HTTP/2: as over HTTP/1.1, and over HTTP/1.1 where HTTP/2 fails.

use std::time::Duration;

use h2::Reason;
use harness::http2_server::{Act, Asked, Http2Server};
use harness::image_server::{Body, ServerCertificate};
use vmcatcher_operator::fetch::{
    Client, ClientIdentity, ClientSettings, Credentials, FetchError, LIST_LIMIT, ListAnswer, Source, TlsSettings,
};

const TIMEOUT: Duration = Duration::from_secs(20);
const SIZE: usize = 300_000;

fn client() -> Client {
    Client::new(&ClientSettings::default()).unwrap()
}

fn source(certificate: &ServerCertificate, url: &str) -> Source {
    let tls = TlsSettings::Own { ca_pem: Some(certificate.authority_pem()), identity: None };
    Source { tls, ..Source::public(url.parse().unwrap()) }
}

fn list() -> Body {
    Body::Pattern { seed: 1, size: SIZE as u64 }
}

async fn fetch(client: &Client, source: &Source) -> Result<Vec<u8>, FetchError> {
    match client.fetch_list(source, None, TIMEOUT, LIST_LIMIT).await? {
        ListAnswer::Body { document, .. } => Ok(document.read().unwrap()),
        ListAnswer::NotModified { .. } => panic!("no condition was sent"),
    }
}

fn protocols(asked: &[Asked]) -> Vec<&'static str> {
    asked.iter().map(|asked| if asked.http2 { "2" } else { "1.1" }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_a_server_share_a_connection() {
    let certificate = ServerCertificate::generate();
    let server = Http2Server::start(&certificate).await;
    let client = client();
    server.put("/list", list(), &[Act::Whole]);
    server.put("/unmeasured", list(), &[Act::Unmeasured]);
    server.put("/moved", list(), &[Act::Redirect("/list".to_owned())]);
    for path in ["/list", "/unmeasured", "/moved"] {
        assert_eq!(fetch(&client, &source(&certificate, &server.url(path))).await.unwrap(), list().to_vec(), "{path}");
    }
    let source = source(&certificate, &server.url("/list"));
    let first = client.fetch_list(&source, None, TIMEOUT, LIST_LIMIT).await.unwrap();
    let ListAnswer::Body { validator, .. } = first else { panic!("{first:?}") };
    let again = client.fetch_list(&source, validator.as_ref(), TIMEOUT, LIST_LIMIT).await.unwrap();
    assert!(matches!(again, ListAnswer::NotModified { .. }));
    for (path, limit, reason) in [("/none", LIST_LIMIT, "HTTPError"), ("/list", 1000, "TooLarge")] {
        let source = self::source(&certificate, &server.url(path));
        let error = client.fetch_list(&source, None, TIMEOUT, limit).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
    }
    let source = self::source(&certificate, &server.url("/unmeasured"));
    let error = client.fetch_list(&source, None, TIMEOUT, 1000).await.unwrap_err();
    assert_eq!(error.reason(), "TooLarge", "{error}");
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.http2 && asked.connection == 1), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_its_head_is_asked_for_again_over_http1() {
    // An act, and the protocols of it and of the next list.
    let cases = [
        (Act::Refuse(Reason::REFUSED_STREAM), ["2", "1.1", "2"]),
        (Act::GoAway(None, Reason::NO_ERROR), ["2", "1.1", "2"]),
        (Act::Die(None), ["2", "1.1", "2"]),
        (Act::Refuse(Reason::HTTP_1_1_REQUIRED), ["2", "1.1", "1.1"]),
        (Act::GoAway(None, Reason::ENHANCE_YOUR_CALM), ["2", "1.1", "2"]),
        (Act::Refuse(Reason::PROTOCOL_ERROR), ["2", "1.1", "1.1"]),
        (Act::LargeHead(100_000), ["2", "1.1", "1.1"]),
    ];
    let certificate = ServerCertificate::generate();
    for (act, expected) in cases {
        let server = Http2Server::start(&certificate).await;
        server.put("/list", list(), &[act.clone(), Act::Whole]);
        let (client, source) = (client(), source(&certificate, &server.url("/list")));
        for _ in 0..2 {
            assert_eq!(fetch(&client, &source).await.unwrap(), list().to_vec(), "{act:?}");
        }
        assert_eq!(protocols(&server.asked()), expected, "{act:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_is_no_list() {
    let cases = [
        (Act::Reset(SIZE / 2, Reason::INTERNAL_ERROR), "INTERNAL_ERROR", "1.1"),
        (Act::Reset(SIZE / 2, Reason::NO_ERROR), "ended it before its end", "2"),
        (Act::ResetUnmeasured(SIZE / 2, Reason::NO_ERROR), "ended it before its end", "2"),
        (Act::ResetUnmeasured(SIZE / 2, Reason::CANCEL), "CANCEL", "1.1"),
        (Act::GoAway(Some(SIZE / 2), Reason::ENHANCE_YOUR_CALM), "the connection with HTTP/2 failed", "2"),
        (Act::Die(Some(SIZE / 2)), "", "2"),
    ];
    let certificate = ServerCertificate::generate();
    for (act, told, next) in cases {
        let server = Http2Server::start(&certificate).await;
        server.put("/list", list(), &[act.clone(), Act::Whole]);
        let (client, source) = (client(), source(&certificate, &server.url("/list")));
        let error = fetch(&client, &source).await.unwrap_err();
        assert_eq!(error.reason(), "HTTPError", "{act:?}: {error}");
        assert!(error.to_string().contains(told) && error.to_string().len() < 300, "{act:?}: {error}");
        assert_eq!(fetch(&client, &source).await.unwrap(), list().to_vec(), "{act:?}");
        assert_eq!(protocols(&server.asked()), ["2", next], "{act:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lists_at_once_share_a_connection_or_have_their_own_and_one_that_is_cut_takes_no_other_with_it() {
    let certificate = ServerCertificate::generate();
    let server = Http2Server::start(&certificate).await;
    let client = client();
    server.put("/list", list(), &[Act::Whole]);
    server.put("/cut", list(), &[Act::GoAway(None, Reason::NO_ERROR)]);
    let mut fetches = Vec::new();
    for number in 0..60 {
        let path = if number % 20 == 7 { "/cut" } else { "/list" };
        let (client, source) = (client.clone(), source(&certificate, &server.url(path)));
        fetches.push(tokio::spawn(async move { (path, fetch(&client, &source).await) }));
    }
    for fetched in fetches {
        match fetched.await.unwrap() {
            (_, Ok(bytes)) => assert_eq!(bytes, list().to_vec()),
            // Its bytes were on the way when the connection ended.
            (path, Err(error)) => assert_eq!((path, error.reason()), ("/list", "HTTPError"), "{error}"),
        }
    }
    assert_eq!(fetch(&client, &source(&certificate, &server.url("/list"))).await.unwrap(), list().to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_client_certificates_stay_with_their_server() {
    let certificate = ServerCertificate::generate().with_client_certificates();
    let (own, other) = (Http2Server::start(&certificate).await, Http2Server::start(&certificate).await);
    let (certificate_pem, key) = certificate.client_pem();
    let identity = Some(ClientIdentity { certificate_pem, key_pem: key.into() });
    let tls = TlsSettings::Own { ca_pem: Some(certificate.authority_pem()), identity };
    let credentials = Some(Credentials::basic("user", "s3cret"));
    let source = Source { tls, credentials, ..Source::public(own.url("/list").parse().unwrap()) };
    let client = client();
    own.put("/list", list(), &[Act::Whole, Act::Redirect(other.url("/list"))]);
    other.put("/list", list(), &[Act::Whole]);
    assert_eq!(fetch(&client, &source).await.unwrap(), list().to_vec());
    assert!(own.asked()[0].http2 && own.asked()[0].authorization.is_some());
    // The other has the same names in its certificate, and refuses who shows none.
    let error = fetch(&client, &source).await.unwrap_err();
    assert!(["TLSError", "HTTPError"].contains(&error.reason()), "{error}");
    assert!(other.asked().is_empty(), "{:?}", other.asked());

    let certificate = ServerCertificate::generate();
    let (own, other) = (Http2Server::start(&certificate).await, Http2Server::start(&certificate).await);
    own.put("/list", list(), &[Act::Redirect(other.url("/list"))]);
    other.put("/list", list(), &[Act::Whole]);
    let credentials = Some(Credentials::basic("user", "s3cret"));
    let source = Source { credentials, ..self::source(&certificate, &own.url("/list")) };
    assert_eq!(fetch(&client, &source).await.unwrap(), list().to_vec());
    assert!(own.asked()[0].authorization.is_some() && other.asked()[0].authorization.is_none());
}
