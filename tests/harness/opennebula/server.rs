//! The socket: HTTP as xmlrpc-c's Abyss speaks it, dispatch, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use vmcatcher_operator::opennebula::xmlrpc::Value;

use super::codec::{self, decode_call, encode_refusal, encode_success};
use super::world::{Dialect, Refusal, World};
use crate::gate::{Gate, Within};

/// One call that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `one.image.allocate` and the like.
    pub method: String,
    /// Without the session.
    pub parameters: Vec<Value>,
    /// Whether it was carried out.
    pub done: bool,
}

impl Call {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.rsplit('.').next(), Some("info" | "version"))
    }
}

/// How a call goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed before anything is done.
    Drop,
    /// It is done, and the connection closed without an answer.
    LoseAnswer,
    /// It is done, and half of the answer comes.
    HalfAnswer,
    /// It is done, and no answer comes while the stand-in lives.
    Hang,
    /// Refused, with this.
    Refuse(Refusal),
    /// Answered with this instead.
    Garbage(String),
    /// Answered as if it were done, which it is not.
    Pretend,
}

type Watch = Box<dyn Fn(&Call, &World) -> Option<String> + Send>;

struct Shared {
    world: World,
    calls: Vec<Call>,
    /// By the number of the call from now on.
    faults: BTreeMap<usize, Fault>,
    /// Calls that are answered before the server is gone.
    lives: Option<usize>,
    watch: Option<Watch>,
    seen: VecDeque<String>,
    hanging: Vec<TcpStream>,
}

