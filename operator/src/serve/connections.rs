//! The connections of a socket, and which of them is closed to make room for a new one.
//!
//! A connection that waits for its next request can be closed to make room, the oldest first. A connection that is
//! being answered is kept, unless its peer has accepted no data for a while. So idle connections can never block new
//! clients, no matter how many there are. The number of connections of one address is limited. If all places are taken
//! by responses, a few more connections are accepted, for probes only.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A connection whose peer has accepted no data of a response for this time can be closed to make room.
const STANDS_STILL: Duration = Duration::from_secs(5);

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

/// All connections of one socket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    limits: Limits,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    place: Place,
    phase: Arc<Mutex<Phase>>,
    gone: CancellationToken,
}

/// What a connection was admitted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Anything.
    Any,
    /// Only probes, because there is no other free place.
    Probes,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Waiting for the head of the next request, since this time.
    Head(Instant),
    /// Sending a response. If the peer accepts no data: since when.
    Answer(Option<Instant>),
    /// The same, and the whole body was passed to the HTTP server for writing.
    End(Option<Instant>),
}

/// An admitted connection. Dropping it frees its place.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    pub(super) place: Place,
    /// The connection reports its phase here.
    pub(super) progress: Progress,
    /// Cancelled when the connection must close to make room.
    pub(super) gone: CancellationToken,
    known: Arc<Mutex<Known>>,
}

/// Records the phase of a connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<Phase>>);

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, known: Arc::default() }
    }

    /// Admits a peer if there is a free place, or if another connection can be closed. Otherwise returns `None`.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Connection> {
        let address = share(peer);
        let mut known = lock(&self.known);
        let any = |entry: &Entry| entry.place == Place::Any;
        let probe = |entry: &Entry| entry.place == Place::Probes;
        let own = |entry: &Entry| any(entry) && entry.address == address;
        let room = known.make_room(self.limits.per_address, own) && known.make_room(self.limits.connections, any);
        let place = if room {
            Place::Any
        } else if known.make_room(self.limits.reserve, probe) {
            Place::Probes
        } else {
            return None;
        };
        let (phase, gone) = (Arc::new(Mutex::new(Phase::Head(Instant::now()))), CancellationToken::new());
        let number = known.next;
        known.next += 1;
        known.entries.insert(number, Entry { address, place, phase: phase.clone(), gone: gone.clone() });
        Some(Connection { number, place, progress: Progress(phase), gone, known: self.known.clone() })
    }
}

impl Known {
    /// Whether fewer than `most` of the entries that `counts` selects exist. If not, closes the one that matters least,
    /// if that is allowed.
    fn make_room(&mut self, most: usize, counts: impl Fn(&Entry) -> bool) -> bool {
        let mine = || self.entries.iter().filter(|(_, entry)| counts(entry));
        if mine().count() < most {
            return true;
        }
        let now = Instant::now();
        let worth = mine().filter_map(|(number, entry)| Some((lock(&entry.phase).worth(now)?, *number)));
        let Some((_, number)) = worth.min() else { return false };
        if let Some(entry) = self.entries.remove(&number) {
            tracing::debug!(address = %entry.address, "a connection goes, for another needs its place");
            entry.gone.cancel();
        }
        true
    }
}

impl Phase {
    /// The order in which connections are closed: the lowest first. `None` if the connection must not be closed.
    fn worth(self, now: Instant) -> Option<(bool, Instant)> {
        match self {
            Self::Head(since) => Some((false, since)),
            Self::Answer(Some(since)) | Self::End(Some(since)) if now - since >= STANDS_STILL => Some((true, since)),
            Self::Answer(_) | Self::End(_) => None,
        }
    }
}

impl Progress {
    /// A request head has been received.
    pub(super) fn answering(&self) {
        *lock(&self.0) = Phase::Answer(None);
    }

    /// The whole body was passed to the HTTP server.
    pub(super) fn handed_over(&self) {
        let mut phase = lock(&self.0);
        if let Phase::Answer(since) = *phase {
            *phase = Phase::End(since);
        }
    }

    /// The peer accepts no data now.
    pub(super) fn waits(&self) {
        match &mut *lock(&self.0) {
            Phase::Answer(since) | Phase::End(since) => {
                since.get_or_insert_with(Instant::now);
            }
            Phase::Head(_) => {}
        }
    }

    /// The peer accepted data. `drained`: nothing is left to write.
    pub(super) fn moves(&self, drained: bool) {
        let mut phase = lock(&self.0);
        *phase = match *phase {
            Phase::Head(since) => Phase::Head(since),
            Phase::End(_) if drained => Phase::Head(Instant::now()),
            Phase::End(_) => Phase::End(None),
            Phase::Answer(_) => Phase::Answer(None),
        };
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.known).entries.remove(&self.number);
    }
}

/// The unit that has one share of the connections: an IPv4 address, or an IPv6 /64 network, because one host usually
/// has the whole network.
fn share(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections() -> Connections {
        Connections::new(Limits { connections: 4, per_address: 2, reserve: 1, ..Limits::default() })
    }

    fn admit(connections: &Connections, peer: &str) -> Option<Connection> {
        connections.admit(peer.parse().unwrap())
    }

    #[test]
    fn the_oldest_unfinished_head_of_an_address_goes_for_its_next_one() {
        let all = connections();
        let [first, second, third] = std::array::from_fn(|_| admit(&all, "192.0.2.1").unwrap());
        assert!(first.gone.is_cancelled() && !second.gone.is_cancelled());
        assert_eq!(third.place, Place::Any);
        second.progress.answering();
        let fourth = admit(&all, "::ffff:192.0.2.1").unwrap();
        assert!(third.gone.is_cancelled() && !second.gone.is_cancelled(), "one that is being answered stays");
        assert_eq!(fourth.place, Place::Any);
    }

    #[test]
    fn when_all_are_answered_only_probes_are_let_in() {
        let all = connections();
        let busy: Vec<_> = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]
            .map(|peer| admit(&all, peer).unwrap())
            .into_iter()
            .inspect(|connection| connection.progress.answering())
            .collect();
        let first = admit(&all, "192.0.2.9").unwrap();
        let second = admit(&all, "192.0.2.9").unwrap();
        assert_eq!((first.place, second.place), (Place::Probes, Place::Probes));
        assert!(first.gone.is_cancelled() && busy.iter().all(|connection| !connection.gone.is_cancelled()));
        second.progress.answering();
        assert!(admit(&all, "192.0.2.9").is_none());
        busy[0].progress.handed_over();
        busy[0].progress.moves(true);
        assert_eq!(admit(&all, "192.0.2.9").unwrap().place, Place::Any, "it waits for its next request by now");
        drop(busy);
        assert_eq!(admit(&all, "192.0.2.9").unwrap().place, Place::Any);
    }

    #[test]
    fn the_share_of_a_host_is_its_network() {
        let all = connections();
        let held: Vec<_> = (1..=3).map(|host| admit(&all, &format!("2001:db8::{host}")).unwrap()).collect();
        assert!(held[0].gone.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_goes_when_its_place_is_needed() {
        let all = connections();
        let [first, second] = std::array::from_fn(|_| admit(&all, "192.0.2.1").unwrap());
        first.progress.answering();
        second.progress.answering();
        first.progress.waits();
        tokio::time::advance(STANDS_STILL).await;
        second.progress.waits();
        let third = admit(&all, "192.0.2.1").unwrap();
        assert!(first.gone.is_cancelled() && !second.gone.is_cancelled());
        assert_eq!(third.place, Place::Any);
    }
}
