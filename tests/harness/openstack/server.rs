//! The sockets of the stand-in: one for Keystone, one for Glance.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::faults::{Call, Fault, Faults};
use super::http::{self, Body};
use super::request::{Answer, Request, Service};
use super::upload::Upload;
use super::world::World;
use crate::gate::{Gate, Within};

type Watch = Box<dyn Fn(&Call, &World) -> Option<String> + Send>;

struct Shared {
    world: World,
    calls: Vec<Call>,
    faults: Faults,
    watch: Option<Watch>,
    seen: Vec<String>,
    /// Connections that get no answer, and the uploads that they are of.
    hanging: Vec<(TcpStream, Option<Upload>)>,
}

/// A running stand-in; stopped when dropped.
pub struct OpenStack {
    shared: Arc<Mutex<Shared>>,
    gate: Arc<Gate>,
    addresses: [SocketAddr; 2],
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl OpenStack {
    /// A fresh cloud on free ports of the loopback interface.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start() -> Self {
        let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket on the loopback interface");
        let listeners = [(Service::Identity, listener()), (Service::Image, listener())];
        let addresses = [0, 1].map(|at: usize| listeners[at].1.local_addr().expect("an address"));
        let [identity, image] = addresses.map(|address| format!("http://{address}"));
        let shared = Arc::new(Mutex::new(Shared {
            world: World::new(&identity, &image),
            calls: Vec::new(),
            faults: Faults::default(),
            watch: None,
            seen: Vec::new(),
            hanging: Vec::new(),
        }));
        let (stopping, gate) = (Arc::new(AtomicBool::new(false)), Arc::new(Gate::default()));
        let threads = listeners.into_iter().map(|(service, listener)| {
            let (shared, stopping, gate) = (Arc::clone(&shared), Arc::clone(&stopping), Arc::clone(&gate));
            std::thread::spawn(move || accept(&listener, service, &shared, &stopping, &gate))
        });
        let threads = threads.collect();
        Self { shared, gate, addresses, stopping, threads }
    }

    /// `http://127.0.0.1:PORT/v3`.
    pub fn auth_url(&self) -> String {
        format!("http://{}/v3", self.addresses[0])
    }

    /// Glance: `http://127.0.0.1:PORT`, as the catalogue has it.
    pub fn image_url(&self) -> String {
        format!("http://{}", self.addresses[1])
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Looks at the world, or changes it as the site or a tenant would.
    pub fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.shared().world)
    }

    /// All calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared().calls)
    }

    /// Makes the call of this number, counted from the next one as 0, go wrong. Calls of both services are counted.
    pub fn fail(&self, number: usize, fault: Fault) {
        self.shared().faults.coming.insert(number, fault);
    }

    /// Answers so many more calls, then none: connections are accepted and closed.
    pub fn die_after(&self, calls: usize) {
        self.shared().faults.lives = Some(calls);
    }

    /// Everything works again.
    pub fn recover(&self) {
        let mut shared = self.shared();
        shared.faults = Faults::default();
        for (_, upload) in std::mem::take(&mut shared.hanging) {
            if let Some(upload) = upload {
                shared.world.fail_upload(&upload);
            }
        }
    }

    /// Calls whose `METHOD /path?query` contains this text wait until so many have come.
    pub fn hold(&self, text: &str, needed: usize) {
        self.gate.hold(text, needed);
    }

    /// The most such calls that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.gate.most()
    }

    /// Looks at the world after every call; whatever is said is kept for [`OpenStack::seen`].
    pub fn watch(&self, watch: impl Fn(&Call, &World) -> Option<String> + Send + 'static) {
        self.shared().watch = Some(Box::new(watch));
    }

    /// What the watch said since the last time this was asked.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().seen)
    }
}

