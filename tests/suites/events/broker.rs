//! The whole program with a broker: it is away during a run, refuses, and comes back; progress is followed through it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use harness::image_server::Resource;
use harness::patience::until;
use harness::rabbitmq::{Queue, RabbitMq};
use harness::site::Site;
use rustix::process::{Pid, Signal, kill_process};
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

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_followed_through_a_broker() {
    let broker = RabbitMq::shared().await;
    let site = Site::new();
    let file = site.path("configuration.yaml");
    let configuration = format!(
        "events:\n  sinks:\n  - name: broker\n    phases: [progress]\n    amqp: {{url: 'amqp://127.0.0.1:{}', exchange: \
         followed, declare: true}}\n",
        broker.port
    );
    std::fs::write(&file, configuration).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_operator"));
    let mut monitor =
        program.args(["progress", "--sink", "broker", "--config"]).arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    until("the monitor has a queue", async || {
        broker.ctl(&["list_bindings", "source_name", "routing_key"]).contains("followed\tvmcatcher.*.progress")
    })
    .await;

    let bytes = 3 << 20;
    let served = site.serve_as(ONE, "1", Resource::pattern(1, bytes).rate(1 << 20));
    site.publish(&site.list("1.0", &[&served]));
    let ran = run(&site);
    assert!(ran.status.success(), "{}", told(&ran));

    let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut running = 0;
    for line in lines {
        assert_eq!(
            (&line["event"], &line["name"], &line["total"]),
            (&"Download".into(), &ONE.into(), &bytes.into()),
            "{line}"
        );
        if line["state"] == "ended" {
            break;
        }
        running += 1;
    }
    assert!(running > 0, "no line before the end");
    kill_process(Pid::from_child(&monitor), Signal::INT).unwrap();
    assert!(monitor.wait().unwrap().success());
}
