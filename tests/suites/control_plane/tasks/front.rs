//! TLS in front of a server that has none, as a web server stands in front of `oned`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use harness::image_server::ServerCertificate;
use openssl::ssl::{SslAcceptor, SslStream};

/// A server on a free port that hands each request on. It lives as long as the process.
pub(super) struct Front {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Who signed its certificate, PEM.
    pub(super) authority: String,
}

impl Front {
    pub(super) fn of(behind: SocketAddr) -> Self {
        let certificate = ServerCertificate::generate();
        let (acceptor, authority) = (certificate.acceptor(), String::from_utf8(certificate.authority_pem()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let acceptor = acceptor.clone();
                // A client that does not believe the certificate goes away.
                std::thread::spawn(move || exchange(connection, &acceptor, behind));
            }
        });
        Self { address, authority }
    }
}

/// One request and its answer, after which the server behind closes.
fn exchange(connection: TcpStream, acceptor: &SslAcceptor, behind: SocketAddr) -> Option<()> {
    let mut front = BufReader::new(acceptor.accept(connection).ok()?);
    let request = request(&mut front).ok()?;
    let mut behind = TcpStream::connect(behind).ok()?;
    behind.write_all(&request).ok()?;
    let mut answer = Vec::new();
    behind.read_to_end(&mut answer).ok()?;
    let stream = front.get_mut();
    stream.write_all(&answer).ok()?;
    stream.shutdown().ok().map(drop)
}

fn request(from: &mut BufReader<SslStream<TcpStream>>) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        request.extend_from_slice(line.as_bytes());
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if line.trim_end().is_empty() {
            break;
        }
    }
    let head = request.len();
    request.resize(head + length, 0);
    from.read_exact(&mut request[head..])?;
    Ok(request)
}
