//! Tickets: the right to download one image for some hours, as part of the URL path.

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::{SignedDuration, Timestamp};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use serde::{Deserialize, Serialize};

use crate::cache::{CacheError, NameError, ShardFolder, StatePath, Volume};
use crate::imagelist::Sha512Digest;

/// A source of the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A ticket is valid for at least this time, and for at most twice this time. All tickets of an image within one window
/// are the same, so that a cloud does not get a new URL at every pass.
const WINDOW: SignedDuration = SignedDuration::from_hours(6);

/// The size of the key in bytes, the same as that of the digest (RFC 2104 section 3).
const KEY_BYTES: usize = 32;

/// Makes and checks tickets. The key is stored on the volume, so that a cloud can continue to download an image after a
/// restart of the operator. It is in `state/serve/tickets.json`, which only the operator's user can read.
pub struct Tickets {
    key: PKey<Private>,
    /// The shard that the addresses name.
    shard: Option<ShardFolder>,
}

/// The stored form of the key.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The volume cannot be read or written.
    #[error(transparent)]
    Volume(#[from] CacheError),
    /// A name is not valid as a path on the volume.
    #[error(transparent)]
    Name(#[from] NameError),
    /// OpenSSL cannot make a key.
    #[error("cannot make a key for tickets")]
    OpenSsl(#[from] ErrorStack),
}

/// Why a ticket is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The path does not have the form of a ticket.
    #[error("expected images/<time>-<signature>/<sha512>.<format>, found something else")]
    Malformed,
    /// The signature is not valid.
    #[error("expected a ticket of this server, found another signature")]
    Forged,
    /// The ticket has expired.
    #[error("expected a ticket that is still good, found that it ended at {0}")]
    Expired(Timestamp),
}

crate::text::opaque!(Tickets, "Tickets");

impl Tickets {
    /// Reads the key of this volume. If there is none, or it is damaged, makes and stores a new random key.
    pub fn kept(volume: &Volume) -> Result<Self, KeyError> {
        match Self::read(volume) {
            Ok(Some(tickets)) => return Ok(tickets),
            Ok(None) => {}
            Err(KeyError::Volume(error @ CacheError::StateCorrupt { .. })) => {
                tracing::warn!(%error, "a new key is made: earlier addresses of images are not valid any more");
                volume.set_state_aside(&path()?)?;
            }
            Err(error) => return Err(error),
        }
        let mut key = [0; KEY_BYTES];
        openssl::rand::rand_bytes(&mut key)?;
        volume.write_secret_state(&path()?, &Kept { key: HEXLOWER.encode(&key) })?;
        Ok(Self { key: PKey::hmac(&key)?, shard: None })
    }

    /// The same key, for a volume that is the folder of a shard: the addresses then name the shard, so that a server of all
    /// shards finds the key.
    #[must_use]
    pub fn of_shard(self, shard: ShardFolder) -> Self {
        Self { shard: Some(shard), ..self }
    }

    /// Reads the key of this volume; `None` if the owner of the volume has not made one yet.
    pub fn read(volume: &Volume) -> Result<Option<Self>, KeyError> {
        let Some(kept) = volume.read_state::<Kept>(&path()?)? else { return Ok(None) };
        let key = HEXLOWER_PERMISSIVE.decode(kept.key.as_bytes()).ok().filter(|key| key.len() == KEY_BYTES);
        let Some(key) = key else {
            let message = format!("expected a key of {KEY_BYTES} bytes in hexadecimal, found something else");
            return Err(CacheError::StateCorrupt { path: path()?.relative().to_owned(), message }.into());
        };
        Ok(Some(Self { key: PKey::hmac(&key)?, shard: None }))
    }

    /// The file of the key on this volume, whether or not it exists.
    pub(super) fn file(volume: &Volume) -> Result<PathBuf, KeyError> {
        Ok(volume.state_path(&path()?))
    }

    /// `images/<time>-<signature>/<sha512>.<extension>`: the path of an image, valid for 6 to 12 hours from now. For a shard
    /// it is `images/shard-<index>/<time>-<signature>/<sha512>.<extension>`.
    pub fn path(&self, digest: &Sha512Digest, extension: &str, now: Timestamp) -> Result<String, ErrorStack> {
        let window = WINDOW.as_secs();
        let until = (now.as_second().div_euclid(window) + 2) * window;
        let file = format!("{digest}.{extension}");
        let signature = HEXLOWER.encode(&self.sign(until, &file)?);
        let shard = self.shard.map(|shard| format!("{shard}/")).unwrap_or_default();
        Ok(format!("images/{shard}{until}-{signature}/{file}"))
    }

    /// Checks the ticket and the file name of a path. Returns the digest of the image.
    pub fn check(&self, ticket: &str, file: &str, now: Timestamp) -> Result<Sha512Digest, TicketError> {
        let (until, signature) = ticket.split_once('-').ok_or(TicketError::Malformed)?;
        let until: i64 = until.parse().map_err(|_| TicketError::Malformed)?;
        let signature = HEXLOWER_PERMISSIVE.decode(signature.as_bytes()).map_err(|_| TicketError::Malformed)?;
        let expected = self.sign(until, file).map_err(|_| TicketError::Malformed)?;
        // A comparison in constant time.
        if signature.len() != expected.len() || !memcmp::eq(&signature, &expected) {
            return Err(TicketError::Forged);
        }
        let end = Timestamp::from_second(until).map_err(|_| TicketError::Malformed)?;
        if end <= now {
            return Err(TicketError::Expired(end));
        }
        file.split('.').next().unwrap_or_default().parse().map_err(|_| TicketError::Malformed)
    }

    /// HMAC-SHA-256 (RFC 2104) of the expiry time and the file name.
    fn sign(&self, until: i64, file: &str) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        signer.update(format!("{until}\n{file}").as_bytes())?;
        signer.sign_to_vec()
    }
}

