//! What a list, a server or a manifest may try: `tests/attacks/` holds the texts.

use std::fmt::Write as _;

use harness::image_server::{ImageServer, Resource};
use vmcatcher_operator::cache::{Keep, SafeName, StatePath};
use vmcatcher_operator::fetch::Credentials;
use vmcatcher_operator::imagelist::{ImageId, SourceUrl};

use super::*;

fn lines(attack: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks").join(attack);
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// The original handed `hv:uri` to a shell.
#[tokio::test(flavor = "multi_thread")]
async fn shell_text_in_an_address_is_an_address() {
    let server = ImageServer::start();
    let resource = Resource::pattern(1, 10_000);
    for uri in lines("uri-shell-text/uris") {
        let path = uri.split('?').next().unwrap();
        server.put(path, resource.clone());
        let site = Site::new();
        let url: SourceUrl = server.url(&uri).parse().unwrap();
        let asked = url.url()[url::Position::BeforePath..].to_owned();
        server.put(&asked, resource.clone());
        let mut wanted = request(&server, "/", &resource);
        wanted.source = Source::public(url);
        let before = files(Path::new(".")).len();
        site.download(wanted).await.unwrap();
        assert_eq!(server.all_requests().pop().unwrap().target, asked, "the whole address is asked for");
        assert_eq!(files(Path::new(".")).len(), before, "nothing was run");
        let strange: Vec<_> = files(site.path()).into_iter().filter(|path| path.ends_with("x")).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }
}

/// The original copied any local file that an endorser named, and a pod's neighbours are on loopback and link-local.
#[tokio::test(flavor = "multi_thread")]
async fn images_come_from_the_network_only_and_never_from_where_no_image_is() {
    let server = ImageServer::start();
    let resource = Resource::pattern(1, 10_000);
    server.put("/a.img", resource.clone());
    server.put("/local", Resource::redirect(302, "file:///etc/passwd"));
    server.put("/metadata", Resource::redirect(302, "http://169.254.169.254/latest/meta-data"));
    let in_cluster = ClientSettings { deny_loopback: true, allow_files: true, ..ClientSettings::default() };
    let outside = ClientSettings { deny_loopback: false, ..in_cluster.clone() };
    let cases = [
        ("file:///etc/passwd".to_owned(), &outside, "expected http or https, found file"),
        (server.url("/local"), &outside, "found one to file"),
        (server.url("/metadata"), &outside, "(link-local)"),
        ("http://[::ffff:169.254.169.254]/".to_owned(), &outside, "(link-local)"),
        (server.url("/a.img"), &in_cluster, "(loopback)"),
        (server.url_at("localhost", "/a.img"), &in_cluster, "(loopback)"),
    ];
    for (url, settings, expected) in cases {
        let site = Site::with(quick(), settings);
        let mut wanted = request(&server, "/a.img", &resource);
        wanted.source = Source::public(url.parse().unwrap());
        let error = site.download(wanted).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{url}: {error}");
        assert!(site.partials().is_empty(), "{url}");
    }
    assert!(server.requests("/a.img").is_empty());
}

/// The original wrote to `dc:identifier` as a path.
#[test]
fn paths_are_no_identifiers_and_no_names() {
    for text in lines("identifier-path/identifiers") {
        assert!(text.parse::<ImageId>().is_err(), "{text:?}");
        assert!(text.parse::<SafeName>().is_err(), "{text:?}");
        assert!(StatePath::new([text.as_str()]).is_err(), "{text:?}");
    }
}

/// Passwords were in the original's database, output and process list.
#[tokio::test]
async fn credentials_are_in_no_error_no_log_and_no_file() {
    const SECRETS: [&str; 4] = ["s3cret-user", "s3cret-word", "s3cret-token", "s3cret-query"];
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // While there is only one, tracing asks the thread that logs first whether anybody listens, and keeps the answer:
    // that thread may be another test's.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = ImageServer::start();
    let other = ImageServer::start();
    let resource = Resource::pattern(1, 10_000);
    let paths: [(&str, Resource); 6] = [
        ("/401", Resource::status(401)),
        ("/404", Resource::status(404)),
        ("/cut", resource.clone().cut_every(0)),
        ("/silent", Resource::silent()),
        ("/other", Resource::pattern(2, 10_000)),
        ("/elsewhere", Resource::redirect(302, &other.url("/gone?signature=s3cret-query"))),
    ];
    let site = Site::with(JobLimits { tries: 1, ..quick() }, &impatient());
    let mut said = String::new();
    for (path, answer) in paths {
        server.put(path, answer);
        for credentials in [
            Credentials::basic("s3cret-user", "s3cret-word"),
            Credentials::bearer("s3cret-token"),
            Credentials::token("s3cret-token"),
            Credentials::bearer("s3cret-token\n"),
        ] {
            let mut wanted = with_credentials(request(&server, path, &resource), credentials);
            wanted.source.url = format!("{}?signature=s3cret-query", server.url(path)).parse().unwrap();
            write!(said, "{wanted:?} ").unwrap();
            let error = site.download(wanted).await.unwrap_err();
            writeln!(said, "{error} {error:?}").unwrap();
        }
    }
    let written: Vec<String> = files(site.path())
        .iter()
        .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
        .collect();
    let logged = log.text();
    assert!(logged.contains("image was not fetched"), "the log was listened to: {logged}");
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in {said}");
        assert!(!logged.contains(secret), "{secret} in the log");
        assert!(!written.iter().any(|text| text.contains(secret)), "{secret} on the volume");
    }
    let others = other.all_requests();
    assert!(!others.is_empty() && others.iter().all(|request| !request.headers.contains_key("authorization")));
}

/// A list may name the digest of another namespace's private image: that is no right to its bytes.
#[tokio::test(flavor = "multi_thread")]
async fn knowing_a_digest_is_no_right_to_a_private_image() {
    let server = ImageServer::start();
    let private = Resource::pattern(1, 50_000);
    server.put("/private.img", private.clone().bearer("t0ken"));
    server.put("/nothing.img", Resource::status(404));
    server.put("/of-that-size.img", Resource::pattern(2, 50_000));
    let site = Site::new();
    let theirs = with_credentials(request(&server, "/private.img", &private), Credentials::bearer("t0ken"));
    let blob = site.download(theirs.clone()).await.unwrap();
    let other: SafeName = "other".parse().unwrap();
    let attempt = |path: &str| DownloadRequest { namespace: other.clone(), ..request(&server, path, &private) };
    for path in ["/private.img", "/nothing.img", "/of-that-size.img"] {
        assert!(site.download(attempt(path)).await.is_err(), "{path}");
        assert_eq!(site.volume.blob_for(&other, blob.digest()).unwrap(), None, "{path}");
    }
    assert_eq!(site.volume.blob_for(&theirs.namespace, blob.digest()).unwrap().as_ref(), Some(&blob));
    let allowed = DownloadRequest { namespace: other.clone(), ..theirs.clone() };
    assert_eq!(site.download(allowed).await.unwrap(), blob, "the bytes are there once");
    assert_eq!(site.volume.blob_for(&other, blob.digest()).unwrap(), Some(blob.clone()));
    let site = site.restarted().await;
    let asked = server.all_requests().len();
    assert_eq!(site.download(theirs).await.unwrap(), blob);
    assert_eq!(server.all_requests().len(), asked, "a right outlives the run");
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1000);
    site.volume.collect_garbage(&Keep::default(), later).unwrap();
    assert!(names(&site.path().join("state/rights/other")).is_empty(), "and ends with the blob");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
