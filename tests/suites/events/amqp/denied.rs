//! What a broker does not allow, and brokers that are none.

use std::time::{Duration, Instant};

use harness::patience::until;
use harness::rabbitmq::RabbitMq;
use lapin::ExchangeKind;
use tokio::net::TcpListener;
use vmcatcher_operator::events::{AmqpSettings, Sink, SinkError};

use super::{available, credentials, declare, settings, sink, stopped};

/// The broker's words, where it denies the delivery.
async fn denied(settings: AmqpSettings) -> String {
    match stopped(settings).await {
        SinkError::Denied { found, .. } => found,
        other => panic!("expected Denied, found {other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_password_is_denied_until_the_file_has_the_right_one() {
    let broker = RabbitMq::shared().await;
    broker.add_user("login", "right-password", [".*", ".*", ".*"]);
    let folder = tempfile::tempdir().unwrap();
    let credentials_of = |password: &str| Some(credentials(folder.path(), "login", password));
    let settings = AmqpSettings { credentials: credentials_of("wrong-password"), ..settings(&broker, "login") };
    let mut sink = sink(settings);
    let delivery = sink.deliver(&available(1)).await;
    let error = delivery.stopped.expect("a reason");
    let text = error.to_string();
    assert!(matches!(error, SinkError::Denied { .. }), "{error:?}");
    assert!(text.contains("ACCESS_REFUSED") && !text.contains("password"), "{text}");
    assert!(text.contains(&format!("amqp://127.0.0.1:{}", broker.port)), "{text}");

    let _ = credentials_of("right-password");
    assert_eq!(sink.deliver(&available(1)).await.handled, 1);
}

#[tokio::test]
async fn a_missing_credentials_file_is_named() {
    let broker = RabbitMq::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let files = credentials(folder.path(), "guest", "guest");
    std::fs::remove_file(&files.password).unwrap();
    let path = files.password.clone();
    match stopped(AmqpSettings { credentials: Some(files), ..settings(&broker, "file") }).await {
        SinkError::File { path: found, .. } => assert_eq!(found, path),
        other => panic!("expected File, found {other:?}"),
    }
}

#[tokio::test]
async fn a_user_without_rights_on_the_exchange_is_denied() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "forbidden", ExchangeKind::Topic).await;
    broker.add_user("outsider", "n", ["^$", "^$", ".*"]);
    let folder = tempfile::tempdir().unwrap();
    let credentials = Some(credentials(folder.path(), "outsider", "n"));
    for declare in [true, false] {
        let settings = AmqpSettings { credentials: credentials.clone(), declare, ..settings(&broker, "forbidden") };
        let found = denied(settings).await;
        assert!(found.contains("access to exchange 'forbidden'"), "{found}");
    }
}

#[tokio::test]
async fn an_exchange_that_is_missing_or_of_another_type_is_denied() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "another-type", ExchangeKind::Fanout).await;
    let found = denied(settings(&broker, "another-type")).await;
    assert!(found.contains("inequivalent arg 'type'") && found.contains("fanout"), "{found}");
    let found = denied(AmqpSettings { declare: false, ..settings(&broker, "missing") }).await;
    assert!(found.contains("no exchange 'missing'"), "{found}");
    let found = denied(settings(&broker, &"e".repeat(256))).await;
    assert!(found.contains("at most 255 bytes"), "{found}");
}

#[tokio::test]
async fn a_missing_virtual_host_is_denied() {
    let broker = RabbitMq::shared().await;
    let url = format!("amqp://127.0.0.1:{}/nowhere", broker.port).parse().unwrap();
    let found = denied(AmqpSettings { url, ..settings(&broker, "nowhere") }).await;
    assert!(found.contains("vhost nowhere not found"), "{found}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let broker = RabbitMq::shared().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("amqp://{free}").parse().unwrap();
    let error = stopped(AmqpSettings { url, ..settings(&broker, "outsider") }).await;
    assert!(matches!(&error, SinkError::Unreachable { found, .. } if found.contains("refused")), "{error:?}");
}

/// How many connections to a port there are.
fn sockets_to(port: u16) -> usize {
    let hexadecimal = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let established = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() > 3 && words[2].ends_with(&hexadecimal) && words[3] == "01"
    };
    table.lines().filter(established).count()
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_after_the_timeout() {
    let broker = RabbitMq::shared().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for scheme in ["amqp", "amqps"] {
        let url = format!("{scheme}://{address}").parse().unwrap();
        let timeout = Duration::from_millis(300);
        let began = Instant::now();
        let error = stopped(AmqpSettings { url, timeout, ..settings(&broker, "silent") }).await;
        assert!(matches!(&error, SinkError::TimedOut { after, .. } if *after == timeout), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    until("no connection is left", async || sockets_to(address.port()) == 0).await;
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_is_unreachable() {
    let broker = RabbitMq::shared().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all("HTTP/1.1 400 \u{1b}[31mBad\r\n\r\n".repeat(100).as_bytes()).await.unwrap();
        socket
    });
    let error = stopped(AmqpSettings { url, ..settings(&broker, "web") }).await;
    let text = error.to_string();
    assert!(matches!(error, SinkError::Unreachable { .. }), "{error:?}");
    assert!(text.len() < 500 && !text.contains(char::is_control), "{text}");
    drop(serving.await.unwrap());
}