/// The path of the key below `state/`.
fn path() -> Result<StatePath, NameError> {
    StatePath::new(["serve", "tickets"])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn volume() -> (tempfile::TempDir, Volume) {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::open(folder.path()).unwrap();
        (folder, volume)
    }

    #[test]
    fn the_key_is_kept_for_the_operator_alone() {
        let (folder, volume) = volume();
        assert!(Tickets::read(&volume).unwrap().is_none());
        let digest = Sha512Digest::from_bytes([7; 64]);
        let now = at("2026-11-22T07:00:00Z");
        let path = |tickets: Tickets| tickets.path(&digest, "raw", now).unwrap();
        let first = path(Tickets::kept(&volume).unwrap());
        assert_eq!(path(Tickets::kept(&volume).unwrap()), first);
        assert_eq!(path(Tickets::read(&Volume::read_only(folder.path()).unwrap()).unwrap().unwrap()), first);
        let file = folder.path().join("state/serve/tickets.json");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for broken in ["", "{\"key\": \"00\"}", "{\"key\": 1}"] {
            std::fs::write(&file, broken).unwrap();
            assert!(
                matches!(Tickets::read(&volume), Err(KeyError::Volume(CacheError::StateCorrupt { .. }))),
                "{broken}"
            );
            assert_ne!(path(Tickets::kept(&volume).unwrap()), first, "{broken}");
        }
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 4, "what was broken is set aside");
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_ticket_is_for_one_file_and_some_hours() {
        let (_folder, volume) = volume();
        let tickets = Tickets::kept(&volume).unwrap();
        let digest = Sha512Digest::from_bytes([7; 64]);
        let now = at("2026-11-22T07:00:00Z");
        let path = tickets.path(&digest, "qcow2", now).unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let [_, ticket, file] = parts[..] else { panic!("{path}") };
        assert_eq!(tickets.check(ticket, file, now), Ok(digest));
        assert_eq!(tickets.check(ticket, file, at("2026-11-22T13:00:00Z")), Ok(digest));
        assert_eq!(
            tickets.check(ticket, file, at("2026-11-22T18:00:00Z")),
            Err(TicketError::Expired(at("2026-11-22T18:00:00Z")))
        );
        let other = format!("{}.qcow2", Sha512Digest::from_bytes([8; 64]));
        assert_eq!(tickets.check(ticket, &other, now), Err(TicketError::Forged));
        let later = ticket.replacen(|c: char| c.is_ascii_digit(), "9", 1);
        assert_eq!(tickets.check(&later, file, now), Err(TicketError::Forged));
        let (_other, elsewhere) = self::volume();
        assert_eq!(Tickets::kept(&elsewhere).unwrap().check(ticket, file, now), Err(TicketError::Forged));
        for bad in ["", "-", "1-", "x-00", "1-zz", "99999999999999999999-00"] {
            assert!(tickets.check(bad, file, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn within_a_window_the_path_stays_the_same() {
        let (_folder, volume) = volume();
        let tickets = Tickets::kept(&volume).unwrap();
        let digest = Sha512Digest::from_bytes([7; 64]);
        let path = |time| tickets.path(&digest, "raw", at(time)).unwrap();
        assert_eq!(path("2026-11-22T06:00:00Z"), path("2026-11-22T11:59:59Z"));
        assert_ne!(path("2026-11-22T06:00:00Z"), path("2026-11-22T12:00:00Z"));
    }

    #[test]
    fn the_address_of_a_shard_names_it() {
        let (_folder, volume) = volume();
        let (digest, now) = (Sha512Digest::from_bytes([7; 64]), at("2026-11-22T07:00:00Z"));
        let whole = Tickets::kept(&volume).unwrap().path(&digest, "raw", now).unwrap();
        let tickets = Tickets::kept(&volume).unwrap().of_shard(ShardFolder::new(7).unwrap());
        let path = tickets.path(&digest, "raw", now).unwrap();
        assert_eq!(path, whole.replacen("images/", "images/shard-7/", 1));
    }
}
