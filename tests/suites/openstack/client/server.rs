//! One socket that is Keystone and Glance, and answers as each test says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use vmcatcher_operator::openstack::{Client, Connection, Credentials};

/// The secret that must not be shown.
pub(super) const SECRET: &str = "s3cret-word";

/// The pause between two looks at a socket.
const PAUSE: Duration = Duration::from_millis(50);

/// A request: its head, and its body if that was read.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// `GET /v2/images?limit=1`.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(super) fn token(&self) -> &str {
        self.header("x-auth-token").unwrap_or_default()
    }
}

/// What the server does with a request to Glance.
pub(super) enum Act {
    /// Reads the body, then answers.
    Answer(Vec<u8>),
    /// Answers when so much of the body was read and the client can send no more, and closes the connection. If nothing
    /// is read, it answers at once.
    Early(usize, Vec<u8>),
    /// The same, but the connection stays open, and nothing more is read.
    EarlyOpen(usize, Vec<u8>),
    /// Reads so much of the body, and no more, and says nothing.
    Hold(usize),
    /// Closes the connection after so much of the body.
    Close(usize),
}

type Glance = dyn Fn(&Request) -> Act + Send + Sync;
type Keystone = dyn Fn(usize) -> Vec<u8> + Send + Sync;

/// The server.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Tokens of an hour, named `token-1` and so on, and this Glance.
    pub(super) fn start(glance: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        Self::with_keystone(|_| Life::default().answer(), glance)
    }

    /// The answer to the n-th log-in has the place holders `NUMBER` and `ADDRESS`.
    pub(super) fn with_keystone(
        keystone: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
        glance: impl Fn(&Request) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared {
            address,
            requests: Arc::clone(&requests),
            logins: Arc::default(),
            keystone: Arc::new(keystone),
            glance: Arc::new(glance),
            held: Arc::default(),
        };
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(socket));
            }
        });
        Self { address, requests }
    }

    pub(super) fn connection(&self) -> Connection {
        let credentials =
            Credentials::ApplicationCredentialId { id: "81cc".to_owned(), secret: SECRET.to_owned().into() };
        Connection::new(format!("http://{}/v3", self.address).parse().unwrap(), credentials)
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.connection()).unwrap()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn logins(&self) -> usize {
        self.requests().iter().filter(|request| is_login(request)).count()
    }

    /// The requests to Glance.
    pub(super) fn calls(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| !is_login(request)).collect()
    }
}

fn is_login(request: &Request) -> bool {
    request.line().starts_with("POST ") && request.line().ends_with("/v3/auth/tokens")
}

#[derive(Clone)]
struct Shared {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    logins: Arc<Mutex<usize>>,
    keystone: Arc<Keystone>,
    glance: Arc<Glance>,
    /// Connections that stay open.
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Shared {
    fn serve(&self, mut socket: TcpStream) {
        let Some((head, mut body)) = read_head(&mut socket) else { return };
        let mut request = Request { head, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        let act = if is_login(&request) {
            let mut logins = self.logins.lock().unwrap();
            *logins += 1;
            let answer = String::from_utf8((self.keystone)(*logins)).unwrap();
            let answer = answer.replace("NUMBER", &logins.to_string());
            Act::Answer(answer.replace("ADDRESS", &self.address.to_string()).into_bytes())
        } else {
            (self.glance)(&request)
        };
        let wanted = match &act {
            Act::Answer(_) => length,
            Act::Early(count, _) | Act::EarlyOpen(count, _) | Act::Hold(count) | Act::Close(count) => *count,
        };
        read_body(&mut socket, &mut body, wanted);
        request.body = body;
        self.requests.lock().unwrap().push(request);
        match act {
            Act::Answer(answer) => {
                let _ = socket.write_all(&answer);
                let _ = socket.shutdown(Shutdown::Write);
            }
            Act::Early(count, answer) => {
                if count > 0 {
                    fill(&socket);
                }
                let _ = socket.write_all(&answer);
            }
            Act::EarlyOpen(_, answer) => {
                let _ = socket.write_all(&answer);
                self.held.lock().unwrap().push(socket);
            }
            Act::Hold(_) => self.held.lock().unwrap().push(socket),
            Act::Close(_) => {}
        }
    }
}

/// Waits until the client can send no more, because nothing is read.
fn fill(socket: &TcpStream) {
    let mut before = 0;
    loop {
        let arrived = rustix::io::ioctl_fionread(socket).unwrap();
        if arrived > 0 && arrived == before {
            return;
        }
        before = arrived;
        std::thread::park_timeout(PAUSE);
    }
}

fn read_head(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return Some((String::from_utf8(read).unwrap(), body));
        }
        match socket.read(&mut buffer) {
            Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
            Ok(_) | Err(_) => return None,
        }
    }
}

fn read_body(socket: &mut TcpStream, body: &mut Vec<u8>, wanted: usize) {
    let mut buffer = vec![0; 64 << 10];
    while body.len() < wanted {
        match socket.read(&mut buffer) {
            Ok(count) if count > 0 => body.extend_from_slice(&buffer[..count]),
            Ok(_) | Err(_) => return,
        }
    }
}

/// The life of a token.
pub(super) struct Life {
    pub(super) issued_at: &'static str,
    pub(super) expires_at: &'static str,
}

impl Default for Life {
    /// Long ago, by a clock that is wrong: only the difference counts.
    fn default() -> Self {
        Self { issued_at: "2001-01-01T00:00:00.000000Z", expires_at: "2001-01-01T01:00:00.000000Z" }
    }
}

impl Life {
    pub(super) fn answer(&self) -> Vec<u8> {
        let endpoint = json!({"interface": "public", "region_id": "One", "url": "http://ADDRESS/image/v2"});
        let body = json!({"token": {
            "issued_at": self.issued_at, "expires_at": self.expires_at,
            "project": {"id": "532012dc", "name": "publisher"}, "user": {"id": "1653", "name": "publisher"},
            "roles": [{"name": "member"}], "catalog": [{"type": "image", "endpoints": [endpoint]}],
        }});
        let head = "HTTP/1.1 201 Created\r\nX-Subject-Token: token-NUMBER\r\nConnection: close\r\n\r\n";
        format!("{head}{body}").into_bytes()
    }
}

/// A response with its length.
pub(super) fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An image, as Glance shows it.
pub(super) fn image(id: &str) -> Value {
    json!({
        "id": id, "name": "x", "status": "queued", "visibility": "private", "owner": "532012dc", "protected": false,
        "os_hidden": true, "tags": [], "created_at": "2026-11-29T05:48:35Z", "updated_at": "2026-11-29T05:48:35Z",
        "size": null, "min_disk": 0, "min_ram": 0
    })
}

/// An id of an image.
pub(super) const ID: &str = "11111111-2222-4333-8444-555555555555";
