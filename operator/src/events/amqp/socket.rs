//! The socket of a connection, which ends with its owner.
//!
//! The AMQP library reads and writes in a thread of its own. That thread ends when the broker closes the connection. A
//! broker that is blocked or gone does not, so the socket is shut down as soon as the connection is given up.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// The owner's end: when it is dropped, the socket is shut down.
#[derive(Debug)]
pub(super) struct Socket(Slot);

/// Where the socket is put when it is connected.
#[derive(Debug, Clone)]
pub(super) struct Slot(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Awaited,
    Open(TcpStream),
    GivenUp,
}

impl Socket {
    /// A socket that is not connected yet, and where it is put.
    pub(super) fn awaited() -> (Self, Slot) {
        let slot = Slot(Arc::new(Mutex::new(State::Awaited)));
        (Self(slot.clone()), slot)
    }
}

impl Slot {
    /// Takes a second handle of the socket; an error if the owner has given up.
    pub(super) fn put(&self, socket: &impl AsFd) -> io::Result<()> {
        let second = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Awaited => {
                *state = State::Open(second);
                Ok(())
            }
            State::Open(_) | State::GivenUp => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(socket) = &*state {
            // An error says that the other side already closed it.
            let _ = socket.shutdown(Shutdown::Both);
        }
        *state = State::GivenUp;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_socket_ends_with_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let (owner, slot) = Socket::awaited();
        slot.put(&ours).unwrap();
        drop(owner);
        assert_eq!((ours.read(&mut [0]).unwrap(), theirs.read(&mut [0]).unwrap()), (0, 0));
        assert_eq!(slot.put(&ours).unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
