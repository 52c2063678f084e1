//! What the delivery of events costs: 20,000 events through the spool to RabbitMQ and to a webhook, beside the same
//! events through the spool to a sink that does nothing. Run with `cargo bench -p vmcatcher-tests --bench sinks`.
//! RabbitMQ is the one of `tests/rabbitmq/get`.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "figures are printed for people")]

mod sample;

use std::fs;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use harness::rabbitmq::{Queue, RabbitMq};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;
use vmcatcher_operator::events::{
    AmqpSettings, AmqpSink, ClientTls, ContentMode, Delivery, Event, EventFilter, EventType, Phase, Sink, SinkName,
    SinkStates, Spool, WebhookSettings, WebhookSink, deliver,
};

use self::sample::event;

const EVENTS: usize = 20_000;
const LIMIT: u64 = 256 * 1024 * 1024;

struct Nothing;

impl Sink for Nothing {
    async fn deliver(&mut self, events: &[Event]) -> Delivery {
        Delivery { handled: events.len(), ..Delivery::default() }
    }
}

/// Resident memory of this process, in MiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Seconds that all events need from the first append to the last delivery.
async fn through(name: &str, mut sink: impl Sink + 'static) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let filter = EventFilter { types: EventType::ALL.into(), phases: [Phase::After].into() };
    let sinks = [(SinkName::new("sink").unwrap(), filter)];
    let spool = Spool::open(&folder.path().join("spool"), LIMIT, &sinks).unwrap();
    let mut reader = spool.reader(&sinks[0].0).unwrap();
    let (stop, states) = (CancellationToken::new(), SinkStates::default());
    let (began, cpu_before, before) = (Instant::now(), cpu(), memory());
    let delivering = {
        let (states, stop) = (states.clone(), stop.clone());
        tokio::spawn(async move { deliver(&mut reader, &mut sink, &states, Duration::ZERO, &stop).await })
    };
    let writer = {
        let spool = spool.clone();
        tokio::task::spawn_blocking(move || {
            for first in (0..EVENTS).step_by(20) {
                spool.append(&(first..first + 20).map(event).collect::<Vec<_>>()).unwrap();
            }
        })
    };
    writer.await.unwrap();
    let mut most = memory();
    while states.of(&sinks[0].0).delivered < EVENTS as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        most = most.max(memory());
    }
    let seconds = began.elapsed().as_secs_f64();
    stop.cancel();
    delivering.await.unwrap();
    let cpu = cpu().saturating_sub(cpu_before).as_secs_f64();
    let rate = f64::from(u32::try_from(EVENTS).unwrap()) / seconds;
    println!(
        "{name}: {:.0} events a minute ({rate:.0} a second), {:.0} % of a core, RSS {before} MiB before, {most} MiB at most",
        rate * 60.0,
        cpu / seconds * 100.0,
    );
    seconds
}

#[tokio::main]
async fn main() {
    let baseline = through("spool alone", Nothing).await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let app = Router::new().route("/", post(async || StatusCode::NO_CONTENT));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let settings = WebhookSettings {
        url,
        mode: ContentMode::Structured,
        hmac_key: None,
        token: None,
        timeout: Duration::from_secs(10),
        tls: ClientTls::default(),
    };
    let webhook = through("webhook", WebhookSink::new(settings, "/bench".to_owned())).await;

    let broker = RabbitMq::shared().await;
    let settings = AmqpSettings {
        url: format!("amqp://127.0.0.1:{}", broker.port).parse().unwrap(),
        credentials: None,
        exchange: "bench".to_owned(),
        declare: true,
        timeout: Duration::from_secs(20),
        tls: ClientTls::default(),
    };
    // The first delivery declares the exchange, to which the queue is bound.
    AmqpSink::new(settings.clone(), "/bench".to_owned()).deliver(&[event(0)]).await;
    let _queue = Queue::bound(&broker, "bench", "#", &[]).await;
    let amqp = through("RabbitMQ", AmqpSink::new(settings, "/bench".to_owned())).await;
    println!("time beside the spool alone: webhook {:.1}, RabbitMQ {:.1}", webhook / baseline, amqp / baseline);
}
