//! Somebody opens connections and says little or nothing on them, takes nothing of what is sent, or sends what nobody
//! asked for: to shut others out of the servers, and probes with them, so that the operator is restarted.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use harness::site::Site;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use vmcatcher_operator::serve::{App, Limits, Listening};

use crate::reconcile::process::Running;

const ATTACKER: &str = "127.0.0.2";
const ACCOMPLICE: &str = "127.0.0.3";
const OTHER: &str = "127.0.0.4";
/// What is answered at all is answered within this, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection from an address of this machine.
async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // Little is taken by the system for who takes nothing.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind((from.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// The answer to a request on a connection of its own; empty where it was closed without one.
async fn ask(from: &str, to: SocketAddr, request: &str) -> String {
    let asked = async {
        let mut stream = connect(from, to).await;
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        match stream.write_all(request.as_bytes()).await {
            Ok(()) => drop(stream.read_to_end(&mut answer).await),
            Err(error) => eprintln!("{error}"),
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("an answer or an end")
}

/// How long the quickest of three requests takes; each is answered.
async fn quickest(from: &str, to: SocketAddr, path: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let answer = ask(from, to, &format!("GET {path}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path} from {from}: {answer}");
        took.push(began.elapsed());
    }
    took.into_iter().min().unwrap()
}

/// The address that a line of the log tells.
fn address(line: &str) -> SocketAddr {
    line.lines().last().unwrap().rsplit_once("address=").unwrap().1.trim().parse().unwrap()
}

#[tokio::test]
async fn a_thousand_half_open_connections_shut_nobody_out() {
    // One for each connection, and more than a session often has.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files).unwrap();
    let site = Site::new();
    let mut running = Running::start_with(&site, &["--listen", "127.0.0.1:0", "--image-server", "127.0.0.1:0"]);
    let monitor = address(&running.wait_for("health and metrics are served"));
    let images = address(&running.wait_for("images are served"));
    let mut held = Vec::new();
    for number in 0..1000 {
        for server in [monitor, images] {
            let mut stream = connect(ATTACKER, server).await;
            // Half of them begin a request. One that was closed meanwhile takes nothing.
            if number % 2 == 0 {
                let _closed = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
            }
            held.push(stream);
        }
    }
    for (from, path) in [(OTHER, "/healthz"), (ATTACKER, "/healthz"), (OTHER, "/readyz"), (OTHER, "/metrics")] {
        let took = quickest(from, monitor, path).await;
        assert!(took < Duration::from_secs(1), "{path} from {from} took {took:?}");
    }
    let began = Instant::now();
    let answer = ask(OTHER, images, "GET /images/1-00/a.raw").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(held);
    assert!(running.terminate().success());
}

/// A server whose one page is more than the sockets of both sides hold.
async fn large(limits: Limits) -> Listening {
    let page = get(async || vec![b'x'; 16 << 20]);
    let probes = Router::new().route("/healthz", get(async || "alive"));
    let app = App::new(probes.clone().route("/large", page), probes);
    Listening::start("127.0.0.1:0".parse().unwrap(), app, limits).await.unwrap()
}

/// Asks for the page and waits until some of it has come.
async fn begin(from: &str, server: SocketAddr) -> TcpStream {
    let mut stream = connect(from, server).await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 1];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
    stream
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_keeps_no_probe_waiting_and_goes() {
    let limits = Limits { connections: 8, per_address: 4, stall: Duration::from_mins(1), ..Limits::default() };
    let server = large(limits).await;
    let to = server.address();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(begin(ATTACKER, to).await);
        held.push(begin(ACCOMPLICE, to).await);
    }
    assert!(ask(OTHER, to, "GET /healthz").await.ends_with("alive"), "a probe has its own room");
    assert!(ask(ATTACKER, to, "GET /healthz").await.ends_with("alive"), "and so has one from the same address");
    // Where nothing else can be asked it is said, until one of them has stood still for long enough to go.
    let asked = async {
        let mut refused = 0;
        loop {
            let answer = ask(OTHER, to, "HEAD /large").await;
            if answer.starts_with("HTTP/1.1 200 ") {
                return refused;
            }
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 5"), "{answer}");
            refused += 1;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asked).await.expect("one goes") > 0);
}

#[tokio::test]
async fn who_takes_next_to_nothing_of_an_answer_goes() {
    let server = large(Limits { stall: Duration::from_secs(2), ..Limits::default() }).await;
    let mut stream = begin(ATTACKER, server.address()).await;
    let (mut taken, began) = (1, Instant::now());
    // A few bytes at a time are no progress: at this pace the page would take hours.
    let mut few = [0; 16];
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while began.elapsed() < Duration::from_secs(8) {
        ticks.tick().await;
        match stream.read(&mut few).await {
            Ok(read @ 1..) => taken += read,
            Ok(0) | Err(_) => break,
        }
    }
    let mut rest = Vec::new();
    let _reset = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("given up");
    assert!(taken + rest.len() < 16 << 20, "cut off before its end");
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_is_not_waited_for() {
    let server = large(Limits::default()).await;
    let mut stream = connect(ATTACKER, server.address()).await;
    let head = "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nslow";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // After the answer the connection is closed, though the body has not come.
    let _reset = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed");
    assert!(answer.starts_with(b"HTTP/1.1 405 "), "{}", String::from_utf8_lossy(&answer));
}