impl Drop for OpenStack {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.shared().hanging.clear();
        for address in self.addresses {
            // Wakes the accepting thread, so that it sees the flag.
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(
    listener: &TcpListener,
    service: Service,
    shared: &Arc<Mutex<Shared>>,
    stopping: &AtomicBool,
    gate: &Arc<Gate>,
) {
    for connection in listener.incoming() {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let (shared, gate) = (Arc::clone(shared), Arc::clone(gate));
        let Ok(mut connection) = connection else { continue };
        std::thread::spawn(move || {
            // A peer that goes away in the middle is what many tests are about.
            let Ok((request, body)) = http::read_head(&mut connection, service) else { return };
            let text = format!("{} {}", request.method, request.target);
            let within = gate.enter(&text);
            Exchange { connection, request, body, shared, within }.run();
        });
    }
}

/// A request on its way.
struct Exchange<'a> {
    connection: TcpStream,
    request: Request,
    body: Body,
    shared: Arc<Mutex<Shared>>,
    within: Within<'a>,
}

impl Exchange<'_> {
    fn run(mut self) {
        let fault = lock(&self.shared).faults.next();
        let path = self.request.target.as_str();
        let is_upload = self.request.method == "PUT" && (path.ends_with("/file") || path.ends_with("/stage"));
        match (&fault, is_upload) {
            (Some(Fault::Drop), _) | (Some(Fault::Cut(_)), false) => {}
            (Some(Fault::Stall(_)), false) => lock(&self.shared).hanging.push((self.connection, None)),
            (Some(Fault::Refuse(answer)), _) => {
                let answer = answer.clone();
                let Ok(body) = self.body.rest(&mut self.connection) else { return };
                self.request.body = if is_upload { Vec::new() } else { body };
                self.log(answer.status, false);
                self.reply(&answer, None);
            }
            (_, true) => self.upload(fault.as_ref()),
            (_, false) => {
                let Ok(body) = self.body.rest(&mut self.connection) else { return };
                self.request.body = body;
                let answer = self.carry_out();
                self.reply(&answer, fault.as_ref());
            }
        }
    }

    /// Does a call whose body is whole, and begins what it started.
    fn carry_out(&self) -> Answer {
        let mut shared = lock(&self.shared);
        let answer = shared.world.answer(&self.request);
        let fetches = shared.world.take_fetches();
        shared.log(Call::new(&self.request, answer.status, answer.status < 300));
        drop(shared);
        for fetch in fetches {
            let shared = Arc::clone(&self.shared);
            std::thread::spawn(move || {
                let bytes = http::fetch(&fetch.uri).ok();
                lock(&shared).world.finish_import(fetch.task, bytes.as_deref());
            });
        }
        answer
    }

    fn log(&self, status: u16, done: bool) {
        lock(&self.shared).log(Call::new(&self.request, status, done));
    }

    fn upload(mut self, fault: Option<&Fault>) {
        let begun = lock(&self.shared).world.begin(&self.request);
        let taken = match begun {
            Ok(upload) => self.take(upload, fault),
            Err(refusal) => Some(Err(refusal)),
        };
        let Some(taken) = taken else { return };
        let answer = match taken {
            Ok(upload) => lock(&self.shared).world.finish_upload(upload),
            Err(refusal) if self.body.skip(&mut self.connection).is_ok() => refusal,
            Err(_) => return,
        };
        self.log(answer.status, answer.status < 300);
        self.reply(&answer, fault);
    }

    /// Takes the bytes of an upload; none: it was cut off, or goes no further.
    fn take(&mut self, mut upload: Upload, fault: Option<&Fault>) -> Option<Result<Upload, Answer>> {
        let mut taken = 0;
        loop {
            match fault {
                Some(Fault::Cut(after)) if taken >= *after => break,
                Some(Fault::Stall(after)) if taken >= *after => {
                    let connection = self.connection.try_clone().expect("another handle of a socket");
                    lock(&self.shared).hanging.push((connection, Some(upload)));
                    return None;
                }
                _ => {}
            }
            match self.body.next(&mut self.connection) {
                Ok(Some(piece)) => {
                    taken += piece.len() as u64;
                    if let Err(refusal) = upload.feed(&piece) {
                        lock(&self.shared).world.fail_upload(&upload);
                        return Some(Err(refusal));
                    }
                }
                Ok(None) => return Some(Ok(upload)),
                Err(_) => break,
            }
        }
        lock(&self.shared).world.fail_upload(&upload);
        self.log(0, false);
        None
    }

    fn reply(mut self, answer: &Answer, fault: Option<&Fault>) {
        let render = |answer: &Answer| match self.request.service {
            Service::Identity => answer.clone(),
            Service::Image => answer.clone().rendered(self.request.header("accept")),
        };
        let bytes = match fault {
            Some(Fault::LoseAnswer) => return,
            Some(Fault::Hang | Fault::Stall(_)) => return lock(&self.shared).hanging.push((self.connection, None)),
            Some(Fault::HalfAnswer) => {
                let whole = http::encode(&render(answer));
                whole[..whole.len() - (answer.body.len() / 2).max(3)].to_vec()
            }
            Some(Fault::DoneBut(other)) => http::encode(&render(other)),
            Some(Fault::Garbage(text)) => http::encode(&Answer::text(200, text)),
            Some(Fault::Drop | Fault::Refuse(_) | Fault::Cut(_)) | None => http::encode(&render(answer)),
        };
        drop(self.within);
        let _ = self.connection.write_all(&bytes);
        let _ = self.connection.flush();
    }
}

impl Shared {
    fn log(&mut self, call: Call) {
        if let Some(watch) = &self.watch {
            self.seen.extend(watch(&call, &self.world));
        }
        self.calls.push(call);
    }
}
