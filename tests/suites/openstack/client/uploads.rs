//! Uploads: streamed, stopped in time, and reported by the server's own answer.

use std::io::{Seek as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::patience::until;
use tokio::fs::File;
use tokio::time::Instant;
use vmcatcher_operator::cloud::LeadershipGuard;
use vmcatcher_operator::openstack::{Client, OpenStackError};

use super::server::{Act, ID, Life, Server, http};

/// More than the buffers of both sockets hold.
const LARGE: u64 = 32 << 20;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    File::from_std(file)
}

fn large_file() -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(LARGE).unwrap();
    File::from_std(file)
}

async fn upload(client: &Client, file: File, size: u64) -> (Result<(), OpenStackError>, u64) {
    let sent = Arc::new(AtomicU64::new(7));
    let result = client.upload(ID.parse().unwrap(), file, size, Arc::clone(&sent)).await;
    (result, sent.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_whole_with_its_length() {
    let server = Server::start(|_| Act::Answer(http("204 No Content", "")));
    for size in [1, 256 << 10, (256 << 10) + 1, 3_000_000] {
        let bytes: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let (result, sent) = upload(&server.client(), file_of(&bytes), u64::try_from(size).unwrap()).await;
        result.unwrap();
        let request = server.calls().pop().unwrap();
        assert!(request.body == bytes, "{size}");
        assert_eq!(sent, u64::try_from(size).unwrap());
        assert_eq!(request.line(), format!("PUT /image/v2/images/{ID}/file"));
        let length = size.to_string();
        for name in ["content-length", "x-openstack-image-size"] {
            assert_eq!(request.header(name), Some(length.as_str()), "{name}");
        }
        assert_eq!(request.header("content-type"), Some("application/octet-stream"));
        assert_eq!(request.header("transfer-encoding"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_reported_and_not_the_connection_that_it_closes() {
    let cases = [
        ("401 Unauthorized", "Unauthorized"),
        ("403 Forbidden", "Forbidden"),
        ("409 Conflict", "Conflict"),
        ("413 Request Entity Too Large", "QuotaExceeded"),
        ("415 Unsupported Media Type", "FormatRefused"),
    ];
    for (status, outcome) in cases {
        for (read, is_open) in [(0, false), (300_000, false), (0, true), (300_000, true)] {
            let answer = http(status, &format!("{status}\n\nThe words of Glance\n\n   "));
            let server = Server::start(move |_| {
                if is_open { Act::EarlyOpen(read, answer.clone()) } else { Act::Early(read, answer.clone()) }
            });
            let client = server.client();
            until(&format!("{outcome} after {read} bytes"), async || {
                let (result, sent) = upload(&client, large_file(), LARGE).await;
                let error = result.unwrap_err();
                assert!(sent < LARGE, "{sent}");
                if error.outcome() == outcome {
                    assert!(error.to_string().ends_with("The words of Glance"), "{error}");
                    return true;
                }
                // A reset that comes in the middle of a write hides the answer. Only a closed connection is reset.
                assert!(!is_open && matches!(error, OpenStackError::UploadBroken { .. }), "{error}");
                false
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_before_the_end_is_none() {
    let server = Server::start(|_| Act::EarlyOpen(300_000, http("204 No Content", "")));
    let error = upload(&server.client(), large_file(), LARGE).await.0.unwrap_err();
    assert!(matches!(error, OpenStackError::NotOpenStack { .. }), "{error:?}");
    assert!(error.to_string().contains("expected an answer after the whole image"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_reported_with_how_far_it_came() {
    let server = Server::start(|_| Act::Close(1_000_000));
    let (result, sent) = upload(&server.client(), large_file(), LARGE).await;
    let error = result.unwrap_err();
    assert!(matches!(error, OpenStackError::UploadBroken { size: LARGE, .. }), "{error:?}");
    assert!(error.may_be_done() && !error.ends_the_pass(), "{error}");
    assert!((1_000_000..LARGE).contains(&sent), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_does_not_move_ends_in_its_time() {
    // The first never reads on; the second reads all and never answers.
    for (read, size) in [(1, LARGE), (1000, 1000)] {
        let server = Server::start(move |_| Act::Hold(read));
        let mut connection = server.connection();
        connection.timeouts.stall = Duration::from_millis(600);
        connection.timeouts.finish = Duration::from_millis(600);
        let file = if size == LARGE { large_file() } else { file_of(&[0; 1000]) };
        let (result, _) = upload(&Client::new(connection).unwrap(), file, size).await;
        let error = result.unwrap_err();
        assert!(matches!(error, OpenStackError::TimedOut { .. }), "{error:?}");
        assert!(error.to_string().contains("within 600 ms"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_size_is_never_sent_to_its_end() {
    let server = Server::start(|_| Act::Answer(http("204 No Content", "")));
    let bytes = vec![1; 600_000];
    let cases =
        [(600_001, "found 600000 bytes"), (599_999, "found more bytes"), (10, "found more bytes"), (0, "an empty one")];
    for (size, expected) in cases {
        let (result, sent) = upload(&server.client(), file_of(&bytes), size).await;
        let error = result.unwrap_err();
        assert!(matches!(error, OpenStackError::File { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(sent < size.max(8), "{sent}");
    }
    until("each request to be over", async || server.calls().len() == 3).await;
    for request in server.calls() {
        let length: usize = request.header("content-length").unwrap().parse().unwrap();
        assert!(request.body.len() < length, "{} of {length}", request.body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_stopped_without_a_permit() {
    let server = Server::start(|_| Act::Hold(1_000_000));
    let permit = LeadershipGuard::to_extend();
    permit.extend(Instant::now() + Duration::from_mins(10));
    let client = server.client().with_permit(permit.clone());
    let sent = Arc::new(AtomicU64::new(0));
    let upload = client.upload(ID.parse().unwrap(), large_file(), LARGE, Arc::clone(&sent));
    let end = async {
        until("a part of it to be sent", async || sent.load(Ordering::SeqCst) >= 1_000_000).await;
        permit.end();
    };
    let (result, ()) = tokio::join!(upload, end);
    assert!(matches!(result, Err(OpenStackError::NotLeading { .. })), "{result:?}");
    assert!(sent.load(Ordering::SeqCst) < LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_begins_with_a_token_that_has_half_of_its_life() {
    let life = || Life { expires_at: "2001-01-01T00:00:04.000000Z", ..Life::default() }.answer();
    let server = Server::with_keystone(move |_| life(), |_| Act::Answer(http("204 No Content", "")));
    let client = server.client();
    until("an upload with a second token", async || {
        upload(&client, file_of(b"x"), 1).await.0.unwrap();
        server.logins() == 2
    })
    .await;
    let calls = server.calls();
    assert_eq!((calls[0].token(), calls.last().unwrap().token()), ("token-1", "token-2"));
}
