//! Tokens: asked for once, renewed in time and after a 401, and never shown.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use harness::patience::until;
use vmcatcher_operator::openstack::{Client, OpenStackError};

use super::server::{Act, ID, Life, Request, SECRET, Server, http, image};

fn show() -> Act {
    Act::Answer(http("200 OK", &image(ID).to_string()))
}

fn unauthorized() -> Act {
    Act::Answer(http("401 Unauthorized", "401 Unauthorized\n\nThis server could not verify\n\n   "))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_log_in_once() {
    let server = Server::start(|_| show());
    let client = server.client();
    let calls = join_all((0..50).map(|_| client.image(ID.parse().unwrap()))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    assert_eq!((server.logins(), server.calls().len()), (1, 50));
    assert!(server.calls().iter().all(|call| call.token() == "token-1" && call.line().contains("/image/v2/images/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_tried_once_however_many_wait() {
    // Its log-in answers when all others wait.
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Mutex::new(receiver);
    let body = r#"{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}"#;
    let keystone = move |_| {
        let _ = receiver.lock().unwrap().recv();
        http("401 UNAUTHORIZED", body)
    };
    let server = Server::with_keystone(keystone, |_| show());
    let client = server.client();
    let calls = join_all((0..50).map(|_| client.session()));
    // All are polled, in order, before the sender is: so they wait for the first one.
    let (calls, ()) = tokio::join!(calls, async { drop(sender) });
    assert_eq!(server.logins(), 1);
    for error in calls.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, OpenStackError::LoginRefused(_)), "{error:?}");
        let expected = "POST /v3/auth/tokens: http://127.0.0.1";
        assert!(
            error.to_string().contains(expected) && error.to_string().contains("requires authentication"),
            "{error}"
        );
    }
    client.session().await.unwrap_err();
    assert_eq!(server.logins(), 2, "a later call tries again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_accepted_any_more_is_renewed_once_for_all() {
    let server = Server::start(|request| if request.token() == "token-1" { unauthorized() } else { show() });
    let client = server.client();
    client.session().await.unwrap();
    let calls = join_all((0..20).map(|_| client.image(ID.parse().unwrap()))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    assert_eq!(server.logins(), 2);
    let server = Server::start(|_| unauthorized());
    let error = server.client().image(ID.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OpenStackError::Unauthorized(_)), "{error:?}");
    assert!(error.to_string().ends_with("answered 401: This server could not verify"), "{error}");
    assert_eq!((server.logins(), server.calls().len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_expires_whatever_the_clock_of_keystone_says() {
    let life = || Life { expires_at: "2001-01-01T00:00:02.000000Z", ..Life::default() }.answer();
    let server = Server::with_keystone(move |_| life(), |_| show());
    let client = server.client();
    client.image(ID.parse().unwrap()).await.unwrap();
    client.image(ID.parse().unwrap()).await.unwrap();
    assert_eq!(server.logins(), 1);
    until("a second log-in", async || {
        client.image(ID.parse().unwrap()).await.unwrap();
        server.logins() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_keystone_is_named_and_a_broken_connection_is_tried_again() {
    let cases = [
        (http("200 OK", "<html>welcome</html>"), "expected a token in the header X-Subject-Token"),
        (http("300 Multiple Choices", "{}"), "found 300: "),
        (http("302 Found", ""), "found 302: "),
        (http("404 Not Found", "<html><body>nothing here</body></html>"), "found 404: nothing here"),
        (b"\xff\xfe\r\n\r\n".iter().map(|_| b'?').collect(), "no answer from"),
        (http("503 Service Unavailable", "busy"), "a fault of the server: POST /v3/auth/tokens"),
        (
            http("404 Not Found", r#"{"error":{"code":404,"message":"Could not find Application Credential: 81cc."}}"#),
            "expected Keystone to accept the credentials",
        ),
    ];
    for (answer, expected) in cases {
        let server = Server::with_keystone(move |_| answer.clone(), |_| show());
        let error = server.client().session().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let tries = AtomicUsize::new(0);
    let keystone =
        move |_| if tries.fetch_add(1, Ordering::SeqCst) == 0 { Vec::new() } else { Life::default().answer() };
    let server = Server::with_keystone(keystone, |_| show());
    assert_eq!(server.client().session().await.unwrap().project_id, "532012dc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_and_a_token_are_never_shown() {
    let echo = |request: &Request| {
        Act::Answer(http("400 Bad Request", &format!("cannot read {} with {SECRET}-not", request.token())))
    };
    let server = Server::start(echo);
    let client = server.client();
    let error = client.image(ID.parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("cannot read (hidden) with"), "{error}");
    let session = client.session().await.unwrap();
    let refusing = Server::with_keystone(
        |_| http("400 Bad Request", &format!("{{\"message\": \"what is {SECRET}?\"}}")),
        |_| show(),
    );
    let refused = refusing.client().session().await.unwrap_err();
    assert!(refused.to_string().ends_with("what is (hidden)?"), "{refused}");
    let mut connection = server.connection();
    connection.auth_url = format!("http://ann:{SECRET}@keystone.example.org").parse().unwrap();
    let misused = Client::new(connection).unwrap_err();
    let shown = [
        format!("{client:?} {session:?} {:?}", server.connection()),
        format!("{error:?}").replace(&format!("{SECRET}-not"), ""),
        format!("{refused:?} {misused} {misused:?}"),
    ];
    for text in shown {
        assert!(!text.contains(SECRET) && !text.contains("token-1"), "{text}");
    }
}