/// A running stand-in; stopped when dropped.
pub struct Cloud {
    shared: Arc<Mutex<Shared>>,
    gate: Arc<Gate>,
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cloud {
    /// A fresh cloud on a free port of the loopback interface.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start(dialect: Dialect) -> Self {
        Self::start_at(dialect, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a socket on the loopback interface")
    }

    /// A fresh cloud at an address of one's choice.
    pub fn start_at(dialect: Dialect, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            world: World::new(dialect),
            calls: Vec::new(),
            faults: BTreeMap::new(),
            lives: None,
            watch: None,
            seen: VecDeque::new(),
            hanging: Vec::new(),
        }));
        let stopping = Arc::new(AtomicBool::new(false));
        let gate = Arc::new(Gate::default());
        let (state, stop, at_gate) = (Arc::clone(&shared), Arc::clone(&stopping), Arc::clone(&gate));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (state, gate) = (Arc::clone(&state), Arc::clone(&at_gate));
                if let Ok(connection) = connection {
                    std::thread::spawn(move || serve(connection, &state, &gate));
                }
            }
        });
        Ok(Self { shared, gate, address, stopping, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT/RPC2`.
    pub fn endpoint(&self) -> String {
        format!("http://{}/RPC2", self.address)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world, or changes it as the site, a tenant or a VM would.
    pub fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.shared().world)
    }

    /// All calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared().calls)
    }

    /// Makes the call of this number, counted from the next one as 0, go wrong.
    pub fn fail(&self, number: usize, fault: Fault) {
        self.shared().faults.insert(number, fault);
    }

    /// Answers so many more calls, then none: connections are accepted and closed.
    pub fn die_after(&self, calls: usize) {
        self.shared().lives = Some(calls);
    }

    /// Everything works again.
    pub fn recover(&self) {
        let mut shared = self.shared();
        shared.faults.clear();
        shared.lives = None;
        shared.hanging.clear();
    }

    /// Calls of this method wait until so many have come.
    pub fn hold(&self, method: &str, needed: usize) {
        self.gate.hold(method, needed);
    }

    /// The most calls of the method that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.gate.most()
    }

    /// Looks at the world after every call; whatever is said is kept for [`Cloud::seen`].
    pub fn watch(&self, watch: impl Fn(&Call, &World) -> Option<String> + Send + 'static) {
        self.shared().watch = Some(Box::new(watch));
    }

    /// What the watch said since the last time this was asked.
    pub fn seen(&self) -> Vec<String> {
        self.shared().seen.drain(..).collect()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.shared().hanging.clear();
        // WorkQueues the accepting thread, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut connection: TcpStream, shared: &Mutex<Shared>, gate: &Gate) {
    // A peer that goes away in the middle is what many tests are about.
    let Ok(Some((status, body))) = read_request(&mut connection) else { return };
    if status != 200 {
        let _ = respond(&mut connection, status, &body);
        return;
    }
    let within = gate.enter(&body);
    exchange(connection, &body, shared, within);
}

fn exchange(mut connection: TcpStream, body: &str, shared: &Mutex<Shared>, within: Within<'_>) {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (answer, fault) = shared.handle(body);
    drop(within);
    match fault {
        Some(Fault::Drop | Fault::LoseAnswer) => {}
        Some(Fault::HalfAnswer) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-length: {}\r\n\r\n", answer.len());
            let half: String = answer.chars().take(answer.len() / 2).collect();
            let _ = connection.write_all(format!("{head}{half}").as_bytes());
        }
        Some(Fault::Hang) => shared.hanging.push(connection),
        Some(Fault::Garbage(text)) => drop(respond(&mut connection, 200, &text)),
        Some(Fault::Refuse(_) | Fault::Pretend) | None => {
            drop(shared);
            let _ = respond(&mut connection, 200, &answer);
        }
    }
}

impl Shared {
    /// The answer to a call, and what goes wrong with it.
    fn handle(&mut self, body: &str) -> (String, Option<Fault>) {
        let fault = self.next_fault();
        if fault == Some(Fault::Drop) {
            return (String::new(), fault);
        }
        let (answer, call) = match decode_call(body) {
            Err(fault) => (codec::encode_fault(&fault), None),
            Ok((method, parameters)) => {
                let answer = match &fault {
                    Some(Fault::Refuse(refusal)) => encode_refusal(&method, refusal),
                    Some(Fault::Pretend) => encode_success(&Value::Integer(0)),
                    Some(_) | None => self.world.answer(&method, &parameters),
                };
                let parameters = parameters.into_iter().skip(1).collect();
                let done = !answer.contains("<boolean>0</boolean>") && !answer.contains("<fault>");
                (answer, Some(Call { method, parameters, done }))
            }
        };
        if let (Some(watch), Some(call)) = (&self.watch, &call) {
            self.seen.extend(watch(call, &self.world));
        }
        self.calls.extend(call);
        (answer, fault)
    }

    /// What goes wrong with this call; all others come one nearer.
    fn next_fault(&mut self) -> Option<Fault> {
        if let Some(lives) = &mut self.lives {
            match lives.checked_sub(1) {
                Some(left) => *lives = left,
                None => return Some(Fault::Drop),
            }
        }
        let faults = std::mem::take(&mut self.faults);
        let mut now = None;
        for (number, fault) in faults {
            match number.checked_sub(1) {
                Some(number) => drop(self.faults.insert(number, fault)),
                None => now = Some(fault),
            }
        }
        now
    }
}

fn read_request(connection: &mut TcpStream) -> io::Result<Option<(u16, String)>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let count = connection.read(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..count]);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = request.parse(&bytes) else { continue };
        let refusal =
            |status: u16| Ok(Some((status, format!("<HTML><HEAD><TITLE>Error {status}</TITLE></HEAD></HTML>"))));
        if request.path != Some("/RPC2") {
            return refusal(404);
        }
        if request.method != Some("POST") {
            return refusal(405);
        }
        let header = |name: &str| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let length = header("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
        let Some(length) = length else { return refusal(411) };
        if length == 0 {
            return refusal(400);
        }
        let mut body = bytes.split_off(head);
        while body.len() < length {
            let count = connection.read(&mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            body.extend_from_slice(&buffer[..count]);
        }
        return Ok(Some((200, String::from_utf8_lossy(&body).into_owned())));
    }
}

fn respond(connection: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let (reason, kind) = match status {
        200 => ("OK", "text/xml; charset=utf-8"),
        404 => ("Not Found", "text/html"),
        405 => ("Method Not Allowed", "text/html"),
        411 => ("Length Required", "text/html"),
        _ => ("Bad Request", "text/html"),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-type: {kind}\r\nContent-length: {length}\r\nConnection: close\r\nServer: Xmlrpc-c_Abyss/1.33.14\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body.as_bytes())?;
    connection.flush()
}
