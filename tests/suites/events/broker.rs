//! The whole program with a broker that is away during a run, refuses, and comes back.

use std::process::Output;

use harness::rabbitmq::{Queue, RabbitMq};
use harness::site::Site;
use serde_json::Value;

const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";

fn configure(site: &Site, url: &str, password: &str) {
    let file = |name: &str, text: &str| {
        let path = site.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (username, password) = (file("username", "guest"), file("password", password));
    let configuration = format!(
        "events:\n  sinks:\n  - name: broker\n    events: [Available, Expire, ListAccepted]\n    amqp: {{url: '{url}', exchange: \
         outage, declare: true, usernameFile: {username}, passwordFile: {password}}}\n"
    );
    file("configuration.yaml", &configuration);
}

fn run(site: &Site) -> Output {
    let configuration = site.path("configuration.yaml");
    let arguments = ["--once", "--config", configuration.to_str().unwrap()];
    crate::reconcile::process::operator(site, &arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn arrived(queue: &Queue) -> Vec<String> {
    let messages = queue.take_all().await;
    let events = messages.iter().map(|message| serde_json::from_slice::<Value>(&message.delivery.data).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .map(|event| format!("{} {}", text(&event["data"]["event"]), text(&event["data"]["image"]["version"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_or_refuses_gets_every_event_in_the_end() {
    let broker = RabbitMq::alone().await;
    let site = Site::new();
    let url = format!("amqp://127.0.0.1:{}", broker.port);
    // The first run declares the exchange, so that the queue can be bound to it.
    configure(&site, &url, "guest");
    let first = site.serve(ONE, "1", 1, 20_000);
    site.publish(&site.list("1.0", &[&first]));
    let unbound = run(&site);
    assert!(unbound.status.success() && told(&unbound).contains("no queue is bound"), "{}", told(&unbound));
    let queue = Queue::bound(&broker, "outage", "#", &[]).await;

    broker.kill();
    let second = site.serve(ONE, "2", 2, 20_000);
    site.publish(&site.list("2.0", &[&second]));
    let away = run(&site);
    assert!(away.status.success(), "{}", told(&away));
    assert!(
        told(&away).contains("events wait in the spool") && told(&away).contains("cannot reach"),
        "{}",
        told(&away)
    );
    assert_eq!(site.shelf("endorsed"), [second.entry()], "the run is as good as with a broker");
    drop(queue);

    broker.start();
    configure(&site, &url, "wrong");
    let third = site.serve(ONE, "3", 3, 20_000);
    site.publish(&site.list("3.0", &[&third]));
    let refused = run(&site);
    assert!(refused.status.success(), "{}", told(&refused));
    assert!(told(&refused).contains("refuses the delivery"), "{}", told(&refused));

    configure(&site, &url, "guest");
    let queue = Queue::bound(&broker, "outage", "#", &[]).await;
    assert!(run(&site).status.success());
    let expected = ["ListAccepted ", "Expire 1", "Available 2", "ListAccepted ", "Expire 2", "Available 3"];
    assert_eq!(arrived(&queue).await, expected);
    assert!(run(&site).status.success());
    assert_eq!(arrived(&queue).await, [""; 0], "none a second time");
}
