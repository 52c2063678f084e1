//! The limits of one socket.

use std::time::Duration;

/// The limits of one socket.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Simultaneous connections. For one more, a connection that waits for its next request is closed.
    pub connections: usize,
    /// Simultaneous connections of one address. A reverse proxy has one address for all its clients.
    pub per_address: usize,
    /// Additional connections, for probes only, when all others are sending responses.
    pub reserve: usize,
    /// The longest time for the head of a request, and for a connection to be idle between requests.
    pub head: Duration,
    /// The longest time for which a response may stall because the peer accepts almost no data.
    pub stall: Duration,
    /// How long running responses may continue after the server was asked to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            per_address: 128,
            reserve: 16,
            head: Duration::from_secs(5),
            stall: Duration::from_mins(2),
            farewell: Duration::from_secs(10),
        }
    }
}
