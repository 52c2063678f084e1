//! The key of the signature and the token: read anew, checked, never shown.

use std::path::Path;

use vmcatcher_operator::events::{SinkError, WebhookSettings, WebhookSink};

use super::receiver::{Answer, Receiver};
use super::{SOURCE, Sink as _, event, is_whole, settings, stopped};

const TOKEN: &str = "eyJhbGciOi.s3cret-token~+/=";

fn sink_with(url: &str, key: Option<&Path>, token: Option<&Path>) -> WebhookSink {
    let (hmac_key, token) = (key.map(Path::to_owned), token.map(Path::to_owned));
    WebhookSink::new(WebhookSettings { hmac_key, token, ..settings(url) }, SOURCE.to_owned())
}

#[tokio::test]
async fn the_token_is_read_anew_and_no_message_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "the-old-one\n").unwrap();
    let echo = |status| Answer::Says(status, "", format!("no {TOKEN} for /?key=query-s3cret, nor query-s3cret"));
    let receiver = Receiver::start([Answer::status(200), echo(401), echo(422)]);
    let mut sink = sink_with(&receiver.url("/?key=query-s3cret"), None, Some(&file));
    assert!(is_whole(&sink.deliver(&[event(0)]).await, &[event(0)]));
    std::fs::write(&file, TOKEN).unwrap();
    let message = stopped(&mut sink).await;
    assert!(message.ends_with("refuses the delivery: status 401 Unauthorized: no … for /?…, nor …"), "{message}");
    let delivery = sink.deliver(&[event(0)]).await;
    assert_eq!(delivery.refused[0].1, "status 422 Unprocessable Entity: no … for /?…, nor …");
    let requests = receiver.requests();
    let found: Vec<_> = requests.iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    let new = format!("Bearer {TOKEN}");
    assert_eq!(found, ["Bearer the-old-one", &new, &new]);
    assert_eq!(receiver.connections(), 1, "another token is no reason for another connection");
}

#[tokio::test]
async fn a_file_that_is_no_key_or_token_is_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let (file, fifo) = (folder.path().join("secret"), folder.path().join("fifo"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let receiver = Receiver::start([Answer::status(200)]);
    let url = receiver.url("/");
    let keys = [
        ("s3cret-and-too-short\n", "expected a key of at least 24 bytes, found 20"),
        ("whsec_s3cret, but no base64 at all", "expected base64 after whsec_, found something else"),
        ("", "expected a key of at least 24 bytes, found 0"),
    ];
    let tokens = [
        ("s3cret with spaces", "expected a token of visible ASCII characters, found something else"),
        ("s3cret\r\nX-Other: header", "expected a token of visible ASCII characters, found something else"),
        ("s3crét", "expected a token of visible ASCII characters, found something else"),
        ("\n", "expected a token of visible ASCII characters, found something else"),
    ];
    let keys = keys.map(|case| (case, sink_with(&url, Some(&file), None)));
    let tokens = tokens.map(|case| (case, sink_with(&url, None, Some(&file))));
    for ((content, expected), mut sink) in keys.into_iter().chain(tokens) {
        std::fs::write(&file, content).unwrap();
        let message = stopped(&mut sink).await;
        assert_eq!(message, format!("cannot read {}: {expected}", file.display()));
    }
    std::fs::write(&file, vec![b'x'; 20_000]).unwrap();
    for (path, expected) in [
        (folder.path(), "expected a regular file, found a directory"),
        (&fifo, "expected a regular file, found a FIFO"),
        (&file, "expected at most 16384 bytes, found more"),
        (&folder.path().join("none"), "No such file or directory"),
    ] {
        for mut sink in [sink_with(&url, Some(path), None), sink_with(&url, None, Some(path))] {
            let delivery = sink.deliver(&[event(0)]).await;
            let error = delivery.stopped.unwrap();
            assert!(matches!(error, SinkError::File { .. }) && error.to_string().contains(expected), "{error}");
        }
    }
    assert_eq!(receiver.connections(), 0);
}
