//! The example consumer, which reads with another library.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::patience::until;
use harness::rabbitmq::RabbitMq;
use lapin::ExchangeKind;
use serde_json::Value;
use vmcatcher_operator::events::{EventType, Phase, Sink};

use super::{available, declare, event, settings, sink};

/// Where `tests/rabbitmq/get` put pika.
fn pika() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let pika = cache.expect("HOME is set").join("vmcatcher-operator/pika");
    assert!(pika.join("pika").is_dir(), "expected pika, found none: run tests/rabbitmq/get, which fetches it");
    pika
}

#[tokio::test]
async fn the_example_prints_each_event_it_asked_for_on_a_line() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "example", ExchangeKind::Topic).await;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hooks/consume-events");
    let mut command = Command::new("python3");
    command.arg(program).args(["--exchange", "example", "--queue", "example-consumer", "vmcatcher.Available.*"]);
    command.env("AMQP_URL", format!("amqp://guest:guest@127.0.0.1:{}/%2F", broker.port)).env("PYTHONPATH", pika());
    let mut consumer = command.stdout(Stdio::piped()).spawn().expect("python3 runs");
    until("the queue of the example has its consumer", async || {
        broker.ctl(&["list_queues", "name", "consumers"]).lines().any(|line| line == "example-consumer\t1")
    })
    .await;

    let (events, others) = (available(3), event(EventType::Expire, Phase::After, "another"));
    let sent = [vec![others], events.clone(), events[1..].to_vec()].concat();
    assert_eq!(sink(settings(&broker, "example")).deliver(&sent).await.handled, sent.len());
    let lines = BufReader::new(consumer.stdout.take().unwrap()).lines().take(3);
    let lines = tokio::task::spawn_blocking(|| lines.map(Result::unwrap).collect::<Vec<String>>()).await.unwrap();
    let printed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (event, printed) in events.iter().zip(&printed) {
        assert_eq!(printed["id"], event.id.to_string());
        assert_eq!(printed["data"]["object"]["name"], "alma");
    }
    until("all were acknowledged, also those that came twice", async || {
        let listed = broker.ctl(&["list_queues", "name", "messages"]);
        listed.lines().any(|line| line == "example-consumer\t0")
    })
    .await;
    consumer.kill().unwrap();
    consumer.wait().unwrap();
}
