//! A volume whose images are served: the key of its tickets, and its blobs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::known_blobs::KnownBlobs;
use super::ticket::{KeyError, TicketError, Tickets};
use crate::cache::{ShardFolder, VerifiedBlob, Volume};
use crate::fs::Stamp;

/// A volume, or the folder of a shard on one. It need not exist yet, and another program may own it.
pub(super) struct ServedVolume {
    root: PathBuf,
    /// Whose folder it is.
    shard: Option<ShardFolder>,
    /// Read at the first request, once it exists, and again when its file changes.
    key: Mutex<Option<Arc<KnownKey>>>,
}

/// The key that was read.
struct KnownKey {
    tickets: Arc<Tickets>,
    file: PathBuf,
    stamp: Option<Stamp>,
}

/// The ticket and the file name of a request.
type Address<'a> = (&'a str, &'a str);

/// Why an image cannot be served.
pub(super) enum Unserved {
    /// The ticket does not permit it.
    Ticket(TicketError),
    /// There is no shard of that name, or it has no folder.
    NoShard,
    /// The volume or its key cannot be read.
    NoVolume(String),
    /// The image's record cannot be read.
    Damaged(String),
}

impl ServedVolume {
    /// The volume in this folder.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, shard: None, key: Mutex::default() }
    }

    /// The folder of a shard on a volume.
    pub(super) fn of_shard(volume: &Path, shard: ShardFolder) -> Self {
        Self { shard: Some(shard), ..Self::new(volume.join(shard.to_string())) }
    }

    /// The image that a ticket permits, if it was there within the last second. The volume is not touched.
    pub(super) fn recent(
        &self,
        known: &KnownBlobs,
        (ticket, file): Address<'_>,
        now: Timestamp,
    ) -> Option<VerifiedBlob> {
        let digest = self.known_key()?.tickets.check(ticket, file, now).ok()?;
        known.recent(&(self.shard, digest))
    }

    /// The image that a ticket permits; `None` if it is not on the volume.
    pub(super) fn blob(
        &self,
        known: &KnownBlobs,
        (ticket, file): Address<'_>,
        now: Timestamp,
    ) -> Result<Option<VerifiedBlob>, Unserved> {
        let digest = self.tickets()?.check(ticket, file, now).map_err(Unserved::Ticket)?;
        let place = (self.shard, digest);
        if let Some(blob) = known.get(&place) {
            return Ok(Some(blob));
        }
        known.look(&self.volume()?, &place).map_err(|error| Unserved::Damaged(error.to_string()))
    }

    /// The key as it is on the volume now: another program may have made a new one. A key that is known is used as long as
    /// there is no other.
    fn tickets(&self) -> Result<Arc<Tickets>, Unserved> {
        let Some(known) = self.known_key() else { return Ok(self.keep(self.read_key()?)) };
        let stamp = Stamp::at(&known.file).ok().flatten();
        if stamp.is_none() || stamp == known.stamp {
            return Ok(known.tickets.clone());
        }
        if let Ok(key) = self.read_key() {
            return Ok(self.keep(key));
        }
        // It is read again at the next request.
        tracing::warn!(path = %known.file.display(), "the key of the images' addresses cannot be read; the last one is used");
        Ok(known.tickets.clone())
    }

    fn read_key(&self) -> Result<KnownKey, Unserved> {
        let failed = |error: KeyError| Unserved::NoVolume(error.to_string());
        let volume = self.volume()?;
        let file = Tickets::file(&volume).map_err(failed)?;
        // The stamp is taken first: if the file changes meanwhile, it does not fit.
        let stamp = Stamp::at(&file).ok().flatten();
        let tickets = Tickets::read(&volume).map_err(failed)?;
        let missing = || Unserved::NoVolume("no operator has owned this volume yet".to_owned());
        Ok(KnownKey { tickets: Arc::new(tickets.ok_or_else(missing)?), file, stamp })
    }

    fn volume(&self) -> Result<Volume, Unserved> {
        Volume::read_only(&self.root).map_err(|error| {
            if self.is_missing_shard() { Unserved::NoShard } else { Unserved::NoVolume(error.to_string()) }
        })
    }

    /// Whether this is the folder of a shard and does not exist, while other shards have one. If none has, the volume may
    /// not be mounted.
    fn is_missing_shard(&self) -> bool {
        let Some(volume) = self.root.parent().filter(|_| self.shard.is_some() && !self.root.exists()) else {
            return false;
        };
        let of_shard = |name: &str| name.parse::<ShardFolder>().is_ok();
        let names = fs::read_dir(volume).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_str().is_some_and(of_shard))
    }

    fn known_key(&self) -> Option<Arc<KnownKey>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, key: KnownKey) -> Arc<Tickets> {
        let tickets = key.tickets.clone();
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
        tickets
    }
}
